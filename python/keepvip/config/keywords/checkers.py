"""The ten checkers of a real server (config-keywords.md 16)."""

from __future__ import annotations

from keepvip.config.keyword import Arg, Block, Keyword, Tier, deprecated, table
from keepvip.config.keywords.arguments import (
    ADDRESS,
    BOOL,
    COMMAND,
    GROUP,
    IFNAME,
    NAME,
    PORT,
    SECONDS_0,
    SECONDS_1,
    STRING,
    U32,
    USER,
)
from keepvip.config.regex_option import OPTIONS

_BYTES_16 = Arg("int", "BYTES", low=0, high=65535, unit="bytes")
_OFFSET = Arg("int", "BYTES", low=0, high=4_294_967_295, unit="bytes")
_CONNECTION = (
    Keyword("connect_ip", (ADDRESS,), "Address to check.", "that of the real server", "B", "1.1.8"),
    Keyword("connect_port", (PORT,), "Port to check.", "that of the real server", "A", "1.1.8"),
    Keyword("bindto", (ADDRESS,), "Source address of the check.", "any", "B", "1.1.8"),
    Keyword("bind_port", (PORT,), "Source port of the check.", "any", "C", "1.2.13"),
    Keyword("bind_if", (IFNAME,), "Interface of the check; needed for link-local addresses.", "any", "C", "1.3.7"),
    Keyword("connect_timeout", (SECONDS_1,), "How long a connection may take.", "that of the real server", "A"),
    Keyword("fwmark", (U32,), "Firewall mark of the packets of the check.", "0", "C", "1.2.13"),
)
_TIMING = (
    Keyword(
        "retry",
        (U32,),
        "Failures tolerated after the first.",
        "that of the real server, else 1 (MISC_CHECK 0, DNS_CHECK 3)",
        "A",
    ),
    Keyword(
        "delay_before_retry",
        (SECONDS_0,),
        "Pause before a retry.",
        "that of the real server, else 1 (HTTP_GET, SSL_GET 3; DNS_CHECK delay_loop)",
        "A",
    ),
    Keyword("warmup", (SECONDS_0,), "Upper limit of the random delay of the first check.", "delay_loop", "B"),
    Keyword("delay_loop", (SECONDS_1,), "Interval of the checks.", "that of the real server", "B"),
    Keyword("alpha", (BOOL,), "Down until the first check succeeds.", "that of the real server", "B"),
    Keyword("log_all_failures", (BOOL,), "Logs every failure.", "checker_log_all_failures", "C", "2.0.11"),
)
_COMMON = (*_CONNECTION, *_TIMING)
_TLS = Keyword("tls_compliant", (BOOL,), "Ends the TLS session in the proper way.", "off", "C", "2.2.8")


def _url(*more: Keyword) -> Block:
    return Block(
        "url",
        "keywords",
        table(
            Keyword("path", (STRING,), "Path to request.", "required", "A", duplicates="replaced"),
            Keyword(
                "digest",
                (Arg("hex", "MD5", max_len=32),),
                "MD5 of the page; `genhash` computes it.",
                "not compared",
                "A",
                duplicates="replaced",
            ),
            Keyword(
                "status_code",
                (Arg("codes", "CODE", low=100, high=599, repeat=True),),
                "Status codes that are good: N or N-M, several.",
                "200-299",
                "A",
                missing_ignored=True,
            ),
            Keyword(
                "virtualhost",
                (STRING,),
                "Host header.",
                "that of the checker",
                "B",
                "1.3.6",
                duplicates="replaced",
                missing_ignored=True,
            ),
            Keyword(
                "regex",
                (Arg("regex", "PATTERN"),),
                "Pattern that the page must match.",
                "none",
                "B",
                "2.0.7",
                missing_ignored=True,
            ),
            Keyword("regex_no_match", (), "The page must not match.", "off", "B", "2.0.7"),
            Keyword(
                "regex_options",
                (Arg("word", "OPTION", repeat=True),),
                f"Options of the pattern: {', '.join(OPTIONS)}.",
                "none",
                "C",
                "2.0.7",
                missing_ignored=True,
            ),
            Keyword(
                "regex_min_offset", (_OFFSET,), "Where the search begins.", "0", "C", "2.0.7", missing_ignored=True
            ),
            Keyword(
                "regex_max_offset",
                (_OFFSET,),
                "Last place where a match may begin.",
                "end",
                "C",
                "2.0.7",
                missing_ignored=True,
            ),
            Keyword(
                "regex_stack",
                (_OFFSET, _OFFSET),
                "Stack of the matcher: start and maximum.",
                "",
                "C",
                "2.0.7",
                missing_ignored=True,
            ),
            *more,
        ),
    )


def _web(name: str, *more: Keyword, in_url: tuple[Keyword, ...] = ()) -> Block:
    return Block(
        name,
        "keywords",
        table(
            *_COMMON,
            Keyword("nb_get_retry", (U32,), "Older name of retry.", "", "C", "", deprecated("retry", recorded=True)),
            Keyword(
                "virtualhost",
                (STRING,),
                "Host header.",
                "that of the real or virtual server",
                "A",
                duplicates="replaced",
                missing_ignored=True,
            ),
            Keyword(
                "http_protocol",
                (Arg("choice", "VERSION", choices=("1.0", "1.0C", "1.1")),),
                "HTTP version of the request; 1.0C and 1.1 ask for the connection to be closed.",
                "1.0",
                "B",
                "2.0.17",
                missing_ignored=True,
            ),
            Keyword("enable_sni", (BOOL,), "Sends the server name in TLS.", "off", "B", "1.4.3"),
            Keyword(
                "sni_name",
                (Arg("word", "NAME", optional=True),),
                "Server name sent in TLS; turns enable_sni on.",
                "virtualhost",
                "B",
                "2.4.4",
            ),
            Keyword(
                "fast_recovery",
                (BOOL,),
                "Checks the remaining pages of a recovering server without pause.",
                "off",
                "C",
                "2.0.17",
            ),
            *more,
            Keyword(
                "url", (), "A page to check; at least one.", "required", "A", "", duplicates="add", block=_url(*in_url)
            ),
        ),
    )


