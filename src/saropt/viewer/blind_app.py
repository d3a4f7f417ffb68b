"""The web application of a blind test: its page and its API, and nothing else of the viewer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from saropt.viewer.app import STATIC, guarded_app
from saropt.viewer.blind import Side, Study
from saropt.viewer.dependencies import ORDER, ORDER_REFUSALS, REFUSALS
from saropt.viewer.schemas import Detail

_ABOUT = """Pairs of a satellite image and a model's guess, and what people take for real (`saropt serve --blind`).

Orders (POST) need the header `X-Saropt: 1`. No answer of the server tells which picture is which.
"""
_PNG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}}, "description": "Left and right picture"}}
_NOT_NOW: dict[int | str, dict[str, Any]] = {
    409: {"model": Detail, "description": "Not the participant's present trial"}
}

router = APIRouter(prefix="/api", responses=REFUSALS)


class StudyOut(BaseModel):
    """What participants are asked."""

    name: str
    trials: int
    side: int
    question: str | None
    answers: list[str]


class PlaceOut(BaseModel):
    """Where a participant stands: trials done, and the trial that comes; null at the end."""

    done: int
    trial: int | None


class AnswerIn(BaseModel):
    """Which picture is real, and the answer to the study's second question, where it asks one."""

    model_config = ConfigDict(extra="forbid")
    real: Side
    second: Annotated[str, Field(max_length=60)] | None = None


def _study(request: Request) -> Study:
    study: Study = request.app.state.study
    return study


TheStudy = Annotated[Study, Depends(_study)]
Code = Annotated[str, PathParameter(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"), AfterValidator(str.lower)]
"""Telephones begin a word with a capital letter: P1 is the person p1."""
Position = Annotated[int, PathParameter(ge=0, lt=1000)]


@router.get("/study")
def get_study(study: TheStudy) -> StudyOut:
    """The study's name and questions."""
    settings = study.settings
    asked = settings.question is not None
    return StudyOut(
        name=settings.name,
        trials=len(study.trials),
        side=settings.side,
        question=settings.question,
        answers=settings.answers if asked else [],
    )


@router.get("/participants/{code}")
def get_place(study: TheStudy, code: Code) -> PlaceOut:
    """Where the participant with this code goes on."""
    return PlaceOut(**vars(study.place(code)))


@router.get("/participants/{code}/trials/{position}", responses=_PNG | _NOT_NOW, response_class=Response)
def get_picture(study: TheStudy, code: Code, position: Position) -> Response:
    """Both pictures of the participant's present trial, as one."""
    try:
        return Response(study.picture(code, position), media_type="image/png")
    except KeyError:
        raise HTTPException(409, "not the present trial") from None


@router.post("/participants/{code}/trials/{position}", dependencies=ORDER, responses=ORDER_REFUSALS | _NOT_NOW)
def post_answer(study: TheStudy, code: Code, position: Position, answer: AnswerIn) -> PlaceOut:
    """Answer the present trial. It cannot be changed afterwards, and nobody is told whether it was right."""
    try:
        return PlaceOut(**vars(study.answer(code, position, answer.real, answer.second)))
    except KeyError:
        raise HTTPException(409, "not the present trial") from None
    except ValueError as error:
        raise HTTPException(422, str(error)) from None


def create_blind_app(study: Study, token: str | None = None, host: str = "127.0.0.1") -> FastAPI:
    """The application of one study.

    Args:
        token, host: as for `saropt.viewer.app.create_app`.
    """
    app = guarded_app("saropt blind test", _ABOUT, None, token, host)
    app.state.study = study
    app.include_router(router)
    app.add_api_route("/", lambda: FileResponse(STATIC / "blind.html"), include_in_schema=False)
    app.mount("/", StaticFiles(directory=STATIC))
    return app
