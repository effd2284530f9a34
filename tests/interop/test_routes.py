"""The same routes, rules and static addresses for keepalived and for keepvip: the kernel must not see a difference."""

import re

import pytest

from keepvip.lab import Daemon, Keepalived, Keepvipd, Node, Pair
from keepvip.lab.configs import block, instance
from keepvip.lab.waiting import wait_until

pytestmark = [pytest.mark.root, pytest.mark.interop]

ROUTES = """\
10.10.1.0/24 via 10.0.0.2
10.10.2.0/24 dev eth1
10.10.3.0/24 dev eth1 scope link src 10.0.0.1
10.10.4.0/24 via 10.0.0.2 dev eth0 table 100 metric 77
src 10.0.0.1 to 10.10.6.0/24 via 10.0.0.2 dev eth0
blackhole 10.10.7.0/24
unreachable 10.10.8.0/24
prohibit 10.10.9.0/24
throw 10.10.10.0/24 table 100
10.10.11.0/24 via 10.0.0.2 tos 0x10
10.10.12.0/24 via 10.0.0.2 mtu 1400 advmss 1300 rtt 100ms rttvar 50ms reordering 5 window 1000 cwnd 10 ssthresh 20 \
initcwnd 11 initrwnd 12 hoplimit 33 quickack 1 congctl cubic rto_min 300ms features ecn
10.10.13.0/24 via 10.0.0.2 mtu lock 1400 congctl lock cubic rto_min lock 2s
10.10.14.0/24 nexthop via 10.0.0.2 weight 3 nexthop via 192.168.1.2 dev eth1 weight 5
10.10.15.0/24 via 192.168.9.9 dev eth1 onlink
10.10.16.0/24 via 10.0.0.2 realms 1/2
10.10.17.0/24 via 10.0.0.2 protocol bird
10.10.18.0/24 via 10.0.0.2 no_track protocol bird
10.10.19.0/24 via 10.0.0.2 no_track
10.10.21.0/24 via 10.0.0.2 fastopen_no_cookie 1
10.10.22.1 via 10.0.0.2
default via 10.0.0.2 metric 500
10.10.23.0/24 encap ip id 5 dst 10.0.0.9 src 10.0.0.1 tos 4 ttl 9 via 10.0.0.2 dev eth0
10.10.24.0/24 via 10.0.0.2 table main add
10.10.25.0/24 via 10.0.0.2 append metric 5
10.10.26.0/24 via 10.0.0.2 prepend metric 5
multicast 239.1.0.0/16 dev eth0
10.10.30.0/24 via 10.0.0.2 or 10.0.0.3
10.10.31.0/24 via 10.0.0.2 scope site
10.10.32.0/24 dev eth1 scope host
10.10.33.0/24 via 10.0.0.2 priority 8
10.10.34.0/24 via 10.0.0.2 preference 9 metric 10
10.10.35.0/24 dsfield CS1 via 10.0.0.2
10.10.36.0/24 via 10.0.0.2 rtt 3000 rttvar 3000 rto_min 3000
10.10.37.0/24 via 10.0.0.2 rtt 250ms rttvar 1.5s rto_min 5000ms
10.10.38.0/24 via 10.99.0.2
10.10.39.0/24 via 10.0.0.2 table nosuch
10.10.40.0/24 via 10.0.0.2 hoplimit 300
10.10.41.0/24 via 10.0.0.2 bogus
10.10.42.0/24 nexthop via 10.0.0.2 onlink dev eth0 nexthop via 192.168.1.2
10.10.43.0/24 encap ip6 id 6 dst fd00::9 via 10.0.0.2 dev eth0
10.10.44.0/24 via 10.0.0.2 table 1000
default dev eth1 metric 9 table 55
fd10:1::/64 via fd00::2
fd10:2::/64 dev eth1
fd10:3::/64 via fd00::2 dev eth0 metric 70 table 100 pref high
fd10:4::/64 from fd20::/64 via fd00::2 dev eth0
fd10:6::/64 nexthop via fd00::2 weight 2 nexthop via fe80::2 dev eth1 weight 3
fd10:7::/64 via fd00::2 mtu 1300 hoplimit 12 src fd00::11
blackhole fd10:8::/64
unreachable fd10:a::/64
fd10:b::/64 via fd00::2 pref low
fd10:c::/64 dev eth0 encap ip6 id 5 dst fd00::9 src fd00::11 tc 4 hoplimit 9
fd10:d::/64 via fe80::5 dev eth1
fd10:e::/64 via fd00::2 fastopen_no_cookie 1 quickack 1 congctl lock cubic features ecn mtu lock 1400
::/0 via fd00::4 metric 5
"""
RULES = """\
from 192.168.1.0/24 table 100
to 192.168.2.0/24 lookup 101 preference 5000
from 192.168.3.0/24 to 192.168.4.0/24 iif eth1 oif eth0 fwmark 0x5/0xff tos 0x10 table main priority 0x200
not from 192.168.5.0/24 table 100 order 010
from fd06::/64 table 100
from all table 200
from 192.168.6.0/24 goto 32000 preference 100
from 192.168.7.0/24 type goto 32000 preference 101
from 192.168.8.0/24 nop
from 192.168.9.0/24 blackhole
from 192.168.10.0/24 unreachable
from 192.168.11.0/24 prohibit
from 192.168.12.0/24 type prohibit
from 192.168.13.0/24 table 100 realms 3/4 suppress_prefixlength 8 suppress_ifgroup 2
from 192.168.14.0/24 table 100 sup_pl 0
from 192.168.15.0/24 table 100 sup_group default
from 192.168.16.0/24 table 100 tunnel-id 77
from 192.168.17.0/24 table 100 uidrange 100-200
from 192.168.18.0/24 table 100 ipproto tcp sport 10-20 dport 30-40
from 192.168.19.0/24 table 100 ipproto 17 sport 10-10
from 192.168.20.0/24 l3mdev
from 192.168.21.0/24 table 100 protocol 77
from 192.168.22.0/24 table 100 protocol 77 no_track
from 192.168.23.0/24 table 100 fwmark 7
from 192.168.24.0/24
from 192.168.25.0/24 goto 100
from 192.168.26.0/24 table 0
from 192.168.27.0/24 table 1000
from 192.168.28.5/24 table 100
from 192.168.29.0/24 table 100 blackhole
from 192.168.30.0/24 table default
to 192.168.31.0/24 dev eth1 table 100
from 192.168.33.0/24 table 100 bogus 5
iif lo table 100
fwmark 9 table 100
from 192.168.34.0/24 nop preference 999 realms 3
table 100 from 192.168.35.0/24
from 192.168.37.0/24 table 100 preference 5 preference 6
"""
STATIC = (
    block("track_group G", block("group", "VI_1"))
    + block(
        "static_ipaddress", "10.2.0.2 dev eth1", "10.2.0.3/24", "fd02::1/64 dev eth1", "fd02::2 dev eth1",
        "10.2.0.4/24 dev eth1 no_track", "10.2.0.5/24 dev eth1 track_group G", "10.2.0.6/24 dev eth1 noprefixroute",
        "fd02::3/64 dev eth1 home mngtmpaddr noprefixroute -nodad", "239.1.1.1/24 dev eth1 autojoin",
    )
    + block(
        "static_routes", "10.20.1.0/24 via 10.0.0.2 dev eth0", "10.20.2.0/24 dev eth1 no_track", "fd20::/64 dev eth1",
        "10.20.4.0/24 dev eth1 track_group G",
    )
    + block("static_rules", "from 192.168.41.0/24 table 100 preference 77", "from 192.168.42.0/24 table 100")
)  # fmt: skip


