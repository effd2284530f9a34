"""Health checks of a real server: blocks to models (config-keywords.md 16).

A checker that cannot do its work is left out with an error, as keepalived leaves it out: without another one the server
is then always up, so the message says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_http import build_http
from keepvip.config.build_script import ScriptDefaults, build_command
from keepvip.config.keywords.checkers import (
    DNS_CHECK,
    FILE_CHECK,
    MISC_CHECK,
    PING_CHECK,
    SMTP_CHECK,
    TCP_CHECK,
    UDP_CHECK,
)
from keepvip.config.keywords.virtual_server import SSL
from keepvip.config.model_check import (
    CONNECT_TIMEOUT_US,
    SMTP_HELO,
    Checker,
    DnsCheck,
    FileCheck,
    MiscCheck,
    PingCheck,
    SmtpCheck,
    SslClient,
    Target,
    TcpCheck,
    UdpCheck,
)
from keepvip.config.settings import Setting, Settings, read_block
from keepvip.config.suggest import did_you_mean
from keepvip.config.values import is_link_local

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.settings import Context

__all__ = ["Inherited", "build_checkers", "build_ssl"]

_MAX_LABEL = 63
_MAX_NAME = 253


class Inherited(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a real server hands down to its checkers: its own settings, else those of the virtual server."""

    address: str
    """Canonical text form."""
    port: int
    """0 = none."""
    family: int
    alpha: bool = False
    retry: int | None = None
    """None, here and below: the checker type's own default."""
    delay_before_retry_us: int | None = None
    warmup_us: int | None = None
    """None = `delay_loop` of the checker."""
    connect_timeout_us: int | None = None
    delay_loop_us: int = 60_000_000
    service_delay_loop_us: int = 60_000_000
    """`delay_loop` of the virtual server: what a script may take, unless it says otherwise."""
    virtualhost: str | None = None
    service_virtualhost: str | None = None
    """That of the virtual server alone: the real server's is not used for SNI."""
    log_all_failures: bool = False
    """`checker_log_all_failures`."""
    scripts: ScriptDefaults = ScriptDefaults()
    track_files: dict[str, tuple[int, bool]] = {}
    """Every `track_file` that exists, with its own weight and whether that is reversed."""
    service: str = ""
    """Name of the virtual server in messages."""
    server: str = ""
    """Name of the real server in messages."""


def build_checkers(ctx: Context, server: Settings, inherited: Inherited) -> tuple[Checker, ...]:
    """All checkers of a real server, kind by kind in the order in which each kind is first mentioned."""
    found: list[Checker] = []
    for name, first in server.items():
        build = _BUILDERS.get(name)
        if build is not None:
            for block in first.all():
                found += build(ctx, block, inherited)
    return tuple(found)


def build_ssl(ctx: Context, block: Setting) -> SslClient:
    """The block `SSL`."""
    settings = read_block(ctx, block.node.children or (), SSL)
    values: dict[str, str | None] = {
        name: settings.value(name, None) for name in ("password", "ca", "certificate", "key")
    }
    if values["key"] is not None and values["certificate"] is None:
        ctx.diagnostics.warning(
            "ssl-incomplete",
            "SSL has a `key` but no `certificate`: nothing is presented to servers",
            settings["key"].span,
            hint="add the certificate that belongs to the key",
        )
    return SslClient(**values)


def timing(
    settings: Settings, inherited: Inherited, *, retry: int = 1, delay_us: int | None = 1_000_000
) -> dict[str, object]:
    """The fields of `Checker`. `retry`, `delay_us`: what this type has of its own (None: `delay_loop`)."""
    delay_loop_us = settings.value("delay_loop", inherited.delay_loop_us)

    def first(*values: int | None) -> int:
        return next(value for value in values if value is not None)

    return {
        "alpha": settings.value("alpha", inherited.alpha),
        "retry": first(settings.value("retry", None), inherited.retry, retry),
        "delay_loop_us": delay_loop_us,
        "delay_before_retry_us": first(
            settings.value("delay_before_retry", None), inherited.delay_before_retry_us, delay_us, delay_loop_us
        ),
        "warmup_us": first(settings.value("warmup", None), inherited.warmup_us, delay_loop_us),
        "log_all_failures": settings.value("log_all_failures", inherited.log_all_failures),
    }


