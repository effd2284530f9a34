"""Words to values: numbers, times, booleans, addresses (config-language.md 8).

`read(arg, text)` gives the value, or a `Bad` that says why there is none, or an `Odd`: a value together with a remark.
Nothing raises, nothing is logged: the caller knows the place and reports.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.config.keyword import Arg

__all__ = ["Address", "Bad", "Odd", "is_link_local", "is_multicast", "read", "read_address", "read_prefix"]

TRUE_WORDS = ("true", "on", "yes")
FALSE_WORDS = ("false", "off", "no")
_BOOLEANS = dict.fromkeys(TRUE_WORDS, True) | dict.fromkeys(FALSE_WORDS, False)
_MAX_DIGITS = 20
"""More digits than that are out of every range here; int() of a very long text would be slow or refused."""
_MAX_INTERFACE = 15
_UMASK_BITS = {
    "IRUSR": 0o400, "IWUSR": 0o200, "IXUSR": 0o100, "IRWXU": 0o700,
    "IRGRP": 0o040, "IWGRP": 0o020, "IXGRP": 0o010, "IRWXG": 0o070,
    "IROTH": 0o004, "IWOTH": 0o002, "IXOTH": 0o001, "IRWXO": 0o007,
}  # fmt: skip


class Bad(msgspec.Struct, frozen=True, gc=False):
    """No value."""

    message: str
    """Completes the sentence that begins with the word: `is not a number`."""
    number: bool = False
    """keepalived counts it as an invalid number."""


class Odd(msgspec.Struct, frozen=True, gc=False):
    """A value, and what was strange about the word."""

    value: object
    message: str
    number: bool = False


class Address(msgspec.Struct, frozen=True, gc=False):
    """An address with the prefix length that was written, if any."""

    text: str
    """Canonical form."""
    family: int
    prefix_len: int | None = None


def read(arg: Arg, text: str) -> object:
    """The value of a word by the declaration of its argument."""
    return _READERS[arg.type](arg, text)


def _read_int(arg: Arg, text: str) -> object:
    if arg.choices and text in arg.choices:
        return text
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and not arg.any_base:
        value, rest = int(text), ""
    else:
        found = _split_int(text, any_base=arg.any_base)
        if isinstance(found, Bad):
            return found
        value, rest = found
        if value < 0 and arg.low is not None and arg.low >= 0:
            return Bad("is negative", number=True)
        if rest and arg.strict:
            return Bad("is not a whole number", number=True)
    limited = _limit(arg, value, text)
    if rest and not isinstance(limited, Bad):
        kept = limited.value if isinstance(limited, Odd) else limited
        return Odd(kept, f"has {rest!r} after the number, which is ignored", number=True)
    return limited


def _split_int(text: str, *, any_base: bool) -> tuple[int, str] | Bad:
    body = text.lstrip()
    negative = body.startswith("-")
    digits = body[1:] if body[:1] in ("+", "-") else body
    base, allowed = 10, "0123456789"
    if any_base and digits[:2].lower() == "0x":
        base, allowed, digits = 16, "0123456789abcdefABCDEF", digits[2:]
    elif any_base and digits[:1] == "0" and len(digits) > 1:
        base, allowed = 8, "01234567"
    length = len(digits) - len(digits.lstrip(allowed))
    if length == 0:
        return Bad("is not a number", number=True)
    if length > _MAX_DIGITS:
        return Bad("is out of range", number=True)
    value = int(digits[:length], base)
    return (-value if negative else value, digits[length:])


def _limit(arg: Arg, value: int, text: str) -> object:
    """`value` if it is in range, else what the declaration says about values that are not."""
    low, high = arg.low, arg.high
    if low is not None and value < low:
        if arg.clamp_low:
            return Odd(low, f"is too small, {low} is used", number=True)
        return Bad("is out of range", number=True)
    if high is not None and value > high:
        if arg.clamp_high:
            return Odd(high, f"is too large, {high} is used", number=True)
        return Bad("is out of range", number=True)
    return value


def _read_seconds(arg: Arg, text: str) -> object:
    return _read_decimal(arg, text, 6)


def _read_milliseconds(arg: Arg, text: str) -> object:
    return _read_decimal(arg, text, 3)


def _read_decimal(arg: Arg, text: str, places: int) -> object:
    """A decimal number, scaled by 10^places to whole microseconds."""
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return _limit(arg, int(text) * 10**places, text)
    body = text.lstrip()
    if body.startswith("-"):
        return Bad("is negative", number=True)
    body = body.removeprefix("+")
    whole = body[: len(body) - len(body.lstrip("0123456789"))]
    rest = body[len(whole) :]
    fraction = ""
    if rest.startswith("."):
        fraction = rest[1 : len(rest) - len(rest[1:].lstrip("0123456789"))]
        rest = rest[1 + len(fraction) :]
    if not whole and not fraction:
        return Bad("is not a number", number=True)
    if len(whole) > _MAX_DIGITS:
        return Bad("is out of range", number=True)
    if rest and arg.strict:
        return Bad("is not a number", number=True)
    places_kept = min(places, arg.decimals)
    kept = fraction[:places_kept].ljust(places_kept, "0")
    value = int(whole or "0") * 10**places_kept + int(kept or "0")
    remark = ""
    if len(fraction) > places_kept:
        value += fraction[places_kept] >= "5"
        if fraction[places_kept:].strip("0"):
            remark = f"has more than {places_kept} decimals and is rounded"
    limited = _limit(arg, value * 10 ** (places - places_kept), text)
    if isinstance(limited, Bad) or not (rest or remark):
        return limited
    if rest:
        remark = f"has {rest!r} after the number, which is ignored"
    return Odd(limited.value if isinstance(limited, Odd) else limited, remark, number=True)


def _read_bool(arg: Arg, text: str) -> object:
    value = _BOOLEANS.get(text)
    return Bad("is neither true nor false") if value is None else value


def _read_word(arg: Arg, text: str) -> object:
    if arg.max_len is not None and len(text.encode("utf-8", "surrogateescape")) > arg.max_len:
        cut = text.encode("utf-8", "surrogateescape")[: arg.max_len].decode("utf-8", "surrogateescape")
        return Odd(cut, f"is longer than {arg.max_len} characters and is cut to {cut!r}")
    return text


def _read_interface(arg: Arg, text: str) -> object:
    """The kernel's rules: 1 to 15 bytes, no slash, no blank."""
    if 0 < len(text) <= _MAX_INTERFACE and text.isascii() and "/" not in text and " " not in text:
        return text
    size = len(text.encode("utf-8", "surrogateescape"))
    if not 0 < size <= _MAX_INTERFACE or "/" in text or text in {".", ".."} or any(char.isspace() for char in text):
        return Bad("cannot be the name of an interface")
    return text


