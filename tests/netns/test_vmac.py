"""Virtual MACs: who is heard with which MAC, what the links look like, and what happens when somebody deletes them."""

import json
import time

import pytest

from keepvip.lab import Daemon, Keepalived, Lab, Pair
from keepvip.lab.configs import block, global_defs, instance
from keepvip.lab.node import Node
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

INTERVAL_S = 0.2
MAC4, MAC6 = "00:00:5e:00:01:33", "00:00:5e:00:02:33"


def v3(name: str = "VI_1", *, extra: tuple[str, ...] = ("use_vmac",), **options: object) -> str:
    return instance(name, version=3, interval_s=INTERVAL_S, extra=extra, **options)  # type: ignore[arg-type]


def links(node: Node) -> dict[str, dict]:  # type: ignore[type-arg]
    return {link["ifname"]: link for link in json.loads(node.network.run("ip", "-j", "-d", "link", "show"))}


def conf(node: Node, name: str, *settings: str) -> list[str]:
    return [node.network.read_sysctl(f"net/ipv4/conf/{name}/{setting}") for setting in settings]


def test_ipv4_adverts_addresses_and_announcements_have_the_virtual_mac(pair: Pair, kind: type[Daemon]) -> None:
    pair.a.network.sysctl("net/ipv4/conf/all/rp_filter", 2)
    pair.a.network.ip("link set eth0 group 7")
    before = [conf(pair.a, "eth0", "arp_ignore", "arp_filter", "rp_filter"), conf(pair.a, "default", "rp_filter")]
    try:
        a = kind(pair.a, v3(priority=100))
        a.start()
        advert = pair.wait_master(pair.a)
        assert (advert.source_mac, advert.source) == (MAC4, "10.0.0.11")
        assert pair.a.addresses("vrrp.51") == {"10.0.0.1"}
        (garp, *_) = pair.tap.wait_garp("a", "10.0.0.1", timeout_s=3)
        assert garp.sender_mac == MAC4
        link = links(pair.a)["vrrp.51"]
        assert (link["link"], link["address"]) == ("eth0", MAC4)
        assert link["linkinfo"]["info_data"]["mode"] == "private"
        assert link["inet6_addr_gen_mode"] == "none"
        if kind is not Keepalived:  # newer than 2.2.7
            assert str(link["group"]) == "7"
        settings = ("arp_ignore", "accept_local", "rp_filter", "promote_secondaries")
        assert conf(pair.a, "vrrp.51", *settings) == ["1", "1", "0", "1"]
        assert conf(pair.a, "eth0", "arp_ignore", "arp_filter", "rp_filter") == ["1", "1", "2"]
        assert [conf(pair.a, name, "rp_filter") for name in ("all", "default", "eth1")] == [["0"], ["2"], ["2"]]
        assert pair.a.network.read_sysctl("net/ipv6/conf/vrrp.51/disable_ipv6") == "1"
        neighbour = "ip neigh flush dev eth0; ping -c1 -W2 10.0.0.1 >/dev/null && ip neigh show 10.0.0.1"
        if kind is not Keepalived:  # which would have to be helped with arp_announce
            assert MAC4 in pair.client.network.run("sh", "-c", neighbour)
        ruleset = pair.a.network.run("nft", "list", "ruleset")
        assert '"vrrp.51" : "eth0"' in ruleset
        stopped_ns = time.time_ns()
        assert a.stop() == 0
        zero = pair.tap.wait_advert("a", 51, timeout_s=2, since_ns=stopped_ns, wanted=lambda seen: seen.priority == 0)
        assert zero.source_mac == MAC4
        assert "vrrp.51" not in links(pair.a)
        if kind is not Keepalived:  # 2.2.7 leaves arp_ignore and arp_filter behind
            after = [
                conf(pair.a, "eth0", "arp_ignore", "arp_filter", "rp_filter"),
                conf(pair.a, "default", "rp_filter"),
            ]
            assert after == before
        assert conf(pair.a, "all", "rp_filter") == ["2"]
    finally:
        pair.a.network.sysctl("net/ipv4/conf/all/rp_filter", 0)
        pair.a.network.ip("link set eth0 group 0")


def test_ipv6_link_has_the_address_of_its_parent_to_send_from(pair: Pair, kind: type[Daemon]) -> None:
    both = v3("V4", priority=100) + v3("V6", priority=100, addresses=["fe80::51", "fd00::51"])
    kind(pair.a, both).start()
    advert = pair.wait_master(pair.a, family=6, address="fd00::51")
    source = pair.a.link_local("eth0")
    assert (advert.source_mac, advert.source) == (MAC6, source)
    assert links(pair.a)["vrrp6.51"]["address"] == MAC6
    assert pair.a.addresses("vrrp6.51") == {"fe80::51", "fd00::51", source}
    wait_until(lambda: pair.tap.neighbour_adverts("fd00::51", node="a"), timeout_s=3, what="a neighbour advertisement")
    assert {seen.target_mac for seen in pair.tap.neighbour_adverts("fd00::51", node="a")} == {MAC6}
    assert pair.wait_master(pair.a, family=4).source_mac == MAC4


