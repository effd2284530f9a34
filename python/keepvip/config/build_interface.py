"""The interface of an instance: whether it needs one, has one, and can use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from keepvip.config.diagnostic import ConfigTestClass

if TYPE_CHECKING:
    from keepvip.config.build_address import Placed
    from keepvip.config.facts import Interface
    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.tree import Node

__all__ = ["Found", "build_interface", "with_interface"]

_LOOPBACK = "lo"


class Found(NamedTuple):
    """The interface, and whether the instance can be run with it."""

    name: str | None
    sound: bool


def build_interface(
    ctx: Context, name: str, node: Node, settings: Settings, source: str | None, *, unicast: bool, strict: bool
) -> Found:
    """What `interface` says; what makes it impossible is reported. Only unicast with a `source` can do without."""
    setting = settings.get("interface")
    if setting is None:
        return _without(ctx, name, node, settings, source, unicast=unicast)
    interface = str(setting.value)
    known = ctx.network.interface(interface) if ctx.network is not None else None
    if interface == _LOOPBACK or (known is not None and known.loopback):
        ctx.refuse_all(
            "loopback", f"`{interface}` is the loopback interface: nobody would hear its adverts", setting.span
        )
        return Found(None, sound=False)
    if not ctx.interface_exists(interface):
        ctx.refuse_all(
            "unknown-interface",
            f"there is no interface `{interface}`",
            setting.node.arg_span(0),
            hint=ctx.interface_hint(interface) or "with dynamic_interfaces in global_defs it need not exist yet",
            kind=ConfigTestClass.WARNING,
        )
    return Found(interface, sound=_transport_fits(ctx, name, setting, known, unicast=unicast, strict=strict))


def _without(ctx: Context, name: str, node: Node, settings: Settings, source: str | None, *, unicast: bool) -> Found:
    if unicast and source is not None and not source.startswith("fe80:"):
        return Found(None, sound=True)
    if "interface" not in settings.refused:
        hint = "add a line `interface NAME`"
        if unicast:
            hint += ", or a unicast_src_ip that is not link-local"
        ctx.refuse_all("missing-interface", f"`{name}` has no interface", node.statement_span, hint=hint)
    return Found(None, sound=False)


def _transport_fits(
    ctx: Context, name: str, setting: Setting, known: Interface | None, *, unicast: bool, strict: bool
) -> bool:
    can_multicast = known is None or known.multicast
    if unicast and strict and can_multicast:
        ctx.refuse_all(
            "strict-unicast",
            f"`{name}`: strict mode has no unicast on an interface that can send by multicast",
            setting.span,
            hint="leave out strict_mode, or unicast_peer",
        )
        return False
    if not unicast and not can_multicast:
        ctx.diagnostics.error(
            "no-multicast",
            f"`{setting.value}` cannot send by multicast: `{name}` is refused",
            setting.node.arg_span(0),
            hint="use another interface, or unicast_peer",
        )
        return False
    return True


def with_interface(ctx: Context, name: str, addresses: list[Placed]) -> list[Placed]:
    """The addresses that say themselves where they belong; `name` has no interface to put the others on."""
    found = []
    for address, node in addresses:
        if address.dev is None:
            ctx.diagnostics.error(
                "address-without-interface",
                f"`{name}` has no interface, and `{address.address}` names none: it is dropped",
                node.span,
                hint=f"write `{node.keyword} dev NAME`, or give the instance an interface",
            )
        else:
            found.append((address, node))
    return found