def _read_choice(arg: Arg, text: str) -> object:
    if text in arg.choices:
        return text
    if arg.any_case:
        for choice in arg.choices:
            if choice.lower() == text.lower():
                return choice
    return Bad("is not known here")


def read_address(text: str) -> Address | None:
    """A host address; from the first `-` or `/` on the text is ignored, as keepalived does."""
    for mark in "/-":
        text = text.partition(mark)[0]
    return _canonical(text)


def read_prefix(text: str) -> Address | Bad | None:
    """`ADDRESS[/LENGTH]`: the address with its length, None for a bad address, `Bad` for a bad length."""
    body, slash, length = text.partition("/")
    address = _canonical(body)
    if address is None or not slash:
        return address
    if not (length.isascii() and length.isdigit() and len(length) <= 3) or int(length) > _width(address.family):
        return Bad(f"has no valid prefix length: {length!r}", number=True)
    return Address(address.text, address.family, int(length))


def _canonical(text: str) -> Address | None:
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        packed = socket.inet_pton(family, text)
    except (OSError, ValueError):  # ValueError: a NUL or a surrogate in the text
        return None
    if family == socket.AF_INET:
        return Address(text, 4)
    return Address(socket.inet_ntop(family, packed), 6)


def is_multicast(address: Address) -> bool:
    """IPv4 multicast, or IPv6 multicast of link-local scope."""
    if address.family == 4:
        return 224 <= int(address.text.partition(".")[0]) <= 239
    return address.text.startswith("ff") and address.text[3:4] == "2" and len(address.text.partition(":")[0]) == 4


def is_link_local(address: str) -> bool:
    """fe80::/10."""
    return address[:3] in {"fe8", "fe9", "fea", "feb"} and address[4:5] == ":"


def _width(family: int) -> int:
    return 32 if family == 4 else 128


def _read_address(arg: Arg, text: str) -> object:
    return read_address(text) or Bad("is not an IPv4 or IPv6 address")


def _read_prefix(arg: Arg, text: str) -> object:
    return read_prefix(text) or Bad("is not an IPv4 or IPv6 address")


