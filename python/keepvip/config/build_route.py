"""Route entries (config-keywords.md 4.2), read word by word: of two equal options the last one counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from keepvip.config import values
from keepvip.config.build_encap import read_encap
from keepvip.config.keyword import Arg
from keepvip.config.keywords.routes import ROUTE_TYPES, ROUTES
from keepvip.config.model_route import PROTOCOL, Metric, NextHop, Route
from keepvip.config.words import DroppedError, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from keepvip.config.model_route import Encap
    from keepvip.config.rtnames import RouteNames
    from keepvip.config.settings import Context
    from keepvip.config.tree import Node

__all__ = ["build_route", "family_word", "realms"]

_OPTIONS = ROUTES.keywords
_U32: Final = Arg("int", "NUMBER", low=0, high=0xFFFFFFFF, strict=True)
_WEIGHT: Final = Arg("int", "WEIGHT", low=1, high=256, strict=True)
_NUMBERS: Final = ("mtu", "advmss", "reordering", "cwnd", "ssthresh", "window", "initcwnd", "initrwnd")
_TIMES: Final = {"rtt": 8, "rttvar": 4, "rto_min": 1}
"""Metrics that are times, and the kernel's units per millisecond."""
_MIN_TIME_MS: Final = 200
_FLAGS: Final = ("hoplimit", "quickack", "fastopen_no_cookie")
_METRIC_ORDER: Final = (
    "congctl", "rtt", "rttvar", "rto_min", "features", "mtu", "window", "ssthresh", "cwnd", "advmss", "reordering",
    "hoplimit", "initcwnd", "initrwnd", "quickack", "fastopen_no_cookie",
)  # fmt: skip
"""As dumps have them, so that the order in which they were written makes no difference."""
_PREFERENCES: Final = {"medium": 0, "high": 1, "low": 3}
_FAMILIES: Final = {"inet": 4, "inet6": 6}
_DEFAULTS: Final = {"default": None, "all": None, "any": None, "default6": 6}


def build_route(ctx: Context, names: RouteNames, node: Node, groups: Collection[str] | None) -> Route | None:
    """The route of one line; None, with a diagnostic, if it is dropped. `groups`: known track groups; None: virtual."""
    try:
        return _Line(ctx, names, node, groups).read()
    except DroppedError:
        return None


def family_word(words: Words) -> int | None:
    """`inet` or `inet6` if it comes next."""
    word = words.take_if(_FAMILIES)
    return None if word is None else _FAMILIES[word]


def realms(words: Words, names: RouteNames, of: str) -> int:
    """`[SOURCE/]DESTINATION` as the kernel has it: the source in the upper half."""
    text = words.take(of, "[SOURCE/]DESTINATION")
    number = 0
    for part in text.split("/", 1):
        realm = names.number("rt_realms", part, high=0xFFFF)
        if realm is None:
            words.fail("invalid-value", f"`{of}`: `{part}` is neither a realm nor a number up to 65535", words.here)
        number = number << 16 | realm
    return number


