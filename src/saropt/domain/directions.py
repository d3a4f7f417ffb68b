"""Directions: which roles go in and which one comes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from saropt.domain.roles import Role, describe_role, list_roles


class Direction(str):
    """A direction of translation, such as from SAR to optical.

    A direction is its name: it equals that string and hashes like it, so it stands as a key in reports, in weight
    files and in file names as it is. The name is made of the roles' short names: "sar2opt", "sar+optref2opt".

    Args:
        inputs: the roles that go in, in the order of the network's bands.
        output: the role that comes out.

    Raises:
        ValueError: no input, an input twice, an input that is the output, or an unknown role.

    >>> Direction(["sar"], "optical")
    Direction('sar2opt')
    >>> Direction.parse("opt2sar").inputs
    ('optical',)
    """

    inputs: tuple[Role, ...]
    output: Role

    def __new__(cls, inputs: Iterable[Role], output: Role) -> Self:
        roles = tuple(inputs)
        if not roles or len(set(roles)) != len(roles) or output in roles:
            found = ", ".join(roles) or "none"
            raise ValueError(f"a direction needs inputs, each once, and another output: {found} to {output}")
        name = "+".join(describe_role(role).short for role in roles) + "2" + describe_role(output).short
        direction = super().__new__(cls, name)
        direction.inputs, direction.output = roles, output
        return direction

    @classmethod
    def parse(cls, name: str) -> Self:
        """The direction of a name.

        Raises:
            ValueError: it is no name of a direction.

        >>> Direction.parse("sar2opt").output
        'optical'
        """
        if isinstance(name, cls):
            return name
        by_short = {describe_role(role).short: role for role in list_roles()}
        given, separator, made = str(name).partition("2")
        parts = [*given.split("+"), made]
        if not separator or any(part not in by_short for part in parts):
            known = f"{', '.join(by_short)} and those of plug-ins that are installed"
            raise ValueError(f"{name!r} is no direction such as sar2opt; roles are {known}")
        *inputs, output = (by_short[part] for part in parts)
        return cls(inputs, output)

    @property
    def in_words(self) -> str:
        """The direction in words: "SAR to optical".

        >>> OPTICAL_TO_SAR.in_words
        'Optical to SAR'
        """
        inputs = " + ".join(describe_role(role).title for role in self.inputs)
        return f"{inputs[:1].upper()}{inputs[1:]} to {describe_role(self.output).title}"

    def __repr__(self) -> str:
        return f"Direction({str(self)!r})"

    def __getnewargs__(self) -> tuple[tuple[Role, ...], Role]:  # type: ignore[override]
        return self.inputs, self.output

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(
            cls.parse,
            core_schema.str_schema(),
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )


SAR_TO_OPTICAL = Direction(["sar"], "optical")
OPTICAL_TO_SAR = Direction(["optical"], "sar")
