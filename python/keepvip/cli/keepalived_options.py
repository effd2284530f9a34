"""keepalived's command line, option by option, and what each does here (vrrp-behaviour.md 17)."""

from __future__ import annotations

from keepvip.cli.options import Effect, Option, flag, value

__all__ = ["OPTIONS"]


_NOTHING, _NOT_YET, _REFUSED = Effect.NOTHING, Effect.NOT_YET, Effect.REFUSED
_DEBUG_AID = "a debugging aid for keepalived's own code"

OPTIONS: tuple[Option, ...] = (
    value("f", "use-file", "FILE", "configuration file (default /etc/keepalived/keepalived.conf)"),
    flag("P", "vrrp", "only VRRP, no virtual servers and checks"),
    flag("C", "check", "only virtual servers and their checks"),
    flag("B", "no_bfd", "no BFD: there is none to switch off yet", _NOTHING),
    flag("", "all", "start all child processes: keepvip is one process", _NOTHING),
    flag("l", "log-console", "log to the terminal (stderr) too"),
    flag("D", "log-detail", "log in more detail"),
    value("S", "log-facility", "FACILITY", "syslog facility: 0-7, local0-local7, user, daemon"),
    value("g", "log-file", "[FILE]", "log to FILE too (default /tmp/keepalived.log)"),
    flag("", "flush-log-file", "flush after every message: always done", _NOTHING),
    flag("G", "no-syslog", "do not log to syslog"),
    value("u", "umask", "MASK", "file creation mask, a number: 022, 0x12, 18"),
    flag("X", "release-vips", "drop VIPs on transitions caused by a reload: always done", _NOTHING),
    flag("V", "dont-release-vrrp", "leave the VIPs on the interfaces at exit"),
    flag("I", "dont-release-ipvs", "leave the virtual servers in IPVS at exit"),
    flag("R", "dont-respawn", "do not restart child processes: there are none", _NOTHING),
    flag("n", "dont-fork", "stay in the foreground"),
    flag("d", "dump-conf", "log the configuration as it was understood"),
    value("p", "pid", "FILE", "pid file (default /run/keepalived.pid)"),
    value("r", "vrrp_pid", "FILE", "pid file of the VRRP process, which is the same one (default /run/vrrp.pid)"),
    value("c", "checkers_pid", "FILE", "pid file of the checker process: there is none yet", _NOTHING),
    value("b", "bfd_pid", "FILE", "pid file of the BFD process: there is none yet", _NOTHING),
    flag("a", "address-monitoring", "log all address changes of the host: not supported yet", _NOT_YET),
    flag("x", "snmp", "SNMP: not supported yet", _NOT_YET),
    value("A", "snmp-agent-socket", "ADDRESS", "SNMP agent socket: not supported yet", _NOT_YET),
    value("s", "namespace", "NAME", "run in network namespace NAME (overrides net_namespace)"),
    flag("m", "core-dump", "produce a core dump when the process crashes"),
    value("M", "core-dump-pattern", "[PATTERN]", "the same, and set the kernel's core_pattern (default core)"),
    flag("e", "all-config", "every include must exist and be readable"),
    value("i", "config-id", "ID", "which lines beginning with @ID apply (default: the host name)"),
    value("", "signum", "NAME", "print the number of a signal: STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON"),
    value("t", "config-test", "[FILE]", "check the configuration and exit; messages to stderr or appended to FILE"),
    flag("", "ignore-sigint", "SIGINT does not stop the daemon"),
    flag("T", "genhash", "compute the digest of a web page; has to be the first option (-T --help)", _REFUSED),
    value("", "perf", "[WHAT]", _DEBUG_AID, _NOTHING),
    value("", "debug", "[WHAT]", _DEBUG_AID, _NOTHING),
    flag("", "no-mem-check", _DEBUG_AID, _NOTHING),
    flag("", "mem-check-log", _DEBUG_AID, _NOTHING),
    value("", "socket", "PATH", "keepvip's own: where `keepvip status` asks (default /run/keepvip/keepvip.sock)"),
    flag("v", "version", "print the version"),
    flag("h", "help", "print this help"),
)
