"""Routes: every option, what is dropped and why, and what instances track because of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import Severity
from keepvip.config.facts import HostFacts, Interface
from keepvip.config.keywords.routes import ROUTE_TYPES, ROUTES
from keepvip.config.model_route import Encap, Metric, NextHop, Route
from keepvip.config.route_text import route_text

if TYPE_CHECKING:
    from conftest import Compile
    from keepvip.config.load import LoadResult

HOST = HostFacts(
    interfaces={name: Interface(name) for name in ("eth0", "eth1", "red")},
    texts={
        "/etc/iproute2/rt_tables": "# ours\n100 lan\n0x200\tbig\nword x\n",
        "/etc/iproute2/rt_tables.d/more.conf": "300 more\n301 lan\n",
        "/etc/iproute2/rt_dsfield": "0x20 CS1\n",
        "/etc/iproute2/rt_realms": "7 cosmos\n",
    },
)


def file(*lines: str, static: str = "", defs: str = "", instance: str = "") -> str:
    body = "\n".join(lines)
    return (
        f"global_defs {{\n{defs}\n}}\n{static}\nvrrp_instance a {{\ninterface eth0\nvirtual_router_id 5\n{instance}\n"
        f"virtual_ipaddress {{\n192.0.2.1\n}}\nvirtual_routes {{\n{body}\n}}\n}}\n"
    )


def one(compiled: Compile, line: str) -> Route:
    result = compiled(file(line), HOST)
    assert [found.message for found in result.diagnostics if found.severity is Severity.ERROR] == []
    assert result.config is not None
    (route,) = result.config.instances[0].routes
    return route


V4 = "10.1.0.0/24"
V6 = "fd10::/64"
LEGAL: list[tuple[str, dict[str, object]]] = [
    (f"{V4} via 10.0.0.2", {"dst": "10.1.0.0", "dst_len": 24, "via": "10.0.0.2", "family": 4, "protocol": 18}),
    (f"src 10.0.0.1 to {V4} via 10.0.0.2", {"prefsrc": "10.0.0.1"}),
    ("10.1.0.1 gw 10.0.0.2", {"dst_len": 32, "via": "10.0.0.2"}),
    ("default via 10.0.0.2 dev eth1", {"dst": None, "dst_len": 0, "dev": "eth1"}),
    ("inet6 default via fd00::2", {"family": 6, "dst": None}),
    (f"inet unicast to {V4} oif eth1", {"type": "unicast", "dev": "eth1"}),
    (f"{V4} via inet6 fd00::2", {"family": 4, "via": "fd00::2"}),
    (f"blackhole {V6}", {"type": "blackhole", "family": 6, "mode": "add"}),
    (f"{V4} dev eth1 table lan", {"table": 100}),
    (f"{V4} dev eth1 table big", {"table": 512}),
    (f"{V4} dev eth1 table more", {"table": 300}),
    (f"{V4} dev eth1 table 0x10", {"table": 16}),
    (f"{V4} dev eth1 vrf red", {"vrf": "red"}),
    (f"{V4} dev eth1 metric 7 metric 8", {"metric": 8}),
    (f"{V4} dev eth1 priority 4294967295", {"metric": 0xFFFFFFFF}),
    (f"{V4} dev eth1 preference 9", {"metric": 9}),
    (f"{V4} dev eth1 scope link", {"scope": 253}),
    (f"{V4} dev eth1 no_track protocol bird", {"protocol": 12, "no_track": True}),
    (f"{V4} dev eth1 tos 0x10", {"tos": 16}),
    (f"{V4} dev eth1 dsfield CS1", {"tos": 0x20}),
    (f"{V6} from fd20::/48 dev eth1", {"src_prefix": "fd20::", "src_prefix_len": 48}),
    (f"{V4} via 172.16.0.1 dev eth1 onlink", {"onlink": True}),
    (f"{V4} dev eth1 mtu lock 1400", {"metrics": (Metric(name="mtu", value=1400, lock=True),)}),
    (f"{V4} dev eth1 rtt 250ms", {"metrics": (Metric(name="rtt", value=2000),)}),
    (f"{V4} dev eth1 rtt 3000", {"metrics": (Metric(name="rtt", value=3000),)}),
    (f"{V4} dev eth1 rttvar 1.5s", {"metrics": (Metric(name="rttvar", value=6000),)}),
    (f"{V4} dev eth1 rto_min lock 2s", {"metrics": (Metric(name="rto_min", value=2000, lock=True),)}),
    (f"{V4} dev eth1 advmss 1300", {"metrics": (Metric(name="advmss", value=1300),)}),
    (f"{V4} dev eth1 reordering 5", {"metrics": (Metric(name="reordering", value=5),)}),
    (f"{V4} dev eth1 cwnd 10", {"metrics": (Metric(name="cwnd", value=10),)}),
    (f"{V4} dev eth1 ssthresh 20", {"metrics": (Metric(name="ssthresh", value=20),)}),
    (f"{V4} dev eth1 window 30", {"metrics": (Metric(name="window", value=30),)}),
    (f"{V4} dev eth1 initcwnd 11", {"metrics": (Metric(name="initcwnd", value=11),)}),
    (f"{V4} dev eth1 initrwnd 12", {"metrics": (Metric(name="initrwnd", value=12),)}),
    (f"{V4} dev eth1 hoplimit 255", {"metrics": (Metric(name="hoplimit", value=255),)}),
    (f"{V4} dev eth1 quickack 1", {"metrics": (Metric(name="quickack", value=1),)}),
    (f"{V4} dev eth1 fastopen_no_cookie 0", {"metrics": (Metric(name="fastopen_no_cookie", value=0),)}),
    (f"{V4} dev eth1 features ecn", {"metrics": (Metric(name="features", value=1),)}),
    (f"{V4} dev eth1 congctl lock cubic", {"metrics": (Metric(name="congctl", value="cubic", lock=True),)}),
    (f"{V4} dev eth1 realms cosmos/2", {"realms": 7 << 16 | 2}),
    (f"{V6} dev eth1 pref low", {"pref": 3}),
    (f"{V6} dev eth1 expires 100", {"expires_s": 100}),
    (f"{V4} dev eth1 ttl-propagate disabled", {"ttl_propagate": False}),
    (
        f"{V4} encap ip id 5 dst 10.0.0.9 src 10.0.0.1 tos 4 ttl 9 flags 0x4 via 10.0.0.2",
        {"encap": Encap(kind="ip", id=5, dst="10.0.0.9", src="10.0.0.1", tos=4, ttl=9, flags=4), "via": "10.0.0.2"},
    ),
    (f"{V6} dev eth1 encap ip6 dst fd00::9 tc 4 hoplimit 9", {"encap": Encap(kind="ip6", dst="fd00::9", tos=4, ttl=9)}),
    (f"{V4} encap mpls 100/200 via 10.0.0.2", {"encap": Encap(kind="mpls", labels=(100, 200))}),
    (f"{V6} dev eth1 encap ila 1:2:3:f", {"encap": Encap(kind="ila", locator=0x000100020003000F)}),
    (
        f"{V4} nexthop via 10.0.0.2 weight 256 onlink realms 1 nexthop encap mpls 5 dev eth1",
        {
            "nexthops": (
                NextHop(via="10.0.0.2", weight=256, onlink=True, realms=1),
                NextHop(dev="eth1", encap=Encap(kind="mpls", labels=(5,))),
            ),
            "dev": None,
        },
    ),
    (f"{V4} via 10.0.0.2 or 10.0.0.3", {"nexthops": (NextHop(via="10.0.0.2"), NextHop(via="10.0.0.3")), "via": None}),
    (f"{V4} dev eth1 add", {"mode": "add"}),
    (f"{V4} dev eth1 append", {"mode": "append"}),
    (f"{V4} dev eth1 prepend", {"mode": "prepend"}),
    (f"{V4} dev eth1 as to 5", {"dev": "eth1"}),
]


@pytest.mark.parametrize(("line", "expected"), LEGAL, ids=[line for line, _ in LEGAL])
def test_what_an_option_means(compiled: Compile, line: str, expected: dict[str, object]) -> None:
    route = one(compiled, line)
    assert {field: getattr(route, field) for field in expected} == expected
    assert route_text(route)


def test_every_option_is_among_them() -> None:
    written = {word for line, _ in LEGAL for word in line.split()}
    assert set(ROUTES.keywords) - written == {"track_group"}


@pytest.mark.parametrize("kind", ROUTE_TYPES)
def test_types(compiled: Compile, kind: str) -> None:
    assert one(compiled, f"{kind} {V4}").type == kind


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        ("via 10.0.0.2", "missing-parameter", "via 10.0.0.2"),
        ("10.1.0.0/33 via 10.0.0.2", "invalid-value", "10.1.0.0/33"),
        (f"{V4} via", "missing-parameter", ""),
        (f"{V4} via fd00::2x", "invalid-value", "fd00::2x"),
        (f"{V6} via 10.0.0.2", "family-mismatch", f"{V6} via 10.0.0.2"),
        (f"inet6 {V4} dev eth1", "family-mismatch", V4),
        (f"{V4} dev eth9", "unknown-interface", "eth9"),
        (f"{V4} dev eth1 table nosuch", "invalid-value", "nosuch"),
        (f"{V4} dev eth1 metric 0x10", "invalid-number", "0x10"),
        (f"{V4} dev eth1 hoplimit 300", "invalid-number", "300"),
        (f"{V4} dev eth1 rtt soon", "invalid-number", "soon"),
        (f"{V4} dev eth1 tos 300", "invalid-value", "300"),
        (f"{V4} dev eth1 protocol nosuch", "invalid-value", "nosuch"),
        (f"{V4} dev eth1 vrf nosuch", "unknown-interface", "nosuch"),
        (f"{V4} dev eth1 bogus", "unknown-option", "bogus"),
        (f"{V4} {V4}", "unknown-option", V4),
        (f"{V4} dev eth1 pref high", "family-mismatch", f"{V4} dev eth1 pref high"),
        (f"{V6} dev eth1 realms 1/2", "family-mismatch", f"{V6} dev eth1 realms 1/2"),
        (f"{V4} encap seg6 x", "invalid-value", "seg6"),
        (f"{V4} encap mpls 1048576", "invalid-value", "1048576"),
        (f"{V4} encap ila 1:2:3", "invalid-value", "1:2:3"),
        (f"{V4} nexthop weight 3", "missing-parameter", "3"),
        (f"{V4} nexthop dev eth1 weight 257", "invalid-number", "257"),
        (f"{V4} dev eth1 track_group g", "unknown-option", "track_group"),
    ],
)
def test_what_cannot_be_read_drops_the_route_with_its_place(compiled: Compile, line: str, code: str, word: str) -> None:
    result = compiled(file(line, "10.9.0.0/24 dev eth1"), HOST)
    assert result.config is not None
    assert [route.dst for route in result.config.instances[0].routes] == ["10.9.0.0"]
    about = next(found for found in result.diagnostics if found.code == code)
    assert about.severity is Severity.ERROR
    assert about.span is not None
    assert line[about.span.column - 1 :][: about.span.length] == word


def test_a_tracked_route_has_the_protocol_of_keepalived(compiled: Compile) -> None:
    result = compiled(file(f"{V4} dev eth1 protocol static"), HOST)
    assert result.config is not None
    assert result.config.instances[0].routes[0].protocol == 18
    assert [found.code for found in result.diagnostics] == ["contradiction"]


def test_times_below_200_ms_are_raised(compiled: Compile) -> None:
    result = compiled(file(f"{V4} dev eth1 rtt 100ms rttvar 50 rto_min 5"), HOST)
    assert result.config is not None
    values = {metric.name: metric.value for metric in result.config.instances[0].routes[0].metrics}
    assert values == {"rtt": 1600, "rttvar": 800, "rto_min": 200}
    assert [found.code for found in result.diagnostics] == ["adjusted-value"] * 3


def test_the_same_route_twice_counts_once(compiled: Compile) -> None:
    result = compiled(file(f"{V4} dev eth1", f"{V4} dev eth1"), HOST)
    assert result.config is not None
    assert len(result.config.instances[0].routes) == 1
    assert [found.code for found in result.diagnostics] == ["duplicate"]


def tracks(result: LoadResult) -> list[tuple[str, int, bool]]:
    assert result.config is not None
    return [(track.name, track.weight, track.implied) for track in result.config.instances[0].tracks]


def test_an_instance_follows_the_interfaces_of_its_routes(compiled: Compile) -> None:
    assert tracks(compiled(file(f"{V4} dev eth1", "10.2.0.0/24 dev eth1", "10.3.0.0/24 dev lo"), HOST)) == [
        ("eth1", 0, True)
    ]
    for line in (f"{V4} dev eth1 no_track", f"{V4} dev eth0", f"{V4} nexthop dev eth1 nexthop dev eth0"):
        assert tracks(compiled(file(line), HOST)) == []
    listed = "track_interface {\neth1 weight 10\n}"
    assert tracks(compiled(file(f"{V4} dev eth1", instance=listed), HOST)) == [("eth1", 10, False)]


STATIC = (
    "track_group g {\ngroup {\na\nnobody\n}\n}\n"
    "static_ipaddress {\n192.0.2.9/24 track_group g\n192.0.2.8 dev eth1 track_group h\n}\n"
    "static_routes {\n10.3.0.0/24 dev eth1 track_group g\n10.4.0.0/24 via 10.0.0.2 track_group g\n}\n"
)


def test_static_items_and_their_groups(compiled: Compile) -> None:
    result = compiled(file(f"{V4} dev eth0", static=STATIC, defs="default_interface red"), HOST)
    assert result.config is not None
    config = result.config
    assert [(item.dev, item.track_group) for item in config.static_addresses] == [("red", "g"), ("eth1", None)]
    assert [(route.dst, route.track_group) for route in config.static_routes] == [
        ("10.3.0.0", "g"),
        ("10.4.0.0", None),
    ]
    assert [(group.name, group.members) for group in config.track_groups] == [("g", ("a",))]
    assert tracks(result) == [("red", 0, True), ("eth1", 0, True)]
    assert {found.code for found in result.diagnostics} == {"unknown-member", "unknown-tracker"}


def test_static_addresses_go_to_eth0_unless_something_else_is_said(compiled: Compile) -> None:
    result = compiled(file(static="static_ipaddress {\n192.0.2.9/24\n}\n"), HOST)
    assert result.config is not None
    assert [item.dev for item in result.config.static_addresses] == ["eth0"]


def test_directories_of_names(compiled: Compile) -> None:
    host = HostFacts(
        interfaces={"eth0": Interface("eth0")}, texts={"/x/rt_tables": "5 five\n6 six\n", "/y/rt_tables": "7 six\n"},
        files={"/x": HostFacts().stat("/")},  # type: ignore[dict-item]
    )  # fmt: skip
    text = file("10.1.0.0/24 dev eth0 table five", "10.2.0.0/24 dev eth0 table six",
                defs="iproute_usr_dir /x\niproute_etc_dir /y")  # fmt: skip
    result = compiled(text, host)
    assert result.config is not None
    assert [route.table for route in result.config.instances[0].routes] == [5, 7]


def test_a_route_may_go_over_a_link_that_keepvip_makes(compiled: Compile) -> None:
    result = compiled(file(f"{V4} dev vrrp.5", "10.2.0.0/24 dev vrrp.6", instance="use_vmac"), HOST)
    assert result.config is not None
    assert [route.dev for route in result.config.instances[0].routes] == ["vrrp.5"]