class _Line:
    """One line on its way to a `Route`."""

    def __init__(self, ctx: Context, names: RouteNames, node: Node, groups: Collection[str] | None) -> None:
        self.ctx = ctx
        self.names = names
        self.groups = groups
        self.words = Words(ctx, node, "route")
        self.family: int | None = None
        self.type = "unicast"
        self.dst: values.Address | None = None
        self.dst_given = False
        self.src_prefix: values.Address | None = None
        self.via: values.Address | None = None
        self.fields: dict[str, object] = {}
        self.metrics: dict[str, Metric] = {}
        self.nexthops: list[NextHop] = []
        self.encap: Encap | None = None
        self.protocol: int | None = None

    def read(self) -> Route:
        words = self.words
        while words.more:
            word = words.take()
            if word in _FAMILIES and not self.dst_given:
                self.family = _FAMILIES[word]
            elif word in ROUTE_TYPES and not self.dst_given:
                self.type = word
            elif (handler := _HANDLERS.get(word)) is not None:
                words.support(_OPTIONS[word])
                handler(self, word)
            elif not self.dst_given:
                self._destination(word)
            else:
                words.unknown(_OPTIONS)
        return self._finish()

    # the destination, gateways

    def on_to(self, _: str) -> None:
        self._destination(self.words.take("to", "ADDRESS[/LENGTH] or default"))

    def _destination(self, word: str) -> None:
        if self.dst_given:
            self.words.fail("contradiction", "there is a second destination", self.words.here)
        self.dst_given = True
        if word in _DEFAULTS:
            if word == "default6":
                self.words.warn("deprecated", "`default6` is the old form of `inet6 default`", self.words.here)
                self._take_family(6, word)
            return
        found = values.read_prefix(word)
        if isinstance(found, values.Bad):
            self.words.fail("invalid-value", f"`{word}` {found.message}", self.words.here)
        if found is None:
            if self.fields or self.metrics or self.via is not None:
                self.words.unknown(_OPTIONS)
            self.words.fail("invalid-value", f"`{word}` is no destination", self.words.here,
                            expected="ADDRESS[/LENGTH] or default")  # fmt: skip
        self._take_family(found.family, word)
        full = 32 if found.family == 4 else 128
        length = full if found.prefix_len is None else found.prefix_len
        self.dst = values.Address(found.text, found.family, length)

    def _take_family(self, family: int, word: str) -> None:
        if self.family not in {None, family}:
            self.words.fail("family-mismatch", f"`{word}` is IPv{family} in an IPv{self.family} route", self.words.here)
        self.family = family

    def on_from(self, _: str) -> None:
        self.src_prefix = self.words.prefix("from")
        self._take_family(self.src_prefix.family, self.src_prefix.text)

    def on_gateway(self, word: str) -> None:
        self.via = self.words.address(word, family_word(self.words))

    def on_dev(self, word: str) -> None:
        self.fields["dev"] = self.words.interface(word)

    def on_prefsrc(self, word: str) -> None:
        address = self.words.address(word)
        self._take_family(address.family, address.text)
        self.fields["prefsrc"] = address.text

    def on_second_gateway(self, word: str) -> None:
        self.nexthops.append(NextHop(via=self.words.address(word).text))

    def on_nexthop(self, _: str) -> None:
        words = self.words
        fields: dict[str, object] = {}
        while words.more and words.peek() != "nexthop":
            word = words.take()
            if word == "via":
                family = family_word(words)
                fields["via"] = words.address("via", family).text
            elif word in {"dev", "oif"}:
                fields["dev"] = words.interface(word)
            elif word == "weight":
                fields["weight"] = words.integer("weight", _WEIGHT)
            elif word == "onlink":
                fields["onlink"] = True
            elif word == "encap":
                fields["encap"] = read_encap(words)
            elif word == "realms":
                fields["realms"] = realms(words, self.names, "realms")
            else:
                words.unknown(("via", "dev", "oif", "weight", "onlink", "encap", "realms", "nexthop"))
        if "via" not in fields and "dev" not in fields:
            words.fail("missing-parameter", "this nexthop has neither `via` nor `dev`", words.here)
        self.nexthops.append(NextHop(**fields))  # type: ignore[arg-type]

    def on_encap(self, _: str) -> None:
        self.encap = read_encap(self.words)

    # values

    def on_name(self, word: str) -> None:
        """`table`, `scope`, `protocol`, `tos`: a name of iproute2 or a number."""
        field, kind, high = _NAMED[word]
        text = self.words.take(word)
        number = self.names.number(kind, text, high=high)
        if number is None:
            self.words.fail("invalid-value", f"`{word}`: `{text}` is neither known nor a number up to {high}",
                            self.words.here, hint=self._did_you_mean(kind, text))  # fmt: skip
        if field == "protocol":
            self.protocol = number
        else:
            self.fields[field] = number

    def _did_you_mean(self, kind: str, text: str) -> str:
        from keepvip.config.suggest import did_you_mean  # noqa: PLC0415  (needed for a mistake only)

        return did_you_mean(text, self.names.known(kind))

    def on_metric(self, word: str) -> None:
        self.fields["metric"] = self.words.integer(word, _U32)

    def on_number(self, word: str) -> None:
        locked = self._locked(word)
        self.metrics[word] = Metric(name=word, value=self.words.integer(word, _U32), lock=locked)

    def on_small(self, word: str) -> None:
        self.metrics[word] = Metric(name=word, value=self.words.integer(word, _OPTIONS[word].args[-1]))

    def on_time(self, word: str) -> None:
        locked = self._locked(word)
        text = self.words.take(word, "milliseconds, or a number with ms or s")
        per_ms = _TIMES[word]
        value = _kernel_time(text, per_ms)
        if value is None:
            self.words.fail("invalid-number", f"`{word}`: `{text}` is not a time", self.words.here,
                            expected="such as 300ms or 1.5s")  # fmt: skip
        if value < _MIN_TIME_MS * per_ms:
            self.words.warn("adjusted-value", f"`{word}`: {text} is less than {_MIN_TIME_MS}ms, which is used",
                            self.words.here)  # fmt: skip
            value = _MIN_TIME_MS * per_ms
        self.metrics[word] = Metric(name=word, value=value, lock=locked)

    def on_congctl(self, word: str) -> None:
        locked = self._locked(word)
        self.metrics[word] = Metric(name=word, value=self.words.take(word, "the name of an algorithm"), lock=locked)

    def _locked(self, word: str) -> bool:
        locked = self.words.take_if(("lock",)) is not None
        if locked and len(_OPTIONS[word].args) < 2:
            self.words.warn("no-effect", f"`{word}` cannot be locked", self.words.here)
            return False
        return locked

    def on_features(self, word: str) -> None:
        self.words.value(_OPTIONS[word])
        self.metrics[word] = Metric(name=word, value=1)

    def on_realms(self, word: str) -> None:
        self.fields["realms"] = realms(self.words, self.names, word)

    def on_pref(self, word: str) -> None:
        text = self.words.take(word, "low, medium, high or a number")
        number = _PREFERENCES.get(text, int(text) if text in {"0", "1", "3"} else -1)
        if number < 0:
            self.words.fail("invalid-value", f"`pref`: `{text}` is no preference", self.words.here,
                            expected="low, medium, high or 0, 1, 3")  # fmt: skip
        self.fields["pref"] = number

    def on_expires(self, word: str) -> None:
        self.fields["expires_s"] = self.words.integer(word, _U32)

    def on_ttl_propagate(self, word: str) -> None:
        self.fields["ttl_propagate"] = self.words.value(_OPTIONS[word]) == "enabled"

    def on_flag(self, word: str) -> None:
        self.fields[word] = True

    def on_mode(self, word: str) -> None:
        self.fields["mode"] = word

    def on_vrf(self, word: str) -> None:
        self.fields["vrf"] = self.words.interface(word)

    def on_as(self, _: str) -> None:
        self.words.take_if(("to",))
        self.words.take("as", "a label")

    def on_track_group(self, word: str) -> None:
        if self.groups is None:
            self.words.fail("unknown-option", "only static routes may name a track_group", self.words.here)
        self.fields["track_group"] = self.words.take(word, "the name of a track_group")

    # the whole

    def _finish(self) -> Route:
        words, fields = self.words, self.fields
        if not self.dst_given:
            words.fail("missing-parameter", "this route has no destination", expected="ADDRESS[/LENGTH] or default")
        family = self.family or (self.via.family if self.via is not None else self._family_of_hops()) or 4
        self._check_families(family)
        nexthops = list(self.nexthops)
        via, dev = self.via, fields.get("dev")
        if nexthops and via is not None:  # `via A or B`, `via A nexthop via B`
            nexthops.insert(0, NextHop(via=via.text, dev=dev if isinstance(dev, str) else None))
            via = None
            fields.pop("dev", None)
        no_track = fields.get("no_track") is True
        route = Route(
            family=family,
            dst=self.dst.text if self.dst is not None else None,
            dst_len=(self.dst.prefix_len or 0) if self.dst is not None else 0,
            type=self.type,
            src_prefix=self.src_prefix.text if self.src_prefix is not None else None,
            src_prefix_len=(self.src_prefix.prefix_len or 0) if self.src_prefix is not None else 0,
            via=via.text if via is not None else None,
            metrics=tuple(self.metrics[name] for name in _METRIC_ORDER if name in self.metrics),
            nexthops=tuple(nexthops),
            encap=self.encap,
            protocol=self._final_protocol(no_track=no_track),
            mode=str(fields.pop("mode", "prepend" if self.type == "unicast" else "add")),
            **fields,  # type: ignore[arg-type]
        )
        return self._with_group(route)

    def _family_of_hops(self) -> int | None:
        first = next((hop.via for hop in self.nexthops if hop.via is not None), None)
        return None if first is None else 6 if ":" in first else 4

    def _check_families(self, family: int) -> None:
        """An IPv4 route may have an IPv6 gateway, but not the other way round."""
        gateways = [hop.via for hop in self.nexthops] + [self.via.text if self.via is not None else None]
        if family == 6 and any(via is not None and ":" not in via for via in gateways):
            self.words.fail("family-mismatch", "an IPv6 route cannot have an IPv4 gateway")
        wrong = ("realms",) if family == 6 else ("pref", "expires_s")
        for name in wrong:
            if name in self.fields:
                option = name.removesuffix("_s")
                self.words.fail("family-mismatch", f"`{option}` is for IPv{10 - family} only")
        if family == 4 and self.src_prefix is not None:
            self.words.fail("family-mismatch", "`from` is for IPv6 only")

    def _final_protocol(self, *, no_track: bool) -> int:
        given = self.protocol
        if given is None or given == PROTOCOL:
            return PROTOCOL
        if no_track:
            return given
        self.words.warn("contradiction", f"a tracked route has protocol {PROTOCOL}, not {given}: with no_track it may"
                        " have another")  # fmt: skip
        return PROTOCOL

    def _with_group(self, route: Route) -> Route:
        if route.track_group is None:
            return route
        why = "there is no such track_group above" if route.track_group not in (self.groups or ()) else ""
        if route.dev is None:
            why = "a track_group needs `dev`"
        if not why:
            return route
        self.words.warn("unknown-tracker", f"`track_group {route.track_group}` is ignored: {why}")
        return msgspec.structs.replace(route, track_group=None)


