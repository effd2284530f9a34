"""`net_namespace` of an instance: where its interfaces are, and what does not go together with it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.settings import Context, Settings
    from keepvip.config.tree import Node

__all__ = ["build_namespace", "clashes", "in_network_of", "look"]

_ONLY_HERE = (
    "use_vmac",
    "use_vmac_addr",
    "use_ipvlan",
    "vmac_xmit_base",
    "vrf",
    "virtual_routes",
    "virtual_rules",
    "no_accept",
    "promote_secondaries",
)
"""Links, routes, packet filters and kernel settings are made in the namespace of the daemon only."""


def build_namespace(ctx: Context, settings: Settings) -> str | None:
    """The namespace that the interfaces of an instance are in; None: that of the daemon."""
    setting = settings.get("net_namespace")
    if setting is None:
        return None
    name = str(setting.value)
    own = name == ctx.net_namespace or (ctx.facts is not None and ctx.facts.in_namespace(name))
    return None if own else name


def clashes(ctx: Context, name: str, settings: Settings, *, strict: bool) -> bool:
    """Whether an instance with a namespace of its own asks for what is done in that of the daemon only; said."""
    found = False
    for keyword in _ONLY_HERE:
        setting = settings.get(keyword)
        if setting is not None:
            found = True
            ctx.diagnostics.error(
                "namespace-clash",
                f"`{name}`: `{keyword}` is not possible together with net_namespace: the instance is not run",
                setting.span,
                hint=f"leave out {keyword}, or run a daemon of its own in the namespace",
            )
    for node in _own_macs(settings):
        found = True
        ctx.diagnostics.error(
            "namespace-clash",
            f"`{name}`: `use_vmac` of an address is not possible together with net_namespace: the instance is not run",
            node.statement_span,
            hint="leave out use_vmac, or run a daemon of its own in the namespace",
        )
    if strict:
        found = True
        ctx.diagnostics.error(
            "namespace-clash",
            f"`{name}`: strict mode needs a packet filter, which is not possible together with net_namespace: the"
            " instance is not run",
            settings["net_namespace"].span,
            hint="write `strict_mode false` into the instance, or run a daemon of its own in the namespace",
        )
    return found


def _own_macs(settings: Settings) -> Iterator[Node]:
    """Addresses that ask for a link of their own."""
    for keyword in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
        block = settings.get(keyword)
        for one in block.all() if block is not None else ():
            yield from (node for node in one.node.children or () if "use_vmac" in node.args)


@contextlib.contextmanager
def in_network_of(ctx: Context, namespace: str | None) -> Iterator[None]:
    """Interfaces that are looked at inside are those of a namespace. They may come later: others go on meanwhile."""
    if namespace is None:
        yield
        return
    before = ctx.network, ctx.dynamic_interfaces
    ctx.network = ctx.facts.within(namespace) if ctx.facts is not None else None
    ctx.dynamic_interfaces = True
    try:
        yield
    finally:
        ctx.network, ctx.dynamic_interfaces = before


def look(ctx: Context, name: str, settings: Settings, namespace: str) -> None:
    """Says what is missing now; the instance is in FAULT until it is there."""
    if ctx.facts is None:
        return
    if ctx.network is None:
        ctx.diagnostics.warning(
            "unknown-namespace",
            f"there is no network namespace `{namespace}`: `{name}` is in FAULT until there is",
            settings["net_namespace"].span,
            hint=f"ip netns add {namespace}",
            kind=ConfigTestClass.NONE,
        )
        return
    interface = settings.get("interface")
    if interface is not None and str(interface.value) not in ctx.network.interface_names:
        ctx.diagnostics.warning(
            "unknown-interface",
            f"there is no interface `{interface.value}` in network namespace `{namespace}`: `{name}` is in FAULT until"
            " there is",
            interface.node.arg_span(0),
            hint=ctx.interface_hint(str(interface.value)),
            kind=ConfigTestClass.NONE,
        )