def _read_service(arg: Arg, text: str) -> object:
    return text if text in arg.choices or read_address(text) is not None else Bad("is not an IPv4 or IPv6 address")


def _read_range(arg: Arg, text: str) -> object:
    """`ADDRESS`, `ADDRESS-N`, `ADDRESS-ADDRESS` or `ADDRESS/LENGTH`, checked and kept as text."""
    first, dash, last = text.partition("-")
    if not dash:
        found = read_prefix(text)
        return found if isinstance(found, Bad) else text if found else Bad("is not an IPv4 or IPv6 address")
    start = read_address(first)
    if start is None:
        return Bad("does not begin with an IPv4 or IPv6 address")
    if "." in last or ":" in last:
        end = read_address(last)
        if end is None or end.family != start.family or _packed(end) < _packed(start):
            return Bad("has no valid last address")
        return text
    base, limit, head = (10, 255, start.text.rpartition(".")[2])
    if start.family == 6:
        base, limit, head = (16, 0xFFFF, start.text.rpartition(":")[2] or "0")
    try:
        end_number = int(last, base)
    except ValueError:
        return Bad("has no valid end of the range")
    return text if int(head, base) < end_number <= limit else Bad("has no valid end of the range")


def _packed(address: Address) -> bytes:
    return socket.inet_pton(socket.AF_INET if address.family == 4 else socket.AF_INET6, address.text)


def _read_hex(arg: Arg, text: str) -> object:
    body = text.removeprefix("0x").lower()
    legal = "0123456789abcdef" + ("x" if arg.any_case else "")
    if not body or body.strip(legal):
        return Bad("is not hexadecimal")
    if arg.max_len is not None and len(body) != arg.max_len:
        return Bad(f"does not have {arg.max_len} digits")
    return body


def _read_mac(arg: Arg, text: str) -> object:
    parts = text.split(":")
    if len(parts) not in {5, 6} or any(
        len(part) not in {1, 2} or part.strip("0123456789abcdefABCDEF") for part in parts
    ):
        return Bad("is not a hardware address")
    return text.lower()


def _read_umask(arg: Arg, text: str) -> object:
    if text[:1].isdigit():
        found = _split_int(text, any_base=True)
        if isinstance(found, Bad) or found[1] or not 0 <= found[0] <= 0o777:
            return Bad("is not a file mode mask", number=True)
        return found[0]
    mask = 0
    for name in text.split("|"):
        bits = _UMASK_BITS.get(name.strip()) if name.strip() else 0
        if bits is None:
            return Bad(f"has an unknown part {name.strip()!r}")
        mask |= bits
    return mask


def _read_span(arg: Arg, text: str) -> object:
    low, dash, high = text.partition("-")
    if not (dash and low.isascii() and low.isdigit() and high.isascii() and high.isdigit()):
        return Bad("is not a range N-M", number=True)
    if len(text) > 2 * _MAX_DIGITS:
        return Bad("is out of range", number=True)
    first, last = int(low), int(high)
    if first > last or (arg.low is not None and first < arg.low) or (arg.high is not None and last > arg.high):
        return Bad("is out of range", number=True)
    return (first, last)


def _read_codes(arg: Arg, text: str) -> object:
    return _read_span(arg, text if "-" in text else f"{text}-{text}")


def _read_mask(arg: Arg, text: str) -> object:
    if "." in text:
        address = _canonical(text)
        if address is None:
            return Bad("is not a mask")
        bits = int.from_bytes(socket.inet_pton(socket.AF_INET, text)) ^ 0xFFFFFFFF
        return Bad("is not a mask") if bits & (bits + 1) else text
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= 128:
        return int(text)
    return Bad("is neither an IPv4 mask nor an IPv6 prefix length", number=True)


_READERS: dict[str, Callable[[Arg, str], object]] = {
    "int": _read_int,
    "seconds": _read_seconds,
    "milliseconds": _read_milliseconds,
    "bool": _read_bool,
    "word": _read_word,
    "interface": _read_interface,
    "choice": _read_choice,
    "address": _read_address,
    "prefix": _read_prefix,
    "service": _read_service,
    "range": _read_range,
    "port": _read_int,
    "user": _read_word,
    "group": _read_word,
    "hex": _read_hex,
    "mac": _read_mac,
    "umask": _read_umask,
    "codes": _read_codes,
    "span": _read_span,
    "mask": _read_mask,
    "rest": _read_word,
}
