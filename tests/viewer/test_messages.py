"""Every message of the server that the viewer can show has a Chinese version in viewer/web/src/messages.json."""

import ast
import json
import re
from pathlib import Path

from saropt.inference import card_of, list_translators

ROOT = Path(__file__).parents[2]
CATALOGUE: dict[str, dict[str, str]] = json.loads((ROOT / "viewer/web/src/messages.json").read_text(encoding="utf-8"))
PASSED = (
    "viewer",
    *(
        f"inference/{name}.py"
        for name in (
            "bundled",
            "clear_pixels",
            "clouds",
            "companion",
            "companions",
            "familiarity",
            "guard",
            "input_states",
            "masks",
            "opening",
        )
    ),
    *(f"inference/{name}.py" for name in ("reader", "reliability", "scene_model", "sources", "translator")),
    "inference/runtimes",
    *(f"artifacts/{name}.py" for name in ("card", "checks", "graph", "trust", "weights", "modules")),
    *(
        f"scenes/{name}.py"
        for name in (
            "chosen_bands",
            "formats",
            "grid",
            "joined_files",
            "measurements",
            "metadata",
            "reading",
            "warping",
            "whole_files",
            "writing",
        )
    ),
    *(f"files/{name}.py" for name in ("atomic", "identity", "lock", "places", "vrt")),
    *(f"domain/{name}.py" for name in ("bands", "roles", "stated_units", "units")),
    *(f"radiometry/{name}.py" for name in ("units", "validity", "recipes")),
)
"""What a request and a translation pass through."""
OTHERS = {"OptionError", "MissingExtraError", "TypeError", "RuntimeError", "AttributeError", "Query", "FastAPI"}
"""Calls whose texts the viewer does not show: its form cannot choose these options."""
TERMINAL = (
    "origin_in_words reliability_in_words match_reference widened products reliability_product product_of _tags "
    "__repr__ __post_init__ span describe_range recipe_from_dict register_role _order _drawn _pairs _check_scale "
    "_differ create_app create_blind_app"
)
"""Functions whose texts go into tags or to the terminal."""
NOT_SHOWN = {
    "another saropt serve writes answers there",
    "holds answers to another version of this study: move it away",
    "onnx fp32",
    "the model",
    "value / 255",
    "reflectance (x10000: value / 10000), clipped",
}


class _Messages(ast.NodeVisitor):
    """The templates of a module: texts of several words, {0}, {1} ... where a value goes."""

    def __init__(self, room: str) -> None:
        self.found: set[str] = set()
        self._others = OTHERS | ({"ValueError"} if room == "scenes" else set())

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # no docstring
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        if node.name not in TERMINAL.split():
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func)
        if name.split(".")[-1] not in self._others and not name.startswith("_LOG"):
            self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._add(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._add(template(node))
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)

    def _add(self, text: str) -> None:
        words = re.sub(r"\{\d\}", " ", text).split()
        if (
            len(words) > 1
            and re.search(r"(^| )[a-z]{2,} |[a-z] [a-z]", text)
            and re.match(r"[a-z0-9{ ,;]", text)
            and "-src " not in text
        ):
            self.found.add(text)


def template(node: ast.JoinedStr) -> str:
    places = iter(range(10))
    return "".join(str(p.value) if isinstance(p, ast.Constant) else f"{{{next(places)}}}" for p in node.values)


def messages() -> set[str]:
    found: set[str] = set()
    for place in PASSED:
        visitor = _Messages(place.split("/")[0])
        path = ROOT / "src/saropt" / place
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            visitor.visit(ast.parse(file.read_text(encoding="utf-8")))
        found |= visitor.found
    return found - NOT_SHOWN


def bundled_texts() -> set[str]:
    cards = [card_of(path) for path in list_translators().values()]
    return {text for card in cards for text in (card.notes, card.training.data)}


def test_every_message_is_in_the_catalogue_and_none_is_stale() -> None:
    assert set(CATALOGUE["messages"]) == messages()


def test_every_bundled_card_is_in_the_catalogue() -> None:
    assert set(CATALOGUE["cards"]) == bundled_texts()


def test_translations_keep_the_places_of_the_values() -> None:
    places = re.compile(r"\{\d\}")
    for english, chinese in [pair for part in CATALOGUE.values() for pair in part.items()]:
        assert set(places.findall(chinese)) <= set(places.findall(english)), english


def test_values_that_stand_side_by_side_stay_side_by_side() -> None:
    """The page cannot tell where one of them ends and the next begins: it takes both for the second one."""
    for english, chinese in [pair for part in CATALOGUE.values() for pair in part.items()]:
        assert all(pair in chinese for pair in re.findall(r"\{\d\}\{\d\}", english)), english
