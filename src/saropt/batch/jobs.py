"""Many scenes: which they are, where their translations go, and how one of them is made."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from saropt.addresses import is_store
from saropt.errors import BusyError, InputError, SaroptError
from saropt.files import place_of
from saropt.files.vrt import files_behind
from saropt.inference.bundled import card_of, translator_file
from saropt.inference.outputs import check_staging, output_exists, product_path
from saropt.inference.products import suffix_of
from saropt.inference.requests import LoadOptions, Raster, SceneResult, TranslateOptions, dates_in
from saropt.inference.runtimes import chosen_direction
from saropt.inference.stac_item import check_item, lacks_item, write_item
from saropt.inference.translator import Translator
from saropt.progress import Progress, silent
from saropt.scenes import scene_name
from saropt.scenes.writing import check_local

_PATIENCE_S = 10.0
_LOOKUPS = 8


@dataclass(frozen=True)
class Job:
    """One scene and the file or object (by address) of its translation.

    Attributes:
        companions: field of `TranslateOptions` and path or address, of each raster that comes with this scene; of
            several dates a tuple.

    >>> Job("scene.tif", Path("out/scene.tif")).out.name
    'scene.tif'
    """

    scene: str
    out: Path | str
    companions: tuple[tuple[str, Raster], ...] = ()


@dataclass(frozen=True)
class Work:
    """What is done with every scene; can be sent to another process.

    Attributes:
        model: name or file of the translator.
        load: how the translator is loaded.
        translate: how each scene is translated.

    >>> Work("s1-losangeles").wants_gpu
    False
    """

    model: str
    load: LoadOptions = field(default_factory=LoadOptions)
    translate: TranslateOptions = field(default_factory=TranslateOptions)

    def open(self, threads: int | None = None) -> Translator:
        """The translator, on a number of CPU threads; errors as of `Translator.load`."""
        return Translator.load(self.model, self.load, threads=threads)

    @property
    def wants_gpu(self) -> bool:
        """Whether the network runs on a GPU where there is one; errors as of `translator_file`."""
        device = self.load.device
        return device == "cuda" or (device == "auto" and translator_file(self.model, self.load).suffix != ".onnx")

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the products of a scene add to its name, "" of the image first; errors as of `translator_file`.

        >>> Work("s1-world", LoadOptions(reliability=True)).suffixes
        ('', '_reliability')
        """
        path = translator_file(self.model, self.load)
        card = card_of(path)
        outputs = card.directions[chosen_direction(path, card, self.load.direction)].outputs
        names = [image.product for image in outputs]
        names += ["reliability"] if self.load.reliability else []
        names += ["deviation"] if (self.translate.samples or 1) > 1 else []
        return tuple(dict.fromkeys(map(suffix_of, names)))


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        error: why it failed, or None.
        seam, warnings: as of `saropt.inference.SceneResult`.
        found: it was finished already.
        busy: another process writes it, as several that resume one folder may.

    >>> Outcome(Job("scene.tif", Path("out/scene.tif")), found=True).error is None
    True
    """

    job: Job
    error: SaroptError | None = None
    seam: float | None = None
    warnings: tuple[str, ...] = ()
    found: bool = False
    busy: bool = False


def plan_jobs(
    scenes: Sequence[str],
    folder: Path | str,
    *,
    companions: Mapping[str, Mapping[str, Raster]] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    staging: str | Path | None = None,
    suffixes: Sequence[str] = ("",),
) -> tuple[list[Job], list[Job]]:
    """Where each scene's translation goes: FOLDER/STEM.tif. Makes a local folder if its parent exists.

    Args:
        folder: a path, or an address in an object store.
        companions: scene -> the rasters that come with it (`saropt.batch.scene_lists.list_companions`).
        staging: where objects are made.
        suffixes: of all products (`Work.suffixes`).

    Returns:
        Jobs to do, and those whose image `resume` finds (`unfinished` tells what they lack).

    Raises:
        InputError: two scenes whose products would have one name, a scene or a raster that comes with one in the place
            of a product, an output that exists (without `resume` or `overwrite`), or folders that cannot be.

    >>> Path("scene.tif").touch()
    >>> jobs, finished = plan_jobs(["scene.tif"], "out")
    >>> [str(job.out) for job in jobs], finished
    (['out/scene.tif'], [])
    """
    check_staging(folder, staging)
    far = is_store(folder)
    near = Path(folder)
    if not far:
        check_local(near)
    taken: dict[str, str] = {}
    jobs = []
    for scene in scenes:
        stem = Path(scene_name(scene)).stem
        out = f"{str(folder).rstrip('/')}/{stem}.tif" if far else near / f"{stem}.tif"
        if taken.get(stem) == scene:
            raise InputError(scene, "is listed twice")
        if stem in taken:
            raise InputError(scene, f"has the same name as {taken[stem]}: both would be written to {out}")
        taken[stem] = scene
        jobs.append(Job(scene, out, tuple((companions or {}).get(scene, {}).items())))
    if not far and near.exists() and not near.is_dir():
        raise InputError(near, "is a file; translations of several scenes go into a folder")
    if not far and not near.parent.is_dir():
        raise InputError(near, f"the folder {near.parent} does not exist")
    _check_places(jobs, suffixes)
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        existing = {
            job for job, there in zip(jobs, pool.map(output_exists, [j.out for j in jobs]), strict=True) if there
        }
    if existing and not (resume or overwrite):
        first = next(job for job in jobs if job in existing)
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise InputError(first.out, f"exists already{more}; resume leaves out finished ones", remedy="overwrite")
    if not far:
        near.mkdir(exist_ok=True)
    finished = [job for job in jobs if job in existing and not overwrite]
    return [job for job in jobs if job not in finished], finished


def _check_places(jobs: Sequence[Job], suffixes: Sequence[str]) -> None:
    """Refuse products in the place of products of other scenes, of scenes and of rasters that come with them."""
    inputs = {
        place_of(file): job.scene
        for job in jobs
        for _, given in job.companions
        for one in dates_in(given)
        for file in (one, *files_behind(one))
    }
    sources = {place_of(job.scene) for job in jobs}
    sources |= {place_of(file) for job in jobs for file in files_behind(job.scene)}
    products: dict[str, str] = {}
    for job in jobs:
        for out in (product_path(job.out, suffix) for suffix in suffixes):
            place = place_of(out)
            if (other := products.setdefault(place, job.scene)) != job.scene:
                reason = f"a product of it and one of {other} would both be written to {out}: rename one of the scenes"
                raise InputError(job.scene, reason)
            if place in sources:
                raise InputError(out, "is a scene that a translation would replace: choose another folder")
            if (owner := inputs.get(place)) is not None:
                raise InputError(out, f"comes with {owner}, and a translation would replace it: choose another folder")


def unfinished(work: Work, found: Sequence[Job], translator: Translator | None = None) -> list[Job]:
    """Those of the jobs whose image is there that lack something: a product that is not there or not whole, or the STAC
    item.

    Raises:
        InputError: an output was made of another scene, by another translator or with other settings; names the first.

    >>> unfinished(Work("s1-losangeles"), [])
    []
    """
    if not found:
        return []
    model = translator or work.open()
    lacking = []
    other: list[Path | str] = []
    for job in found:
        options = work.translate.with_companions(dict(job.companions))
        earlier = model.look(job.scene, job.out, options)
        if earlier.other:
            other.append(earlier.other[0])
        elif earlier.lacking or (options.stac and lacks_item(earlier.products, options.sources_of(job.scene))):
            lacking.append(job)
    _refuse(other)
    return lacking


def _refuse(other: Sequence[Path | str]) -> None:
    if other:
        more = f" (and {len(other) - 1} more)" if len(other) > 1 else ""
        reason = f"was made of another scene, by another translator or with other settings{more}"
        raise InputError(other[0], reason, remedy="overwrite")


def is_finished(translator: Translator, job: Job, options: TranslateOptions) -> bool:
    """Whether a job is finished; where its STAC item alone is lacking, this writes it.

    Raises:
        InputError: an output was made of another scene, by another translator or with other settings.

    >>> is_finished(Translator.load("s1-losangeles"), Job("scene.tif", "absent.tif"), TranslateOptions())
    False
    """
    if not output_exists(job.out):
        return False
    earlier = translator.look(job.scene, job.out, options)
    _refuse(earlier.other[:1])
    if not earlier.is_complete:
        return False
    sources = options.sources_of(job.scene)
    if options.stac and lacks_item(earlier.products, sources):
        with translator.open_first(job.scene, options) as scene:
            check_item(scene, job.out, overwrite=False, resume=True)
        write_item(earlier.products, sources)
    return True


def attempt(translator: Translator, work: Work, job: Job, again: bool = False, progress: Progress = silent) -> Outcome:
    """Translate one of many scenes; what a user can act on becomes an outcome.

    Args:
        again: whether a worker died over this scene before: then the work goes on from what it left.
    """
    resume = work.translate.resume
    options = replace(work.translate, resume=again or resume).with_companions(dict(job.companions))
    may_be_there = options.resume and not options.overwrite
    try:
        if may_be_there and is_finished(translator, job, options):
            return Outcome(job, found=True)
        patience_s = _PATIENCE_S if again else 0.0
        result = translate_when_free(translator, job.scene, job.out, options, progress, patience_s)
    except MemoryError:
        return Outcome(job, InputError(job.scene, "there is not enough memory"))
    except (SaroptError, OSError) as error:
        with suppress(SaroptError, OSError):
            if may_be_there and is_finished(translator, job, options):
                return Outcome(job, found=True)
        if resume and isinstance(error, BusyError):
            return Outcome(job, busy=True)
        return Outcome(job, error if isinstance(error, SaroptError) else SaroptError(" ".join(str(error).split())))
    return Outcome(job, seam=result.seam, warnings=result.warnings)


def translate_when_free(
    translator: Translator,
    scene: str | Path,
    out: str | Path,
    options: TranslateOptions,
    progress: Progress = silent,
    patience_s: float = _PATIENCE_S,
) -> SceneResult:
    """`Translator.run`, which waits up to `patience_s` seconds for a dying process to let go of the output.

    Raises:
        BusyError: another process still writes it then.
        InputError: as of `Translator.run`.

    >>> import numpy as np
    >>> from saropt.scenes import write_array
    >>> path = write_array("sar.tif", np.full((1, 64, 64), 90, np.uint8), band_names=["VH"])
    >>> result = translate_when_free(Translator.load("s1-losangeles"), path, "optical.tif", TranslateOptions())
    >>> list(result.products)
    ['image']
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return translator.run(scene, out, options, progress)
        except BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