def build_target(
    ctx: Context, block: Setting, settings: Settings, inherited: Inherited, *, port: int | None = None
) -> Target | None:
    """Where the check goes. `port`: when neither checker nor server name one; None: there has to be one.

    None, with a diagnostic, if there is no way to check it.
    """
    what = block.keyword.name
    address, family = inherited.address, inherited.family
    if "connect_ip" in settings:
        given = settings["connect_ip"].value
        address, family = given.text, given.family
    target_port = settings.value("connect_port", inherited.port) or port
    if target_port is None:
        _dropped(ctx, block, inherited, "no-port", "neither it nor the real server has a port", "add connect_port")
        return None
    bind_if = settings.value("bind_if", None)
    if family == 6 and is_link_local(address) and bind_if is None:
        _dropped(
            ctx,
            block,
            inherited,
            "link-local-check",
            f"{address} is a link-local address, which needs an interface",
            "add bind_if",
        )
        return None
    bind_address = None
    if "bindto" in settings:
        given = settings["bindto"].value
        if given.family != family:
            ctx.diagnostics.error(
                "family-mismatch",
                f"`bindto {given.text}` of {what} is ignored: the check goes to {address}",
                settings["bindto"].node.arg_span(0),
                expected=f"an IPv{family} address",
            )
        else:
            bind_address = given.text
    return Target(
        address=address,
        port=target_port,
        family=family,
        bind_address=bind_address,
        bind_port=settings.value("bind_port", 0),
        bind_if=bind_if,
        fwmark=settings.value("fwmark", 0),
        timeout_us=settings.value("connect_timeout", inherited.connect_timeout_us or CONNECT_TIMEOUT_US),
    )


def _dropped(ctx: Context, block: Setting, inherited: Inherited, code: str, why: str, hint: str = "") -> None:
    ctx.diagnostics.error(
        code,
        f"{block.keyword.name} of real server {inherited.server or inherited.address} is dropped: {why};"
        " without another check the server counts as up",
        block.node.statement_span,
        hint=hint,
    )


def _tcp(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), TCP_CHECK)
    target = build_target(ctx, block, settings, inherited)
    if target is None:
        return []
    return [TcpCheck(target=target, **timing(settings, inherited))]  # type: ignore[arg-type]


def _http(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), block.keyword.block)  # type: ignore[arg-type]
    target = build_target(ctx, block, settings, inherited, port=443 if block.keyword.name == "SSL_GET" else 80)
    if target is None:
        return []
    times = timing(settings, inherited, delay_us=3_000_000)
    found = build_http(ctx, block, settings, inherited, target, times)
    if found is None:
        _dropped(ctx, block, inherited, "no-url", "it has no usable `url`", "add url { path / }")
        return []
    return [found]


def _smtp(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), SMTP_CHECK)
    helo = settings.value("helo_name", SMTP_HELO)
    found: list[Checker] = []
    target = build_target(ctx, block, settings, inherited, port=25)
    if target is not None:
        found.append(SmtpCheck(target=target, helo_name=helo, **timing(settings, inherited)))  # type: ignore[arg-type]
    hosts = settings.get("host")
    for host in hosts.all() if hosts is not None else ():
        own = read_block(ctx, host.node.children or (), host.keyword.block)  # type: ignore[arg-type]
        target = build_target(ctx, host, own, inherited, port=25)
        if target is not None:
            found.append(SmtpCheck(target=target, helo_name=helo, **timing(own, inherited)))  # type: ignore[arg-type]
    return found


def _dns(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), DNS_CHECK)
    target = build_target(ctx, block, settings, inherited, port=53)
    if target is None:
        return []
    name = settings.value("name", ".")
    labels = name.rstrip(".").split(".") if name.strip(".") else []
    trouble = ""
    if name.startswith(".") and name != ".":
        trouble = "begins with an empty label"
    elif name.endswith("..") or any(not label for label in labels):
        trouble = "has an empty label"
    elif any(len(_bytes(label)) > _MAX_LABEL for label in labels):
        trouble = f"has a label of more than {_MAX_LABEL} bytes"
    elif len(_bytes(name.rstrip("."))) > _MAX_NAME:
        trouble = f"is longer than {_MAX_NAME} bytes"
    if trouble:
        _dropped(ctx, block, inherited, "bad-dns-name", f"the name `{name}` {trouble}")
        return []
    kind = settings.value("type", "SOA")
    times = timing(settings, inherited, retry=3, delay_us=None)
    return [DnsCheck(target=target, type=kind, name=name, **times)]  # type: ignore[arg-type]


