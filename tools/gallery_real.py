"""The page of real places in the gallery: openly licensed scenes that the translators have not seen, beside the truth.

    python tools/gallery_real.py SHARED_DATA FILE

SHARED_DATA holds sen12mscr14 (SEN12MS-CR, CC BY 4.0). FILE is s1-world, trained without that set. Writes
docs/gallery-real.md and docs/figures/gallery/real-*.webp.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gallery import DOCS, FOLDER, SHOWN, grey, psnr, save, shown, slug
from saropt import Translator
from saropt.roots import DataRoot
from saropt.scenes import Scene

TOP = 6000.0
CASES = (
    (
        "6553",
        "Good",
        "a town and hills, with a cloud in the earlier image",
        "Houses and hills are kept, and the thick cloud goes. What it hid is grey: radar knows no colours.",
    ),
    (
        "6780",
        "Middling",
        "hills under haze",
        "Nothing is wrong, and nothing is better: haze is no change that SAR could show, so it stays.",
    ),
    (
        "3968",
        "Failing",
        "fields under full cloud",
        "The earlier image shows cloud alone and is ignored. All comes from radar, which does not see these fields.",
    ),
)
HEAD = """# Gallery: real places

Test places of SEN12MS-CR that `s1-reference` was not trained on. `s1-world` is shown as trained without this whole set.
Natural colour, 0 to .3 of reflectance. `python tools/gallery_real.py SHARED_DATA FILE` makes this page.

SEN12MS-CR: Ebel, Meraner, Schmitt, Zhu 2020, CC BY 4.0. Contains modified Copernicus Sentinel data 2016-2018.
"""


def read(path: Path) -> NDArray:
    with Scene.open(path) as scene:
        return scene.read()[0]


def main() -> None:
    root, alone = DataRoot.open(Path(sys.argv[1]) / "sen12mscr14"), Translator.load(sys.argv[2])
    reference = Translator.load("s1-reference")
    parts = [HEAD]
    for name, verdict, title, text in CASES:
        sar, truth = root.raster("sar", name), read(root.raster("optical", name))
        earlier = root.path / "optical_reference" / f"{name}.tif"
        made = reference.run(sar, FOLDER / "real.tif", options(earlier))
        images = {
            "earlier optical image": read(earlier),
            "s1-reference": read(Path(made.products["image"])),
            "s1-world": alone(read(sar), units="sigma0_db"),
            "truth": truth,
        }
        origin = read(Path(made.products["origin"]))[:1]
        for path in made.products.values():
            Path(path).unlink()
        panels = {
            "earlier optical image": shown(images["earlier optical image"]),
            "SAR today (VV)": grey(read(sar)[:1]),
            "s1-reference": shown(images["s1-reference"]),
            "from radar (white)": (origin * 2.55).astype(np.uint8),
            "s1-world": shown(images["s1-world"]),
            "truth": shown(truth),
        }
        parts.append(section(name, f"{verdict}: {title}", text, panels, images))
    (DOCS / "gallery-real.md").write_text("\n".join(parts), encoding="utf-8")


def options(earlier: Path):
    from saropt.inference import TranslateOptions

    return TranslateOptions(reference=earlier, overwrite=True)


def section(key: str, title: str, text: str, panels: dict[str, NDArray], images: dict[str, NDArray]) -> str:
    lines = [f"## {title}", "", text, "", '<div class="panels">']
    for name, panel in panels.items():
        file = f"real-{key}-{slug(name)}.webp"
        save(panel, FOLDER / file)
        size = f'width="{SHOWN}" height="{SHOWN}" loading="lazy"'
        image = f'<img src="figures/gallery/{file}" alt="{name}: {title}" {size}>'
        lines.append(f"<figure>{image}<figcaption>{name}</figcaption></figure>")
    lines += ["</div>", "", "| | PSNR in dB over B4, B3, B2, B8, range 0 to .6 |", "|---|---|"]
    truth = images["truth"]
    mean = np.broadcast_to(truth.mean(axis=(1, 2), keepdims=True), truth.shape)
    rows = {name: image for name, image in images.items() if name != "truth"} | {"the scene's own mean colour": mean}
    lines += [f"| {name} | {psnr(image / TOP, truth / TOP):.1f} |" for name, image in rows.items()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
