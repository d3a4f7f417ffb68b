"""The scene inputs (`saropt.domain.SCENE_INPUTS`) of the rasters of a data root."""

from __future__ import annotations

from collections.abc import Mapping

from saropt.domain import SCENE_INPUTS, Role
from saropt.roots.root import DataRoot
from saropt.roots.splits import scene_inputs_in, split_rows
from saropt.scenes import Scene, read_scene_inputs


def stated_scene_inputs(root: DataRoot) -> dict[str, dict[str, float]]:
    """Raster name -> scene input -> value, from the columns `month`, `latitude` and `incidence` of splits.csv.

    Raises:
        InputError: an entry is no number or out of range.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> _ = (root.path / "splits.csv").write_text("name,split,month\\ntrain_000,train,7\\n")
    >>> stated_scene_inputs(root)
    {'train_000': {'month': 7.0}}
    """
    path = root.path / "splits.csv"
    return {row["name"]: scene_inputs_in(row, path) for row in split_rows(path)}


def scene_inputs_of(
    root: DataRoot, role: Role, name: str, stated: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """The scene inputs of one name: those that splits.csv states, and else what the raster of a role tells of
    (`saropt.scenes.read_scene_inputs`).

    Args:
        stated: what `stated_scene_inputs` gives.

    Raises:
        InputError: the raster cannot be read.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> scene_inputs_of(root, "sar", "train_000", {"train_000": {"month": 7.0}})
    {'month': 7.0}
    """
    given = stated.get(name, {})
    path = root.path_of(role, name)
    if path is None or set(given) == set(SCENE_INPUTS):
        return dict(given)
    with Scene.open(path) as scene:
        return {**read_scene_inputs(scene), **given}
