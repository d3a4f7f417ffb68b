"""Which bands of images of other dates are those of today's image: by name, as in everything that reads bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saropt.domain import Direction, Role, match_bands
from saropt.errors import InputError
from saropt.roots import DataRoot


def earlier_bands(
    root: DataRoot, direction: Direction, outputs: Sequence[int]
) -> tuple[dict[Role, list[int]], list[str]]:
    """Positions of the bands of each image of another date that are those of today's image, and a line for each image
    that lacks some.

    Args:
        outputs: positions of the bands of the output role that are compared; of the other roles all are.

    >>> from saropt.roots.simulated_dates import write_simulated_dates
    >>> root = DataRoot.open(write_simulated_dates("root", scenes=(1, 0, 0), size=64))
    >>> earlier_bands(root, Direction(["sar"], "optical"), [2, 0])
    ({'sar_reference': [0, 1], 'optical_reference': [2, 0]}, [])
    """
    found: dict[Role, list[int]] = {}
    lines = []
    for role, image in root.images.items():
        today = role.partition("_reference")[0]
        if today == role or today not in root.images:
            continue
        wanted = root.images[today].bands
        if today == direction.output:
            wanted = tuple(wanted[i] for i in outputs)
        try:
            found[role] = match_bands(wanted, image.bands)
        except ValueError as error:
            lines.append(f"{root.name}: {role} {error}: rows that compare it with {today} are left out.")
    return found, lines


def train_order(root: DataRoot, train_root: DataRoot) -> Mapping[Role, list[int]]:
    """Positions in the bands of a second root of the bands of a first, by role.

    Raises:
        InputError: the second root has other bands.

    >>> from saropt.roots.simulated import write_simulated_root
    >>> root = DataRoot.open(write_simulated_root("root", scenes=(1, 0, 0), size=64))
    >>> train_order(root, root)["sar"]
    [0, 1]
    """
    order = {}
    for role, image in root.images.items():
        other = train_root.images[role].bands if role in train_root.images else ()
        try:
            if len(other) != len(image.bands):
                raise ValueError
            order[role] = match_bands(image.bands, other)
        except ValueError:
            reason = f"has the bands {', '.join(other)}, not {', '.join(image.bands)}"
            raise InputError(train_root.name, reason) from None
    return order