def test_pair_with_virtual_macs_fails_over_and_the_mac_moves(pair: Pair, kind: type[Daemon]) -> None:
    a, b = kind(pair.a, v3(priority=100)), kind(pair.b, v3(priority=99))
    a.start()
    pair.wait_master(pair.a)
    b.start()
    pair.tap.silence("b", during_s=2)
    killed_ns = a.crash()
    assert pair.tap.wait_advert("b", 51, timeout_s=5, since_ns=killed_ns).source_mac == MAC4
    pair.tap.wait_garp("b", "10.0.0.1", timeout_s=3, since_ns=killed_ns)
    assert "vrrp.51" in links(pair.a), "left behind by the killed daemon"
    a.start()  # finds its link and uses it again
    back = pair.wait_master(pair.a, since_ns=killed_ns)
    assert back.source_mac == MAC4
    pair.wait_released(pair.b)
    a.stop()
    assert "vrrp.51" not in links(pair.a)


@pytest.mark.parametrize("unicast", [False, True], ids=["xmit-base", "unicast"])
def test_adverts_on_the_interface_addresses_on_the_link(pair: Pair, kind: type[Daemon], unicast: bool) -> None:
    def text(priority: int, peer: str) -> str:
        peers = block("unicast_peer", peer) if unicast else "vmac_xmit_base"
        return global_defs("vrrp_garp_extra_if 1", "vrrp_garp_master_delay 0") + v3(
            priority=priority, extra=("use_vmac vip0", peers)
        )

    kind(pair.a, text(100, "10.0.0.12")).start()
    advert = pair.wait_master(pair.a)
    kind(pair.b, text(99, "10.0.0.11")).start()
    assert advert.source_mac == pair.a.mac("eth0")
    assert pair.a.addresses("vip0") == {"10.0.0.1"}
    if kind is Keepalived:
        return  # 2.2.7 has it for links of single addresses only
    # Every second one announcement, so that switches keep the place of the MAC that adverts do not show them.
    start_ns = advert.at_ns + 500_000_000
    extra = pair.tap.wait_garp("a", "10.0.0.1", timeout_s=4, since_ns=start_ns, count=2)
    assert {seen.sender_mac for seen in extra} == {MAC4}
    assert 0.8 < (extra[1].at_ns - extra[0].at_ns) / 1e9 < 1.2
    assert not pair.tap.adverts(node="b")


def test_link_deleted_or_down_is_a_fault_and_mended(pair: Pair, kind: type[Daemon]) -> None:
    kind(pair.a, v3(priority=100)).start()
    kind(pair.b, v3(priority=99)).start()
    pair.wait_master(pair.a)
    deleted_ns = time.time_ns()
    pair.a.network.ip("link delete dev vrrp.51")
    back = pair.wait_master(pair.a, since_ns=deleted_ns)
    assert back.source_mac == MAC4
    assert pair.a.addresses("vrrp.51") == {"10.0.0.1"}
    down_ns = time.time_ns()
    pair.a.network.ip("link set vrrp.51 down")
    pair.tap.wait_advert("b", 51, timeout_s=5, since_ns=down_ns)
    assert not links(pair.a)["vrrp.51"]["flags"].count("UP"), "what an administrator takes down stays down"
    up_ns = time.time_ns()
    pair.a.network.ip("link set vrrp.51 up")
    pair.wait_master(pair.a, since_ns=up_ns)
    if kind is not Keepalived:
        renamed_ns = time.time_ns()
        pair.a.network.ip("link set vrrp.51 name other")  # newer kernels do this without taking it down
        pair.wait_master(pair.a, since_ns=renamed_ns)
        assert pair.a.addresses("other") == {"10.0.0.1"}
        assert '"other" : "eth0"' in pair.a.network.run("nft", "list", "ruleset")
    parent_ns = time.time_ns()
    pair.a.link("eth0", up=False)
    pair.tap.wait_advert("b", 51, timeout_s=5, since_ns=parent_ns)


def test_parent_that_comes_and_goes(lab: Lab, kind: type[Daemon]) -> None:
    lan = lab.lan("lan")
    a = lab.node("a")
    tap = lab.tap()
    kind(a, global_defs("dynamic_interfaces") + v3(priority=100)).start()
    for _ in range(2):
        attached_ns = time.time_ns()
        a.attach("eth0", lan, ["10.0.0.11/24"])
        advert = tap.wait_advert("a", 51, timeout_s=10, since_ns=attached_ns)
        assert advert.source_mac == MAC4
        wait_until(lambda: "10.0.0.1" in a.addresses("vrrp.51"), timeout_s=2, what="the address on the link")
        a.delete_interface("eth0")
        assert "vrrp.51" not in links(a)


