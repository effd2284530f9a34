"""Names of links and the steps that make them right, from made-up pictures of the kernel."""

import struct

import pytest

from keepvip.config.model_vmac import Vmac
from keepvip.net.link_facts import IPV4_SETTINGS, Address, Link, Snapshot, link_of
from keepvip.net.link_request import make
from keepvip.net.vmac_plan import address_steps, assign_names, merge, parent_settings, steps, vmac_settings

MAC4, MAC6 = "00:00:5e:00:01:33", "00:00:5e:00:02:33"


def link(index: int, name: str, **fields: object) -> Link:
    values: dict[str, object] = {
        "flags": 1, "kind": "", "mac": "02:00:00:00:00:01", "below": 0, "master": 0, "group": 0, "mode": 0,
        "ipv4": bytes(4 * 32), "ipv6": bytes(4 * 32), "address_generation": 0,
    }  # fmt: skip
    return Link(index, name, **(values | fields))  # type: ignore[arg-type]


def macvlan(index: int, name: str, mac: str = MAC4, **fields: object) -> Link:
    return link(index, name, **({"kind": "macvlan", "mac": mac, "below": 2, "mode": 1} | fields))


def conf(**settings: int) -> bytes:
    """The kernel's array of IPV4_DEVCONF_*."""
    values = [0] * 32
    for name, value in settings.items():
        values[IPV4_SETTINGS[name] - 1] = value
    return struct.pack("=32I", *values)


ETH0 = link(2, "eth0")
V4 = Vmac(parent="eth0", vrid=51, family=4, mac=MAC4)
V6 = Vmac(parent="eth0", vrid=51, family=6, mac=MAC6, ipv6=True, link_local=True)


def names(*wishes: Vmac, links: tuple[Link, ...] = (), before: dict[Vmac, str] | None = None) -> list[str]:
    known = {vmac.key: name for vmac, name in (before or {}).items()}
    return list(assign_names(merge(wishes), Snapshot((ETH0, *links)), known).values())


def test_names_count_on_when_they_are_taken() -> None:
    assert names(V4, V6) == ["vrrp.51", "vrrp6.51"]
    assert names(V6) == ["vrrp.51"]
    taken = (link(5, "vrrp.51"), link(6, "vrrp6.51"))
    assert names(V4, V6, links=taken) == ["vrrp1.51", "vrrp2.51"]


def test_a_name_has_fifteen_characters_and_the_prefix_gives_way() -> None:
    long = Vmac(parent="eth0", vrid=251, family=4, mac=MAC4, prefix="verylongprefix")
    assert names(long) == ["verylongpre.251"]
    assert names(long, links=(link(5, "verylongpre.251"),)) == ["verylongpr1.251"]


def test_a_configured_name_is_used_unless_something_else_has_it() -> None:
    named = Vmac(parent="eth0", vrid=51, family=4, mac=MAC4, name="vip0")
    assert names(named) == ["vip0"]
    assert names(named, links=(link(5, "vip0"),)) == ["vrrp.51"]
    # Nobody else is given a name that is somebody's wish.
    other = Vmac(parent="eth0", vrid=51, family=6, mac=MAC6, name="vrrp.51")
    assert names(V4, other) == ["vrrp1.51", "vrrp.51"]


@pytest.mark.parametrize(
    ("spoilt", "used"),
    [({}, True), ({"mac": MAC6}, False), ({"below": 3}, False), ({"mode": 4}, False), ({"kind": "ipvlan"}, False)],
    ids=["right", "other MAC", "other parent", "bridge mode", "other kind"],
)
def test_an_existing_link_is_used_if_it_is_the_right_one(spoilt: dict[str, object], used: bool) -> None:
    mine = macvlan(7, "mine", **spoilt)  # type: ignore[arg-type]
    assert names(V4, links=(mine,)) == ["mine" if used else "vrrp.51"]


def test_a_link_that_was_deleted_gets_its_old_name_again() -> None:
    assert names(V4, links=(link(5, "vrrp.51"),), before={V4: "vrrp9.51"}) == ["vrrp9.51"]


