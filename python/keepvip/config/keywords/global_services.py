"""`global_defs`, part 3: IPVS, FIFOs, SNMP, D-Bus (config-keywords.md 2.4 and 2.5)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Keyword, deprecated, not_yet
from keepvip.config.keywords.arguments import GROUP, IFNAME, NAME, PATH, SCRIPT, STRING

_USER = Arg("user", "USER", optional=True)
_SNMP = not_yet("SNMP", "the SNMP agent does not know about keepvip")
_DBUS = not_yet("D-Bus", "there is no D-Bus service")
_TIMEOUT = Arg("int", "SECONDS", low=0, high=2_678_400, unit="seconds")
_UPDATE = Arg("seconds", "SECONDS", low=1_000, high=30_000_000, unit="seconds")
_VS = Arg("choice", "VS", choices=("VS",), optional=True)

LVS = (
    Keyword(
        "lvs_sync_daemon",
        (IFNAME, Arg("word", "INST", optional=True), Arg("int", "ID", low=0, high=255, optional=True)),
        "Runs the IPVS connection sync daemon on an interface, as master or backup together with an instance.",
        "off",
        "B",
        duplicates="first",
        options=(
            Keyword("inst", (NAME,), "Instance that decides whether it is master or backup.", "both roles at once"),
            Keyword("id", (Arg("int", "ID", low=0, high=255),), "Number that both ends share.", "VRID, else 0"),
            Keyword("maxlen", (Arg("int", "N", low=1, high=65507),), "Longest message.", "the kernel's"),
            Keyword("port", (Arg("port", "N", low=1, high=65535, strict=True),), "UDP port.", "the kernel's"),
            Keyword("ttl", (Arg("int", "N", low=1, high=255),), "TTL of the messages.", "the kernel's"),
            Keyword("group", (Arg("address", "IP"),), "Multicast group.", "the kernel's"),
        ),
        missing_ignored=True,
    ),
    Keyword(
        "lvs_timeouts",
        (),
        "IPVS connection timeouts, put back when the daemon ends.",
        "the kernel's",
        "B",
        "1.2.24",
        options=(
            Keyword("tcp", (_TIMEOUT,), "Of established TCP connections."),
            Keyword("tcpfin", (_TIMEOUT,), "Of closing TCP connections."),
            Keyword("udp", (_TIMEOUT,), "Of UDP."),
        ),
        missing_ignored=True,
    ),
    Keyword("lvs_flush", (), "Removes all IPVS state at the start.", "off", "B", "1.2.23"),
    Keyword(
        "lvs_flush_on_stop",
        (_VS,),
        "Removes all IPVS state at the end; with VS only the own services, each as a whole.",
        "off",
        "B",
        "2.2.0",
    ),
    Keyword(
        "lvs_flush_onstop",
        (_VS,),
        "Older spelling of lvs_flush_on_stop.",
        "off",
        "C",
        "2.0.15",
        deprecated("lvs_flush_on_stop"),
    ),
)

FIFOS = (
    Keyword(
        "notify_fifo",
        (PATH, _USER, GROUP),
        "FIFO for all events; made if it is missing.",
        "none",
        "B",
        "1.3.6",
        duplicates="first",
        missing_ignored=True,
    ),
    Keyword(
        "notify_fifo_script",
        (SCRIPT,),
        "Reader of that FIFO, started with its path as last argument.",
        "none",
        "B",
        "1.3.6",
        duplicates="first",
        missing_ignored=True,
    ),
    Keyword(
        "vrrp_notify_fifo",
        (PATH, _USER, GROUP),
        "FIFO for VRRP events.",
        "none",
        "B",
        "1.3.6",
        duplicates="first",
        missing_ignored=True,
    ),
    Keyword(
        "vrrp_notify_fifo_script",
        (SCRIPT,),
        "Reader of that FIFO, started with its path as last argument.",
        "none",
        "B",
        "1.3.6",
        duplicates="first",
        missing_ignored=True,
    ),
    Keyword(
        "lvs_notify_fifo",
        (PATH, _USER, GROUP),
        "FIFO for events of virtual and real servers.",
        "none",
        "B",
        "1.3.6",
        duplicates="first",
        missing_ignored=True,
    ),
    Keyword(
        "lvs_notify_fifo_script",
        (SCRIPT,),
        "Reader of that FIFO.",
        "none",
        "B",
        "1.3.6",
        duplicates="first",
        missing_ignored=True,
    ),
)

SNMP = (
    Keyword(
        "snmp_socket",
        (STRING,),
        "Where the SNMP master agent listens.",
        "the library's; udp:localhost:705 in a namespace",
        "B",
        "1.2.5",
        _SNMP,
        "first",
        missing_ignored=True,
    ),
    Keyword("enable_traps", (), "Sends SNMP traps.", "off", "B", "1.2.5", _SNMP),
    Keyword("enable_snmp_vrrp", (), "VRRP part of the keepalived MIB.", "off", "B", "1.2.20", _SNMP),
    Keyword(
        "enable_snmp_keepalived",
        (),
        "Older name of enable_snmp_vrrp.",
        "off",
        "C",
        "1.2.20",
        deprecated("enable_snmp_vrrp"),
    ),
    Keyword("enable_snmp_rfc", (), "Both RFC MIBs.", "off", "C", "1.2.20", _SNMP),
    Keyword("enable_snmp_rfcv2", (), "The MIB of RFC 2787.", "off", "C", "1.2.20", _SNMP),
    Keyword("enable_snmp_rfcv3", (), "The MIB of RFC 6527.", "off", "C", "1.2.20", _SNMP),
    Keyword("enable_snmp_checker", (), "Checker part of the keepalived MIB.", "off", "B", "1.2.20", _SNMP),
    Keyword(
        "snmp_vs_stats_update_interval",
        (_UPDATE,),
        "How long statistics of virtual servers are kept.",
        "5",
        "C",
        "2.3.0",
        _SNMP,
    ),
    Keyword(
        "snmp_rs_stats_update_interval",
        (_UPDATE,),
        "How long statistics of real servers are kept.",
        "that of virtual servers",
        "C",
        "2.3.0",
        _SNMP,
    ),
)

DBUS = (
    Keyword("enable_dbus", (), "Starts the D-Bus service.", "off", "C", "1.3.0", _DBUS),
    Keyword(
        "dbus_service_name",
        (NAME,),
        "Bus name of the service.",
        "org.keepalived.Vrrp1",
        "C",
        "1.3.0",
        _DBUS,
        missing_ignored=True,
    ),
    Keyword(
        "dbus_no_interface_name",
        (NAME,),
        "Path element of instances without interface.",
        "none",
        "C",
        "",
        _DBUS,
    ),
)
