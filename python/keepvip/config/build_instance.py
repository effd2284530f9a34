"""`vrrp_instance`: from settings to the instance that the engine runs.

The corrections follow keepalived (vrrp-behaviour.md 1, 7, 8; config-keywords.md 7): what contradicts is put right with
a message. What cannot be run at all is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_address import build_addresses, room_for_addresses, without_duplicates
from keepvip.config.build_auth_hmac import build_auth_hmac
from keepvip.config.build_authentication import build_authentication
from keepvip.config.build_defaults import extra_interfaces
from keepvip.config.build_interface import build_interface, with_interface
from keepvip.config.build_namespace import build_namespace, clashes, in_network_of, look
from keepvip.config.build_script import build_notify
from keepvip.config.build_unicast import build_unicast, read_peers
from keepvip.config.build_vmac import build_vmac, place_addresses
from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.keywords.vrrp_instance import VRRP_INSTANCE
from keepvip.config.model import GarpConfig, VrrpInstance
from keepvip.config.settings import Settings, read_block
from keepvip.config.values import Address, is_link_local, is_multicast

if TYPE_CHECKING:
    from keepvip.config.build_address import Placed
    from keepvip.config.build_defaults import InstanceDefaults
    from keepvip.config.build_unicast import PlacedPeer
    from keepvip.config.model import VirtualAddress
    from keepvip.config.settings import Context, Setting
    from keepvip.config.source import Span
    from keepvip.config.tree import Node

__all__ = ["build_instance"]

OWNER = 255
DEFAULT_PRIORITY = 100
DEFAULT_MTU = 1500
V3_MAX_ADVERT_INT_US = 40_950_000
V3_UNIT_US = 10_000
SECOND_US = 1_000_000


def build_instance(
    ctx: Context, name: str, node: Node, defaults: InstanceDefaults, *, notify_priority_changes: bool | None = None
) -> tuple[VrrpInstance, Settings] | None:
    """One instance with the settings it was made from; None, with an error, if it cannot be run.

    `notify_priority_changes`: what its sync group says.
    """
    settings = read_block(ctx, node.children or (), VRRP_INSTANCE)
    if notify_priority_changes is not None:
        defaults = msgspec.structs.replace(defaults, notify_priority_changes=notify_priority_changes)
    return _Builder(ctx, name, node, settings, defaults).build()


class _Builder:
    """One instance on its way. Steps that depend on each other are in order in `build`."""

    def __init__(self, ctx: Context, name: str, node: Node, settings: Settings, defaults: InstanceDefaults) -> None:
        self.ctx = ctx
        self.name = name
        self.node = node
        self.settings = settings
        self.defaults = defaults
        self.family = 0
        self.version = 0
        self.strict = settings.value("strict_mode", defaults.strict)
        self.priority = DEFAULT_PRIORITY
        self.initial_master = False
        self.mcast_dst: str | None = None
        self.source: str | None = None
        self.peers: list[PlacedPeer] = []

    def build(self) -> tuple[VrrpInstance, Settings] | None:
        namespace = build_namespace(self.ctx, self.settings)
        with in_network_of(self.ctx, namespace):
            if namespace is not None:
                if clashes(self.ctx, self.name, self.settings, strict=self.strict):
                    return None
                look(self.ctx, self.name, self.settings, namespace)
            return self._build(namespace)

    def _build(self, namespace: str | None) -> tuple[VrrpInstance, Settings] | None:
        settings, defaults = self.settings, self.defaults
        vrid = self._vrid()
        self._role()
        addresses, excluded, refused = self._addresses()
        unicast = build_unicast(
            self.ctx, self.name, settings, self.peers, check_source=defaults.check_unicast_src
        )  # fmt: skip
        placed = build_interface(
            self.ctx, self.name, self.node, settings, self.source if unicast is not None else None,
            unicast=unicast is not None, strict=self.strict,
        )  # fmt: skip
        interface = placed.name
        if placed.sound and interface is None:
            addresses, excluded = (with_interface(self.ctx, self.name, some) for some in (addresses, excluded))
        self._version()
        advertised, rest = self._what_fits(addresses, interface)
        sound = self._addresses_suffice(advertised) and placed.sound and vrid is not None
        authentication = build_authentication(
            self.ctx, self.name, settings.get("authentication"), family=self.family, version=self.version,
            strict=self.strict, replaced="auth_hmac" in settings,
        )  # fmt: skip
        if authentication is not None and authentication.kind == "AH" and self.initial_master:
            self._corrected("state", "with auth_type AH every node begins as BACKUP, which is used")
            self.initial_master = False
        advert_int_us = self._advert_int()
        auth_hmac = build_auth_hmac(
            self.ctx, self.name, settings.get("auth_hmac"), advert_int_us=advert_int_us, strict=self.strict
        )
        if any(setting.keyword.support.refuses for setting in settings.values()) or refused:
            return None  # said where it was found
        if not sound or vrid is None:
            return None
        own = build_vmac(
            self.ctx, self.name, settings, defaults,
            interface=interface, family=self.family, vrid=vrid, unicast=unicast is not None, strict=self.strict,
        )  # fmt: skip
        if not own.sound:
            return None
        nopreempt = self._nopreempt()
        instance = VrrpInstance(
            name=self.name,
            interface=interface,
            vmac=own.vmac,
            vmac_xmit_base=own.xmit_base,
            vrf=self._vrf(interface),
            net_namespace=namespace,
            family=self.family,
            version=self.version,
            vrid=vrid,
            priority=self.priority,
            initial_master=self.initial_master,
            advert_int_us=advert_int_us,
            nopreempt=nopreempt,
            preempt_delay_us=self._preempt_delay(nopreempt=nopreempt),
            down_timer_adverts=self._down_timer_adverts(),
            strict=self.strict,
            skip_check_adv_addr=self._skip_check_adv_addr(),
            lower_prio_no_advert=self._forced("lower_prio_no_advert", defaults.lower_prio_no_advert, strict=True),
            higher_prio_send_advert=self._forced(
                "higher_prio_send_advert", defaults.higher_prio_send_advert, strict=False
            ),
            owner_ignore_adverts=self._owner_ignore_adverts(),
            checksum_as_v2=settings.value("v3_checksum_as_v2", defaults.checksum_as_v2),
            timer_expired_backup=self._timer_expired_backup(nopreempt=nopreempt),
            accept=self._accept(),
            authentication=authentication,
            auth_hmac=auth_hmac,
            source=own.source or self.source,
            track_source=self._track_source(interface),
            unicast=unicast,
            mcast_dst=self.mcast_dst or (defaults.group4 if self.family == 4 else defaults.group6),
            dont_track_primary="dont_track_primary" in settings,
            promote_secondaries="promote_secondaries" in settings,
            addresses=advertised,
            excluded=(*rest, *(address for address, _ in excluded)),
            garp=self._garp(),
            notify=build_notify(self.ctx, settings, defaults.scripts),
            smtp_alert=settings.value("smtp_alert", defaults.smtp_alert),
            notify_priority_changes=settings.value("notify_priority_changes", defaults.notify_priority_changes),
        )
        if own.vmac is not None or any(address.use_vmac for address in (*instance.addresses, *instance.excluded)):
            instance = place_addresses(self.ctx, instance, settings, defaults.vmac_addr_prefix)
        return instance, settings

    # identity and role

    def _vrid(self) -> int | None:
        setting = self.settings.get("virtual_router_id")
        if setting is not None:
            return int(setting.value)
        hint = "" if "virtual_router_id" in self.settings.refused else "add a line `virtual_router_id 1..255`"
        self.ctx.refuse_all(
            "missing-vrid", f"`{self.name}` has no valid virtual router id", self.node.statement_span, hint=hint
        )
        return None

    def _role(self) -> None:
        """Priority and initial state, which decide each other where one of them is missing."""
        wanted = self._state()
        priority = self.settings.get("priority")
        if priority is not None:
            self.priority = priority.value
        elif wanted == "MASTER" and "priority" not in self.settings.refused:
            self.priority = OWNER
        self.initial_master = wanted == "MASTER" or (wanted is None and self.priority == OWNER)
        if self.strict and self.initial_master and self.priority != OWNER:
            self._corrected("state", "strict mode has `state MASTER` only for priority 255: BACKUP is used")
            self.initial_master = False

    def _state(self) -> str | None:
        first = self.settings.get("state")
        if first is None:
            # An unknown word has been reported; it counts as BACKUP.
            return "BACKUP" if "state" in self.settings.refused else None
        wanted = ""
        for setting in first.all():
            if wanted == "MASTER" and setting.value == "BACKUP":
                self._warn("contradiction", "state was MASTER before, and BACKUP cannot take that back", setting.span)
                continue
            wanted = str(setting.value)
        return wanted

    # family, version, addresses

    def _addresses(self) -> tuple[list[Placed], list[Placed], bool]:
        """VIPs of the family of the instance, excluded ones of any, and whether one of them refuses the instance.

        Whatever fixes the family first wins: native_ipv6, a source or destination address, or the first VIP.
        """
        addresses: list[Placed] = []
        refused = False
        for name, setting in self.settings.items():
            if name == "virtual_ipaddress":
                found, refused = build_addresses(self.ctx, setting)
                addresses = [entry for entry in found if self._is_of_family(entry)]
            elif name in {"mcast_src_ip", "unicast_src_ip"}:
                self.source = self._host(setting) or self.source
            elif name == "unicast_peer":
                self.peers = read_peers(self.ctx, self.name, setting, self._peer_is_of_family)
            elif name == "mcast_dst_ip":
                self.mcast_dst = self._group(setting)
            elif name == "native_ipv6":
                self._take_family(6, setting, "native_ipv6")
        excluded, more_refused = build_addresses(self.ctx, self.settings.get("virtual_ipaddress_excluded"))
        self.family = self.family or 4
        seen: dict[tuple[str, int, str | None], Node] = {}
        return (
            without_duplicates(self.ctx, addresses, seen) if len(addresses) > 1 or excluded else addresses,
            without_duplicates(self.ctx, excluded, seen) if excluded else excluded,
            refused or more_refused,
        )

    def _take_family(self, family: int, place: Setting | Node, what: str) -> bool:
        if self.family in {0, family}:
            self.family = family
            return True
        self.ctx.diagnostics.error(
            "family-mismatch",
            f"{what} is IPv{family}, but `{self.name}` is an IPv{self.family} instance: it is ignored",
            place.span,
            hint="virtual_ipaddress_excluded takes addresses of either family" if what.startswith("`") else "",
        )
        return False

    def _is_of_family(self, entry: Placed) -> bool:
        address, node = entry
        if self.family in {0, address.family}:
            self.family = address.family
            return True
        return self._take_family(address.family, node, f"`{address.address}`")

    def _peer_is_of_family(self, address: Address, node: Node) -> bool:
        return self._take_family(address.family, node, f"peer {address.text}")

    def _host(self, setting: Setting) -> str | None:
        address = setting.value
        if isinstance(address, Address) and self._take_family(address.family, setting, setting.keyword.name):
            return address.text
        return None

    def _group(self, setting: Setting) -> str | None:
        address = setting.value
        if not isinstance(address, Address):
            return None
        if not is_multicast(address):
            self.ctx.diagnostics.error(
                "invalid-value",
                f"`{address.text}` is not a multicast address and is ignored",
                setting.span,
                expected="ff02::/16" if address.family == 6 else "224.0.0.0/4",
            )
            return None
        return address.text if self._take_family(address.family, setting, "mcast_dst_ip") else None

    def _version(self) -> None:
        settings = self.settings
        version = settings.get("version")
        native = settings.get("native_ipv6")
        if (
            native is not None
            and self.family == 6
            and (version is None or list(settings).index("version") > list(settings).index("native_ipv6"))
        ):
            self.version = 3
            if version is not None and version.value != self.version:
                self._corrected("version", "native_ipv6 means version 3: version 2 is ignored")
        elif version is not None:
            self.version = version.value
            for later in version.more:
                if later.value != self.version:
                    self._warn("contradiction", f"version is {self.version} already: this is ignored", later.span)
        else:
            self.version = 3 if self.family == 6 else self.defaults.version
        if self.strict and self.family == 6 and self.version == 2:
            self._corrected("version", "strict mode has IPv6 with version 3 only: 3 is used")
            self.version = 3

    def _what_fits(
        self, entries: list[Placed], interface: str | None
    ) -> tuple[tuple[VirtualAddress, ...], list[VirtualAddress]]:
        """The addresses that one advert can carry, and those that it cannot."""
        mtu = DEFAULT_MTU
        if len(entries) * (4 if self.family == 4 else 16) > 512 and self.ctx.network is not None and interface:
            known = self.ctx.network.interface(interface)
            mtu = known.mtu if known is not None else mtu
        room = room_for_addresses(self.family, self.version, mtu)
        if len(entries) > room:
            self._warn(
                "too-many-addresses",
                f"{len(entries)} addresses do not fit into one advert: those after the first {room} are not advertised",
                entries[room][1].span,
                hint="put them into virtual_ipaddress_excluded, in the same order on every node",
            )
        return tuple([address for address, _ in entries[:room]]), [address for address, _ in entries[room:]]

    def _addresses_suffice(self, addresses: tuple[VirtualAddress, ...]) -> bool:
        if addresses:
            if self.strict and self.family == 6 and not is_link_local(addresses[0].address):
                self.ctx.refuse_all(
                    "first-not-link-local",
                    f"`{self.name}`: in strict mode the first IPv6 address must be link-local (fe80::/10)",
                    self.settings["virtual_ipaddress"].span,
                )
                return False
            return True
        without = "no_virtual_ipaddress" in self.settings
        if without and not self.strict:
            return True
        if self.version == 3 or self.strict:
            self.ctx.refuse_all(
                "no-address",
                f"`{self.name}` has no usable virtual address",
                self.node.statement_span,
                hint="" if self.strict else "an instance without addresses needs no_virtual_ipaddress",
            )
            return False
        self._warn("no-address", "there is no usable virtual address", self.node.statement_span)
        return True

    def _vrf(self, interface: str | None) -> str | None:
        setting = self.settings.get("vrf")
        if setting is None:
            return None
        if interface is not None:
            self._corrected("vrf", f"the VRF is that of {interface}: vrf is ignored")
            return None
        name = str(setting.value)
        if not self.ctx.interface_exists(name):
            self.ctx.refuse_all(
                "unknown-interface",
                f"there is no VRF `{name}`",
                setting.node.arg_span(0),
                hint=self.ctx.interface_hint(name),
                kind=ConfigTestClass.WARNING,
            )
        return name

    def _track_source(self, interface: str | None) -> bool:
        if "track_src_ip" not in self.settings:
            return False
        if self.source is None or interface is None:
            missing = "a source address" if self.source is None else "an interface"
            self._corrected(
                "track_src_ip", f"track_src_ip does nothing without {missing} and is cleared", kind=ConfigTestClass.NONE
            )
            return False
        return True

    # timing

    def _advert_int(self) -> int:
        setting = self.settings.get("advert_int")
        if setting is None:
            return SECOND_US
        interval: int = setting.value
        if self.version == 2:
            rounded = max((interval + SECOND_US // 2) // SECOND_US, 1) * SECOND_US
            if rounded != interval:
                self._corrected(
                    "advert_int", f"version 2 has whole seconds only: {rounded // SECOND_US} s is used",
                    hint="version 3 takes multiples of 10 ms",
                )  # fmt: skip
            return rounded
        rounded = (interval + V3_UNIT_US // 2) // V3_UNIT_US * V3_UNIT_US
        if rounded > V3_MAX_ADVERT_INT_US:
            self._corrected("advert_int", "version 3 has at most 40.95 s, which is used")
            return V3_MAX_ADVERT_INT_US
        if rounded != interval:
            self._corrected("advert_int", f"version 3 has multiples of 10 ms only: {rounded / SECOND_US:.2f} s is used")
        return rounded

    def _nopreempt(self) -> bool:
        settings = self.settings
        if "nopreempt" not in settings:
            return False
        if "preempt" in settings and settings["preempt"].node is _last_of(
            self.node.children or [], ("preempt", "nopreempt")
        ):
            return False
        if self.priority == OWNER:
            self._corrected(
                "nopreempt",
                "nopreempt is not possible with priority 255 and is cleared",
                self._why_owner(),
                code="nopreempt-cleared",
            )
        elif self.initial_master:
            self._corrected(
                "nopreempt",
                "nopreempt is not possible with `state MASTER` and is cleared",
                hint="write `state BACKUP` on every node",
                code="nopreempt-cleared",
            )
        else:
            return True
        return False

    def _why_owner(self) -> str:
        if "priority" in self.settings:
            return ""
        return "`state MASTER` without a priority means priority 255: write `state BACKUP` and a priority"

    def _preempt_delay(self, *, nopreempt: bool) -> int:
        delay = self.settings.value("preempt_delay", 0)
        if not delay:
            return 0
        reason = (
            "in strict mode" if self.strict else "with nopreempt" if nopreempt else "with `state MASTER`"
        )  # fmt: skip
        if self.strict or nopreempt or self.initial_master:
            hint = "write `state BACKUP`" if reason == "with `state MASTER`" else ""
            self._corrected("preempt_delay", f"preempt_delay does nothing {reason} and is cleared", hint)
            return 0
        return delay

    def _down_timer_adverts(self) -> int:
        count = self.settings.value("down_timer_adverts", self.defaults.down_timer_adverts)
        if self.strict and count != 3:
            self._corrected("down_timer_adverts", "strict mode has down_timer_adverts 3, which is used")
            return 3
        return count

    def _timer_expired_backup(self, *, nopreempt: bool) -> int | None:
        setting = self.settings.get("timer_expired_backup")
        if setting is None:
            return None
        if not nopreempt:
            self._corrected("timer_expired_backup", "timer_expired_backup needs nopreempt and is cleared")
            return None
        return 254 if setting.value is None else setting.value

    # protocol details

    def _skip_check_adv_addr(self) -> bool:
        setting = self.settings.get("skip_check_adv_addr")
        if setting is None:
            return self.defaults.skip_check_adv_addr
        if setting.value is False:
            self._corrected(
                "skip_check_adv_addr", "any value turns skip_check_adv_addr on, even this one",
                hint="to have it off, leave it out here and in global_defs",
                kind=ConfigTestClass.NONE,
            )  # fmt: skip
        return True

    def _forced(self, name: str, default: bool, *, strict: bool) -> bool:
        """A flag whose value strict mode dictates."""
        setting = self.settings.get(name)
        value: bool = default if setting is None else setting.value
        if self.strict and value is not strict:
            if setting is not None:
                self._corrected(name, f"strict mode has {name} {'on' if strict else 'off'}, which is used")
            return strict
        return value

    def _owner_ignore_adverts(self) -> bool:
        setting = self.settings.get("owner_ignore_adverts")
        if self.priority != OWNER:
            if setting is not None and setting.value is True:
                self._corrected("owner_ignore_adverts", "owner_ignore_adverts is for priority 255 only and is ignored")
            return False
        if setting is not None and setting.value is False:
            self._corrected(
                "owner_ignore_adverts", "any value turns owner_ignore_adverts on with priority 255, even this one",
                hint="to have it off, leave it out here and in global_defs",
                kind=ConfigTestClass.NONE,
            )  # fmt: skip
        return self.strict or setting is not None or self.defaults.owner_ignore_adverts

    def _accept(self) -> bool:
        settings = self.settings
        refuse = "no_accept" in settings
        if refuse and "accept" in settings:
            refuse = _last_of(self.node.children or [], ("accept", "no_accept")).keyword == "no_accept"
        if not self.strict:
            return not refuse
        if self.priority == OWNER and self.version == 3:
            return not refuse
        if self.version == 2:
            if "accept" in settings and not refuse:
                self._corrected("accept", "strict mode with version 2 has no accept mode: accept is cleared")
            return False
        return "accept" in settings and not refuse

    def _garp(self) -> GarpConfig:
        default = self.defaults.garp
        settings = self.settings
        given = {field: settings[name].value for name, field in _GARP_FIELDS if name in settings}
        if self.strict:
            for name in ("garp_lower_prio_repeat", "garp_lower_prio_delay"):
                if settings.value(name, 0):
                    self._corrected(name, f"strict mode has {name} 0, which is used")
            given |= {"lower_prio_delay_s": 0, "lower_prio_repeat": 0}
        given |= extra_interfaces(settings, "garp_extra_if", "vmac_garp_intvl")
        return msgspec.structs.replace(default, **given) if given else default

    def _corrected(
        self,
        keyword: str,
        message: str,
        hint: str = "",
        kind: ConfigTestClass = ConfigTestClass.GENERAL,
        code: str = "contradiction",
    ) -> None:
        setting = self.settings.get(keyword)
        span = setting.span if setting is not None else self.node.statement_span
        self._warn(code, message, span, hint=hint, kind=kind)

    def _warn(
        self,
        code: str,
        message: str,
        span: Span | None,
        *,
        hint: str = "",
        kind: ConfigTestClass = ConfigTestClass.GENERAL,
    ) -> None:
        self.ctx.diagnostics.warning(code, f"`{self.name}`: {message}", span, hint=hint, kind=kind)


_GARP_FIELDS = (
    ("garp_master_delay", "delay_s"),
    ("garp_master_repeat", "repeat"),
    ("garp_master_refresh", "refresh_s"),
    ("garp_master_refresh_repeat", "refresh_repeat"),
    ("garp_lower_prio_delay", "lower_prio_delay_s"),
    ("garp_lower_prio_repeat", "lower_prio_repeat"),
)


def _last_of(nodes: list[Node], names: tuple[str, ...]) -> Node:
    return [node for node in nodes if node.keyword in names][-1]
