"""Route and rule entries, in the words of `ip route` and `ip rule` (config-keywords.md 4.2 and 4.3)."""

from __future__ import annotations

from keepvip.config.keyword import ACTS, Arg, Block, Keyword, Tier, deprecated, no_op, table
from keepvip.config.keywords.arguments import ADDRESS, IFNAME, NAME, U32

_FAMILY = Arg("choice", "inet|inet6", choices=("inet", "inet6"), optional=True)
_TABLE = Arg("word", "TABLE")
_REALMS = Arg("word", "[SOURCE/]DESTINATION")
_VALUE = Arg("word", "VALUE")
_FLAG = Arg("int", "0|1", low=0, high=1)

ROUTE_TYPES = (
    "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat",
)  # fmt: skip
"""Words that may stand before the destination."""


def _option(name: str, doc: str, *args: Arg, tier: Tier = "C", since: str = "") -> Keyword:
    return Keyword(name, args, doc, "", tier, since)


def _metric(name: str, doc: str) -> Keyword:
    return Keyword(name, (Arg("choice", "lock", choices=("lock",), optional=True), _VALUE), doc)


_TRACKING = (
    _option("no_track", "Its removal by others, or the loss of its interface, is ignored.", tier="B"),
    _option("track_group", "Static entries only: the instances of this track_group follow it.", NAME, since="2.0.3"),
)

_ROUTE_OPTIONS = table(
    _option("to", "The destination follows.", Arg("word", "PREFIX|default"), tier="A"),
    _option("via", "Gateway.", _FAMILY, ADDRESS, tier="A"),
    Keyword("gw", (_FAMILY, ADDRESS), "Older name of via.", support=deprecated("via", recorded=True)),
    _option("dev", "Output interface.", IFNAME, tier="A"),
    _option("oif", "Output interface.", IFNAME, tier="A"),
    _option("src", "Preferred source address.", ADDRESS, tier="A"),
    _option("table", "Routing table, by name or number; main unless given.", _TABLE, tier="A"),
    _option("metric", "Metric of the route.", U32, tier="A"),
    _option("priority", "The same as metric.", U32, tier="A"),
    _option("preference", "The same as metric.", U32, tier="A"),
    _option("scope", "Scope, by name or number.", _VALUE, tier="B"),
    _option("protocol", "Who installed it, by name or number; keepalived (18) where it is tracked.", _VALUE, tier="B"),
    _option("tos", "Type of service.", _VALUE, tier="B"),
    _option("dsfield", "The same as tos.", _VALUE, tier="B"),
    _option("from", "Source prefix, IPv6 only.", Arg("prefix", "PREFIX")),
    _option("onlink", "The gateway is on the link although no address says so.", tier="B"),
    _metric("mtu", "Path MTU."),
    _metric("advmss", "Maximum segment size advertised."),
    _metric("rtt", "Initial round trip time."),
    _metric("rttvar", "Initial variance of the round trip time."),
    _metric("reordering", "Highest reordering expected."),
    _metric("cwnd", "Clamp of the congestion window."),
    _metric("ssthresh", "Slow start threshold."),
    _metric("rto_min", "Smallest retransmission timeout."),
    _option("hoplimit", "Hop limit.", Arg("int", "HOPS", low=0, high=255)),
    _option("window", "Largest window advertised.", _VALUE),
    _option("initcwnd", "Initial congestion window.", _VALUE),
    _option("initrwnd", "Initial receive window.", _VALUE),
    _option("features", "Features of the route.", Arg("choice", "ecn", choices=("ecn",))),
    _option("quickack", "Quick acknowledgements.", _FLAG),
    _option("fastopen_no_cookie", "TCP fast open without cookie.", _FLAG),
    _metric("congctl", "Congestion control algorithm."),
    _option("realms", "Realms, IPv4 only.", _REALMS),
    _option("pref", "Router preference, IPv6 only: low, medium, high or a number.", _VALUE),
    _option("expires", "Lifetime in seconds, IPv6 only.", U32),
    _option("ttl-propagate", "MPLS: copy the TTL.", Arg("choice", "MODE", choices=("enabled", "disabled"))),
    _option("encap", "Light-weight tunnel: ip, ip6, mpls or ila with its parameters.", Arg("rest", "TYPE PARAMETERS")),
    _option("nexthop", "One path of several; last on the line, repeated.", Arg("rest", "PARAMETERS"), tier="B"),
    Keyword("or", (ADDRESS,), "Older form of a second gateway.", support=deprecated("nexthop", recorded=True)),
    _option("add", "Added only if there is none like it."),
    _option("append", "Added after routes of the same destination."),
    _option("prepend", "Added before routes of the same destination."),
    _option("vrf", "Uses the table of this VRF device.", IFNAME),
    Keyword("as", (Arg("rest", "[to] LABEL"),), "MPLS label.", support=no_op("ignored by keepalived too")),
    *_TRACKING,
)

