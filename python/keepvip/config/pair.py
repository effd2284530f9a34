"""The files of two or more nodes against each other: what must agree and does not, what must differ and does not.

An error here means that the nodes do not work together: they do not hear each other, and two of them hold the
addresses at once. A warning means that a takeover changes more than who is master.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass, Diagnostics, Related
from keepvip.config.pair_auth import hmac_differs
from keepvip.config.pair_unicast import are_peers, peer_findings
from keepvip.config.pair_weights import weight_finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keepvip.config.load import LoadResult
    from keepvip.config.model import Config, SyncGroup, VirtualAddress, VrrpInstance
    from keepvip.config.source import Span

__all__ = ["Node", "compare"]

OWNER = 255


class Node:
    """One node: what its file came to."""

    def __init__(self, label: str, result: LoadResult) -> None:
        self.label = label
        """What messages call it, usually the name of its file."""
        self._built = result.built
        self.config: Config = result.built.config
        self._by_name = {instance.name: instance for instance in self.config.instances}

    def instance(self, name: str) -> VrrpInstance | None:
        """An instance by name."""
        return self._by_name.get(name)

    def place(self, instance: VrrpInstance, keyword: str) -> Span:
        """Where a setting stands; the instance itself if it is left to its default."""
        return self._built.place(instance.name, keyword)

    def head(self, instance: VrrpInstance) -> Span:
        """Where an instance begins."""
        return self._built.place(instance.name, "")

    def group_place(self, group: SyncGroup) -> Span:
        """Where a sync group begins."""
        return self._built.group_place(group.name)


def compare(nodes: Sequence[Node]) -> Diagnostics:
    """Every node with every other. The places are those of the first of the two, with the other one related."""
    diagnostics = Diagnostics()
    for left, right in itertools.combinations(nodes, 2):
        _Pair(left, right, diagnostics).compare()
    return diagnostics


class _Pair:
    def __init__(self, left: Node, right: Node, diagnostics: Diagnostics) -> None:
        self.left = left
        self.right = right
        self.diagnostics = diagnostics
        self.matched: dict[str, str] = {}
        """Instances that are one virtual router: name here → name there."""

    def compare(self) -> None:
        mates = dict(self._match())
        self.matched = {ours: theirs.name for ours, theirs in mates.items()}
        taken = set(self.matched.values())
        for instance in self.left.config.instances:
            mate = mates.get(instance.name)
            if mate is not None:
                self._agreement(instance, mate)
                self._peers(instance, mate)
                self._addresses(instance, mate)
                self._roles(instance, mate)
                self._weights(instance, mate)
            else:
                self._alone(instance, self.left, self.right, taken)
        for instance in self.right.config.instances:
            if instance.name not in taken:
                self._alone(instance, self.right, self.left, set(self.matched))
        self._groups()

    # who belongs to whom

    def _match(self) -> Iterator[tuple[str, VrrpInstance]]:
        """A virtual router is known by VRID, family and group, or as unicast; interfaces may have other names there."""
        theirs: dict[tuple[int, int, str], list[VrrpInstance]] = {}
        for instance in self.right.config.instances:
            theirs.setdefault(_router(instance), []).append(instance)
        ours: dict[tuple[int, int, str], list[VrrpInstance]] = {}
        for instance in self.left.config.instances:
            ours.setdefault(_router(instance), []).append(instance)
        for router, here in ours.items():
            there = theirs.get(router, [])
            if len(here) == 1 and len(there) == 1:
                yield here[0].name, there[0]
                continue
            for same in (are_peers, _same_interface, _same_name):
                for instance in list(here):
                    mate = next((other for other in there if same(instance, other)), None)
                    if mate is not None:
                        here.remove(instance)
                        there.remove(mate)
                        yield instance.name, mate

    def _alone(self, instance: VrrpInstance, here: Node, there: Node, taken: set[str]) -> None:
        """An instance that nobody on the other node answers."""
        namesake = there.instance(instance.name)
        if namesake is None or namesake.name in taken:
            self.diagnostics.warning(
                "only-on-one-node",
                f"`{instance.name}` (VRID {instance.vrid}, IPv{instance.family}) is in {here.label} only: nobody takes"
                f" over from it",
                here.place(instance, "virtual_router_id"),
            )
            return
        if here is self.right:
            return  # said from the other side
        if namesake.family != instance.family:
            self._differ("family-differs", instance, namesake, "virtual_ipaddress", f"IPv{instance.family}",
                         f"IPv{namesake.family}", deaf=True)  # fmt: skip
        if namesake.vrid != instance.vrid:
            self._differ("vrid-differs", instance, namesake, "virtual_router_id", f"VRID {instance.vrid}",
                         f"VRID {namesake.vrid}", deaf=True)  # fmt: skip
        if (namesake.unicast is None) is not (instance.unicast is None):
            self._differ("transport-differs", instance, namesake, "unicast_peer", _transport(instance),
                         _transport(namesake), deaf=True)  # fmt: skip
        elif namesake.family == instance.family and namesake.mcast_dst != instance.mcast_dst:
            self._differ("group-differs", instance, namesake, "mcast_dst_ip", instance.mcast_dst,
                         namesake.mcast_dst, deaf=True)  # fmt: skip

    # what must agree

    def _agreement(self, ours: VrrpInstance, theirs: VrrpInstance) -> None:
        if ours.version != theirs.version:
            self._differ("version-differs", ours, theirs, "version", f"version {ours.version}",
                         f"version {theirs.version}", deaf=True)  # fmt: skip
        elif ours.authentication != theirs.authentication:
            mine, other = _auth(ours), _auth(theirs)
            if mine == other:
                other = "another password"
            self._differ("authentication-differs", ours, theirs, "authentication", mine, other, deaf=True)
        elif (differs := hmac_differs(ours.auth_hmac, theirs.auth_hmac)) is not None:
            mine, other, deaf = differs
            self._differ("authentication-differs", ours, theirs, "auth_hmac", mine, other, deaf=deaf)
        elif ours.advert_int_us != theirs.advert_int_us:
            self._differ(
                "interval-differs",
                ours,
                theirs,
                "advert_int",
                f"{ours.advert_int_us / 1_000_000:g} s",
                f"{theirs.advert_int_us / 1_000_000:g} s",
                deaf=ours.version == 2,
                why="each backup follows the interval of its master" if ours.version == 3 else "",
            )
        if ours.version == 3 and ours.family == 4 and ours.checksum_as_v2 != theirs.checksum_as_v2:
            self._differ("checksum-differs", ours, theirs, "v3_checksum_as_v2", _onoff(ours.checksum_as_v2),
                         _onoff(theirs.checksum_as_v2), deaf=True)  # fmt: skip
        if ours.down_timer_adverts != theirs.down_timer_adverts:
            self._differ("down-timer-differs", ours, theirs, "down_timer_adverts", str(ours.down_timer_adverts),
                         str(theirs.down_timer_adverts))  # fmt: skip
        if ours.nopreempt != theirs.nopreempt:
            self._differ("nopreempt-differs", ours, theirs, "nopreempt", _onoff(ours.nopreempt),
                         _onoff(theirs.nopreempt), why="who takes over depends on who fails")  # fmt: skip

    def _peers(self, ours: VrrpInstance, theirs: VrrpInstance) -> None:
        for found in peer_findings(ours, theirs, self.left.label, self.right.label):
            if found.there:
                place, other, label = (
                    self.right.place(theirs, found.keyword),
                    self.left.place(ours, ""),
                    self.left.label,
                )
            else:
                place, other, label = (
                    self.left.place(ours, found.keyword),
                    self.right.place(theirs, ""),
                    self.right.label,
                )
            say = self.diagnostics.error if found.error else self.diagnostics.warning
            say(
                found.code, f"`{ours.name}`: {found.message}", place, hint=found.hint,
                related=[Related(f"in {label}", other)], kind=ConfigTestClass.NONE,
            )  # fmt: skip

    def _addresses(self, ours: VrrpInstance, theirs: VrrpInstance) -> None:
        for keyword, here, there in (
            ("virtual_ipaddress", ours.addresses, theirs.addresses),
            ("virtual_ipaddress_excluded", ours.excluded, theirs.excluded),
        ):
            mine, other = [address.address for address in here], [address.address for address in there]
            if mine == other:
                self._prefixes(ours, theirs, keyword, here, there)
                continue
            only_here, only_there = sorted(set(mine) - set(other)), sorted(set(other) - set(mine))
            if only_here or only_there:
                gone = "; ".join(
                    f"{', '.join(some[:4])}{' ...' if len(some) > 4 else ''} only in {label}"
                    for some, label in ((only_here, self.left.label), (only_there, self.right.label))
                    if some
                )
                self._say(
                    "addresses-differ", ours, theirs, keyword, f"the addresses differ: {gone}",
                    "a takeover must not lose addresses: give every node the same list",
                )  # fmt: skip
            elif keyword == "virtual_ipaddress":
                self._say(
                    "address-order-differs", ours, theirs, keyword, "the addresses are in another order",
                    "the order counts for the check of adverts: write them in the same order on every node",
                )  # fmt: skip

    def _prefixes(
        self,
        ours: VrrpInstance,
        theirs: VrrpInstance,
        keyword: str,
        here: Sequence[VirtualAddress],
        there: Sequence[VirtualAddress],
    ) -> None:
        for mine, other in zip(here, there, strict=True):
            if mine.prefix_len != other.prefix_len:
                self._say(
                    "prefix-differs", ours, theirs, keyword,
                    f"{mine.address} has prefix length {mine.prefix_len} in {self.left.label} and {other.prefix_len} in"
                    f" {self.right.label}",
                    "give it the same prefix length on every node",
                )  # fmt: skip

    # what must differ

    def _roles(self, ours: VrrpInstance, theirs: VrrpInstance) -> None:
        if ours.priority == theirs.priority == OWNER:
            self._say("two-owners", ours, theirs, "priority",
                      "both are owners (priority 255): both take the addresses at once",
                      "only one node may have priority 255", error=True)  # fmt: skip
            return
        if ours.priority == theirs.priority:
            self._say("priorities-equal", ours, theirs, "priority",
                      f"both have priority {ours.priority}: the higher source address decides",
                      "give every node a priority of its own")  # fmt: skip
        if ours.initial_master and theirs.initial_master:
            self._say("both-master", ours, theirs, "state", "both have `state MASTER`, which is meant for one of them",
                      "write `state BACKUP` on all nodes but one (or on all)")  # fmt: skip

    def _weights(self, ours: VrrpInstance, theirs: VrrpInstance) -> None:
        for here, one, there, other in ((self.left, ours, self.right, theirs), (self.right, theirs, self.left, ours)):
            found = weight_finding(one, here.label, other, there.label)
            if found is not None:
                self.diagnostics.warning(
                    found.code,
                    f"`{one.name}`: {found.message}",
                    here.place(one, found.keyword),
                    hint=found.hint,
                    related=[Related(f"in {there.label}", there.place(other, "priority"))],
                    kind=ConfigTestClass.NONE,
                )

    # sync groups

    def _groups(self) -> None:
        ours = {member: group for group in self.left.config.sync_groups for member in group.members}
        theirs = {member: group for group in self.right.config.sync_groups for member in group.members}
        for group in self.left.config.sync_groups:
            ranks: dict[int, str] = {}
            for member in group.members:
                mate = self.matched.get(member)
                here, there = self.left.instance(member), self.right.instance(mate or "")
                if here is None or there is None or mate is None:
                    continue
                other = theirs.get(mate)
                if other is None or {self.matched.get(m) for m in group.members} != set(other.members):
                    self._say_group(
                        "sync-groups-differ",
                        self.left.group_place(group),
                        self.right.group_place(other) if other is not None else self.right.head(there),
                        f"sync group `{group.name}` has other members in {self.right.label}",
                        "what moves together must be the same on every node",
                    )  # fmt: skip
                    break
                if here.priority != there.priority:
                    ranks.setdefault(1 if here.priority > there.priority else -1, member)
            if len(ranks) > 1:
                self._say_group(
                    "group-disagrees", self.left.group_place(group), None,
                    f"in sync group `{group.name}` {self.left.label} has the higher priority for `{ranks[1]}` and the"
                    f" lower one for `{ranks[-1]}`: the group cannot settle",
                    "give all members of a sync group the same priority on a node",
                )  # fmt: skip
        for mate, group in theirs.items():
            name = next((here for here, there in self.matched.items() if there == mate), None)
            if name is not None and name not in ours:
                here = self.left.instance(name)
                self._say_group(
                    "sync-groups-differ", self.left.head(here) if here else None, self.right.group_place(group),
                    f"`{name}` is in sync group `{group.name}` in {self.right.label} only",
                    "what moves together must be the same on every node",
                )  # fmt: skip

    # how it is said

    def _differ(
        self,
        code: str,
        ours: VrrpInstance,
        theirs: VrrpInstance,
        keyword: str,
        here: str,
        there: str,
        *,
        deaf: bool = False,
        why: str = "",
    ) -> None:
        """`deaf`: they reject each other's adverts, so both become MASTER."""
        consequence = ": each rejects the adverts of the other, and both become MASTER" if deaf else ""
        if why:
            consequence = f": {why}"
        self._say(
            code, ours, theirs, keyword,
            f"{here} in {self.left.label}, {there} in {self.right.label}{consequence}",
            "write the same on every node", error=deaf, there=there,
        )  # fmt: skip

    def _say(
        self,
        code: str,
        ours: VrrpInstance,
        theirs: VrrpInstance,
        keyword: str,
        message: str,
        hint: str,
        *,
        error: bool = False,
        there: str = "",
    ) -> None:
        place = self.right.place(theirs, keyword)
        related = [Related(f"in {self.right.label}" + (f": {there}" if there else ""), place)]
        say = self.diagnostics.error if error else self.diagnostics.warning
        say(
            code, f"`{ours.name}`: {message}", self.left.place(ours, keyword), hint=hint, related=related,
            kind=ConfigTestClass.NONE,
        )  # fmt: skip

    def _say_group(
        self,
        code: str,
        span: Span | None,
        other: Span | None,
        message: str,
        hint: str,
    ) -> None:
        related = [Related(f"in {self.right.label}", other)] if other is not None else []
        self.diagnostics.warning(code, message, span, hint=hint, related=related)


def _router(instance: VrrpInstance) -> tuple[int, int, str]:
    return (instance.vrid, instance.family, instance.mcast_dst if instance.unicast is None else "unicast")


def _same_interface(one: VrrpInstance, other: VrrpInstance) -> bool:
    return (one.net_namespace, one.interface) == (other.net_namespace, other.interface)


def _same_name(one: VrrpInstance, other: VrrpInstance) -> bool:
    return one.name == other.name


def _transport(instance: VrrpInstance) -> str:
    return "multicast" if instance.unicast is None else "unicast"


def _auth(instance: VrrpInstance) -> str:
    return "no authentication" if instance.authentication is None else f"{instance.authentication.kind} with a password"


def _onoff(value: bool) -> str:
    return "on" if value else "off"