def kernel(node: Node) -> list[str]:
    """Everything about routing and addresses, without what differs between two runs on one node."""
    commands = ("-4 route show table all", "-6 route show table all", "-4 rule", "-6 rule", "-o address")
    lines = [line for command in commands for line in node.network.run("ip", "-d", *command.split()).splitlines()]
    steady = [re.sub(r"expires \d+sec|valid_lft.*|^\d+: (?=eth|lo)", "", line).strip() for line in lines]
    return [line for line in steady if "fe80::" not in line or "via fe80" in line]


def _in_order(lines: list[str]) -> list[str]:
    """Routes and rules; of addresses the order depends on when the kernel took which away."""
    return [line for line in lines if not line.startswith("eth")]


def seen(node: Node, kind: type[Daemon], text: str) -> list[list[str]]:
    """What is in the kernel as MASTER, with eth1 down, with eth1 up again, and after the end."""
    daemon = kind(node, text)
    daemon.start()
    steps: list[list[str]] = []

    def settled(*, up: bool, master: bool) -> list[str]:
        last: list[list[str]] = [[], []]

        def still() -> bool:
            last[:] = [last[1], kernel(node)]
            links = node.network.run("ip", "-d", "route", "show", "10.10.35.0/24", "table", "all")
            return last[0] == last[1] and bool(links) == master and ("eth1" in str(last[1])) >= up

        wait_until(still, timeout_s=8, poll_s=0.2, what=f"{kind.kind} to settle")
        return last[1]

    steps.append(settled(up=True, master=True))
    node.link("eth1", up=False)
    steps.append(settled(up=False, master=False))
    node.link("eth1", up=True)
    steps.append(settled(up=True, master=True))
    assert daemon.stop() == 0
    steps.append(kernel(node))
    return steps


def test_the_kernel_sees_no_difference(pair: Pair) -> None:
    for kind in (Keepalived, Keepvipd):
        if complaint := kind.missing():
            pytest.skip(complaint)
    text = STATIC + instance(
        state="MASTER", priority=255, version=3, interval_s=0.2, addresses=["10.0.0.1/24"],
        extra=[block("virtual_routes", *ROUTES.splitlines()), block("virtual_rules", *RULES.splitlines())],
    )  # fmt: skip
    before = kernel(pair.a)
    theirs = seen(pair.a, Keepalived, text)
    ours = seen(pair.a, Keepvipd, text)
    steps = ("MASTER", "eth1 down", "MASTER again", "after the end")
    for step, their, our in zip(steps, theirs, ours, strict=True):
        assert (set(our) - set(their), set(their) - set(our)) == (set(), set()), step
        assert _in_order(our) == _in_order(their), step
    assert len(theirs[0]) > len(before) + 90
    assert not [line for line in ours[-1] if "proto keepalived" in line or " 10.2." in line]