_RULE_OPTIONS = table(
    _option("inet", "An IPv4 rule."),
    _option("inet6", "An IPv6 rule."),
    _option("from", "Source prefix.", Arg("word", "PREFIX|all"), tier="A"),
    _option("to", "Destination prefix.", Arg("word", "PREFIX|all"), tier="A"),
    _option("table", "Action: look this table up.", _TABLE, tier="A"),
    _option("lookup", "The same as table.", _TABLE, tier="A"),
    _option("preference", "Priority of the rule; handed out downwards from 16384 where missing.", _VALUE, tier="A"),
    _option("order", "The same as preference.", _VALUE, tier="A"),
    _option("priority", "The same as preference.", _VALUE, tier="A"),
    _option("iif", "Input interface.", IFNAME, tier="B"),
    _option("dev", "The same as iif.", IFNAME, tier="B"),
    _option("oif", "Output interface.", IFNAME, tier="B"),
    _option("fwmark", "Firewall mark.", Arg("word", "VALUE[/MASK]"), tier="B"),
    _option("not", "Inverts the selectors."),
    _option("tos", "Type of service.", _VALUE),
    _option("dsfield", "The same as tos.", _VALUE),
    _option("realms", "Realms; only with a table.", _REALMS),
    _option("suppress_prefixlength", "Ignores routes with a prefix so long or shorter; only with a table.", _VALUE),
    _option("sup_pl", "The same as suppress_prefixlength.", _VALUE),
    _option("suppress_ifgroup", "Ignores routes over interfaces of this group; only with a table.", _VALUE),
    _option("sup_group", "The same as suppress_ifgroup.", _VALUE),
    _option("tunnel-id", "Tunnel id.", _VALUE),
    _option("uidrange", "Range of user ids.", Arg("span", "FIRST-LAST", low=0, high=4_294_967_295), since="2.0.1"),
    _option("ipproto", "IP protocol, by name or number.", _VALUE, since="2.0.1"),
    _option("sport", "Range of source ports.", Arg("span", "FIRST-LAST", low=1, high=65535), since="2.0.1"),
    _option("dport", "Range of destination ports.", Arg("span", "FIRST-LAST", low=1, high=65535), since="2.0.1"),
    _option("l3mdev", "Action: look up the table of the VRF.", since="1.3.5"),
    _option("protocol", "Who installed it; 18 where it is tracked.", Arg("int", "NUMBER", low=0, high=255)),
    _option("type", "The action follows."),
    _option("goto", "Action: go on with the rule of this priority.", U32),
    _option("nop", "Action: none."),
    _option("blackhole", "Action: drop silently."),
    _option("unreachable", "Action: answer that the network cannot be reached."),
    _option("prohibit", "Action: answer that it is forbidden."),
    *_TRACKING,
)

ROUTES = Block("routes", "entries", _ROUTE_OPTIONS, (Arg("rest", "[inet|inet6] [TYPE] [to] DESTINATION"),), "route")
RULES = Block("rules", "entries", _RULE_OPTIONS, (), "rule")

VIRTUAL_ROUTES = Keyword(
    "virtual_routes",
    (),
    "Routes that exist while the instance is MASTER, one per line.",
    "none",
    "A",
    "1.0.1",
    ACTS,
    "add",
    ROUTES,
)
VIRTUAL_RULES = Keyword(
    "virtual_rules",
    (),
    "Routing rules that exist while the instance is MASTER, one per line.",
    "none",
    "B",
    "1.2.20",
    ACTS,
    "add",
    RULES,
)
STATIC_ROUTES = Keyword(
    "static_routes",
    (),
    "Routes that exist while the daemon runs.",
    "none",
    "B",
    "1.0.1",
    ACTS,
    "add",
    ROUTES,
)
STATIC_RULES = Keyword(
    "static_rules",
    (),
    "Routing rules that exist while the daemon runs.",
    "none",
    "B",
    "1.2.20",
    ACTS,
    "add",
    RULES,
)
