"""Rules about the configuration as a whole: it can be run, but is it meant like that?

Every rule has a name, which is the code of its diagnostics. What makes a configuration impossible is found earlier, by
the builders; everything here is a warning or a note.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import msgspec

from keepvip.config.diagnostic import ConfigTestClass, Related

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keepvip.config.build import Built
    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.facts import HostFacts, InterfaceAddress
    from keepvip.config.model import NotifyScripts, Script, VirtualAddress, VrrpInstance
    from keepvip.config.source import Span

__all__ = ["RULES", "Rule", "check"]

MAX_ADVERTS_PER_S = 100_000
"""A third of one core at 3.3 µs per packet, as measured; the rest is the margin that keeps deadlines."""

IPV6_MIN_MTU = 1280
"""RFC 8200 section 5; Linux turns IPv6 off on an interface below it."""

_NOTIFY_FIELDS = ("master", "backup", "fault", "stop", "any", "deleted", "rx_lower")
_ROOT_UID = 0


class Rule(msgspec.Struct, frozen=True):
    """One rule: what it is called, what it is about, and how it is tested."""

    name: str
    doc: str
    test: Callable[[Lint], None]


class Lint:
    """One run over one configuration."""

    def __init__(self, built: Built, diagnostics: Diagnostics, facts: HostFacts | None) -> None:
        self.config = built.config
        self.built = built
        self.diagnostics = diagnostics
        self.facts = facts

    def network(self, instance: VrrpInstance) -> HostFacts | None:
        """Interfaces and addresses where an instance is; None: nothing is known of them."""
        if instance.net_namespace is None:
            return self.built.network
        return self.facts.within(instance.net_namespace) if self.facts is not None else None

    def place(self, instance: VrrpInstance, keyword: str) -> Span:
        """Where a setting of an instance stands; the instance itself if it is not set there."""
        return self.built.place(instance.name, keyword)

    def address_place(self, instance: VrrpInstance, address: VirtualAddress) -> Span:
        """Where an address of an instance stands."""
        for keyword in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
            found = self._entry(instance, keyword, address.address)
            if found is not None:
                return found
        return self.place(instance, "virtual_ipaddress")

    def entry_place(self, instance: VrrpInstance, keyword: str, address: str) -> Span:
        """Where the line that begins with an address stands; the block if it is written in another form."""
        return self._entry(instance, keyword, address) or self.place(instance, keyword)

    def _entry(self, instance: VrrpInstance, keyword: str, address: str) -> Span | None:
        setting = self.built.setting(instance.name, keyword)
        for block in setting.all() if setting is not None else ():
            for node in block.node.children or ():
                if node.keyword.partition("/")[0].lower() == address:
                    return node.span
        return None

    def global_place(self, keyword: str) -> Span | None:
        """Where a keyword of `global_defs` stands for the first time."""
        block = self.built.root.get("global_defs")
        nodes = [node for one in (block.all() if block is not None else ()) for node in one.node.children or ()]
        return next((node.statement_span for node in nodes if node.keyword == keyword), None)

    def scripts(self) -> Iterator[Script]:
        """Every script, each place once."""
        for tracked in self.config.track_scripts:
            if tracked.opens is None:
                yield tracked.script
        owners: list[NotifyScripts] = [instance.notify for instance in self.config.instances]
        owners += [group.notify for group in self.config.sync_groups]
        defs = self.config.global_defs
        for fifo in (defs.notify_fifo, defs.vrrp_notify_fifo):
            if fifo is not None and fifo.script is not None:
                yield fifo.script
        for single in (defs.startup_script, defs.shutdown_script):
            if single is not None:
                yield single
        for notify in owners:
            if notify.wanted:
                for field in _NOTIFY_FIELDS:
                    script = getattr(notify, field)
                    if script is not None and not isinstance(script, bool):
                        yield script


def check(built: Built, *, diagnostics: Diagnostics, facts: HostFacts | None = None) -> None:
    """Applies all rules. Those that need to know the host are silent without `facts`."""
    lint = Lint(built, diagnostics, facts)
    for rule in RULES:
        rule.test(lint)


def _nothing_to_do(lint: Lint) -> None:
    if not lint.config.instances and not {"vrrp_instance", "virtual_server"} & lint.built.root.keys():
        lint.diagnostics.warning(
            "nothing-to-do",
            "there is no vrrp_instance and no virtual_server: keepvip has nothing to do",
            kind=ConfigTestClass.NONE,
        )


def _mail_goes_nowhere(lint: Lint) -> None:
    defs = lint.config.global_defs
    missing = [
        name for name, given in (("smtp_server", defs.smtp_host), ("notification_email", defs.emails)) if not given
    ]
    wanted = next((instance for instance in lint.config.instances if instance.smtp_alert), None)
    if wanted is not None and not missing and lint.built.mail_unspoken:
        lint.diagnostics.note(
            "mail-without-switch",
            "server and recipients of mail are set and nothing says smtp_alert: every transition is mailed "
            "(keepalived would send nothing)",
            lint.global_place("smtp_server"),
            hint="write `smtp_alert` into global_defs to say so, or `smtp_alert off` to get no mail",
        )
    elif missing and wanted is not None:
        lint.diagnostics.warning(
            "mail-goes-nowhere",
            f"smtp_alert is on, but no mail is sent without {' and '.join(missing)}",
            lint.place(wanted, "smtp_alert"),
            hint=f"set {' and '.join(missing)} in global_defs",
        )


def _group_of_unequals(lint: Lint) -> None:
    by_name = {instance.name: instance for instance in lint.config.instances}
    for group in lint.config.sync_groups:
        members = [by_name[member] for member in group.members]
        highest = max(members, key=lambda member: member.priority)
        lowest = min(members, key=lambda member: member.priority)
        if highest.priority == lowest.priority:
            continue
        lint.diagnostics.warning(
            "group-of-unequals",
            f"`{lowest.name}` has priority {lowest.priority} and `{highest.name}` {highest.priority}, but sync group"
            f" `{group.name}` moves them together: a peer between the two would win only one of them",
            lint.place(lowest, "priority"),
            hint="give all members of a sync group the same priority",
            related=[Related("the higher one is here", lint.place(highest, "priority"))],
        )


def _interval_too_short(lint: Lint) -> None:
    instances = lint.config.instances
    adverts_per_s = sum(1_000_000 / instance.advert_int_us * _copies(instance) for instance in instances)
    if adverts_per_s <= MAX_ADVERTS_PER_S:
        return
    shortest = min(instances, key=lambda instance: instance.advert_int_us / _copies(instance))
    lint.diagnostics.warning(
        "interval-too-short",
        f"as MASTER of everything this node would send {adverts_per_s:,.0f} adverts a second: more than"
        f" {MAX_ADVERTS_PER_S:,} cannot be kept up with safety",
        lint.place(shortest, "advert_int"),
        hint="use a longer advert_int; this is one of the busiest instances",
    )


def _copies(instance: VrrpInstance) -> int:
    """Packets per advert."""
    return max(len(instance.unicast.peers), 1) if instance.unicast is not None else 1


_TRACKING = ("track_interface", "track_script", "track_file", "track_process", "track_bfd")


def _group_member_tracks_nothing(lint: Lint) -> None:
    by_name = {instance.name: instance for instance in lint.config.instances}
    for group in lint.config.sync_groups:
        if lint.built.group_says(group.name, _TRACKING):
            continue
        for member in group.members:
            blind = by_name[member].dont_track_primary and not any(lint.built.setting(member, k) for k in _TRACKING)
            if blind:
                lint.diagnostics.warning(
                    "group-member-tracks-nothing",
                    f"`{member}` tracks nothing, not even its interface: it never gives sync group `{group.name}` a"
                    " reason to move",
                    lint.place(by_name[member], "dont_track_primary"),
                    hint="leave out dont_track_primary, or track something",
                )


def _mtu_too_small(lint: Lint) -> None:
    def small(network: HostFacts, name: str) -> int | None:
        known = network.interface(name)
        return known.mtu if known is not None and known.mtu < IPV6_MIN_MTU else None

    for instance in lint.config.instances:
        network = lint.network(instance)
        if network is None:
            continue
        found = [(instance.interface, lint.place(instance, "interface"))] if instance.family == 6 else []
        found += [
            (address.dev or instance.interface, lint.address_place(instance, address))
            for address in (*instance.addresses, *instance.excluded)
            if address.family == 6 and (address.dev is not None or instance.family == 4)
        ]
        for name, span in found:
            mtu = small(network, name) if name is not None else None
            if mtu is not None:
                lint.diagnostics.warning(
                    "mtu-too-small",
                    f"`{name}` has an MTU of {mtu}: there is no IPv6 below {IPV6_MIN_MTU}",
                    span,
                    hint=f"ip link set {name} mtu {IPV6_MIN_MTU}",
                )


def _address_in_two_instances(lint: Lint) -> None:
    seen: dict[tuple[str, str | None, str | None], VrrpInstance] = {}
    for instance in lint.config.instances:
        for address in (*instance.addresses, *instance.excluded):
            where = (address.address, instance.net_namespace, address.dev or instance.interface)
            other = seen.setdefault(where, instance)
            if other is not instance:
                place = lint.address_place(other, address)
                lint.diagnostics.warning(
                    "address-in-two-instances",
                    f"`{address.address}` belongs to `{other.name}` and to `{instance.name}`: the one that leaves"
                    " MASTER takes it away from the other",
                    lint.address_place(instance, address),
                    related=[Related("it is also here", place)],
                )


def _address_off_subnet(lint: Lint) -> None:
    # A restarted daemon finds its own addresses: they prove nothing about the subnets of the interface.
    own = {a.address for instance in lint.config.instances for a in (*instance.addresses, *instance.excluded)}
    for instance in lint.config.instances:
        network = lint.network(instance)
        if network is None:
            continue
        for address in (*instance.addresses, *instance.excluded):
            interface = address.dev or instance.interface
            present = [
                found
                for found in network.addresses.get(interface or "", ())
                if found.family == address.family
                and found.address not in own
                and found.prefix_len < _full(found.family)
            ]
            if not present or address.peer is not None or any(_in_subnet(address.address, found) for found in present):
                continue
            if address.family == 6 and address.address.startswith("fe80:"):
                continue
            subnets = ", ".join(f"{found.address}/{found.prefix_len}" for found in present[:3])
            lint.diagnostics.warning(
                "address-off-subnet",
                f"`{address.address}` is in no subnet of {interface} ({subnets}): its neighbours will not find it",
                lint.address_place(instance, address),
                hint="mend the address or the interface; ignore this if the address is routed to this host",
            )


def _source_not_here(lint: Lint) -> None:
    for instance in lint.config.instances:
        network = lint.network(instance)
        own = instance.vmac is not None and instance.source == instance.vmac.address
        if instance.source is None or network is None or own:
            continue
        addresses = network.addresses
        where = instance.interface or "this host"
        present = addresses.get(where, ()) if instance.interface else [a for some in addresses.values() for a in some]
        if present and all(found.address != instance.source for found in present):
            keyword = "unicast_src_ip" if lint.built.setting(instance.name, "unicast_src_ip") else "mcast_src_ip"
            lint.diagnostics.warning(
                "source-not-here", f"`{instance.source}` is not an address of {where}", lint.place(instance, keyword)
            )


def _peer_is_self(lint: Lint) -> None:
    for instance in lint.config.instances:
        if instance.unicast is None:
            continue
        network = lint.network(instance)
        own = network.addresses.values() if network is not None else ()
        here = {found.address for some in own for found in some}
        for peer in instance.unicast.peers:
            if peer.address == instance.source or peer.address in here:
                lint.diagnostics.warning(
                    "peer-is-self",
                    f"`{peer.address}` is an address of this node: `{instance.name}` sends adverts to itself",
                    lint.entry_place(instance, "unicast_peer", peer.address),
                    hint="list the other nodes only",
                )


def _strict_drops(lint: Lint) -> None:
    strict = next((instance for instance in lint.config.instances if instance.strict and instance.guarded), None)
    if strict is not None:
        lint.diagnostics.note(
            "strict-drops-packets",
            f"strict mode turns accept mode off: as a master `{strict.name}` drops all packets to its addresses, pings"
            " and connections too",
            lint.place(strict, "strict_mode"),
            hint="if something shall answer there, write accept (version 3) or do without strict mode",
        )


def _script_security_off(lint: Lint) -> None:
    first = next(lint.scripts(), None) if not lint.config.global_defs.enable_script_security else None
    if first is not None:
        found = lint.facts is None or _find(lint.facts, first.argv[0]) is not None
        lint.diagnostics.warning(
            "script-security-off",
            "scripts are run without script security",
            first.span,
            hint="write enable_script_security into global_defs",
            kind=ConfigTestClass.SECURITY if found else ConfigTestClass.NONE,
        )


def _script_cannot_run(lint: Lint) -> None:
    if lint.facts is None:
        return
    security = lint.config.global_defs.enable_script_security
    for script in lint.scripts():
        name = script.argv[0]
        path = _find(lint.facts, name)
        if path is None:
            lint.diagnostics.warning("script-missing", f"there is no `{name}`: it cannot be run", script.span)
            continue
        if "/" not in name:
            lint.diagnostics.warning(
                "script-without-path", f"`{name}` is searched in PATH: `{path}` is run", script.span,
                hint=f"write {path}",
            )  # fmt: skip
        found = lint.facts.stat(path)
        if isinstance(found, OSError):
            continue
        user = lint.facts.user(script.user) if script.user is not None else None
        uid = user.uid if user is not None else os.geteuid()
        if not stat.S_ISREG(found.st_mode) or not _may_execute(found, uid, user.gid if user is not None else 0):
            who = script.user or "the daemon's user"
            lint.diagnostics.warning(
                "script-not-executable", f"`{path}` cannot be executed by {who}", script.span, hint=f"chmod +x {path}"
            )
        elif (closed := _closed_folder(lint.facts, path, uid, user.gid if user is not None else 0)) is not None:
            lint.diagnostics.warning(
                "script-not-reachable",
                f"`{script.user}` may not enter `{closed}`, so it cannot run `{path}`",
                script.span,
                hint="put the script into a folder that its user may enter",
            )
        elif uid == _ROOT_UID:
            weak = _weak_component(lint.facts, path)
            if weak is not None:
                lint.diagnostics.warning(
                    "script-insecure",
                    f"others than root can change `{weak}`, and `{path}` is run as root"
                    + (": script security forbids that, so it is not run" if security else ""),
                    script.span,
                    hint=f"chown root {weak}; chmod go-w {weak}",
                )


def _find(facts: HostFacts, name: str) -> str | None:
    """The file that a command means; None if there is none."""
    if "/" in name:
        return None if isinstance(facts.stat(name), OSError) else name
    for directory in os.get_exec_path():
        path = os.path.join(directory or ".", name)  # noqa: PTH118  (pathlib costs start-up time)
        if not isinstance(facts.stat(path), OSError):
            return path
    return None


def _may_execute(found: os.stat_result, uid: int, gid: int) -> bool:
    if uid == _ROOT_UID:
        return bool(found.st_mode & 0o111)
    if found.st_uid == uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _closed_folder(facts: HostFacts, path: str, uid: int, gid: int) -> str | None:
    """The first folder on the way to a file that its user may not enter."""
    if uid == _ROOT_UID:
        return None
    parts = path.split("/")
    for count in range(1, len(parts)):
        folder = "/".join(parts[:count]) or "/"
        found = facts.stat(folder)
        if isinstance(found, OSError):
            return None
        if not _may_execute(found, uid, gid):
            return folder
    return None


def _weak_component(facts: HostFacts, path: str) -> str | None:
    """The first part of a path that others than root can change (vrrp-behaviour.md 13.3)."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        component = "/".join(parts[:count]) or "/"
        found = facts.stat(component)
        if isinstance(found, OSError):
            return None
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        group_may = found.st_mode & stat.S_IWGRP and found.st_gid != 0
        if not sticky and (found.st_uid != _ROOT_UID or group_may or found.st_mode & stat.S_IWOTH):
            return component
    return None


