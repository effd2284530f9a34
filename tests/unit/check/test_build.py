"""Blocks of checkers to models: inheritance, defaults, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from keepvip.config.build_check import Inherited, build_checkers
from keepvip.config.diagnostic import Diagnostics
from keepvip.config.keywords import ROOT
from keepvip.config.model_check import (
    Checker,
    DnsCheck,
    FileCheck,
    HttpCheck,
    MiscCheck,
    PingCheck,
    Regex,
    SmtpCheck,
    SslCheck,
    TcpCheck,
    UdpCheck,
)
from keepvip.config.settings import Context, read_block
from keepvip.config.tree import parse

BARE = Inherited(address="192.0.2.5", port=80, family=4)


def build(text: str, inherited: Inherited = BARE) -> tuple[tuple[Checker, ...], list[str]]:
    """The checkers in the block of a real server, and the codes of errors and warnings."""
    diagnostics = Diagnostics()
    whole = f"virtual_server 10.0.0.1 80 {{\nreal_server 192.0.2.5 80 {{\n{text}\n}}\n}}\n"
    parsed = parse(
        whole.encode(), config_id="x", schema=ROOT, diagnostics=diagnostics, name="t.conf", strict_includes=False
    )
    server = parsed.nodes[0].children[0]  # type: ignore[index]
    block = ROOT.keywords["virtual_server"].block.keywords["real_server"].block  # type: ignore[union-attr]
    assert block is not None
    ctx = Context(diagnostics, None)
    settings = read_block(ctx, server.children or (), block)
    found = build_checkers(ctx, settings, inherited)
    return found, [one.code for one in diagnostics if one.code != "not-supported-yet"]


def one(text: str, inherited: Inherited = BARE) -> Any:
    found, codes = build(text, inherited)
    assert not codes
    assert len(found) == 1
    return found[0]


def test_tcp_defaults() -> None:
    check = one("TCP_CHECK {\n}")
    assert isinstance(check, TcpCheck)
    assert (check.target.address, check.target.port, check.target.timeout_us) == ("192.0.2.5", 80, 5_000_000)
    assert (check.retry, check.delay_before_retry_us) == (1, 1_000_000)
    assert (check.delay_loop_us, check.warmup_us, check.alpha) == (60_000_000, 60_000_000, False)


def test_what_the_checker_says_comes_before_what_the_server_says() -> None:
    inherited = Inherited(
        address="192.0.2.5",
        port=80,
        family=4,
        alpha=True,
        retry=7,
        delay_before_retry_us=5,
        warmup_us=6,
        connect_timeout_us=8,
        delay_loop_us=9,
        log_all_failures=True,
    )
    check = one("TCP_CHECK {\n}", inherited)
    assert (check.alpha, check.retry, check.delay_before_retry_us, check.warmup_us) == (True, 7, 5, 6)
    assert (check.target.timeout_us, check.delay_loop_us, check.log_all_failures) == (8, 9, True)
    own = one(
        "TCP_CHECK {\nalpha no\nretry 0\ndelay_before_retry 0\nwarmup 0\nconnect_timeout 1.5\ndelay_loop 2\n"
        "log_all_failures off\n}",
        inherited,
    )
    assert (own.alpha, own.retry, own.delay_before_retry_us, own.warmup_us) == (False, 0, 0, 0)
    assert (own.target.timeout_us, own.delay_loop_us, own.log_all_failures) == (1_500_000, 2_000_000, False)


@pytest.mark.parametrize(
    ("text", "retry", "delay_us"),
    [
        ("TCP_CHECK {\n}", 1, 1_000_000),
        ("HTTP_GET {\nurl {\npath /\n}\n}", 1, 3_000_000),
        ("SSL_GET {\nurl {\npath /\n}\n}", 1, 3_000_000),
        ("SMTP_CHECK {\n}", 1, 1_000_000),
        ("DNS_CHECK {\n}", 3, 60_000_000),
        ('MISC_CHECK {\nmisc_path "/bin/true"\n}', 0, 1_000_000),
        ("PING_CHECK {\n}", 1, 1_000_000),
        ("UDP_CHECK {\n}", 1, 1_000_000),
    ],
)
def test_each_type_has_its_own_retries(text: str, retry: int, delay_us: int) -> None:
    check = one(text)
    assert (check.retry, check.delay_before_retry_us) == (retry, delay_us)


def test_where_it_goes_and_from_where() -> None:
    check = one(
        "TCP_CHECK {\nconnect_ip 192.0.2.9\nconnect_port 8080\nbindto 192.0.2.1\nbind_port 999\nbind_if eth1\n"
        "fwmark 7\n}"
    )
    target = check.target
    assert (target.address, target.port, target.family) == ("192.0.2.9", 8080, 4)
    assert (target.bind_address, target.bind_port, target.bind_if, target.fwmark) == ("192.0.2.1", 999, "eth1", 7)
    assert one("TCP_CHECK {\nconnect_ip 192.0.2.9\n}").target.port == 80  # it changes the address only


def test_a_source_of_the_other_family_is_refused() -> None:
    found, codes = build("TCP_CHECK {\nbindto 2001:db8::1\n}")
    assert codes == ["family-mismatch"]
    assert isinstance(found[0], TcpCheck)
    assert found[0].target.bind_address is None


def test_link_local_needs_an_interface() -> None:
    assert build("TCP_CHECK {\nconnect_ip fe80::1\n}") == ((), ["link-local-check"])
    assert one("TCP_CHECK {\nconnect_ip fe80::1\nbind_if eth0\n}").target.family == 6


def test_no_port_at_all() -> None:
    bare = Inherited(address="192.0.2.5", port=0, family=4)
    assert build("TCP_CHECK {\n}", bare) == ((), ["no-port"])
    assert one("SMTP_CHECK {\n}", bare).target.port == 25
    assert one("DNS_CHECK {\n}", bare).target.port == 53
    assert one("SSL_GET {\nurl {\npath /\n}\n}", bare).target.port == 443
    assert one("PING_CHECK {\n}", bare).target.port == 0


def test_pages_hosts_and_names() -> None:
    inherited = Inherited(
        address="192.0.2.5", port=443, family=4, virtualhost="of.server", service_virtualhost="of.service"
    )
    check = one(
        "SSL_GET {\nenable_sni\nhttp_protocol 1.1\nfast_recovery\ntls_compliant\nurl {\npath /a\nvirtualhost of.url\n"
        "digest 00112233445566778899AABBCCDDEEFF\nstatus_code 200 301-399\ntls_compliant no\n}\nurl {\npath /b\n}\n}",
        inherited,
    )
    assert isinstance(check, SslCheck)
    assert check.kind == "SSL_GET"
    assert (check.protocol, check.fast_recovery) == ("1.1", True)
    first, second = check.urls
    assert (first.path, first.host, first.sni) == ("/a", "of.url", "of.url")
    assert first.digest == "00112233445566778899aabbccddeeff"
    assert first.status_codes == ((200, 200), (301, 399))
    assert not first.tls_compliant
    # The Host header may come from the real server, the server name may not.
    assert (second.host, second.sni, second.tls_compliant) == ("of.server", "of.service", True)
    assert second.status_codes == ((200, 299),)


def test_sni_name_alone_turns_it_on() -> None:
    check = one("SSL_GET {\nsni_name a.example\nvirtualhost b.example\nurl {\npath /\n}\n}")
    assert (check.urls[0].sni, check.urls[0].host) == ("a.example", "b.example")
    assert one("SSL_GET {\nvirtualhost b.example\nurl {\npath /\n}\n}").urls[0].sni is None
    assert one("SSL_GET {\nsni_name\nvirtualhost b.example\nurl {\npath /\n}\n}").urls[0].sni == "b.example"


def test_a_page_needs_a_path_and_a_check_a_page() -> None:
    assert build("HTTP_GET {\n}") == ((), ["no-url"])
    assert build("HTTP_GET {\nurl {\nstatus_code 200\n}\n}")[1] == ["no-url", "missing-keyword"]


def test_regex() -> None:
    url = "regex {}\nregex_options caseless multiline\nregex_min_offset 3\nregex_max_offset 99\nregex_stack 32768 65536"
    check = one("HTTP_GET {\nurl {\npath /\nregex_no_match\n" + url.format(r'"a\\d+ x"') + "\n}\n}")
    assert isinstance(check, HttpCheck)
    assert check.urls[0].regex == Regex(
        pattern="a\\d+ x",
        options=frozenset({"caseless", "multiline"}),
        no_match=True,
        min_offset=3,
        max_offset=99,
        stack=(32768, 65536),
    )


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ('regex "a(b"', "bad-regex"),
        ('regex "a" "b"', "bad-regex"),
        ('regex "a"\nregex_min_offset 5\nregex_max_offset 4', "bad-regex"),
        ("regex_no_match", "no-regex"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_dropped_and_told(lines: str, code: str) -> None:
    found, codes = build(f"HTTP_GET {{\nurl {{\npath /\n{lines}\n}}\n}}")
    assert codes == [code]
    assert isinstance(found[0], HttpCheck)
    assert found[0].urls[0].regex is None


def test_an_unknown_option_does_not_take_the_others_along() -> None:
    found, codes = build('HTTP_GET {\nurl {\npath /\nregex "a"\nregex_options caseles utf\n}\n}')
    assert codes == ["unknown-option"]
    assert isinstance(found[0], HttpCheck)
    assert found[0].urls[0].regex == Regex(pattern="a", options=frozenset({"utf"}))


def test_hosts_of_smtp_are_checkers_of_their_own() -> None:
    found, codes = build(
        "SMTP_CHECK {\nhelo_name me.example\nretry 4\nhost {\nconnect_ip 192.0.2.7\nconnect_port 26\n}\n}"
    )
    assert not codes
    assert [type(check) for check in found] == [SmtpCheck, SmtpCheck]
    targets = [
        (check.target.address, check.target.port, check.helo_name) for check in found if isinstance(check, SmtpCheck)
    ]
    assert targets == [("192.0.2.5", 80, "me.example"), ("192.0.2.7", 26, "me.example")]


def test_dns() -> None:
    check = one("DNS_CHECK {\ntype mx\nname example.org\n}")
    assert isinstance(check, DnsCheck)
    assert (check.type, check.name) == ("MX", "example.org")
    for name in ("a..b", ".a", "a" * 64 + ".example", ".".join(["abcdefgh"] * 29)):
        assert build(f"DNS_CHECK {{\nname {name}\n}}") == ((), ["bad-dns-name"])


def test_misc() -> None:
    inherited = Inherited(address="192.0.2.5", port=80, family=4, service_delay_loop_us=7_000_000)
    check = one("MISC_CHECK {\nmisc_path \"/bin/sh -c 'exit 3'\"\nmisc_dynamic\n}", inherited)
    assert isinstance(check, MiscCheck)
    assert check.script.argv == ("/bin/sh", "-c", "exit 3")
    assert (check.timeout_us, check.dynamic) == (7_000_000, True)
    assert one('MISC_CHECK {\nmisc_path "/bin/true"\nmisc_timeout 2\n}', inherited).timeout_us == 2_000_000
    assert build("MISC_CHECK {\nmisc_timeout 2\n}") == ((), ["missing-keyword"])


def test_ping_has_no_ports() -> None:
    check = one("PING_CHECK {\n}")
    assert isinstance(check, PingCheck)
    assert check.target.port == 0
    assert build("PING_CHECK {\nconnect_port 7\n}")[1] == ["no-ports"]


def test_udp() -> None:
    check = one("UDP_CHECK {\npayload 01 02ff\nrequire_reply 0xx4 xxff\nmin_reply_length 2\nmax_reply_length 9\n}")
    assert isinstance(check, UdpCheck)
    assert check.payload == b"\x01\x02\xff"
    assert check.require_reply
    assert (check.reply, check.mask) == (b"\x04\x00\xff", b"\x0f\x00\xff")
    assert (check.min_reply_length, check.max_reply_length) == (2, 9)
    assert not one("UDP_CHECK {\n}").require_reply
    bare = one("UDP_CHECK {\nrequire_reply\n}")
    assert (bare.require_reply, bare.reply) == (True, None)
    assert build("UDP_CHECK {\npayload 123\n}")[1] == ["odd-digits"]
    assert build("UDP_CHECK {\nmin_reply_length 9\nmax_reply_length 2\n}")[1] == ["bad-lengths"]


def test_file() -> None:
    inherited = Inherited(address="192.0.2.5", port=80, family=4, alpha=True, track_files={"load": (3, True)})
    check = one("FILE_CHECK {\ntrack_file load\n}", inherited)
    assert check == FileCheck(track_file="load", weight=3, reverse=True)
    assert not check.alpha
    assert one("FILE_CHECK {\ntrack_file load\nweight 5\n}", inherited).reverse is False
    assert build("FILE_CHECK {\ntrack_file lod\n}", inherited) == ((), ["unknown-track-file"])
    assert build("FILE_CHECK {\nweight 5\n}", inherited) == ((), ["missing-keyword"])


def test_who_a_checker_is() -> None:
    """Timing may change, the target may not (checkers-and-ipvs.md 10)."""
    base = one("TCP_CHECK {\n}")
    assert base.identity == one("TCP_CHECK {\nretry 9\ndelay_loop 3\nalpha\nwarmup 1\n}").identity
    for other in ("connect_port 81", "connect_timeout 4", "bindto 192.0.2.1", "fwmark 3", "bind_if eth0"):
        assert base.identity != one(f"TCP_CHECK {{\n{other}\n}}").identity
    assert base.identity != one("SMTP_CHECK {\n}").identity
    hash(one('HTTP_GET {\nurl {\npath /\nregex "a"\n}\n}').identity)
