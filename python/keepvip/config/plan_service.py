"""What a reload comes to for virtual servers. Pure; see `plan.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keepvip.config.model_service import RealServer, VirtualServer

__all__ = ["ServiceChange", "service_changes"]


class ServiceChange(msgspec.Struct, frozen=True, kw_only=True):
    """One virtual server that stays, with what changes in it, in words."""

    name: str
    steps: tuple[str, ...]


def service_changes(
    old: Sequence[VirtualServer], new: Sequence[VirtualServer]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[ServiceChange, ...]]:
    """Added, removed and changed virtual servers."""
    before = {service.key: service for service in old}
    after = {service.key: service for service in new}
    changed = [
        ServiceChange(name=service.name, steps=tuple(_steps(was, service)))
        for key, service in after.items()
        if (was := before.get(key)) is not None and was != service
    ]
    return (
        tuple(service.name for key, service in after.items() if key not in before),
        tuple(service.name for key, service in before.items() if key not in after),
        tuple(changed),
    )


_APART = frozenset({"real_servers", "entries", "name"})


def _steps(was: VirtualServer, now: VirtualServer) -> Iterator[str]:
    yield from _fields(was, now, _APART)
    gone = [str(entry) for entry in was.entries if entry not in now.entries]
    come = [str(entry) for entry in now.entries if entry not in was.entries]
    if come:
        yield f"adds {', '.join(come)}"
    if gone:
        yield f"removes {', '.join(gone)}"
    before = {server.key: server for server in was.real_servers}
    after = {server.key: server for server in now.real_servers}
    for key, server in after.items():
        if key not in before:
            yield f"adds real server {server.name}"
        elif before[key] != server:
            yield f"real server {server.name}: {', '.join(_server_steps(before[key], server))}"
    for key, server in before.items():
        if key not in after:
            yield f"removes real server {server.name}"


def _server_steps(was: RealServer, now: RealServer) -> Iterator[str]:
    yield from _fields(was, now, frozenset({"checkers", "name"}))
    if was.checkers != now.checkers:
        yield "its checks change"


def _fields(was: msgspec.Struct, now: msgspec.Struct, apart: frozenset[str]) -> Iterator[str]:
    for field in now.__struct_fields__:
        old, new = getattr(was, field), getattr(now, field)
        if field in apart or old == new:
            continue
        if isinstance(new, int | str) and isinstance(old, int | str) and not isinstance(new, bool):
            yield f"{field} {old} → {new}"
        else:
            yield f"{field} changes"