def _full(family: int) -> int:
    return 32 if family == 4 else 128


def _in_subnet(address: str, subnet: InterfaceAddress) -> bool:
    family = socket.AF_INET if subnet.family == 4 else socket.AF_INET6
    shift = _full(subnet.family) - subnet.prefix_len
    number, other = (int.from_bytes(socket.inet_pton(family, text)) for text in (address, subnet.address))
    return number >> shift == other >> shift


RULES: tuple[Rule, ...] = (
    Rule("nothing-to-do", "The file has neither vrrp_instance nor virtual_server.", _nothing_to_do),
    Rule(
        "mail-goes-nowhere",
        "Mails are wanted but cannot be sent, or are sent although nothing asks for them.",
        _mail_goes_nowhere,
    ),
    Rule("group-of-unequals", "Members of a sync group have different priorities.", _group_of_unequals),
    Rule("interval-too-short", "The adverts of all instances are more than can be sent in time.", _interval_too_short),
    Rule(
        "group-member-tracks-nothing",
        "A member of a sync group could never give the group a reason to move.",
        _group_member_tracks_nothing,
    ),
    Rule("mtu-too-small", "An interface for IPv6 has an MTU below 1280.", _mtu_too_small),
    Rule("address-in-two-instances", "Two instances put one address on one interface.", _address_in_two_instances),
    Rule("address-off-subnet", "An address is in no subnet of its interface.", _address_off_subnet),
    Rule("source-not-here", "mcast_src_ip or unicast_src_ip is not an address of the interface.", _source_not_here),
    Rule("peer-is-self", "A node is a unicast peer of itself.", _peer_is_self),
    Rule("strict-drops-packets", "Strict mode drops the packets to the addresses.", _strict_drops),
    Rule("script-security-off", "Scripts are run without enable_script_security.", _script_security_off),
    Rule(
        "script-cannot-run",
        "A script is missing, not executable for its user, or others could change it.",
        _script_cannot_run,
    ),
)
