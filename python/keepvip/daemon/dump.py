"""The configuration as it was understood, line by line for the log (`-d`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.model import Config

__all__ = ["dump"]

_NOT_SHOWN = frozenset({"span"})
_SECRET = frozenset({"password"})


def dump(config: Config) -> Iterator[str]:
    """One line per setting, indented by depth; settings that are unset or off are left out, passwords are hidden."""
    yield "Configuration:"
    yield from _struct(config, 1)


def _struct(value: msgspec.Struct, depth: int) -> Iterator[str]:
    for field in value.__struct_fields__:
        if field not in _NOT_SHOWN:
            yield from _field(field, getattr(value, field), depth)


def _field(name: str, value: object, depth: int) -> Iterator[str]:
    indent = "  " * depth
    if value is None or value is False or value in ((), ""):
        return
    if name in _SECRET:
        yield f"{indent}{name} = <hidden>"
    elif isinstance(value, msgspec.Struct):
        yield f"{indent}{name}"
        yield from _struct(value, depth + 1)
    elif isinstance(value, tuple) and isinstance(value[0], msgspec.Struct):
        for item in value:
            yield from _field(name, item, depth)
    elif isinstance(value, tuple):
        yield f"{indent}{name} = {' '.join(map(str, value))}"
    else:
        yield f"{indent}{name} = {'on' if value is True else value}"
