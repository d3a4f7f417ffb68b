"""The pairs of a fetch, kept in a file so that an interrupted fetch continues with the same ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from saropt.addresses import without_query
from saropt.curation.fetch_plan import NoPairError, Request
from saropt.curation.stac import Acquisition, Area, Service, acquisitions, pair_acquisitions, search
from saropt.errors import InputError, counted
from saropt.files import write_text

SIDES = ("sar", "optical")
_NOTE = "plan.json"


@dataclass(frozen=True)
class Pair:
    """A SAR and an optical acquisition. Its name is the day of the optical one; further pairs of a day have a number.

    >>> image = Acquisition(datetime(2023, 5, 10), (), 1.0, 0.0)
    >>> Pair("20230510_2", image, image).name
    '20230510_2'
    """

    name: str
    sar: Acquisition
    optical: Acquisition


def settings_of(sar_service: Service, optical_service: Service) -> list[Any]:
    """What of two services decides on the pixels that are fetched.

    >>> from saropt.curation.stac import SERVICES
    >>> settings_of(SERVICES["planetary-computer"], SERVICES["earth-search"])[1]["units"]
    'gamma0'
    """
    assert sar_service.sar is not None
    used = ((sar_service.url, sar_service.sar), (optical_service.url, optical_service.optical))
    return [part for url, collection in used for part in (url, collection.model_dump())]


class Plan:
    """What was found within the limits of a request, and which pairs of it are fetched.

    >>> from saropt.curation.stac import SERVICES
    >>> service, request = SERVICES["planetary-computer"], Request(datetime(2024, 6, 1), datetime(2024, 7, 1))
    >>> plan = Plan(Path("root"), Area((0.0, 0.0, 1.0, 1.0)), request, service, service)
    >>> plan.pairs
    []
    """

    def __init__(
        self, folder: Path, area: Area, request: Request, sar_service: Service, optical_service: Service
    ) -> None:
        self._note, self._area, self._request = folder / _NOTE, area, request
        self._services = (sar_service, sar_service.sar), (optical_service, optical_service.optical)
        services = settings_of(sar_service, optical_service)
        self._wanted = json.dumps([asdict(area), asdict(request), services], default=str)
        self._found: dict[str, list[Acquisition]] = {side: [] for side in SIDES}
        self._chosen: list[dict[str, Any]] = []
        self._unfit: dict[str, list[int]] = {side: [] for side in SIDES}
        self.told: list[str] = []
        """One line for each search that was not read to its end."""

    @property
    def pairs(self) -> list[Pair]:
        """The pairs to fetch."""
        return [Pair(one["name"], *(self._found[side][one[side]] for side in SIDES)) for one in self._chosen]

    @property
    def unfit(self) -> str:
        """The sides and days of images that show nothing; empty where there are none."""
        return "; ".join(
            f"{'SAR' if side == 'sar' else side} of "
            + ", ".join(sorted({f"{self._found[side][number].when:%Y-%m-%d}" for number in numbers}))
            for side, numbers in self._unfit.items()
            if numbers
        )

    def open(self) -> None:
        """Search once and choose pairs, or continue with those that are noted.

        Raises:
            InputError: the search fails, finds no pair, or what is noted was planned with other settings.
        """
        if self._note.is_file():
            self._read()
            return
        found = {side: self._search(number) for number, side in enumerate(SIDES)}
        limits = self._request
        near = limits.max_days * 86400.0
        covering = {side: [one for one in found[side] if one.cover >= limits.min_cover] for side in SIDES}
        clear = [one for one in covering["optical"] if not one.cloud > limits.max_cloud]
        self._found["sar"] = [
            one for one in covering["sar"] if any(abs((one.when - o.when).total_seconds()) <= near for o in clear)
        ]
        self._found["optical"] = [
            one for one in clear if any(abs((one.when - o.when).total_seconds()) <= near for o in covering["sar"])
        ]
        self._choose()
        if not self._chosen:
            few = sum(one.cloud <= limits.max_cloud for one in found["optical"])
            counts = f"{len(found['sar'])} SAR and {len(found['optical'])} optical dates ({few} clear enough)"
            where = f"within {limits.max_days:g} days over {limits.min_cover:.0%} of the area"
            raise NoPairError("area", None, "; ".join([f"no pair: found {counts}, none {where}", *self.told]))
        self._write()

    def replace(self, pair: Pair, side: str) -> None:
        """Give up a pair because the acquisition of one side shows nothing, and choose another one where there is one.

        Raises:
            NoPairError: there is none, and no pair is left.
        """
        gone = next(one for one in self._chosen if one["name"] == pair.name)
        self._chosen.remove(gone)
        self._unfit[side].append(gone[side])
        self._choose()
        self._write()
        if not self._chosen:
            reason = f"no pair: the images within the limits show almost nothing of it (cloud or no data): {self.unfit}"
            raise NoPairError("area", None, reason)

    def close(self) -> None:
        """Remove the file: the fetch is complete."""
        self._note.unlink()

    def _search(self, number: int) -> list[Acquisition]:
        service, collection = self._services[number]
        assert collection is not None
        start, end = self._request.start, self._request.end
        found = search(service, collection, self._area, start, end, self.told.append)
        keys = [*collection.assets.values(), *([collection.mask] if collection.mask else [])]
        lacking = {str(item["id"]): key for item in found for key in keys if key not in item.get("assets", {})}
        if lacking:
            first, key = next(iter(lacking.items()))
            self.told.append(
                f"{counted(len(lacking), 'item')} of {collection.name} not used: {first} has no asset {key}"
            )
        return acquisitions([item for item in found if str(item["id"]) not in lacking], self._area)

    def _choose(self) -> None:
        """Add pairs of acquisitions that are free, up to the number that is asked for."""
        wanted = self._request.pairs - len(self._chosen)
        if wanted <= 0:
            return
        free = {}
        for side, found in self._found.items():
            used = {*self._unfit[side], *(one[side] for one in self._chosen)}
            free[side] = {id(one): number for number, one in enumerate(found) if number not in used}
        added = pair_acquisitions(
            *([self._found[side][number] for number in free[side].values()] for side in SIDES),
            pairs=wanted,
            max_cloud=self._request.max_cloud,
            max_days=self._request.max_days,
            min_cover=self._request.min_cover,
        )
        for radar, image in added:
            day, taken = f"{image.when:%Y%m%d}", {one["name"] for one in self._chosen}
            name, number = day, 1
            while name in taken:
                number += 1
                name = f"{day}_{number}"
            chosen = {"name": name, "sar": free["sar"][id(radar)], "optical": free["optical"][id(image)]}
            self._chosen.append(chosen)

    def _write(self) -> None:
        found = {side: [_written(one) for one in ones] for side, ones in self._found.items()}
        signed = any(_is_signed(item) for ones in self._found.values() for one in ones for item in one.items)
        content = {"wanted": self._wanted, "signed": signed, "found": found}
        write_text(self._note, json.dumps({**content, "pairs": self._chosen, "unfit": self._unfit}))

    def _read(self) -> None:
        known = json.loads(self._note.read_text(encoding="utf-8"))
        if known["wanted"] != self._wanted:
            raise InputError(self._note.parent, "is unfinished work with other settings: remove it")
        self._chosen, self._unfit = known["pairs"], known["unfit"]
        for number, side in enumerate(SIDES):
            fresh: dict[str, dict[str, Any]] = {}
            if known["signed"]:  # the addresses were written without their signatures: ask for them again
                fresh = {str(item["id"]): item for one in self._search(number) for item in one.items}
            self._found[side] = [_signed_again(_acquisition(one), fresh) for one in known["found"][side]]


def _written(one: Acquisition) -> dict[str, Any]:
    items = [_unsigned(item) for item in one.items]
    return {"when": one.when.isoformat(), "items": items, "cover": one.cover, "cloud": one.cloud}


def _acquisition(content: dict[str, Any]) -> Acquisition:
    when = datetime.fromisoformat(content["when"])
    return Acquisition(when, tuple(content["items"]), content["cover"], content["cloud"])


def _is_signed(item: Mapping[str, Any]) -> bool:
    return any("?" in str(asset.get("href", "")) for asset in item.get("assets", {}).values())


def _unsigned(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item whose addresses have lost their queries, which may be signatures; its links are left out."""
    assets = {
        key: {**asset, "href": without_query(str(asset["href"]))} if "href" in asset else asset
        for key, asset in item.get("assets", {}).items()
    }
    return {**{key: value for key, value in item.items() if key != "links"}, "assets": assets}


def _signed_again(one: Acquisition, fresh: Mapping[str, dict[str, Any]]) -> Acquisition:
    return replace(one, items=tuple(fresh.get(str(item["id"]), item) for item in one.items))
