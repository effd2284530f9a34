"""`global_defs`, part 4: the process, reload, files and dumps (config-keywords.md 2.6 and 2.7)."""

from __future__ import annotations

from keepvip.config.keyword import ACTS, Arg, Keyword, Support, deprecated, no_op
from keepvip.config.keywords.arguments import BOOL, BYTES, PATH

_NICE = Arg("int", "NICE", low=-20, high=19)
_RT = Arg("int", "PRIORITY", low=1, high=99, clamp_low=True, clamp_high=True)
_CPU = Arg("int", "CPU", low=0, high=4095, repeat=True, strict=True)
_RTTIME = Arg("int", "MICROSECONDS", low=1, high=4_294_967_295, unit="microseconds")
_OPTIONAL_PATH = Arg("word", "PATH", optional=True)

_CHECKS = tuple(
    f"{sign}{check}" for check in ("read", "match", "wildcard_match", "brace_match") for sign in ("", "+", "-")
)

_NO_CHECKER = no_op("there is no checker process: checks run beside the engine and cannot delay it")
_NO_BFD = no_op("there is no BFD process")
_NETLINK = no_op("the engine sizes its netlink buffer itself, and an overrun is followed by a full resync")
_RTTIME_NO_OP = no_op("the engine sets its own limit on the time it may run without waiting")

_NAMES = {"vrrp": "VRRP", "checker": "checker", "bfd": "BFD"}
_WHERE = {"vrrp": "", "checker": "2.0.0", "bfd": "2.0.0"}


def _each(suffix: str, args: tuple[Arg, ...], doc: str, default: str, *support: Support) -> tuple[Keyword, ...]:
    """The same keyword for the VRRP, checker and BFD process."""
    return tuple(
        Keyword(
            f"{process}_{suffix}",
            args,
            doc.format(_NAMES[process]),
            default,
            "B" if (process, suffix) == ("vrrp", "rt_priority") else "C",
            _WHERE[process],
            given,
            missing_ignored=suffix != "rlimit_rttime",
        )
        for process, given in zip(_NAMES, support, strict=True)
    )


def _buffers(name: str, doc: str, support: Support = _NETLINK) -> tuple[Keyword, Keyword]:
    return (
        Keyword(
            f"{name}_rcv_bufs",
            (BYTES,),
            f"Receive buffer of {doc}.",
            "the system's",
            support=support,
            missing_ignored=True,
        ),
        Keyword(
            f"{name}_rcv_bufs_force",
            (BOOL,),
            f"Lets the receive buffer of {doc} exceed the limit of the system.",
            "off",
            support=support,
        ),
    )


def _old_rttime(process: str) -> Keyword:
    new = f"{process}_rlimit_rttime"
    return Keyword(f"{process}_rlimit_rtime", (_RTTIME,), f"Older spelling of {new}.", "10000", support=deprecated(new))


