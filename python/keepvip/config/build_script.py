"""Commands of notify scripts: words, argument vector, user and group (vrrp-behaviour.md 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.lexer import split_command
from keepvip.config.model import NotifyScripts, Script
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.lexer import Word
    from keepvip.config.settings import Context, Setting, Settings
    from keepvip.config.source import Span
    from keepvip.config.tree import Node

__all__ = ["ScriptDefaults", "build_command", "build_notify", "build_script"]

DEFAULT_USER = "keepalived_script"
_MAX_WORDS = 3
"""Command, user, group."""


class ScriptDefaults(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who runs a script that names nobody."""

    user: str | None = None
    group: str | None = None
    supplementary_groups: bool = False
    disabled: str = ""
    """Not empty: such scripts are not run, for this reason."""


def build_script(ctx: Context, setting: Setting, defaults: ScriptDefaults) -> Script | None:
    """The script of a setting. None, with a diagnostic, if it can never be run."""
    node = setting.node
    words = node.script_words()
    argv = _argv(ctx, node, words)
    if argv is None:
        return None
    if len(words) > _MAX_WORDS:
        ctx.diagnostics.warning(
            "extra-words",
            f"nothing more is expected after command, user and group of `{node.keyword}`: the rest is ignored",
            node.word_span(words[_MAX_WORDS]),
            hint="put the command with its arguments into one pair of quotes",
        )
    user, group, supplementary = defaults.user, defaults.group, defaults.supplementary_groups
    if len(words) > 1:
        user = words[1].text
        group, supplementary = None, defaults.supplementary_groups
        if len(words) > 2:
            group, own = split_group(words[2].text)
            supplementary = supplementary or own
        place = node.word_span(words[1])
        looks_like_argument = not words[0].quoted and (user.startswith(("-", "/")))
        if not known_user(ctx, user, place, argument_of=node.keyword if looks_like_argument else ""):
            return None
        if group is not None and not known_group(ctx, group, node.word_span(words[2])):
            return None
    elif defaults.disabled:
        ctx.diagnostics.error(
            "script-disabled",
            f"`{node.keyword}` is not run: {defaults.disabled}",
            node.statement_span,
            hint="name a user after the command, or set script_user",
        )
        return None
    return Script(
        argv=argv,
        text=words[0].text,
        user=user,
        group=group,
        supplementary_groups=supplementary,
        span=node.statement_span,
    )


def build_command(ctx: Context, setting: Setting, user: Setting | None, defaults: ScriptDefaults) -> Script | None:
    """The same for a command whose user is a setting of its own (USER [GROUP])."""
    node = setting.node
    words = node.script_words()
    argv = _argv(ctx, node, words)
    if argv is None:
        return None
    if len(words) > 1:
        ctx.diagnostics.warning(
            "extra-words",
            f"nothing more is expected after the command of `{node.keyword}`: the rest is ignored",
            node.word_span(words[1]),
            hint="put the command with its arguments into one pair of quotes",
        )
    name, group, supplementary = defaults.user, defaults.group, defaults.supplementary_groups
    if user is not None:
        name, given = user.value
        group = None
        if given is not None:
            group, own = split_group(given)
            supplementary = supplementary or own
        if not known_user(ctx, name, user.node.arg_span(0)):
            return None
        if group is not None and not known_group(ctx, group, user.node.arg_span(1)):
            return None
    elif defaults.disabled and not argv[0].startswith("<"):
        ctx.diagnostics.error(
            "script-disabled",
            f"`{node.keyword}` is not run: {defaults.disabled}",
            node.statement_span,
            hint="add a line `user USER`, or set script_user",
        )
        return None
    return Script(
        argv=argv,
        text=words[0].text,
        user=name,
        group=group,
        supplementary_groups=supplementary,
        span=node.statement_span,
    )


def _argv(ctx: Context, node: Node, words: Sequence[Word]) -> tuple[str, ...] | None:
    """The words of the command itself; None, with a diagnostic, if there are none."""
    if not words or not words[0].text.strip():
        ctx.diagnostics.error(
            "empty-script",
            f"`{node.keyword}` has an empty command",
            node.statement_span,
            expected="a command in quotes",
        )
        return None
    command = split_command(words[0].text)
    if command.quote >= 0:
        ctx.diagnostics.error(
            "unmatched-quote",
            f"a quote inside the command of `{node.keyword}` is never closed",
            node.word_span(words[0]),
            kind=ConfigTestClass.UNMATCHED_QUOTE,
        )
    argv = command.argv
    if not argv or not argv[0]:
        ctx.diagnostics.error("empty-script", f"`{node.keyword}` has an empty command", node.word_span(words[0]))
        return None
    return argv


def split_group(text: str) -> tuple[str | None, bool]:
    """`GROUP` or `:GROUP`; the colon asks for supplementary groups, and alone it means the user's own group."""
    if text.startswith(":"):
        return text[1:] or None, True
    return text, False


def known_user(ctx: Context, user: str, place: Span | None, *, argument_of: str = "") -> bool:
    """Whether the host has this user; True where nothing is known about the host."""
    if ctx.facts is None or ctx.facts.user(user) is not None:
        return True
    hint = did_you_mean(user, ctx.facts.user_names)
    if argument_of:
        hint = f'an argument has to be inside the quotes of the command: {argument_of} "/path/to/script {user}"'
    ctx.diagnostics.error("unknown-user", f"there is no user `{user}`", place, hint=hint)
    return False


def known_group(ctx: Context, group: str, place: Span | None) -> bool:
    """Whether the host has this group; True where nothing is known about the host."""
    if ctx.facts is None or ctx.facts.group(group) is not None:
        return True
    ctx.diagnostics.error("unknown-group", f"there is no group `{group}`", place)
    return False


_FIELDS = (
    ("notify_master", "master"),
    ("notify_backup", "backup"),
    ("notify_fault", "fault"),
    ("notify_stop", "stop"),
    ("notify", "any"),
    ("notify_master_rx_lower_pri", "rx_lower"),
)
_NONE = NotifyScripts()


def build_notify(ctx: Context, settings: Settings, defaults: ScriptDefaults) -> NotifyScripts:
    """All scripts of an instance or group."""
    found: dict[str, Script | bool | None] = {}
    for keyword, field in _FIELDS:
        setting = settings.get(keyword)
        if setting is not None:
            found[field] = build_script(ctx, setting, defaults)
    deleted = settings.get("notify_deleted")
    if deleted is not None:
        # Without a script, or with one that cannot be run, removal is still reported as DELETED.
        script = None if deleted.value is True else build_script(ctx, deleted, defaults)
        found["deleted"] = script if script is not None else True
    return NotifyScripts(**found) if found else _NONE  # type: ignore[arg-type]