def test_reload_makes_keeps_and_deletes_links(pair: Pair, kind: type[Daemon]) -> None:
    one, other = v3(priority=100), v3("VI_2", vrid=52, addresses=["10.0.0.2"], priority=100)
    daemon = kind(pair.a, one)
    daemon.start()
    pair.wait_master(pair.a)
    index = links(pair.a)["vrrp.51"]["ifindex"]
    daemon.reload(one + other)
    pair.wait_master(pair.a, 52, address="10.0.0.2")
    assert (links(pair.a)["vrrp.51"]["ifindex"], links(pair.a)["vrrp.52"]["address"]) == (index, "00:00:5e:00:01:34")
    reloaded_ns = daemon.reload(other)
    zero = pair.tap.wait_advert("a", 51, timeout_s=3, since_ns=reloaded_ns, wanted=lambda seen: seen.priority == 0)
    assert zero.source_mac == MAC4
    wait_until(lambda: "vrrp.51" not in links(pair.a), timeout_s=4, what="the unused link to go")
    plain_ns = daemon.reload(v3("VI_2", vrid=52, addresses=["10.0.0.2"], priority=100, extra=()))
    advert = pair.wait_master(pair.a, 52, address="10.0.0.2", since_ns=plain_ns + 1_000_000_000)
    assert advert.source_mac == pair.a.mac("eth0")
    assert pair.a.addresses("eth0") >= {"10.0.0.2"}
    wait_until(lambda: "vrrp.52" not in links(pair.a), timeout_s=4, what="the last link to go")


@pytest.mark.ours("2.2.7 knows neither use_vmac of addresses nor use_vmac_addr in this form")
def test_single_addresses_with_links_of_their_own(pair: Pair, kind: type[Daemon]) -> None:
    pair.a.network.ip("link add link eth0 name mine address 00:00:5e:00:01:35 type macvlan mode private")
    text = (
        global_defs("vmac_prefix vip", "vmac_addr_prefix a-long-prefix-of-names")
        + v3(addresses=["10.0.0.1"], extra=("use_vmac 02:00:00:01:02", "use_vmac_addr",
             block("virtual_ipaddress_excluded", "192.168.1.1 dev eth1", "fd00::1")))
        + v3("B", vrid=52, addresses=["10.0.0.2 use_vmac", "10.0.0.3"], extra=())
        + v3("C", vrid=53, addresses=["10.0.0.4"])
    )  # fmt: skip
    daemon = kind(pair.a, text)
    daemon.start()
    for vrid, address in ((51, "10.0.0.1"), (52, "10.0.0.2"), (53, "10.0.0.4")):
        pair.wait_master(pair.a, vrid, address=address)
    found = links(pair.a)
    assert found["vip.51"]["address"] == "02:00:00:01:02:33"
    assert pair.a.addresses("vip.51") == {"10.0.0.1", "fd00::1"}
    assert (found["a-long-prefi.51"]["link"], pair.a.addresses("a-long-prefi.51")) == ("eth1", {"192.168.1.1"})
    assert found["a-long-prefi.52"]["address"] == "00:00:5e:00:01:34"
    assert pair.a.addresses("a-long-prefi.52") == {"10.0.0.2"}
    assert "10.0.0.3" in pair.a.addresses("eth0")
    assert pair.a.addresses("mine") == {"10.0.0.4"}, "an existing link of the right kind is used under its own name"
    assert pair.tap.adverts(node="a", vrid=53)[0].source_mac == "00:00:5e:00:01:35"
    daemon.stop()
    assert set(links(pair.a)) == {"lo", "eth0", "eth1"}


def test_no_multicast_report_shows_the_virtual_mac(lab: Lab, kind: type[Daemon]) -> None:
    """A switch that listens would learn the MAC on the port of a backup, and send the master's traffic there."""
    lan = lab.lan("lan")
    a = lab.node("a")
    a.attach("eth0", lan, ["10.0.0.11/24"])
    tap = lab.tap()
    sniffer = lab.node("s")
    sniffer.attach("eth0", lan, ["10.0.0.99/24"])
    capture = sniffer.start(
        ["tshark", "-i", "eth0", "-l", "-n", "-T", "fields", "-e", "eth.src", "-f", "igmp or (ip6 and not proto 112)"],
        log="reports",
    )
    wait_until(lambda: "Capturing" in capture.log_text(), timeout_s=10, what="tshark")
    kind(a, v3("V4") + v3("V6", addresses=["fe80::51"])).start()
    tap.wait_advert("a", 51, family=6, timeout_s=8)
    wait_until(lambda: a.mac("eth0") in capture.log_text(), timeout_s=12, what="reports of the parent")
    from_vmac = [line for line in capture.log_text().splitlines() if line == MAC4]
    assert from_vmac == []
