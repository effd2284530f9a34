"""`auth_hmac`: its keys, in the file or in files of their own, and when it is off (config-keywords.md 7.6)."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords.authentication import AUTH_HMAC
from keepvip.config.model_auth import AuthHmac, HmacKey
from keepvip.config.settings import read_block

if TYPE_CHECKING:
    from keepvip.config.settings import Context, Setting
    from keepvip.config.source import Span

__all__ = ["build_auth_hmac"]

MIN_SECRET = 32
MAX_SECRET = 64
WINDOW_S = (5, 300)
SECOND_US = 1_000_000


def build_auth_hmac(
    ctx: Context, name: str, setting: Setting | None, *, advert_int_us: int, strict: bool
) -> AuthHmac | None:
    """The extension; None, with a diagnostic if it was wanted, when it is off."""
    if setting is None:
        return None
    found = read_block(ctx, setting.node.children or (), AUTH_HMAC)
    keys: dict[int, HmacKey] = {}
    places: dict[int, Span] = {}
    for one in found["key"].all() if "key" in found else ():
        number, text = one.value
        if number in places:
            ctx.diagnostics.warning(
                "duplicate-key",
                f"`{name}`: there is a key {number} already: this one is ignored",
                one.span,
                kind=ConfigTestClass.GENERAL,
                related=[Related("the first one is here", places[number])],
            )
            continue
        places[number] = one.span
        secret = _Secret(ctx, name, number, one.node.arg_span(1)).read(text)
        if secret is not None:
            keys[number] = HmacKey(number=number, secret=secret)
    active = found.get("active_key")
    if active is None or active.value not in keys:
        _off(ctx, name, setting, None if active is None else active.value, places)
        return None
    mode = found.value("mode", "enforce")
    if strict and mode != "enforce":
        ctx.diagnostics.warning(
            "contradiction",
            f"`{name}`: strict mode has auth_hmac with `mode enforce` only, which is used",
            found["mode"].span,
            kind=ConfigTestClass.GENERAL,
        )
        mode = "enforce"
    low, high = WINDOW_S
    return AuthHmac(
        keys=tuple(keys[number] for number in sorted(keys)),
        active_key=active.value,
        mode=mode,
        time_window_s=found.value("time_window", min(max(3 * (advert_int_us // SECOND_US), low), high)),
        monotonic=found.value("anti_replay", "time") == "monotonic",
    )


def _off(ctx: Context, name: str, setting: Setting, active: int | None, places: dict[int, Span]) -> None:
    if not places:
        why, hint = "has no key", "add a line `key 1 hex:DIGITS` (64 digits or more) or `key 1 file:PATH`"
    elif active is None:
        why, hint = "has no active_key", f"add a line `active_key {min(places)}`"
    elif active in places:
        why, hint = f"cannot use its active key {active}", "mend that key"
    else:
        why, hint = f"has no key {active}, which active_key names", f"keys are {', '.join(map(str, sorted(places)))}"
    ctx.diagnostics.error(
        "no-authentication",
        f"`{name}`: auth_hmac {why} and is off: adverts are neither signed nor verified",
        setting.span,
        hint=hint,
    )


class _Secret:
    """One key value on its way from text to bytes. What it holds is never part of a message."""

    def __init__(self, ctx: Context, name: str, number: int, span: Span) -> None:
        self.ctx = ctx
        self.what = f"`{name}`: key {number}"
        self.span = span

    def read(self, text: str) -> bytes | None:
        if text.startswith("file:"):
            return self._from_file(text.removeprefix("file:"))
        return self._decoded(text.encode("utf-8", "surrogateescape"))

    def _from_file(self, path: str) -> bytes | None:
        facts = self.ctx.facts
        if facts is None:
            # The file of another host. Only whether two keys are the same can matter here.
            return path.encode("utf-8", "surrogateescape").ljust(MIN_SECRET, b"\0")[:MAX_SECRET]
        if not path.startswith("/"):
            self._bad(f"`{path}` is not an absolute path", hint="write file:/PATH")
            return None
        found = facts.stat(path)
        if isinstance(found, OSError):
            self._bad(f"`{path}`: {found.strerror}")
            return None
        if not stat.S_ISREG(found.st_mode):
            self._bad(f"`{path}` is not a regular file")
            return None
        if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            self.ctx.diagnostics.warning(
                "secret-exposed",
                f"{self.what}: others than its owner can get at `{path}` (mode {stat.S_IMODE(found.st_mode):04o})",
                self.span,
                hint=f"chmod 600 {path}",
                kind=ConfigTestClass.SECURITY,
            )
        content = facts.content(path, 4 * MAX_SECRET)
        if isinstance(content, OSError):
            self._bad(f"`{path}`: {content.strerror}")
            return None
        return self._decoded(content.removesuffix(b"\n").removesuffix(b"\r"))

    def _decoded(self, text: bytes) -> bytes | None:
        secret = text
        if text.startswith(b"hex:"):
            try:
                secret = bytes.fromhex(text.removeprefix(b"hex:").decode("ascii"))
            except ValueError:
                self._bad("what follows `hex:` is not an even number of hexadecimal digits")
                return None
        if not MIN_SECRET <= len(secret) <= MAX_SECRET:
            self._bad(f"it has {len(secret)} bytes", hint="head -c 32 /dev/urandom | xxd -p -c 64 makes one")
            return None
        return secret

    def _bad(self, problem: str, hint: str = "") -> None:
        self.ctx.diagnostics.error(
            "invalid-key",
            f"{self.what} is ignored: {problem}",
            self.span,
            expected=f"{MIN_SECRET}..{MAX_SECRET} bytes: text, hex:DIGITS or file:PATH",
            hint=hint,
        )
