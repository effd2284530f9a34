"""How the adverts of an instance travel (config-keywords.md 7.3)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, not_yet, table
from keepvip.config.keywords.arguments import ADDRESS, BOOL

UNICAST_PEERS = Block(
    "unicast_peer",
    "entries",
    table(
        Keyword(
            "min_ttl",
            (Arg("int", "TTL", low=0, high=255, strict=True),),
            "Smallest TTL accepted from this peer; turns check_unicast_src on.",
            "any",
            "B",
            "2.1.0",
        ),
        Keyword(
            "max_ttl",
            (Arg("int", "TTL", low=0, high=255, strict=True),),
            "Largest TTL accepted from this peer; turns check_unicast_src on.",
            "any",
            "B",
            "2.1.0",
        ),
    ),
    (ADDRESS,),
    "peer",
)

TRANSPORT = (
    Keyword(
        "mcast_src_ip",
        (ADDRESS,),
        "Source address of the adverts; fixes the family.",
        "primary address of the interface",
        "A",
    ),
    Keyword(
        "unicast_src_ip",
        (ADDRESS,),
        "Source address of the adverts of a unicast instance.",
        "primary address of the interface",
        "A",
        "1.2.10",
    ),
    Keyword(
        "mcast_dst_ip",
        (ADDRESS,),
        "Multicast group that the adverts are sent to; link-local for IPv6.",
        "vrrp_mcast_group4 or vrrp_mcast_group6",
        "C",
        "2.2.5",
    ),
    Keyword(
        "track_src_ip",
        (),
        "FAULT while the configured source address is not on the interface.",
        "off",
        "C",
        "2.0.0",
    ),
    Keyword(
        "unicast_peer",
        (),
        "Sends the adverts to these addresses instead of the multicast group.",
        "none: multicast",
        "A",
        "1.2.8",
        duplicates="add",
        block=UNICAST_PEERS,
    ),
    Keyword(
        "unicast_fault_no_peer",
        (),
        "FAULT when there is no valid peer, instead of multicast.",
        "off",
        "C",
        "2.2.5",
    ),
    Keyword(
        "unicast_ttl",
        (Arg("int", "TTL", low=0, high=255, strict=True),),
        "TTL or hop limit of unicast adverts.",
        "255; the kernel's for IPv6",
        "B",
        "2.1.0",
    ),
    Keyword(
        "check_unicast_src",
        (),
        "Drops adverts whose sender is not a peer, or whose TTL is out of the peer's range.",
        "off",
        "B",
        "2.1.0",
    ),
    Keyword(
        "old_unicast_checksum",
        (Arg("choice", "never", choices=("never",), optional=True),),
        "Uses the VRRPv3 unicast checksum of keepalived 1.3.6 and older; `never` also turns its detection off.",
        "detected",
        "C",
        "1.3.7",
    ),
    Keyword(
        "v3_checksum_as_v2",
        (BOOL,),
        "VRRPv3 over IPv4 without the pseudo header in the checksum, as some routers do it.",
        "the global v3_checksum_as_v2",
        "C",
        "2.2.8",
    ),
    Keyword(
        "use_vmac",
        (Arg("rest", "[name] NAME | MAC | group GROUP | netlink_notify_msg", optional=True),),
        "Puts the addresses on a macvlan interface that has the virtual MAC 00:00:5e:00:01:VRID (IPv6: 02:VRID).",
        "off; name vrrp.VRID",
        "A",
        "1.2.3",
    ),
    Keyword(
        "vmac_xmit_base",
        (),
        "Sends and receives the adverts on the parent of the macvlan interface.",
        "off",
        "B",
        "1.2.10",
    ),
    Keyword(
        "use_vmac_addr",
        (),
        "Addresses on other interfaces, or of the other family, get a macvlan interface there too.",
        "off",
        "C",
        "2.3.0",
    ),
    Keyword(
        "use_ipvlan",
        (Arg("rest", "[name] NAME | ADDRESS | bridge|private|vepa | group GROUP", optional=True),),
        "Puts the addresses on an L2 ipvlan interface; for IPv4 its address is required and becomes the source.",
        "off; bridge",
        "C",
        "2.0.17",
    ),
    Keyword(
        "dont_track_primary",
        (),
        "Losing the own interface is no fault.",
        "off",
        "A",
    ),
    Keyword(
        "linkbeat_use_polling",
        (),
        "Asks the driver of the interface for its link state from time to time.",
        "off",
        "C",
        support=not_yet(
            "polling of the link state", "the link state comes from the kernel's own messages", recorded=True
        ),
    ),
)
