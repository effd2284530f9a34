"""Load balancing: groups, virtual servers, real servers, TLS client settings (config-keywords.md 12 to 15)."""

from __future__ import annotations

from keepvip.config.keyword import ACTS, Arg, Block, Keyword, Tier, no_op, not_yet, table
from keepvip.config.keywords.arguments import (
    ADDRESS,
    BOOL,
    OPTIONAL_PORT,
    PATH,
    PORT,
    SCRIPT,
    SECONDS_0,
    SECONDS_1,
    STRING,
    U32,
)
from keepvip.config.keywords.checkers import CHECKERS

_BFD = not_yet("BFD", "the server counts as up as far as BFD is concerned")
_SCHEDULER = Arg(
    "choice",
    "SCHEDULER",
    choices=("rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"),
)
_METHOD = Arg("choice", "METHOD", choices=("NAT", "DR", "TUN"))
_TUNNEL = (
    Keyword("type", (Arg("choice", "TYPE", choices=("ipip", "gue", "gre")),), "Kind of tunnel.", "ipip"),
    Keyword("port", (PORT,), "Port of a gue tunnel.", "required for gue"),
    Keyword("nocsum", (), "No checksums."),
    Keyword("csum", (), "With checksums."),
    Keyword("remcsum", (), "With remote checksum offload."),
)
_RETRY = Arg("int", "COUNT", low=1, high=4_294_967_295)
_WEIGHT = Arg("int", "WEIGHT", low=0, high=2_147_483_647)


def _method(name: str, doc: str, default: str, tier: Tier, since: str = "") -> Keyword:
    return Keyword(
        name, (_METHOD,), doc, default, tier, since, options=_TUNNEL, missing_ignored=name.startswith("sorry_server")
    )


def _flag(name: str, doc: str, tier: Tier = "C", since: str = "") -> Keyword:
    return Keyword(name, (), doc, "off", tier, since)


SSL = Block(
    "SSL",
    "keywords",
    table(
        Keyword(
            "password", (STRING,), "Pass phrase of the key.", "none", "C", duplicates="replaced", missing_ignored=True
        ),
        Keyword("ca", (PATH,), "CA certificates.", "none", "C", duplicates="replaced", missing_ignored=True),
        Keyword(
            "certificate", (PATH,), "Client certificate, PEM.", "none", "C", duplicates="replaced", missing_ignored=True
        ),
        Keyword("key", (PATH,), "Client key, PEM.", "none", "C", duplicates="replaced", missing_ignored=True),
    ),
)

VIRTUAL_SERVER_GROUP = Block(
    "virtual_server_group",
    "entries",
    table(
        Keyword(
            "fwmark",
            (
                Arg("int", "MARK", low=0, high=4_294_967_295),
                Arg("choice", "inet|inet6", choices=("inet", "inet6"), optional=True),
            ),
            "A firewall mark instead of an address.",
            "",
            "B",
        ),
    ),
    (Arg("range", "ADDRESS[-LAST|/LENGTH]", optional=True), OPTIONAL_PORT),
    "service address",
)

REAL_SERVER = Block(
    "real_server",
    "keywords",
    table(
        Keyword(
            "weight",
            (_WEIGHT,),
            "Weight; 0: no new connections, and it does not count for the quorum.",
            "that of the virtual server",
            "A",
        ),
        _method("lvs_method", "Forwarding method.", "that of the virtual server", "B"),
        Keyword("uthreshold", (U32,), "Upper limit of connections.", "0: none", "C", "1.1.13"),
        Keyword("lthreshold", (U32,), "Lower limit of connections.", "0: none", "C", "1.1.13"),
        Keyword(
            "inhibit_on_failure",
            (BOOL,),
            "On failure the weight becomes 0; the server stays in the table.",
            "that of the virtual server",
            "A",
            "0.6.8",
        ),
        Keyword("notify_up", (SCRIPT,), "Run when it goes into service.", "none", "A", "1.0.0", duplicates="first"),
        Keyword("notify_down", (SCRIPT,), "Run when it leaves service.", "none", "A", "1.0.0", duplicates="first"),
        Keyword("alpha", (BOOL,), "Down until checked.", "that of the virtual server", "B", "1.1.16"),
        Keyword("retry", (_RETRY,), "Default of its checkers.", "that of the virtual server", "B"),
        Keyword("delay_before_retry", (SECONDS_0,), "Default of its checkers.", "that of the virtual server", "B"),
        Keyword("warmup", (SECONDS_0,), "Default of its checkers.", "that of the virtual server", "B"),
        Keyword("connect_timeout", (SECONDS_1,), "Default of its checkers.", "that of the virtual server", "B"),
        Keyword("delay_loop", (SECONDS_1,), "Default of its checkers.", "that of the virtual server", "B"),
        Keyword("smtp_alert", (BOOL,), "Mail when it goes up or down.", "smtp_alert_checker, smtp_alert, on", "B"),
        Keyword(
            "virtualhost",
            (STRING,),
            "Default Host header.",
            "that of the virtual server",
            "B",
            duplicates="replaced",
            missing_ignored=True,
        ),
        Keyword("snmp_name", (STRING,), "Name shown by SNMP.", "none", "C", "2.2.3", missing_ignored=True),
        *(
            Keyword(
                block.name,
                (),
                doc,
                "none",
                "A" if tier == "A" else "B" if tier == "B" else "C",
                since,
                _BFD if block.name == "BFD_CHECK" else ACTS,
                "add",
                block,
            )
            for block, doc, tier, since in CHECKERS
        ),
    ),
)

