"""Reads a block by its declaration: known keywords, number and type of arguments, duplicates, what is supported.

This is the generic half of the compiler. It knows no keyword by name; what a setting means is up to the builders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from keepvip.config import values
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keyword import ACTS, REQUIRED
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from keepvip.config.diagnostic import Diagnostics
    from keepvip.config.facts import HostFacts
    from keepvip.config.keyword import Arg, Block, Keyword
    from keepvip.config.source import Span
    from keepvip.config.tree import Node

__all__ = [
    "Context",
    "Setting",
    "Settings",
    "check_support",
    "checked",
    "is_refused",
    "read_block",
    "read_options",
    "validate",
]

T = TypeVar("T")
REFUSED: Final = object()
"""Stands for the value of a word that is not legal; a diagnostic says so."""
_SCRIPT_TYPES = frozenset({"script", "command", "regex"})


class Context:
    """What every step of one compilation shares."""

    __slots__ = (
        "diagnostics",
        "dynamic_interfaces",
        "facts",
        "fatal",
        "net_namespace",
        "network",
        "own_interfaces",
    )

    def __init__(self, diagnostics: Diagnostics, facts: HostFacts | None) -> None:
        self.diagnostics = diagnostics
        self.facts = facts
        """None: nothing is known about the host, and nothing about it is checked."""
        self.network = facts
        """The same for interfaces and addresses, which may be those of another network namespace."""
        self.net_namespace: str | None = None
        """The network namespace that the daemon itself is told to enter."""
        self.dynamic_interfaces = False
        """Interfaces need not exist. Known once `global_defs` has been read."""
        self.own_interfaces: frozenset[str] = frozenset()
        """Links that keepvip makes itself."""
        self.fatal = False
        """Something was found with which keepalived would not start: there is no usable configuration."""

    def refuse_all(
        self,
        code: str,
        message: str,
        span: Span | None,
        *,
        expected: str = "",
        hint: str = "",
        kind: ConfigTestClass = ConfigTestClass.GENERAL,
        related: Iterable[Related] = (),
    ) -> None:
        """An error with which the configuration as a whole cannot be used."""
        self.fatal = True
        self.diagnostics.error(code, message, span, expected=expected, hint=hint, kind=kind, related=related)

    def interface_exists(self, name: str) -> bool:
        """Whether an interface may be used: it exists, or it need not, or nothing is known about the host."""
        if self.dynamic_interfaces or self.network is None or name in self.own_interfaces:
            return True
        return name in self.network.interface_names

    def interface_hint(self, name: str) -> str:
        """How a name that does not exist may have been meant."""
        names = sorted(self.network.interface_names - {"lo"}) if self.network is not None else []
        return did_you_mean(name, names) or (f"this host has {', '.join(names[:8])}" if names else "")

    def first_wins(self, what: str, node: Node, first: Node) -> None:
        """`node` says again what `first` has said, and is ignored."""
        self.diagnostics.warning(
            "duplicate",
            f"{what} is given a second time and ignored",
            node.span,
            hint="remove one of the two",
            kind=ConfigTestClass.GENERAL,
            related=[Related("the first one is here", first.span)],
        )


class Setting:
    """One keyword as it was used in a block."""

    __slots__ = ("keyword", "more", "node", "options", "value")

    value: Any
    """No argument: True. One: its value, None if it is optional and missing. Several: a tuple of them. A block: the
    node. The declaration guarantees the type."""

    def __init__(self, keyword: Keyword, node: Node, value: object) -> None:
        self.keyword = keyword
        self.node = node
        self.value = value
        self.options: dict[str, Any] = {}
        """Those after the arguments, by name."""
        self.more: tuple[Setting, ...] | list[Setting] = ()
        """Later occurrences, for keywords that may be repeated."""

    def all(self) -> list[Setting]:
        """This and the later occurrences."""
        return [self, *self.more] if self.more else [self]

    @property
    def span(self) -> Span:
        """The keyword and its arguments."""
        return self.node.statement_span


class _Optioned:
    """A value with the options that came after it."""

    __slots__ = ("options", "value")

    def __init__(self, value: object, options: dict[str, object]) -> None:
        self.value = value
        self.options = options


class Settings(dict[str, Setting]):
    """The settings of one block by name, in the order of their first occurrence."""

    __slots__ = ("refused",)

    def __init__(self) -> None:
        super().__init__()
        self.refused: frozenset[str] = frozenset()
        """Keywords that were given with a value that is not legal."""

    def value(self, name: str, default: T) -> T:
        """The value of a setting, or `default`, which must be of the type that the declaration gives."""
        setting = self.get(name)
        return default if setting is None else setting.value


def read_block(ctx: Context, nodes: Iterable[Node], block: Block, *, ignored: bool = False) -> Settings:
    """Reads the statements of a keyword block, which the parser has found to be keywords of it.

    `ignored`: the block as a whole is not supported, which was said.
    """
    found = Settings()
    keywords = block.keywords
    for node in nodes:
        keyword = keywords[node.keyword]
        if keyword.support is not ACTS:
            keyword = _check_support(ctx, node, keyword, block, ignored=ignored)
        value = _read_value(ctx, node, keyword)
        if value is REFUSED:
            found.refused |= {keyword.name}
            continue
        if keyword.block is not None:
            if not node.children and keyword.block.kind != "keywords":
                ctx.diagnostics.warning(
                    "empty-block",
                    f"the block of `{keyword.name}` is empty",
                    node.span,
                    kind=ConfigTestClass.GENERAL if keyword.block.kind == "words" else ConfigTestClass.NONE,
                )
            if ignored or keyword.support.kind == "not-yet":
                validate(ctx, node, keyword.block)
        if type(value) is _Optioned:
            setting = Setting(keyword, node, value.value)
            setting.options = value.options
        else:
            setting = Setting(keyword, node, value)
        first = found.get(keyword.name)
        if first is None:
            found[keyword.name] = setting
        elif keyword.duplicates == "add":
            if first.more:
                first.more.append(setting)  # type: ignore[union-attr]
            else:
                first.more = [setting]
        elif keyword.duplicates == "first":
            ctx.first_wins(f"`{node.keyword}`", node, first.node)
        else:
            if keyword.duplicates == "replaced":
                ctx.diagnostics.warning(
                    "duplicate",
                    f"`{node.keyword}` is given a second time and replaces the first",
                    node.span,
                    related=[Related("the first one is here", first.node.span)],
                )
            found[keyword.name] = setting
    return found


def validate(ctx: Context, node: Node, block: Block) -> None:
    """Checks what stands in a block that nothing acts on."""
    children = node.children or ()
    if block.kind == "keywords":
        found = read_block(ctx, children, block, ignored=True)
        for name, keyword in block.keywords.items():
            if keyword.default == REQUIRED and name not in found and name not in found.refused:
                ctx.diagnostics.error(
                    "missing-keyword", f"this {block.name} has no `{name}` and is dropped", node.statement_span
                )
    elif block.kind == "words":
        arg = block.args[0]
        for child in children:
            checked(ctx, arg, child.keyword, child.span, block.entry_name)
    else:
        for child in children:
            words = (child.keyword, *child.args)
            at = 0
            for arg in block.args:
                if arg.type == "rest" or at >= len(words):
                    break
                if words[at] in block.keywords and arg.optional:
                    break
                checked(ctx, arg, words[at], _word_span(child, at), block.entry_name)
                at += 1
            leads = bool(block.args) and block.args[0].type == "rest"
            while at < len(words) and words[at] not in block.keywords and leads:
                at += 1  # type and destination of a route, which may also come later
            read_options(ctx, child, words, at, block.keywords, block.entry_name, free=leads)


def read_options(
    ctx: Context,
    node: Node,
    words: Sequence[str],
    at: int,
    options: dict[str, Keyword],
    what: str,
    *,
    free: bool = False,
) -> dict[str, tuple[object, int]] | None:
    """Options of an entry from word `at` on: name → (value, position of the option).

    `words` are the keyword of the node and its arguments. A repeated option keeps its first value. None: an option
    lacks its argument or has a bad one. `free`: an address may stand between them.
    """
    found: dict[str, tuple[object, int]] = {}
    sound = True
    while at < len(words):
        name, here = words[at], at
        option = options.get(name)
        at += 1
        if option is None and free and isinstance(values.read_prefix(name), values.Address):
            continue
        if option is None:
            while at < len(words) and words[at] not in options:
                at += 1  # most probably its arguments
            ctx.diagnostics.error(
                "unknown-option",
                f"`{name}` is not an option of {_article(what)}: it is ignored"
                + (f" together with `{' '.join(words[here + 1 : at])}`" if at > here + 1 else ""),
                _word_span(node, here),
                hint=did_you_mean(name, options) or ("write every entry on a line of its own" if here == 1 else ""),
            )
            continue
        taken: list[object] = []
        for arg in option.args:
            if arg.type == "rest":
                at = len(words)
                break
            if at >= len(words):
                if arg.optional:
                    break
                ctx.diagnostics.error(
                    "missing-parameter",
                    f"`{name}` lacks its {arg.name}",
                    _word_span(node, at),
                    expected=arg.range_text,
                )
                sound = False
                break
            if arg.optional and arg.choices and words[at] not in arg.choices:
                continue
            value = checked(ctx, arg, words[at], _word_span(node, at), name)
            sound = sound and value is not REFUSED
            taken.append(value)
            at += 1
        if option.support is not ACTS:
            _check_support(ctx, node, option, None, span=_word_span(node, here))
        found.setdefault(name, (True if not option.args else taken[0] if len(taken) == 1 else tuple(taken), here))
    return found if sound else None


def _read_value(ctx: Context, node: Node, keyword: Keyword) -> object:
    """The value of a statement; None for an optional argument that is missing."""
    args, words = keyword.args, node.args
    if keyword.block is not None and not args:
        value: object = node
        expected_words = 0
    elif not args:
        value, expected_words = True, 0
        if keyword.options:
            if not words:
                _missing(ctx, node, keyword, 0, keyword.options[0].name)
                return REFUSED
            options = read_options(
                ctx, node, (node.keyword, *words), 1, {o.name: o for o in keyword.options}, f"`{keyword.name}`"
            )
            return REFUSED if options is None else options
    elif args[0].type in _SCRIPT_TYPES:
        return _read_script(ctx, node, keyword)
    else:
        if len(args) == 1 and words and not args[0].repeat and args[0].type != "rest":  # by far the most frequent form
            value, expected_words = checked(ctx, args[0], words[0], None, keyword.name, node), 1
        else:
            value, expected_words = _read_several(ctx, node, keyword)
        if keyword.options and len(words) > expected_words:
            known = {option.name: option for option in keyword.options}
            options = read_options(ctx, node, (node.keyword, *words), 1 + expected_words, known, keyword.name)
            if options is None or value is REFUSED:
                return REFUSED
            return _Optioned(value, {name: given for name, (given, _) in options.items()})
    if len(words) > expected_words:
        ctx.diagnostics.warning(
            "extra-words",
            f"nothing more is expected after `{' '.join((node.keyword, *words[:expected_words]))}`:"
            f" the rest of the line is ignored",
            node.arg_span(expected_words),
            hint="a statement ends at the end of its line" if keyword.block is None else "",
            kind=ConfigTestClass.GENERAL
            if keyword.block is not None and keyword.block.kind != "keywords"
            else ConfigTestClass.NONE,
        )
    return value


def _read_several(ctx: Context, node: Node, keyword: Keyword) -> tuple[object, int]:
    """The value of a statement with several arguments, and how many words they took."""
    taken: list[object] = []
    words = node.args
    options = {option.name for option in keyword.options}
    index = 0
    for place, arg in enumerate(keyword.args):
        if arg.repeat:
            if index >= len(words) and not arg.optional:
                _missing(ctx, node, keyword, index, arg.name, arg)
                return REFUSED, len(words)
            rest = [checked(ctx, arg, words[at], None, keyword.name, node, at) for at in range(index, len(words))]
            taken.append(REFUSED if REFUSED in rest else tuple(rest))
            index = len(words)
        elif arg.type == "rest" and index < len(words):
            taken.append(tuple(words[index:]))
            index = len(words)
        elif arg.optional and arg.choices and place < len(keyword.args) - 1 and words[index : index + 1] != arg.choices:
            taken.append(None)  # such as `all` before a number
        elif arg.optional and keyword.options and index < len(words) and words[index] in options:
            taken.append(None)
        elif index < len(words):
            taken.append(checked(ctx, arg, words[index], None, keyword.name, node, index))
            index += 1
        elif arg.optional:
            taken.append(True if arg.type == "bool" else None)
        else:
            _missing(ctx, node, keyword, index, arg.name, arg)
            return REFUSED, len(words)
    if len(keyword.args) == 1:
        return taken[0], index
    return (REFUSED if REFUSED in taken else tuple(taken)), index


def _read_script(ctx: Context, node: Node, keyword: Keyword) -> object:
    """A script keeps its words; `scripts.py` makes a command of them. Missing and optional: True."""
    if node.raw.strip():
        return node
    if keyword.args[0].optional:
        return True
    _missing(ctx, node, keyword, 0, keyword.args[0].name, keyword.args[0])
    return REFUSED


def is_refused(value: object) -> bool:
    """Whether `checked` found no value, and said so."""
    return value is REFUSED


def checked(
    ctx: Context, arg: Arg, text: str, span: Span | None, what: str, node: Node | None = None, index: int = 0
) -> object:
    """The value of a word; REFUSED, and a diagnostic, if it has none.

    Without `span` it is argument `index` of `node`.
    """
    value = values.read(arg, text)
    if type(value) is values.Bad:
        ctx.diagnostics.error(
            "invalid-number" if value.number else "invalid-value",
            f"`{what}`: `{text}` {value.message}",
            span or (node.arg_span(index) if node else None),
            expected=arg.range_text,
            hint=did_you_mean(text, _possible(arg)),
            kind=ConfigTestClass.INVALID_NUMBER if value.number else ConfigTestClass.GENERAL,
        )
        return REFUSED
    if type(value) is values.Odd:
        ctx.diagnostics.warning(
            "adjusted-value",
            f"`{what}`: `{text}` {value.message}",
            span or (node.arg_span(index) if node else None),
            expected=arg.range_text,
            hint=_unit_hint(arg, text),
            kind=ConfigTestClass.INVALID_NUMBER if value.number else ConfigTestClass.GENERAL,
        )
        return value.value
    return value


_SECONDS_IN = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def _unit_hint(arg: Arg, text: str) -> str:
    """What a time with a unit would be in the unit that the keyword has."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    factor = _SECONDS_IN.get(text[len(number) :])
    if arg.type not in {"seconds", "milliseconds"} or factor is None or not number.replace(".", "", 1).isdecimal():
        return ""
    value = float(number) * factor * (1000 if arg.type == "milliseconds" else 1)
    return f"times are in {arg.type} here and have no unit: write {value:g}"


