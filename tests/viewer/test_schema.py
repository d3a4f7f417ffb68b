"""The API against its own OpenAPI document, with generated requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from saropt.scenes import write_array
from saropt.viewer.app import create_app
from saropt.viewer.blind import Study
from saropt.viewer.blind_app import create_blind_app
from saropt.viewer.rasters import Limits
from saropt.viewer.state import Viewer

WITHOUT_INPUT = {("get", f"/api/{name}") for name in ("info", "base-map", "catalogue", "translators", "jobs", "study")}
LOCAL = {"Host": "localhost"}


def viewer_app(folder: Path) -> Any:
    write_array(folder / "a.tif", np.random.default_rng(0).integers(1, 255, (1, 40, 50), dtype=np.uint8))
    return create_app(Viewer(folder, limits=Limits(jobs=4)))


def blind_app(folder: Path) -> Any:
    for name in ("truth", "guess"):
        (folder / name).mkdir()
        write_array(folder / name / "a.tif", np.random.default_rng(0).integers(1, 255, (1, 96, 96), dtype=np.uint8))
    (folder / "study.yaml").write_text(
        '{name: s, side: 32, trials: 9, truth: truth, translations: {m: guess}, question: "Which?"}'
    )
    return create_blind_app(Study(folder / "study.yaml", folder))


@pytest.fixture(scope="module", params=[viewer_app, blind_app])
def api(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Any:
    app = request.param(tmp_path_factory.mktemp("api"))

    async def without_start(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})

    return schemathesis.openapi.from_asgi("/api/openapi.json", without_start, headers=LOCAL)


def ask(cases: SearchStrategy[Any], excluded: list[Any]) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def asked(case: Any) -> None:
        case.call_and_validate(headers=LOCAL, excluded_checks=excluded)

    asked()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_answers_are_as_documented(api: Any, mode: GenerationMode) -> None:
    """No server error, no undocumented status, no answer outside its schema, nothing accepted that is not valid."""
    tried = 0
    for result in api.get_all_operations():
        operation = result.ok()
        if mode is GenerationMode.NEGATIVE and (operation.method, operation.path) in WITHOUT_INPUT:
            continue
        # any bytes are a valid body of an upload; that most are no raster is for the server to find
        # answers to the second question are those of the study
        free = (("post", "/api/scenes"), ("post", "/api/participants/{code}/trials/{position}"))
        excluded = [positive_data_acceptance] if (operation.method, operation.path) in free else []

        ask(operation.as_strategy(generation_mode=mode), excluded)
        tried += 1
    assert tried >= (14 if "/api/catalogue" in api.raw_schema["paths"] else 4)