TCP_CHECK = Block("TCP_CHECK", "keywords", table(*_COMMON))
HTTP_GET = _web("HTTP_GET")
SSL_GET = _web("SSL_GET", _TLS, in_url=(_TLS,))
SMTP_CHECK = Block(
    "SMTP_CHECK",
    "keywords",
    table(
        *_COMMON,
        Keyword(
            "helo_name",
            (STRING,),
            "Name given in the HELO.",
            "smtpchecker.keepalived.org",
            "B",
            "1.1.8",
            missing_ignored=True,
        ),
        Keyword(
            "host",
            (),
            "Older way to check several addresses: one further checker each.",
            "none",
            "C",
            duplicates="add",
            block=Block("host", "keywords", table(*_COMMON)),
        ),
    ),
)
DNS_CHECK = Block(
    "DNS_CHECK",
    "keywords",
    table(
        *_COMMON,
        Keyword(
            "type",
            (
                Arg(
                    "choice",
                    "TYPE",
                    choices=("A", "NS", "CNAME", "SOA", "MX", "TXT", "AAAA", "RRSIG", "DNSKEY"),
                    any_case=True,
                ),
            ),
            "Type of the record asked for.",
            "SOA",
            "B",
            "1.3.0",
        ),
        Keyword("name", (NAME,), "Name asked for.", "the root", "B", "1.3.0"),
    ),
)
MISC_CHECK = Block(
    "MISC_CHECK",
    "keywords",
    table(
        *_TIMING,
        Keyword("misc_path", (COMMAND,), "The command; exit status 0 is good.", "required", "A"),
        Keyword(
            "misc_timeout",
            (Arg("int", "SECONDS", low=1, high=4_294, unit="seconds"),),
            "How long it may run.",
            "delay_loop of the virtual server",
            "A",
            "1.1.0",
        ),
        Keyword("misc_dynamic", (), "Exit status 2 to 255 sets the weight to two less.", "off", "A", "1.1.8"),
        Keyword("user", (USER, GROUP), "Who runs it.", "script_user", "A", "1.3.0"),
    ),
)
PING_CHECK = Block("PING_CHECK", "keywords", table(*_COMMON))
UDP_CHECK = Block(
    "UDP_CHECK",
    "keywords",
    table(
        *_COMMON,
        Keyword(
            "payload",
            (Arg("hex", "HEX", repeat=True),),
            "What is sent; blanks between the digits are allowed.",
            "an empty packet",
            "B",
            "2.2.0",
            missing_ignored=True,
        ),
        Keyword(
            "require_reply",
            (Arg("hex", "HEX", optional=True, repeat=True, any_case=True),),
            "A reply must come, and match if given; x stands for any digit.",
            "off",
            "B",
            "2.2.0",
        ),
        Keyword("min_reply_length", (_BYTES_16,), "Shortest good reply.", "0", "B", "2.2.0"),
        Keyword("max_reply_length", (_BYTES_16,), "Longest good reply.", "255", "B", "2.2.0"),
    ),
)
FILE_CHECK = Block(
    "FILE_CHECK",
    "keywords",
    table(
        Keyword("track_file", (NAME,), "The track_file whose value decides.", "required", "C", "2.1.0"),
        Keyword(
            "weight",
            (
                Arg("int", "WEIGHT", low=-2_147_483_647, high=2_147_483_647),
                Arg("choice", "reverse", choices=("reverse", "noreverse"), optional=True),
            ),
            "Factor of the value.",
            "that of the file",
            "C",
            "2.1.0",
            missing_ignored=True,
        ),
    ),
)
BFD_CHECK = Block(
    "BFD_CHECK",
    "keywords",
    table(
        Keyword("name", (NAME,), "The bfd_instance that decides.", "required", "C", "2.0.0", missing_ignored=True),
        Keyword("alpha", (BOOL,), "Down until the session is up.", "that of the real server", "C", "2.0.0"),
    ),
)

CHECKERS: tuple[tuple[Block, str, Tier, str], ...] = (
    (TCP_CHECK, "Good if a TCP connection can be made.", "A", ""),
    (HTTP_GET, "Good if pages come with the right status, digest or content.", "A", ""),
    (SSL_GET, "The same over TLS; certificates are not verified.", "A", ""),
    (SMTP_CHECK, "Good if a mail server answers HELO.", "B", "1.1.8"),
    (DNS_CHECK, "Good if a DNS server answers.", "B", "1.3.0"),
    (MISC_CHECK, "Good if a command succeeds.", "A", ""),
    (PING_CHECK, "Good if it answers an ICMP echo request.", "B", "2.1.0"),
    (UDP_CHECK, "Good if UDP is not refused, or is answered as expected.", "B", "2.1.0"),
    (FILE_CHECK, "Follows the value of a track_file.", "C", "2.1.0"),
    (BFD_CHECK, "Follows a BFD session.", "C", "2.0.0"),
)

__all__ = ["CHECKERS"]