def _possible(arg: Arg) -> tuple[str, ...]:
    return (*values.TRUE_WORDS, *values.FALSE_WORDS) if arg.type == "bool" else arg.choices


def check_support(ctx: Context, node: Node, option: Keyword, span: Span) -> None:
    """Says what an option of an entry comes to that is not simply supported."""
    if option.support is not ACTS:
        _check_support(ctx, node, option, None, span=span)


def _missing(ctx: Context, node: Node, keyword: Keyword, index: int, name: str, arg: Arg | None = None) -> None:
    expected = arg.range_text if arg is not None else ""
    message = f"`{keyword.name}` lacks its {name}"
    if keyword.missing_ignored:
        ctx.diagnostics.error("missing-parameter", message, node.arg_span(index), expected=expected)
    else:
        ctx.refuse_all(
            "missing-parameter", message, node.arg_span(index), expected=expected, kind=ConfigTestClass.ABORT
        )


def _check_support(
    ctx: Context,
    node: Node,
    keyword: Keyword,
    block: Block | None,
    *,
    span: Span | None = None,
    ignored: bool = False,
) -> Keyword:
    """Says what a keyword that is not simply supported comes to; gives the declaration to read it by."""
    support = keyword.support
    span = span or node.span
    kind = ConfigTestClass.DEPRECATED if support.recorded else ConfigTestClass.NONE
    if support.kind == "deprecated":
        ctx.diagnostics.warning(
            "deprecated",
            f"`{keyword.name}` is the old name of `{support.note}`",
            span,
            hint=f"write `{support.note}`",
            kind=kind,
        )
        instead = block.keywords.get(support.note) if block is not None else None
        if instead is None:
            return keyword
        return instead if instead.support is ACTS else _check_support(ctx, node, instead, block, ignored=ignored)
    if ignored:
        return keyword
    if support.kind == "no-op":
        ctx.diagnostics.note("no-effect", f"`{keyword.name}` has no effect here: {support.note}", span)
    elif support.refuses:
        ctx.diagnostics.error(
            "not-supported-yet",
            f"`{keyword.name}` is known but not supported yet, and without it {support.consequence}:"
            " the instance is refused",
            span,
            hint="leave this instance to keepalived for now",
        )
    else:
        consequence = f": {support.consequence}" if support.consequence else ""
        ctx.diagnostics.warning(
            "not-supported-yet",
            f"`{keyword.name}` is known but not supported yet and ignored{consequence}",
            span,
            kind=kind,
        )
    return keyword


def _word_span(node: Node, index: int) -> Span:
    """Place of a word where 0 is the keyword itself."""
    return node.span if index == 0 else node.arg_span(index - 1)


def _article(what: str) -> str:
    if what.startswith("`"):
        return what
    return f"an {what}" if what[:1] in "aeiou" else f"a {what}"
