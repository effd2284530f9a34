"""`use_vmac`, `use_ipvlan` and what goes with them: which link carries which address (config-keywords.md 7.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.model_vmac import Vmac
from keepvip.config.values import Address, read_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from keepvip.config.build_defaults import InstanceDefaults
    from keepvip.config.model import VirtualAddress, VrrpInstance
    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.tree import Node

__all__ = ["OwnLink", "build_vmac", "link_names", "place_addresses", "virtual_mac"]

_OCTETS = re.compile(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){4,5}", re.ASCII)
_RFC_PREFIX = "00:00:5e:00:0"
_MAX_NAME = 15
_MAX_GROUP = 4_294_967_295
_GROUP_FILES = ("/etc/iproute2/group", "/usr/share/iproute2/group", "/usr/lib/iproute2/group")
_IPVLAN_MODES = ("bridge", "private", "vepa")
_SILENT = "netlink_notify_msg"


class OwnLink(NamedTuple):
    """The link of an instance, whether adverts use the interface below it, and the source address that it dictates."""

    vmac: Vmac | None = None
    xmit_base: bool = False
    source: str | None = None
    sound: bool = True


class _Words(NamedTuple):
    name: str | None = None
    mac: str | None = None
    group: int | None = None
    mode: str | None = None
    address: Address | None = None


def virtual_mac(family: int, vrid: int) -> str:
    """RFC 9568 section 7.3: 00-00-5e-00-01-VRID for IPv4, 00-00-5e-00-02-VRID for IPv6."""
    return f"{_RFC_PREFIX}{1 if family == 4 else 2}:{vrid:02x}"


def build_vmac(
    ctx: Context,
    instance: str,
    settings: Settings,
    defaults: InstanceDefaults,
    *,
    interface: str | None,
    family: int,
    vrid: int,
    unicast: bool,
    strict: bool,
) -> OwnLink:
    """The link that an instance puts its addresses on, if it wants one."""
    builder = _Builder(ctx, instance, settings, strict=strict)
    use_vmac, use_ipvlan = settings.get("use_vmac"), settings.get("use_ipvlan")
    if use_vmac is None and use_ipvlan is None:
        builder.idle("vmac_xmit_base")
        return OwnLink()
    if interface is None:
        wanted = use_vmac or use_ipvlan
        if wanted is not None:
            builder.warn(wanted, f"{wanted.keyword.name} needs an interface to stand on and is ignored")
        return OwnLink()
    if use_ipvlan is not None:
        if use_vmac is not None:
            builder.warn(use_vmac, "an instance has a macvlan or an ipvlan, not both: use_vmac is ignored")
        return builder.ipvlan(use_ipvlan, defaults, interface, family, vrid, unicast=unicast)
    assert use_vmac is not None
    words = builder.words(use_vmac, ipvlan=False)
    if words is None:
        return OwnLink(sound=False)
    xmit_base = builder.xmit_base(unicast=unicast)
    vmac = Vmac(
        parent=interface,
        vrid=vrid,
        family=family,
        mac=builder.mac(use_vmac, words.mac, vrid) or virtual_mac(family, vrid),
        name=words.name,
        prefix=defaults.vmac_prefix,
        group=words.group,
        ipv6=family == 6,
        link_local=family == 6 and not xmit_base,
    )
    return OwnLink(vmac, xmit_base)


def link_names(instances: Iterable[Node], prefix: str) -> frozenset[str]:
    """What the links of instances are called where nothing stands in the way: other lines may name them."""
    found: set[str] = set()
    for instance in instances:
        lines = {node.keyword: node for node in instance.children or ()}
        for keyword in ("use_vmac", "use_ipvlan"):
            if (wish := lines.get(keyword)) is not None:
                found.update(word for word in wish.args if word not in {"name", "group", _SILENT})
                vrid = lines.get("virtual_router_id")
                ending = f".{vrid.args[0]}" if vrid is not None and vrid.args else ""
                found.update(prefix[: _MAX_NAME - len(more) - len(ending)] + more + ending for more in ("", "6"))
    return frozenset(found)


class _Builder:
    def __init__(self, ctx: Context, instance: str, settings: Settings, *, strict: bool) -> None:
        self.ctx = ctx
        self.instance = instance
        self.settings = settings
        self.strict = strict

    def warn(self, setting: Setting, message: str, hint: str = "", *, silent: bool = False) -> None:
        self.ctx.diagnostics.warning(
            "contradiction", f"`{self.instance}`: {message}", setting.span, hint=hint,
            kind=ConfigTestClass.NONE if silent else ConfigTestClass.GENERAL,
        )  # fmt: skip

    def idle(self, keyword: str) -> None:
        setting = self.settings.get(keyword)
        if setting is not None:
            self.warn(setting, f"{keyword} does nothing without use_vmac")

    def xmit_base(self, *, unicast: bool) -> bool:
        setting = self.settings.get("vmac_xmit_base")
        if unicast:
            if setting is None:
                self.warn(
                    self.settings["use_vmac"], "unicast adverts leave by the interface itself: vmac_xmit_base is set",
                    silent=True,
                )  # fmt: skip
            return True
        if setting is not None and self.strict:
            self.warn(setting, "strict mode sends from the virtual MAC: vmac_xmit_base is cleared")
            return False
        return setting is not None

    def mac(self, setting: Setting, text: str | None, vrid: int) -> str | None:
        """A configured MAC that may be used."""
        if text is None:
            return None
        octets = [int(octet, 16) for octet in text.split(":")]
        if len(octets) == 5:
            octets.append(vrid)
        mac = ":".join(f"{octet:02x}" for octet in octets)
        problem = ""
        if self.strict:
            problem = "strict mode has the MAC of the RFC only"
        elif octets[0] & 1:
            problem = f"{mac} is a multicast MAC"
        elif not any(octets):
            problem = f"{mac} is no MAC of an interface"
        elif octets[:4] == [0, 0, 0x5E, 0] and octets[4] in {1, 2}:
            problem = f"{mac} belongs to a virtual router already (RFC 9568 section 7.3)"
        if problem:
            self.warn(setting, f"{problem}: the one of the VRID is used")
            return None
        return mac

    def ipvlan(
        self, setting: Setting, defaults: InstanceDefaults, interface: str, family: int, vrid: int, *, unicast: bool
    ) -> OwnLink:
        words = self.words(setting, ipvlan=True)
        if words is None:
            return OwnLink(sound=False)
        address = words.address
        if address is not None and address.family != family:
            self.ctx.diagnostics.error(
                "family-mismatch",
                f"`{self.instance}` is an IPv{family} instance, and {address.text} is IPv{address.family}",
                setting.span,
            )
            return OwnLink(sound=False)
        if address is None and family == 4:
            self.ctx.diagnostics.error(
                "missing-argument",
                f"`{self.instance}`: an ipvlan needs an IPv4 address of its own to send from",
                setting.span,
                hint="write `use_ipvlan ADDRESS/PREFIX`, one for each node",
            )
            return OwnLink(sound=False)
        xmit_base = unicast or "vmac_xmit_base" in self.settings
        vmac = Vmac(
            kind="ipvlan",
            parent=interface,
            vrid=vrid,
            family=family,
            name=words.name,
            prefix=defaults.vmac_prefix,
            group=words.group,
            ipv6=family == 6,
            mode=words.mode or "bridge",
            address=address.text if address is not None else None,
            prefix_len=_length(address),
        )
        own_source = None if unicast or address is None else address.text
        return OwnLink(vmac, xmit_base, own_source)

    def words(self, setting: Setting, *, ipvlan: bool) -> _Words | None:
        """The words after the keyword in any order; None, with an error, if one makes no sense."""
        found = _Words()
        words = list(setting.node.args)
        index = 0
        while index < len(words):
            word = words[index]
            span = setting.node.arg_span(index)
            index += 1
            argument = words[index] if index < len(words) else None
            if word in {"name", "group"}:
                if argument is None:
                    self.ctx.diagnostics.error(
                        "missing-argument", f"`{self.instance}`: `{word}` needs a value", span, expected=f"{word} VALUE"
                    )
                    return None
                span = setting.node.arg_span(index)
                index += 1
                if word == "group":
                    group = _group(argument)
                    if group is None:
                        self.ctx.diagnostics.error(
                            "invalid-value", f"`{argument}` is not an interface group", span,
                            expected=f"a name of {_GROUP_FILES[0]} or 0..{_MAX_GROUP}",
                        )  # fmt: skip
                        return None
                    found = found._replace(group=group)
                    continue
                word = argument
            elif word == _SILENT:
                continue  # asks for a workaround in keepalived's own netlink messages
            elif not ipvlan and _OCTETS.fullmatch(word):
                found = found._replace(mac=word)
                continue
            elif ipvlan and word in _IPVLAN_MODES:
                found = found._replace(mode=word)
                continue
            elif ipvlan and isinstance(address := read_prefix(word), Address):
                found = found._replace(address=address)
                continue
            if not 0 < len(word.encode()) <= _MAX_NAME or "/" in word or word in {".", ".."}:
                self.ctx.diagnostics.error(
                    "invalid-value", f"`{word}` is not a name of an interface", span, expected="1 to 15 characters"
                )
                return None
            if found.name is not None:
                self.ctx.diagnostics.error(
                    "too-many-arguments", f"`{self.instance}`: the link is called `{found.name}` already", span
                )
                return None
            found = found._replace(name=word)
        return found


def _length(address: Address | None) -> int:
    if address is None:
        return 0
    return address.prefix_len if address.prefix_len is not None else (32 if address.family == 4 else 64)


def _group(text: str) -> int | None:
    """An interface group by number or by the name that iproute2 knows it by."""
    if text.isascii() and text.isdigit():
        return int(text) if int(text) <= _MAX_GROUP else None
    if text == "default":
        return 0
    from pathlib import Path  # noqa: PLC0415  (rare, and slow to import)

    for path in _GROUP_FILES:
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            words = line.partition("#")[0].split()
            if len(words) == 2 and words[1] == text and words[0].isdigit():
                return int(words[0])
    return None


def place_addresses(ctx: Context, instance: VrrpInstance, settings: Settings, prefix: str) -> VrrpInstance:
    """Says of every address which link it goes on: that of the instance, one of its own, or an interface.

    What remains with `dev` None goes on the link of the instance. With a link of its own (`use_vmac`) the address keeps
    its `dev`, and the link is among `address_vmacs`.
    """
    everywhere = "use_vmac_addr" in settings
    own: dict[tuple[str, str], Vmac] = {}
    main = instance.vmac

    def placed(address: VirtualAddress) -> VirtualAddress:
        parent = address.dev or instance.interface
        if parent is None:
            return address
        at_home = parent == instance.interface and (address.family == instance.family)
        if main is not None and at_home:
            return msgspec.structs.replace(address, dev=None, use_vmac=False)
        if not (address.use_vmac or everywhere):
            stays = instance.vmac is not None and address.dev is None
            return msgspec.structs.replace(address, dev=parent) if stays else address
        if everywhere and main is None and at_home and not address.use_vmac:
            return address
        mac = virtual_mac(address.family, instance.vrid)
        if main is not None and main.mac and not main.mac.startswith(_RFC_PREFIX):
            mac = main.mac
        if main is not None and (main.parent, main.mac) == (parent, mac):
            return msgspec.structs.replace(address, dev=None, use_vmac=False)
        known = own.get((parent, mac))
        own[parent, mac] = Vmac(
            parent=parent,
            vrid=instance.vrid,
            family=address.family if known is None else known.family,
            mac=mac,
            prefix=prefix,
            group=main.group if main is not None else None,
            ipv6=address.family == 6 or (known is not None and known.ipv6),
        )
        return msgspec.structs.replace(address, dev=parent, use_vmac=True)

    addresses = tuple(placed(address) for address in instance.addresses)
    excluded = tuple(placed(address) for address in instance.excluded)
    if main is not None and any(one.family == 6 and one.dev is None for one in (*addresses, *excluded)):
        main = msgspec.structs.replace(main, ipv6=True)
    _no_loopback(ctx, instance.name, own.values(), settings)
    return msgspec.structs.replace(
        instance, addresses=addresses, excluded=excluded, vmac=main, address_vmacs=tuple(own.values())
    )


def _no_loopback(ctx: Context, name: str, links: Iterable[Vmac], settings: Settings) -> None:
    for link in links:
        known = ctx.network.interface(link.parent) if ctx.network is not None else None
        if link.parent == "lo" or (known is not None and known.loopback):
            block = settings.get("virtual_ipaddress") or settings.get("virtual_ipaddress_excluded")
            ctx.refuse_all(
                "loopback",
                f"`{name}`: an address of `{link.parent}` cannot have a macvlan: it is the loopback interface",
                block.span if block is not None else None,
            )
