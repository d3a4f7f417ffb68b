"""The list of commands, in groups by what one wants to do."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperGroup

GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "Translate and look": ("demo", "translate", "models", "serve"),
    "Data": ("data", "match", "segment"),
    "Train": ("train", "methods", "export", "reliability"),
    "Judge": ("evaluate", "score", "compare", "blind", "benchmark"),
}


class GroupedCommands(TyperGroup):
    """Shows the commands under the headings of `GROUPS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of the help; what no group names comes last."""
        named = [name for names in GROUPS.values() for name in names if name in self.commands]
        return [*named, *(name for name in self.commands if name not in named)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        names = self.list_commands(ctx)
        wide = max(map(len, names))
        groups = dict(GROUPS)
        others = tuple(name for name in names if not any(name in group for group in groups.values()))
        if others:
            groups["Others"] = others
        for title, group in groups.items():
            rows = [
                (f"{name:<{wide}}", self.commands[name].get_short_help_str(formatter.width - 6 - wide))
                for name in group
                if name in self.commands
            ]
            with formatter.section(title):
                formatter.write_dl(rows)