PROCESS = (
    *_each(
        "priority",
        (_NICE,),
        "Nice value of the {} process.",
        "0",
        no_op("the engine thread runs with real-time priority; a nice value means nothing to it"),
        _NO_CHECKER,
        _NO_BFD,
    ),
    *_each(
        "no_swap",
        (),
        "Locks the {} process in memory.",
        "off",
        no_op("memory is locked always, where that is permitted"),
        _NO_CHECKER,
        _NO_BFD,
    ),
    *_each(
        "rt_priority",
        (_RT,),
        "Real-time priority of the {} process.",
        "off; the engine of keepvip has one by default",
        ACTS,
        _NO_CHECKER,
        _NO_BFD,
    ),
    *_each(
        "cpu_affinity",
        (_CPU,),
        "CPUs that the {} process may use.",
        "all",
        ACTS,
        _NO_CHECKER,
        _NO_BFD,
    ),
    *_each(
        "rlimit_rttime",
        (_RTTIME,),
        "CPU time that the {} process may use between two waits under real-time scheduling.",
        "10000",
        _RTTIME_NO_OP,
        _NO_CHECKER,
        _NO_BFD,
    ),
    _old_rttime("vrrp"),
    _old_rttime("checker"),
    _old_rttime("bfd"),
    Keyword(
        "max_auto_priority",
        (Arg("int", "PRIORITY", low=-1, high=99, optional=True),),
        "Real-time priority up to which a process raises itself when its timers fire late.",
        "0",
        "B",
        "2.1.0",
        no_op("the engine has real-time priority from the start"),
    ),
    Keyword(
        "min_auto_priority_delay",
        (Arg("int", "MICROSECONDS", low=1, high=10_000_000, unit="microseconds"),),
        "How late a timer must be for that.",
        "1000000",
        "C",
        "2.1.0",
        no_op("the engine has real-time priority from the start"),
        missing_ignored=True,
    ),
    *_buffers("vrrp_netlink_cmd", "the VRRP process's netlink socket for commands"),
    *_buffers("vrrp_netlink_monitor", "the VRRP process's netlink socket for news"),
    *_buffers("lvs_netlink_cmd", "the checker process's netlink socket for commands"),
    *_buffers("lvs_netlink_monitor", "the checker process's netlink socket for news"),
    *_buffers("process_monitor", "the process event connector", ACTS),
    Keyword(
        "umask",
        (Arg("umask", "MASK", repeat=True),),
        "Mask for files that scripts make: a number, or IRUSR IWUSR ... IRWXO joined by |.",
        "that of the daemon",
        "C",
        "2.0.0",
    ),
    Keyword(
        "random_seed",
        (Arg("int", "SEED", low=0, high=4_294_967_295),),
        "Seed of ${_RANDOM} and of the spread of first checks.",
        "time of day",
        "C",
        "2.0.15",
    ),
)

FILES = (
    Keyword(
        "reload_check_config",
        (Arg("word", "LOGFILE", optional=True),),
        "Refuses a start and a reload for whatever --config-test finds; a reload writes the findings to LOGFILE.",
        "off",
        "B",
        "2.2.0",
    ),
    Keyword(
        "reload_time_file",
        (PATH,),
        "File that holds the time of the next reload.",
        "none",
        "C",
        "2.1.0",
        missing_ignored=True,
    ),
    Keyword("reload_repeat", (), "Keeps that file and reloads daily.", "off", "C", "2.1.0"),
    Keyword(
        "reload_file",
        (_OPTIONAL_PATH,),
        "Marker file that exists while a reload reads the configuration.",
        "off",
        "C",
        "2.2.0",
    ),
    Keyword(
        "include_check",
        (Arg("choice", "CHECK", choices=_CHECKS, optional=True, repeat=True),),
        "How strict include is from here to the end of the file: a word sets, + adds, - takes away; no word means all.",
        "not strict",
        "C",
        "2.2.0",
    ),
    Keyword(
        "config_save_dir",
        (PATH,),
        "Directory for copies of every configuration that was read.",
        "none",
        "C",
        "2.2.3",
    ),
    Keyword(
        "tmp_config_directory",
        (PATH,),
        "Directory for the copy that the processes share.",
        "memory",
        "C",
        "2.2.0",
        no_op("one process reads the files once and needs no copy"),
        missing_ignored=True,
    ),
    Keyword(
        "data_use_instance",
        (BOOL,),
        "Adds namespace and instance name to the name of the state dump: keepalived.NAMESPACE_INSTANCE.data.",
        "off",
        "C",
        "2.2.3",
    ),
    Keyword(
        "json_version",
        (Arg("int", "VERSION", low=1, high=2),),
        "Layout of the JSON dump (SIGRTMIN+2): 1 is an array of instances, 2 an object that holds it.",
        "1",
        "B",
        "2.2.8",
    ),
    Keyword(
        "state_dump_file",
        (PATH,),
        "Where SIGUSR1 has the state written: a path, relative to /tmp or $TMPDIR; a directory if it ends in /.",
        "/tmp/keepalived.data",
        "C",
        "2.3.3",
    ),
    Keyword(
        "stats_dump_file",
        (PATH,),
        "Where SIGUSR2 has the statistics written. keepalived 2.4 reads this and writes to the default place.",
        "/tmp/keepalived.stats",
        "C",
        "2.3.3",
    ),
    Keyword(
        "json_dump_file",
        (PATH,),
        "Where SIGRTMIN+2 has the JSON dump written. keepalived 2.4 reads this and writes to the default place.",
        "/tmp/keepalived.json",
        "C",
        "2.3.3",
    ),
)
