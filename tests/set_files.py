"""Small files in the published form of data sets."""

from __future__ import annotations

import numpy as np

from saropt.scenes import write_array


def pixels(count, height, width, seed=0, dtype=np.uint8):
    return np.random.default_rng(seed).integers(1, 200, (count, height, width)).astype(dtype)


def pictures(folder, names, count, size=32, seed=0):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        write_array(folder / f"{name}.png", pixels(count, size, size, seed + number))


def sen12ms(folder, scenes=(1, 2, 3), place=None, size=32):
    for scene in scenes:
        base = folder / "ROIs2017_winter"
        for kind, count in (("s1", 2), ("s2", 13), ("lc", 4)):
            (base / f"{kind}_{scene}").mkdir(parents=True)
            values = pixels(count, size, size, scene).astype(np.float32 if kind == "s1" else np.uint16)
            if kind == "s1":
                values = values / -10
            if kind == "lc":
                values = np.stack([np.full((size, size), v, np.uint16) for v in (12, 36, 35, 30)])
            where = place(scene) if place else None
            write_array(base / f"{kind}_{scene}" / f"ROIs2017_winter_{kind}_{scene}_p7.tif", values, georeference=where)


def write_uavsar(folder, rows=60, cols=50, product="grd"):
    rng = np.random.default_rng(0)
    matrix = {p: rng.normal(size=(rows, cols)) + 1j * rng.normal(size=(rows, cols)) for p in ("HH", "HV", "VV")}
    for part in matrix.values():
        part[:, :5] = 0
    files = {"HHHH": abs(matrix["HH"]) ** 2, "HVHV": abs(matrix["HV"]) ** 2, "VVVV": abs(matrix["VV"]) ** 2}
    files["HHVV"] = matrix["HH"] * matrix["VV"].conj()
    lines = []
    for name, values in files.items():
        path = folder / f"line_L090{name}_CX_01.{product}"
        values.astype("<c8" if name == "HHVV" else "<f4").tofile(path)
        lines.append(f"{product}{name}   (&) = {path.name} ; a file\n")
    for key, unit, value in (
        ("set_rows", "pixels", rows),
        ("set_cols", "pixels", cols),
        ("row_addr", "deg", 35.0),
        ("col_addr", "deg", 139.0),
        ("row_mult", "deg/pixel" if product == "grd" else "m/pixel", -5.5556e-5 if product == "grd" else 7.2),
        ("col_mult", "deg/pixel" if product == "grd" else "m/pixel", 5.5556e-5 if product == "grd" else 5.0),
    ):
        lines.append(f"{product}_pwr.{key}   ({unit}) = {value}   ; comment\n")
    (folder / "line.ann").write_text("; UAVSAR\n" + "".join(lines))
    return folder / "line.ann", files
