"""`global_defs`, part 1: identity, mail, scripts (config-keywords.md 2.1)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, deprecated, no_op
from keepvip.config.keywords.arguments import BOOL, GROUP, NAME, SCRIPT, STRING, USER

_ONE_PROCESS = no_op("keepvip is one process, named keepvip or keepvipd")
_TIMEOUT = Arg("int", "SECONDS", low=1, high=1000, unit="seconds")

IDENTITY = (
    Keyword("process_names", (), "Names the thread of the engine keepalived_vrrp.", "off"),
    Keyword("process_name", (NAME,), "Name of the process in ps.", "that of the program", since="2.0.16"),
    Keyword("vrrp_process_name", (NAME,), "Name of the engine's thread in ps -L.", "keepvip-engine", since="2.0.16"),
    Keyword(
        "checker_process_name",
        (NAME,),
        "Name of the checker process.",
        "keepalived",
        since="2.0.16",
        support=_ONE_PROCESS,
    ),
    Keyword(
        "lvs_process_name",
        (NAME,),
        "Older name of checker_process_name.",
        "keepalived",
        support=deprecated("checker_process_name"),
    ),
    Keyword(
        "bfd_process_name", (NAME,), "Name of the BFD process.", "keepalived", since="2.0.16", support=_ONE_PROCESS
    ),
    Keyword(
        "use_symlink_paths",
        (BOOL,),
        "Runs scripts by the path as written, not by the file that a symbolic link points to.",
        "off",
        "C",
        "2.3.0",
    ),
    Keyword(
        "set_supplementary_groups",
        (BOOL,),
        "Scripts run with the supplementary groups of their user.",
        "off: with none",
        "C",
        "2.4.4",
    ),
    Keyword("router_id", (STRING,), "Name of this node in mails.", "host name", "A", missing_ignored=True),
    Keyword(
        "notification_email_from",
        (Arg("word", "ADDRESS"),),
        'Sender of mails: user@host, or "Name <user@host>".',
        "user@host name",
        "A",
        missing_ignored=True,
    ),
    Keyword(
        "smtp_server",
        (
            Arg("word", "HOST"),
            Arg("port", "PORT", low=1, high=65535, strict=True, optional=True),
        ),
        "Mail relay, by address or name. Without one no mail is sent.",
        "none; port 25",
        "A",
    ),
    Keyword(
        "smtp_helo_name", (STRING,), "Name given in the HELO of SMTP.", "host name", "C", "1.2.20", missing_ignored=True
    ),
    Keyword(
        "smtp_connect_timeout",
        (Arg("int", "SECONDS", low=1, high=4294, unit="seconds", clamp_low=True),),
        "Timeout of each step of the SMTP dialogue.",
        "30",
        "A",
    ),
    Keyword(
        "notification_email",
        (),
        "Recipients of all mails.",
        "none: no mail",
        "A",
        duplicates="add",
        block=Block("notification_email", "words", args=(Arg("word", "ADDRESS"),), entry_name="mail address"),
    ),
    Keyword("smtp_alert", (BOOL,), "Default for every smtp_alert.", "off; on for real servers", "B"),
    Keyword(
        "startup_script",
        (SCRIPT,),
        "Run once before anything else starts.",
        "none",
        "C",
        "2.1.0",
        duplicates="first",
        missing_ignored=True,
    ),
    Keyword(
        "startup_script_timeout",
        (_TIMEOUT,),
        "How long it may run before it is ended.",
        "10",
        "C",
        "2.1.0",
        missing_ignored=True,
    ),
    Keyword(
        "shutdown_script",
        (SCRIPT,),
        "Run once after everything else has ended.",
        "none",
        "C",
        "2.1.0",
        duplicates="first",
        missing_ignored=True,
    ),
    Keyword(
        "shutdown_script_timeout",
        (_TIMEOUT,),
        "How long it may run before it is ended.",
        "10",
        "C",
        "2.1.0",
        missing_ignored=True,
    ),
    Keyword(
        "smtp_alert_vrrp",
        (BOOL,),
        "Default for smtp_alert of instances and sync groups.",
        "smtp_alert",
        "B",
        "2.0.0",
    ),
    Keyword(
        "smtp_alert_checker",
        (BOOL,),
        "Default for smtp_alert of virtual and real servers.",
        "smtp_alert",
        "B",
        "2.0.0",
    ),
    Keyword("no_email_faults", (), "No mail for transitions to FAULT.", "off", "C", "2.0.0"),
    Keyword(
        "checker_log_all_failures",
        (BOOL,),
        "Logs every failed check, not only the one that takes a server down.",
        "off",
        "B",
        "2.0.11",
    ),
    Keyword(
        "no_checker_emails",
        (BOOL,),
        "Mails only when a real server as a whole changes, not for each of its checkers.",
        "off",
        "B",
        "2.0.0",
    ),
    Keyword(
        "rs_init_notifies",
        (BOOL,),
        "Runs notify_up for real servers that are put into service at the start without a check.",
        "off",
        "C",
        "2.0.0",
    ),
    Keyword(
        "script_user",
        (USER, GROUP),
        "Default user for scripts. A group that begins with : also loads the supplementary groups.",
        "keepalived_script if there is such a user, else the daemon's own",
        "A",
        "1.3.0",
        missing_ignored=True,
    ),
    Keyword(
        "enable_script_security",
        (),
        "Scripts that would run as root are not run if others than root could change them.",
        "off: a warning",
        "A",
        "1.3.0",
    ),
)
