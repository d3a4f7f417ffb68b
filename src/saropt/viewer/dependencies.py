"""What the routes of the API share: the viewer, ids, and how refusals are documented."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request

from saropt.viewer.schemas import LAYER_ID, Detail
from saropt.viewer.state import Viewer

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Detail, "description": "Unknown host name"},
    401: {"model": Detail, "description": "The token is missing or wrong"},
    422: {"model": Detail, "description": "Does not fit, or cannot be used"},
}
ORDER_REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": Detail, "description": "The header X-Saropt is missing, or a foreign page asks"},
    413: {"model": Detail, "description": "Larger than a limit, or the quota is used up"},
    507: {"model": Detail, "description": "The server has no room left to write"},
}
MISSING: dict[int | str, dict[str, Any]] = {404: {"model": Detail, "description": "No such thing"}}
BUSY: dict[int | str, dict[str, Any]] = {409: {"model": Detail, "description": "Not in this state"}}
REMOVAL = {**ORDER_REFUSALS, **MISSING, **BUSY}


def _viewer(request: Request) -> Viewer:
    viewer: Viewer = request.app.state.viewer
    return viewer


def _order(
    x_saropt: Annotated[str, Header(min_length=1, description="1: tells the viewer's pages from others.")],
) -> None:
    """Documents the header that the guard has asked for."""


TheViewer = Annotated[Viewer, Depends(_viewer)]
ORDER = [Depends(_order)]
Key = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]
LayerKey = Annotated[str, Path(pattern=LAYER_ID)]
LayerId = Annotated[str, Query(pattern=LAYER_ID)]
