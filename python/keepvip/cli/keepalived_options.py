"""keepalived's command line, option by option, and what each does here (vrrp-behaviour.md 17)."""

from __future__ import annotations

from keepvip.cli.options import Effect, Option, Value

__all__ = ["OPTIONS"]


def _flag(short: str, name: str, help_text: str, effect: Effect = Effect.ACTS) -> Option:
    return Option(name=name, short=short, help=help_text, effect=effect)


def _value(short: str, name: str, metavar: str, help_text: str, effect: Effect = Effect.ACTS) -> Option:
    value = Value.OPTIONAL if metavar.startswith("[") else Value.REQUIRED
    return Option(name=name, short=short, value=value, metavar=metavar.strip("[]"), help=help_text, effect=effect)


_NOTHING, _NOT_YET, _REFUSED = Effect.NOTHING, Effect.NOT_YET, Effect.REFUSED
_DEBUG_AID = "a debugging aid for keepalived's own code"

OPTIONS: tuple[Option, ...] = (
    _value("f", "use-file", "FILE", "configuration file (default /etc/keepalived/keepalived.conf)"),
    _flag("P", "vrrp", "only VRRP, no health checkers"),
    _flag("C", "check", "only health checkers: not supported yet, nothing would run", _REFUSED),
    _flag("B", "no_bfd", "no BFD: there is none to switch off yet", _NOTHING),
    _flag("", "all", "start all child processes: keepvip is one process", _NOTHING),
    _flag("l", "log-console", "log to the terminal (stderr) too"),
    _flag("D", "log-detail", "log in more detail"),
    _value("S", "log-facility", "FACILITY", "syslog facility: 0-7, local0-local7, user, daemon"),
    _value("g", "log-file", "[FILE]", "log to FILE too (default /tmp/keepalived.log)"),
    _flag("", "flush-log-file", "flush after every message: always done", _NOTHING),
    _flag("G", "no-syslog", "do not log to syslog"),
    _value("u", "umask", "MASK", "file creation mask, a number: 022, 0x12, 18"),
    _flag("X", "release-vips", "drop VIPs on transitions caused by a reload: always done", _NOTHING),
    _flag("V", "dont-release-vrrp", "leave the VIPs on the interfaces at exit"),
    _flag("I", "dont-release-ipvs", "leave IPVS at exit: not supported yet", _NOT_YET),
    _flag("R", "dont-respawn", "do not restart child processes: there are none", _NOTHING),
    _flag("n", "dont-fork", "stay in the foreground"),
    _flag("d", "dump-conf", "log the configuration as it was understood"),
    _value("p", "pid", "FILE", "pid file (default /run/keepalived.pid)"),
    _value("r", "vrrp_pid", "FILE", "pid file of the VRRP process, which is the same one (default /run/vrrp.pid)"),
    _value("c", "checkers_pid", "FILE", "pid file of the checker process: there is none yet", _NOTHING),
    _value("b", "bfd_pid", "FILE", "pid file of the BFD process: there is none yet", _NOTHING),
    _flag("a", "address-monitoring", "log all address changes of the host: not supported yet", _NOT_YET),
    _flag("x", "snmp", "SNMP: not supported yet", _NOT_YET),
    _value("A", "snmp-agent-socket", "ADDRESS", "SNMP agent socket: not supported yet", _NOT_YET),
    _value("s", "namespace", "NAME", "run in network namespace NAME (overrides net_namespace)"),
    _flag("m", "core-dump", "produce a core dump when the process crashes"),
    _value("M", "core-dump-pattern", "[PATTERN]", "the same, and set the kernel's core_pattern (default core)"),
    _flag("e", "all-config", "every include must exist and be readable"),
    _value("i", "config-id", "ID", "which lines beginning with @ID apply (default: the host name)"),
    _value("", "signum", "NAME", "print the number of a signal: STOP, RELOAD, DATA, STATS, STATS_CLEAR, JSON"),
    _value("t", "config-test", "[FILE]", "check the configuration and exit; messages to stderr or appended to FILE"),
    _flag("", "ignore-sigint", "SIGINT does not stop the daemon"),
    _flag("T", "genhash", "compute the digest of a web page: not supported yet", _REFUSED),
    _value("", "perf", "[WHAT]", _DEBUG_AID, _NOTHING),
    _value("", "debug", "[WHAT]", _DEBUG_AID, _NOTHING),
    _flag("", "no-mem-check", _DEBUG_AID, _NOTHING),
    _flag("", "mem-check-log", _DEBUG_AID, _NOTHING),
    _value("", "socket", "PATH", "keepvip's own: where `keepvip status` asks (default /run/keepvip/keepvip.sock)"),
    _flag("v", "version", "print the version"),
    _flag("h", "help", "print this help"),
)
