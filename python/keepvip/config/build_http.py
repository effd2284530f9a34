"""HTTP_GET and SSL_GET: pages, Host headers, server names, patterns (config-keywords.md 16.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.model_check import HttpCheck, Regex, SslCheck, Url
from keepvip.config.regex_option import OPTIONS
from keepvip.config.settings import read_block
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from keepvip.config.build_check import Inherited
    from keepvip.config.model_check import Target
    from keepvip.config.settings import Context, Setting, Settings

__all__ = ["build_http"]

_REGEX_PARTS = ("regex_no_match", "regex_options", "regex_min_offset", "regex_max_offset", "regex_stack")


def build_http(
    ctx: Context, block: Setting, settings: Settings, inherited: Inherited, target: Target, times: dict[str, object]
) -> HttpCheck | None:
    """The check; None if it has no page."""
    tls = block.keyword.name == "SSL_GET"
    host: str | None = settings.value("virtualhost", None)
    sni = settings.get("sni_name")
    wants_sni = tls and (sni is not None or settings.value("enable_sni", False))
    if not tls:
        for name in ("enable_sni", "sni_name"):
            if name in settings:
                ctx.diagnostics.warning(
                    "no-effect-here", f"`{name}` has no effect in HTTP_GET: there is no TLS", settings[name].span
                )
    urls = []
    pages = settings.get("url")
    for page in pages.all() if pages is not None else ():
        url = read_block(ctx, page.node.children or (), page.keyword.block)  # type: ignore[arg-type]
        if "path" not in url:
            ctx.diagnostics.error(
                "missing-keyword",
                f"this url of {block.keyword.name} has no `path` and is dropped",
                page.node.statement_span,
            )
            continue
        own: str | None = url.value("virtualhost", None)
        server_name: str | None = None
        if wants_sni:
            server_name = (sni.value if sni is not None else None) or own or host or inherited.service_virtualhost
        urls.append(
            Url(
                path=url["path"].value,
                host=own or host or inherited.virtualhost,
                sni=server_name,
                digest=url.value("digest", None),
                status_codes=tuple(url.value("status_code", ((200, 299),))),
                regex=_regex(ctx, url),
                tls_compliant=tls and url.value("tls_compliant", settings.value("tls_compliant", False)),
            )
        )
    if not urls:
        return None
    if wants_sni and all(url.sni is None for url in urls):
        ctx.diagnostics.warning(
            "no-server-name",
            "no server name is sent in TLS: there is none",
            (sni or settings["enable_sni"]).span,
            hint="give sni_name a name, or set virtualhost in the url, the checker or the virtual server",
        )
    make = SslCheck if tls else HttpCheck
    return make(
        target=target,
        urls=tuple(urls),
        protocol=settings.value("http_protocol", "1.0"),
        fast_recovery=settings.value("fast_recovery", False),
        **times,  # type: ignore[arg-type]
    )


def _regex(ctx: Context, url: Settings) -> Regex | None:
    setting = url.get("regex")
    if setting is None:
        for name in _REGEX_PARTS:
            if name in url and "regex" not in url.refused:
                ctx.diagnostics.warning("no-regex", f"`{name}` has no effect: this url has no `regex`", url[name].span)
        return None
    node = setting.node
    words = node.script_words(escapes=True)
    if len(words) != 1:
        ctx.diagnostics.error(
            "bad-regex",
            "`regex` takes exactly one word and is ignored",
            node.statement_span,
            expected="the pattern in quotes",
        )
        return None
    options = frozenset(_options(ctx, url))
    regex = Regex(
        pattern=words[0].text,
        options=options,
        no_match="regex_no_match" in url,
        min_offset=url.value("regex_min_offset", 0),
        max_offset=url.value("regex_max_offset", None),
        stack=url.value("regex_stack", None),
    )
    if regex.max_offset is not None and regex.max_offset < regex.min_offset:
        ctx.diagnostics.error(
            "bad-regex",
            f"regex_max_offset {regex.max_offset} is below regex_min_offset {regex.min_offset}: nothing can match;"
            " the pattern is ignored",
            url["regex_max_offset"].span,
        )
        return None
    from keepvip.config.pcre2 import Pattern, PatternError  # noqa: PLC0415  (ctypes, only for users of `regex`)

    try:
        Pattern(regex.pattern, regex.options, regex.stack)
    except PatternError as error:
        at = f" at character {error.offset}" if error.offset >= 0 else ""
        ctx.diagnostics.error(
            "bad-regex", f"the pattern is ignored: {error}{at}", node.word_span(words[0]), hint="see man pcre2pattern"
        )
        return None
    return regex


def _options(ctx: Context, url: Settings) -> list[str]:
    setting = url.get("regex_options")
    if setting is None:
        return []
    found = []
    for place, word in enumerate(setting.value):
        if word in OPTIONS:
            found.append(word)
        else:
            ctx.diagnostics.error(
                "unknown-option",
                f"`{word}` is no regex option and is ignored",
                setting.node.arg_span(place),
                hint=did_you_mean(word, OPTIONS),
            )
    return found