def _misc(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), MISC_CHECK)
    path = settings.get("misc_path")
    if path is None:
        if "misc_path" not in settings.refused:
            _dropped(ctx, block, inherited, "missing-keyword", "it has no `misc_path`")
        return []
    script = build_command(ctx, path, settings.get("user"), inherited.scripts)
    if script is None:
        return []
    timeout_s: int | None = settings.value("misc_timeout", None)
    return [
        MiscCheck(
            script=script,
            timeout_us=timeout_s * 1_000_000 if timeout_s is not None else inherited.service_delay_loop_us,
            dynamic="misc_dynamic" in settings,
            **timing(settings, inherited, retry=0),  # type: ignore[arg-type]
        )
    ]


def _ping(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), PING_CHECK)
    target = build_target(ctx, block, settings, inherited, port=0)
    if target is None:
        return []
    for name in ("connect_port", "bind_port"):
        if name in settings:
            ctx.diagnostics.warning("no-ports", f"`{name}` has no effect in PING_CHECK", settings[name].span)
    target = Target(
        address=target.address,
        port=0,
        family=target.family,
        bind_address=target.bind_address,
        bind_if=target.bind_if,
        fwmark=target.fwmark,
        timeout_us=target.timeout_us,
    )
    return [PingCheck(target=target, **timing(settings, inherited))]  # type: ignore[arg-type]


def _udp(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), UDP_CHECK)
    target = build_target(ctx, block, settings, inherited)
    if target is None:
        return []
    payload, mask = _hex(ctx, settings, "payload", wildcards=False)
    reply, mask = _hex(ctx, settings, "require_reply", wildcards=True)
    low, high = settings.value("min_reply_length", 0), settings.value("max_reply_length", 255)
    if low > high:
        ctx.diagnostics.error(
            "bad-lengths",
            f"min_reply_length {low} is above max_reply_length {high}: both are ignored",
            (settings.get("min_reply_length") or settings["max_reply_length"]).span,
        )
        low, high = 0, 255
    return [
        UdpCheck(
            target=target,
            payload=payload,
            require_reply="require_reply" in settings or "require_reply" in settings.refused,
            reply=reply,
            mask=mask,
            min_reply_length=low,
            max_reply_length=high,
            **timing(settings, inherited),  # type: ignore[arg-type]
        )
    ]


def _hex(ctx: Context, settings: Settings, name: str, *, wildcards: bool) -> tuple[bytes | None, bytes]:
    """Bytes and mask of hexadecimal words; (None, empty) if there are none."""
    setting = settings.get(name)
    digits = "".join(setting.value) if setting is not None and setting.value else ""
    if setting is None or not digits:
        return None, b""
    if len(digits) % 2:
        ctx.diagnostics.error(
            "odd-digits",
            f"`{name}` has {len(digits)} hexadecimal digits: it is ignored",
            setting.span,
            expected="two digits for each byte",
        )
        return None, b""
    value = bytes.fromhex(digits.replace("x", "0"))
    mask = bytes.fromhex("".join("0" if digit == "x" else "f" for digit in digits)) if wildcards else b""
    return value, mask


def _file(ctx: Context, block: Setting, inherited: Inherited) -> list[Checker]:
    settings = read_block(ctx, block.node.children or (), FILE_CHECK)
    name = settings.get("track_file")
    if name is None:
        _dropped(ctx, block, inherited, "missing-keyword", "it has no `track_file`")
        return []
    known = inherited.track_files.get(str(name.value))
    if known is None:
        _dropped(
            ctx,
            block,
            inherited,
            "unknown-track-file",
            f"there is no track_file `{name.value}`",
            did_you_mean(str(name.value), inherited.track_files),
        )
        return []
    weight, reverse = known
    if "weight" in settings:
        weight, given = settings["weight"].value
        reverse = given == "reverse"
    return [
        FileCheck(
            track_file=str(name.value),
            weight=weight,
            reverse=reverse,
            delay_loop_us=inherited.delay_loop_us,
            log_all_failures=inherited.log_all_failures,
        )
    ]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_BUILDERS: dict[str, Callable[[Context, Setting, Inherited], list[Checker]]] = {
    "TCP_CHECK": _tcp,
    "HTTP_GET": _http,
    "SSL_GET": _http,
    "SMTP_CHECK": _smtp,
    "DNS_CHECK": _dns,
    "MISC_CHECK": _misc,
    "PING_CHECK": _ping,
    "UDP_CHECK": _udp,
    "FILE_CHECK": _file,
}
