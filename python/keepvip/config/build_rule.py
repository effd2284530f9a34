"""Rule entries (config-keywords.md 4.3)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

import msgspec

from keepvip.config.build_route import realms
from keepvip.config.keyword import Arg
from keepvip.config.keywords.routes import RULES
from keepvip.config.model_route import DEFAULT_PREFERENCE, PROTOCOL, Rule
from keepvip.config.rtnames import number
from keepvip.config.words import DroppedError, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from keepvip.config.rtnames import RouteNames
    from keepvip.config.settings import Context
    from keepvip.config.tree import Node
    from keepvip.config.values import Address

__all__ = ["RuleBuilder"]

_OPTIONS = RULES.keywords
_U32: Final = 0xFFFFFFFF
_TUN_ID: Final = Arg("int", "ID", low=0, high=0xFFFFFFFFFFFFFFFF, strict=True)
_PREFIX_LEN: Final = Arg("int", "LENGTH", low=0, high=128, strict=True)
_ACTIONS: Final = ("nop", "blackhole", "unreachable", "prohibit")
_ANYTHING: Final = ("all", "any", "default")
_FAMILIES: Final = {"inet": 4, "inet6": 6}


class RuleBuilder:
    """Reads all rules of a file, in its order: those without a preference are numbered."""

    def __init__(self, ctx: Context, names: RouteNames) -> None:
        self._ctx = ctx
        self._names = names
        self._next = {4: DEFAULT_PREFERENCE, 6: DEFAULT_PREFERENCE}

    def build(self, node: Node, groups: Collection[str] | None) -> Rule | None:
        """The rule of one line; None, with a diagnostic, if it is dropped.

        `groups`: names of track groups; None: the rule is a virtual one.
        """
        line = _Line(self._ctx, self._names, node, groups)
        try:
            rule = line.read()
        except DroppedError:
            return None
        if line.preference is not None:
            return rule
        preference = self._next[rule.family]
        self._next[rule.family] -= 1
        line.words.warn("no-preference", f"the rule has no preference and gets {preference}, which depends on the order"
                        " of the file")  # fmt: skip
        return msgspec.structs.replace(rule, preference=preference)


class _Line:
    """One line on its way to a `Rule`."""

    def __init__(self, ctx: Context, names: RouteNames, node: Node, groups: Collection[str] | None) -> None:
        self.words = Words(ctx, node, "rule")
        self.names = names
        self.groups = groups
        self.family: int | None = None
        self.preference: int | None = None
        self.action: str | None = None
        self.protocol: int | None = None
        self.fields: dict[str, object] = {}

    def read(self) -> Rule:
        words = self.words
        while words.more:
            word = words.take()
            if word in _FAMILIES:
                self._take_family(_FAMILIES[word], word)
            elif (handler := _HANDLERS.get(word)) is not None:
                words.support(_OPTIONS[word])
                handler(self, word)
            else:
                words.unknown(_OPTIONS)
        return self._finish()

    def _take_family(self, family: int, word: str) -> None:
        if self.family not in {None, family}:
            self.words.fail("family-mismatch", f"`{word}` is IPv{family} in an IPv{self.family} rule", self.words.here)
        self.family = family

    # selectors

    def on_prefix(self, word: str) -> None:
        side = "src" if word == "from" else "dst"
        if self.words.peek() in _ANYTHING:
            self.words.take()
            self.fields.pop(side, None)
            self.fields.pop(f"{side}_len", None)
            return
        found: Address = self.words.prefix(word)
        self._take_family(found.family, found.text)
        self.fields[side] = found.text
        self.fields[f"{side}_len"] = found.prefix_len

    def on_interface(self, word: str) -> None:
        self.fields["oif" if word == "oif" else "iif"] = self.words.interface(word)

    def on_fwmark(self, word: str) -> None:
        text = self.words.take(word, "VALUE[/MASK]")
        mark, slash, mask = text.partition("/")
        self.fields["fwmark"] = self._u32(word, mark)
        if slash:
            self.fields["fwmask"] = self._u32(word, mask)

    def on_tos(self, word: str) -> None:
        self.fields["tos"] = self._named(word, "rt_dsfield", 255)

    def on_tun_id(self, word: str) -> None:
        self.fields["tun_id"] = self.words.integer(word, _TUN_ID)

    def on_span(self, word: str) -> None:
        self.fields[word] = self.words.value(_OPTIONS[word])

    def on_ip_proto(self, word: str) -> None:
        text = self.words.take(word, "a protocol")
        value = number(text)
        if value is None:
            try:
                value = socket.getprotobyname(text)
            except OSError:
                value = None
        if value is None or not 0 < value <= 255:
            self.words.fail("invalid-value", f"`{word}`: `{text}` is not an IP protocol", self.words.here,
                            expected="a name such as tcp, or 1..255")  # fmt: skip
        self.fields["ip_proto"] = value

    def on_not(self, _: str) -> None:
        self.fields["inverted"] = True

    # actions

    def on_act(self, action: str) -> None:
        if self.action is not None:
            self.words.fail("contradiction", f"`{action}` comes after `{self.action}`: a rule has one action",
                            self.words.here)  # fmt: skip
        self.action = action

    def on_table(self, word: str) -> None:
        table = self._named(word, "rt_tables", _U32)
        if table == 0:
            self.words.fail("invalid-value", "table 0 cannot be looked up", self.words.here)
        self.on_act("table")
        self.fields["table"] = table

    def on_goto(self, word: str) -> None:
        target = self._u32(word, self.words.take(word, "a preference"))
        self.on_act("goto")
        self.fields["goto"] = target

    def on_type(self, word: str) -> None:
        action = self.words.take(word, ", ".join(("goto", *_ACTIONS)))
        if action not in {"goto", *_ACTIONS}:
            self.words.unknown(("goto", *_ACTIONS))
        _HANDLERS[action](self, action)

    # values

    def on_preference(self, word: str) -> None:
        self.preference = self._u32(word, self.words.take(word, "a number"))

    def on_protocol(self, word: str) -> None:
        self.protocol = self._named(word, "rt_protos", 255)

    def on_realms(self, word: str) -> None:
        self.fields["realms"] = realms(self.words, self.names, word)

    def on_suppress_prefix(self, word: str) -> None:
        self.fields["suppress_prefixlength"] = self.words.integer(word, _PREFIX_LEN)

    def on_suppress_group(self, word: str) -> None:
        self.fields["suppress_ifgroup"] = self._named(word, "group", _U32)

    def on_no_track(self, _: str) -> None:
        self.fields["no_track"] = True

    def on_track_group(self, word: str) -> None:
        if self.groups is None:
            self.words.fail("unknown-option", "only static rules may name a track_group", self.words.here)
        self.fields["track_group"] = self.words.take(word, "the name of a track_group")

    def _u32(self, word: str, text: str) -> int:
        value = number(text)
        if value is None or value > _U32:
            self.words.fail("invalid-number", f"`{word}`: `{text}` is not a number", self.words.here,
                            expected=f"0..{_U32}, decimal, 0x... or 0...")  # fmt: skip
        return value

    def _named(self, word: str, kind: str, high: int) -> int:
        text = self.words.take(word)
        value = self.names.number(kind, text, high=high)
        if value is None:
            self.words.fail("invalid-value", f"`{word}`: `{text}` is neither known nor a number up to {high}",
                            self.words.here)  # fmt: skip
        return value

    # the whole

    def _finish(self) -> Rule:
        words, fields = self.words, self.fields
        if self.action is None:
            words.fail("missing-parameter", "the rule has no action", expected=f"table, goto, {', '.join(_ACTIONS)}")
        if self.action != "table" and (extra := _TABLE_ONLY & fields.keys()):
            words.fail("contradiction", f"`{min(extra)}` makes sense with a table only")
        goto = fields.get("goto")
        if isinstance(goto, int) and (self.preference is None or self.preference >= goto):
            words.fail("contradiction", f"`goto {goto}` needs a preference below {goto}")
        rule = Rule(
            family=self.family or 4,
            action=self.action,
            preference=self.preference or 0,
            protocol=self._final_protocol(),
            **fields,  # type: ignore[arg-type]
        )
        return self._with_group(rule)

    def _final_protocol(self) -> int:
        given = self.protocol
        if given is None or given == PROTOCOL or "no_track" in self.fields:
            return PROTOCOL if given is None else given
        self.words.warn("contradiction", f"a tracked rule has protocol {PROTOCOL}, not {given}: with no_track it may"
                        " have another")  # fmt: skip
        return PROTOCOL

    def _with_group(self, rule: Rule) -> Rule:
        if rule.track_group is None:
            return rule
        why = "there is no such track_group above" if rule.track_group not in (self.groups or ()) else ""
        if rule.iif is None:
            why = "a track_group needs `iif`"
        if not why:
            return rule
        self.words.warn("unknown-tracker", f"`track_group {rule.track_group}` is ignored: {why}")
        return msgspec.structs.replace(rule, track_group=None)


_TABLE_ONLY: Final = frozenset({"realms", "suppress_prefixlength", "suppress_ifgroup"})

_HANDLERS: Final[dict[str, Callable[[_Line, str], None]]] = {
    **dict.fromkeys(("from", "to"), _Line.on_prefix),
    **dict.fromkeys(("iif", "dev", "oif"), _Line.on_interface),
    "fwmark": _Line.on_fwmark,
    **dict.fromkeys(("tos", "dsfield"), _Line.on_tos),
    "tunnel-id": _Line.on_tun_id,
    **dict.fromkeys(("uidrange", "sport", "dport"), _Line.on_span),
    "ipproto": _Line.on_ip_proto,
    "not": _Line.on_not,
    **dict.fromkeys(("table", "lookup"), _Line.on_table),
    "goto": _Line.on_goto,
    "type": _Line.on_type,
    "l3mdev": _Line.on_act,
    **dict.fromkeys(_ACTIONS, _Line.on_act),
    **dict.fromkeys(("preference", "order", "priority"), _Line.on_preference),
    "protocol": _Line.on_protocol,
    "realms": _Line.on_realms,
    **dict.fromkeys(("suppress_prefixlength", "sup_pl"), _Line.on_suppress_prefix),
    **dict.fromkeys(("suppress_ifgroup", "sup_group"), _Line.on_suppress_group),
    "no_track": _Line.on_no_track,
    "track_group": _Line.on_track_group,
}