def _kernel_time(text: str, per_ms: int) -> int | None:
    """Without a unit it is the kernel's own number; None: no time."""
    body = text
    factor = 0.0
    for unit, unit_ms in (("msecs", 1.0), ("msec", 1.0), ("ms", 1.0), ("secs", 1e3), ("sec", 1e3), ("s", 1e3)):
        if text.endswith(unit):
            body, factor = text.removesuffix(unit), unit_ms
            break
    if not body.replace(".", "", 1).isdecimal() or not body.isascii() or len(body) > 12:
        return None
    if not factor:
        return int(body) if body.isdecimal() and int(body) <= 0xFFFFFFFF else None
    value = round(float(body) * factor * per_ms)
    return value if value <= 0xFFFFFFFF else None


_NAMED: Final = {
    "table": ("table", "rt_tables", 0xFFFFFFFF),
    "scope": ("scope", "rt_scopes", 255),
    "protocol": ("protocol", "rt_protos", 255),
    "tos": ("tos", "rt_dsfield", 255),
    "dsfield": ("tos", "rt_dsfield", 255),
}

_HANDLERS: Final[dict[str, Callable[[_Line, str], None]]] = {
    "to": _Line.on_to,
    "from": _Line.on_from,
    "via": _Line.on_gateway,
    "gw": _Line.on_gateway,
    "dev": _Line.on_dev,
    "oif": _Line.on_dev,
    "src": _Line.on_prefsrc,
    "or": _Line.on_second_gateway,
    "nexthop": _Line.on_nexthop,
    "encap": _Line.on_encap,
    **dict.fromkeys(_NAMED, _Line.on_name),
    **dict.fromkeys(("metric", "priority", "preference"), _Line.on_metric),
    **dict.fromkeys(_NUMBERS, _Line.on_number),
    **dict.fromkeys(_FLAGS, _Line.on_small),
    **dict.fromkeys(_TIMES, _Line.on_time),
    "congctl": _Line.on_congctl,
    "features": _Line.on_features,
    "realms": _Line.on_realms,
    "pref": _Line.on_pref,
    "expires": _Line.on_expires,
    "ttl-propagate": _Line.on_ttl_propagate,
    "onlink": _Line.on_flag,
    "no_track": _Line.on_flag,
    **dict.fromkeys(("add", "append", "prepend"), _Line.on_mode),
    "vrf": _Line.on_vrf,
    "as": _Line.on_as,
    "track_group": _Line.on_track_group,
}