VIRTUAL_SERVER = Block(
    "virtual_server",
    "keywords",
    table(
        Keyword(
            "ip_family",
            (Arg("choice", "FAMILY", choices=("inet", "inet6")),),
            "Family of a mark or group.",
            "that of the addresses",
            "B",
            "1.2.20",
        ),
        Keyword("delay_loop", (SECONDS_1,), "Interval of the checks.", "60", "A"),
        Keyword("retry", (_RETRY,), "Default number of retries of the checkers.", "the checker's own", "B"),
        Keyword("delay_before_retry", (SECONDS_0,), "Default pause before a retry.", "the checker's own", "B"),
        Keyword("warmup", (SECONDS_0,), "Upper limit of the random delay of the first check.", "delay_loop", "B"),
        Keyword(
            "connect_timeout",
            (Arg("seconds", "SECONDS", low=1, high=4_294_967_295, unit="seconds"),),
            "Default of the checkers.",
            "5",
            "A",
        ),
        _flag("inhibit_on_failure", "Default of the real servers.", "B"),
        Keyword("lb_algo", (_SCHEDULER,), "Scheduler.", "wlc", "A"),
        Keyword("lvs_sched", (_SCHEDULER,), "The same as lb_algo.", "wlc", "A"),
        Keyword("hashed", (), "Hashed entry.", "off", "C", "", no_op("it has no effect in keepalived either")),
        _flag("ops", "One-packet scheduling, for UDP.", "B", "1.2.8"),
        _flag("flag-1", "First generic scheduler flag.", "C", "1.3.0"),
        _flag("flag-2", "Second generic scheduler flag.", "C", "1.3.0"),
        _flag("flag-3", "Third generic scheduler flag.", "C", "1.3.0"),
        _flag("sh-port", "Scheduler sh takes the port into account; only after `lb_algo sh`.", "C", "1.3.0"),
        _flag("sh-fallback", "Scheduler sh falls back to another server; only after `lb_algo sh`.", "C", "1.3.0"),
        _flag("mh-port", "Scheduler mh takes the port into account; only after `lb_algo mh`.", "C", "2.0.7"),
        _flag("mh-fallback", "Scheduler mh falls back to another server; only after `lb_algo mh`.", "C", "2.0.7"),
        _method("lb_kind", "Forwarding method.", "NAT", "A"),
        _method("lvs_method", "The same as lb_kind.", "NAT", "A"),
        Keyword(
            "persistence_engine", (Arg("word", "NAME", max_len=15),), "IPVS persistence engine.", "none", "C", "1.2.20"
        ),
        Keyword(
            "persistence_timeout",
            (Arg("int", "SECONDS", low=1, high=2_678_400, unit="seconds", optional=True),),
            "How long a client stays with its server.",
            "off; 360 without a value",
            "A",
        ),
        Keyword(
            "persistence_granularity",
            (Arg("mask", "MASK|PREFIX"),),
            "Clients of one network stay together.",
            "single hosts",
            "B",
        ),
        Keyword(
            "protocol",
            (Arg("choice", "PROTOCOL", choices=("TCP", "UDP", "SCTP"), any_case=True),),
            "Protocol of the service.",
            "UDP; none for marks",
            "A",
        ),
        _flag("ha_suspend", "Checks run only while the service address is on this host.", "B", "1.0.0"),
        Keyword("smtp_alert", (BOOL,), "Mail when the quorum changes.", "smtp_alert_checker, else smtp_alert", "B"),
        Keyword(
            "virtualhost", (STRING,), "Default Host header.", "none", "A", duplicates="replaced", missing_ignored=True
        ),
        Keyword("snmp_name", (STRING,), "Name shown by SNMP.", "none", "C", "2.2.3", missing_ignored=True),
        _flag("alpha", "Default of the real servers: down until checked.", "B", "1.1.16"),
        _flag("omega", "Runs the down notifications at shutdown.", "B", "1.1.16"),
        Keyword(
            "quorum",
            (Arg("int", "WEIGHT", low=1, high=2_147_483_647),),
            "Total weight of live servers that is needed.",
            "1",
            "A",
            "1.1.16",
        ),
        Keyword("hysteresis", (_WEIGHT,), "Margin around the quorum.", "0", "B", "1.1.16"),
        Keyword("quorum_up", (SCRIPT,), "Run when the quorum is gained.", "none", "B", "1.1.16", duplicates="first"),
        Keyword("quorum_down", (SCRIPT,), "Run when it is lost.", "none", "B", "1.1.16", duplicates="first"),
        Keyword(
            "weight",
            (Arg("int", "WEIGHT", low=1, high=2_147_483_647),),
            "Default weight of the real servers.",
            "1",
            "B",
        ),
        Keyword("sorry_server", (ADDRESS, OPTIONAL_PORT), "Server that is used without a quorum.", "none", "A"),
        _flag("sorry_server_inhibit", "It stays in the table with weight 0; only after sorry_server.", "C", "1.2.13"),
        _method("sorry_server_lvs_method", "Its forwarding method.", "that of the virtual server", "C", "1.3.6"),
        Keyword(
            "real_server",
            (ADDRESS, OPTIONAL_PORT),
            "A server behind the service.",
            "required",
            "A",
            duplicates="add",
            block=REAL_SERVER,
        ),
    ),
)

__all__ = ["SSL", "VIRTUAL_SERVER", "VIRTUAL_SERVER_GROUP"]
