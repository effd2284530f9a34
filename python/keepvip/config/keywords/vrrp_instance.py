"""`vrrp_instance`: one virtual router (config-keywords.md 7)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, deprecated, no_op, table
from keepvip.config.keywords.addresses import VIRTUAL_ADDRESSES
from keepvip.config.keywords.announce import GARP, NOTIFICATION
from keepvip.config.keywords.arguments import BOOL, BYTES, IFNAME, NAME
from keepvip.config.keywords.authentication import AUTH_HMAC, AUTHENTICATION
from keepvip.config.keywords.routes import VIRTUAL_ROUTES, VIRTUAL_RULES
from keepvip.config.keywords.tracks import TRACK_BFD, TRACK_FILE, TRACK_INTERFACE, TRACK_PROCESS, TRACK_SCRIPT
from keepvip.config.keywords.transport import TRANSPORT

_ROLE = (
    Keyword(
        "state",
        (Arg("choice", "STATE", choices=("MASTER", "BACKUP")),),
        "Role wished for at the start. MASTER only shortens the first wait; it does not beat a live master of higher"
        " priority, and it cannot be taken back by a later BACKUP in the same block.",
        "MASTER with priority 255, else BACKUP",
        "A",
        duplicates="add",
    ),
    Keyword(
        "interface",
        (IFNAME,),
        "Interface that the adverts are sent and received on. Loopback is refused.",
        "required",
        "A",
    ),
    Keyword(
        "net_namespace",
        (NAME,),
        "Network namespace that the interfaces of the instance are in, as `ip netns add` made it: one daemon for many"
        " tenants. It may come later and go again: the instance is in FAULT meanwhile. Scripts run in the namespace of"
        " the daemon. Not together with virtual MACs, VRFs, virtual routes and rules, no_accept, promote_secondaries"
        " and strict mode. keepalived does not have it.",
        "that of the daemon",
        "C",
    ),
    Keyword(
        "virtual_router_id",
        (Arg("int", "VRID", low=1, high=255, strict=True),),
        "Number of the virtual router: the same on all its nodes, unique per interface, family and destination.",
        "required",
        "A",
    ),
    Keyword(
        "priority",
        (Arg("int", "PRIORITY", low=1, high=255, strict=True),),
        "Who is master: the highest. 255 is for the owner of the addresses, which always takes them.",
        "100; 255 when only `state MASTER` is given",
        "A",
    ),
    Keyword(
        "advert_int",
        (Arg("seconds", "SECONDS", low=10_000, high=255_000_000, unit="seconds"),),
        "Interval of the adverts. VRRPv2 takes whole seconds, VRRPv3 multiples of 10 ms up to 40.95 s.",
        "1",
        "A",
    ),
    Keyword(
        "version",
        (Arg("int", "VERSION", low=2, high=3),),
        "Version of the protocol; must be the same on all nodes.",
        "3 for IPv6, else vrrp_version",
        "A",
        duplicates="add",
    ),
    Keyword("native_ipv6", (), "Makes it an IPv6 instance of version 3.", "off", "C"),
    Keyword(
        "vrf",
        (IFNAME,),
        "VRF of a unicast instance that has no interface.",
        "none",
        "C",
        "2.2.5",
    ),
    Keyword(
        "nopreempt",
        (),
        "A router of higher priority does not take over from a live master. Not together with `state MASTER` or"
        " priority 255.",
        "off",
        "A",
    ),
    Keyword("preempt", (), "Takes an earlier nopreempt back.", "on", "C"),
    Keyword(
        "preempt_delay",
        (Arg("seconds", "SECONDS", low=0, high=1_000_000_000, unit="seconds"),),
        "How long a master of lower priority is tolerated, counted from its first advert.",
        "0",
        "A",
    ),
    Keyword("strict_mode", (BOOL,), "Keep strictly to the RFC: see vrrp_strict.", "vrrp_strict", "B", "1.2.20"),
    Keyword(
        "skip_check_adv_addr",
        (BOOL,),
        "Compare the address list of an advert only when its sender changes. Any value, even off, turns it on.",
        "vrrp_skip_check_adv_addr",
        "B",
        "1.2.20",
    ),
    Keyword(
        "debug",
        (Arg("int", "LEVEL", low=0, high=4),),
        "Debug level of this instance.",
        "0",
        "C",
        support=no_op("practically unused in keepalived too; ask `keepvip why NAME` instead"),
    ),
    Keyword(
        "down_timer_adverts",
        (Arg("int", "COUNT", low=1, high=100),),
        "Number of missed adverts after which the master is taken for dead. 3 in strict mode.",
        "vrrp_down_timer_adverts (3)",
        "C",
        "2.2.3",
    ),
    Keyword(
        "timer_expired_backup",
        (Arg("int", "PRIORITY", low=1, high=254, optional=True),),
        "When the process slept so long that a peer of this priority must have taken over, step back to BACKUP."
        " Needs nopreempt.",
        "off; 254 without a value",
        "C",
        "2.2.8",
    ),
    Keyword(
        "thread_timer_expired",
        (Arg("int", "PRIORITY", low=1, high=254, optional=True),),
        "Older name of timer_expired_backup.",
        "off",
        "C",
        "2.3.2",
        deprecated("timer_expired_backup"),
    ),
    Keyword(
        "lower_prio_no_advert",
        (BOOL,),
        "A master does not answer an advert of lower priority with an immediate advert.",
        "vrrp_lower_prio_no_advert; on in strict mode",
        "B",
        "1.2.20",
    ),
    Keyword(
        "higher_prio_send_advert",
        (BOOL,),
        "A master sends one more advert when it hears a higher priority, before it steps back.",
        "vrrp_higher_prio_send_advert; off in strict mode",
        "C",
        "1.3.5",
    ),
    Keyword(
        "owner_ignore_adverts",
        (BOOL,),
        "The owner of the addresses (priority 255) drops every advert that it receives.",
        "vrrp_owner_ignore_adverts; on in strict mode",
        "C",
        "2.3.3",
    ),
    Keyword(
        "kernel_rx_buf_size",
        (BYTES,),
        "Adds to the receive buffer of the socket.",
        "vrrp_rx_bufs_policy",
        "C",
        support=no_op("one receive socket per family serves all instances; the engine sizes it and counts losses"),
        missing_ignored=True,
    ),
)

_ADDRESSES = (
    Keyword(
        "virtual_ipaddress",
        (),
        "The addresses that the master holds, one per line; advertised in this order. What does not fit into one"
        " advert is moved to virtual_ipaddress_excluded.",
        "required with version 3 or strict mode",
        "A",
        duplicates="add",
        block=VIRTUAL_ADDRESSES,
    ),
    Keyword(
        "virtual_ipaddress_excluded",
        (),
        "Addresses that the master holds too but does not advertise, of either family.",
        "none",
        "A",
        duplicates="add",
        block=VIRTUAL_ADDRESSES,
    ),
    Keyword(
        "no_virtual_ipaddress",
        (),
        "Permits an instance without addresses. Not in strict mode.",
        "off",
        "C",
        "2.2.8",
    ),
    VIRTUAL_ROUTES,
    VIRTUAL_RULES,
    Keyword(
        "promote_secondaries",
        (),
        "Sets the kernel option of that name on the interface, so that removing one address keeps the others of its"
        " subnet.",
        "off",
        "B",
        "1.3.0",
    ),
    Keyword(
        "accept",
        (),
        "A master that is not the owner accepts packets for the addresses.",
        "on; off in strict mode",
        "B",
        "1.2.17",
    ),
    Keyword(
        "no_accept",
        (),
        "A master that is not the owner drops packets for the addresses, by the packet filter.",
        "off",
        "B",
        "1.3.0",
    ),
)

_TRACKING = (TRACK_INTERFACE, TRACK_SCRIPT, TRACK_FILE, TRACK_PROCESS, TRACK_BFD)

VRRP_INSTANCE = Block(
    "vrrp_instance",
    "keywords",
    table(
        *_ROLE,
        *_ADDRESSES,
        *TRANSPORT,
        *_TRACKING,
        *GARP,
        *NOTIFICATION,
        Keyword(
            "authentication",
            (),
            "VRRPv2 authentication. Version 3 and strict mode have none and ignore it.",
            "none",
            "A",
            block=AUTHENTICATION,
        ),
        Keyword(
            "auth_hmac",
            (),
            "Signs every advert with HMAC-SHA256, any version and family; replaces authentication.",
            "none",
            "B",
            "2.4.0",
            block=AUTH_HMAC,
        ),
    ),
)

__all__ = ["VRRP_INSTANCE"]