def test_two_instances_with_one_mac_share_one_link() -> None:
    mac = "02:00:00:00:00:33"
    one = Vmac(parent="eth0", vrid=51, family=4, mac=mac)
    two = Vmac(parent="eth0", vrid=51, family=6, mac=mac, ipv6=True, name="both")
    (merged,) = merge([one, two]).values()
    assert (merged.ipv6, merged.name, merged.family) == (True, "both", 4)


def test_a_macvlan_on_a_macvlan_stands_beside_it() -> None:
    upper = Vmac(parent="mv0", vrid=51, family=4, mac=MAC4)
    mv0 = macvlan(3, "mv0", "02:00:00:00:00:09")
    assert names(upper, links=(mv0, macvlan(7, "there"))) == ["there"]


def test_nothing_is_done_to_a_link_that_is_right() -> None:
    right = macvlan(7, "vrrp.51", ipv4=conf(arp_ignore=1, accept_local=1, promote_secondaries=1), address_generation=1)
    assert steps(V4, "vrrp.51", Snapshot((ETH0, right)), adopt=True) == []
    wrong = macvlan(7, "vrrp.51", ipv4=conf(rp_filter=1), address_generation=1)
    assert [step.what for step in steps(V4, "vrrp.51", Snapshot((ETH0, wrong)), adopt=True)] == ["configure vrrp.51"]
    assert steps(V4, "vrrp.51", Snapshot((ETH0, wrong)), adopt=False) == [], "later on it is the administrator's"
    assert steps(V4, "vrrp.51", Snapshot((wrong,)), adopt=True) == [], "no parent"


def test_a_link_follows_its_parent_into_a_vrf() -> None:
    blue = link(9, "blue", kind="vrf")
    inside = link(2, "eth0", master=9)
    alone = macvlan(7, "vrrp.51")
    assert len(steps(V4, "vrrp.51", Snapshot((inside, blue, alone)), adopt=False)) == 1
    assert steps(V4, "vrrp.51", Snapshot((inside, blue, macvlan(7, "vrrp.51", master=9))), adopt=False) == []
    bridge = link(9, "br0", kind="bridge")
    assert steps(V4, "vrrp.51", Snapshot((inside, bridge, alone)), adopt=False) == []


def test_the_link_local_address_is_that_of_the_parent() -> None:
    snapshot = Snapshot(
        (ETH0, macvlan(7, "vrrp.51", MAC6)),
        [Address(2, "fe80::1", 64, False), Address(2, "fe80::2", 64, True), Address(2, "2001:db8::1", 64, True)],
    )
    assert [step.what for step in address_steps(V6, "vrrp.51", snapshot)] == ["add fe80::2 of eth0 to vrrp.51"]
    snapshot.addresses[7] = [Address(7, "fe80::2", 64, True)]
    assert address_steps(V6, "vrrp.51", snapshot) == []
    down = Snapshot((ETH0, macvlan(7, "vrrp.51", MAC6, flags=0)), [Address(2, "fe80::2", 64, True)])
    assert address_steps(V6, "vrrp.51", down) == [], "it would lose it again"


def test_settings_by_family() -> None:
    assert vmac_settings(V4) == {"arp_ignore": 1, "accept_local": 1, "rp_filter": 0, "promote_secondaries": 1}
    assert vmac_settings(V6) == {"arp_ignore": 1}
    assert parent_settings([V4, V6]) == {"eth0": {"arp_ignore": 1, "arp_filter": 1, "arp_announce": 2}}
    assert parent_settings([V6]) == {}


def test_what_is_asked_for_is_what_is_understood() -> None:
    """A request to make a link reads like the kernel's own description of it."""
    described = link_of(make("vrrp.51", V4, 2)[16:])
    assert described is not None
    assert (described.name, described.mac, described.kind, described.below, described.mode) == (
        "vrrp.51", MAC4, "macvlan", 2, 1,
    )  # fmt: skip
