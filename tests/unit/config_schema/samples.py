"""Legal and illegal values for every type of argument, and the blocks around a keyword: made from the declarations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.keywords import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.keyword import Arg, Block, Keyword

LEGAL: dict[str, list[str]] = {
    "bool": ["true", "on", "yes", "false", "off", "no"],
    "word": ["word"],
    "interface": ["eth0", "vrrp.51", "a-very-long-one"],
    "address": ["192.0.2.1", "2001:db8::1"],
    "prefix": ["192.0.2.1", "192.0.2.1/24", "fe80::1/64"],
    "service": ["192.0.2.1", "2001:db8::1", "fwmark", "group"],
    "range": ["192.0.2.1", "192.0.2.1-9", "192.0.2.1-192.0.2.9", "192.0.2.0/24", "2001:db8::1-ff"],
    "user": ["root"],
    "group": ["root", ":root"],
    "script": ['"/bin/true"', '"/bin/true a b"', "/bin/true", '"/bin/true" root', '"/bin/true" root root'],
    "command": ['"/bin/true"', "/bin/true"],
    "regex": ['"^ok"'],
    "hex": ["00ff"],
    "mac": ["00:11:22:33:44:55"],
    "umask": ["022", "0x12", "18", "IRWXG|IRWXO"],
    "codes": ["200", "200-299"],
    "span": ["1000-2000"],
    "mask": ["255.255.255.0", "64"],
    "rest": ["10"],
}
ILLEGAL: dict[str, list[str]] = {
    "bool": ["maybe", "True", "1"],
    "interface": ["a-name-of-16-char", "a/b"],
    "address": ["192.0.2.256", "2001:db8:::1", "host.example.com"],
    "prefix": ["192.0.2.256", "192.0.2.1/33", "fe80::1/129", "x"],
    "service": ["192.0.2.256", "word"],
    "range": ["192.0.2.9-1", "192.0.2.9-192.0.2.1", "192.0.2.1/33", "x"],
    "hex": ["xyz"],
    "mac": ["00:11"],
    "umask": ["01000", "IRWXY"],
    "codes": ["99", "600", "299-200", "x"],
    "span": ["9", "9-1"],
    "mask": ["255.0.255.0", "129"],
}
NUMBERS = {"int": 1, "port": 1, "seconds": 1_000_000, "milliseconds": 1_000}


def legal(arg: Arg) -> list[str]:
    """Values that the argument takes, the ends of its range among them."""
    if arg.type == "choice":
        return list(arg.choices)
    if arg.type in NUMBERS:
        ends = [value for value in (arg.low, arg.high) if value is not None] or [1]
        return [_number(value, NUMBERS[arg.type]) for value in ends]
    if arg.type == "hex" and arg.max_len is not None:
        return ["0" * arg.max_len]
    return LEGAL[arg.type]


def illegal(arg: Arg) -> list[str]:
    """Values that it refuses; empty if it takes every word."""
    if arg.type == "choice":
        return ["no-such-choice"]
    if arg.type in NUMBERS:
        scale = NUMBERS[arg.type]
        step = 1_000 if arg.type == "seconds" and arg.decimals == 3 else 1
        values = ["x"]
        if arg.low is not None and not arg.clamp_low:
            values.append(_number(arg.low - step, scale))
        if arg.high is not None and not arg.clamp_high:
            values += [_number(arg.high + step, scale), "9" * 30]
        if arg.strict:
            values.append(f"{_number(arg.low or 1, scale)}x")
        return values
    return ILLEGAL.get(arg.type, [])


def _number(value: int, scale: int) -> str:
    if scale == 1:
        return str(value)
    whole, rest = divmod(abs(value), scale)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{rest:06d}" if scale == 1_000_000 else f"{sign}{whole}.{rest:03d}"


class Place:
    """One keyword in one block, with everything needed to write a file that holds it."""

    def __init__(self, block: Block, keyword: Keyword, around: tuple[Keyword, ...]) -> None:
        self.block = block
        self.keyword = keyword
        self.around = around

    @property
    def id(self) -> str:
        return ".".join([*(outer.name for outer in self.around), self.keyword.name])

    def header(self, args: list[str]) -> str:
        return " ".join([self.keyword.name, *args])

    def first_args(self) -> list[str]:
        """The first legal value of each argument that must be there."""
        return header_args(self.keyword)

    def file(self, line: str, *, body: str = "") -> tuple[str, int]:
        """A file with this line in its block, and the number of the line."""
        text = ""
        for outer in self.around:
            text += f"{' '.join([outer.name, *header_args(outer)])} {{\n{BASE.get(outer.name, '')}"
        number = text.count("\n") + 1
        text += line + (f" {{\n{body}}}\n" if self.keyword.block is not None else "\n")
        return text + "}\n" * len(self.around), number


BASE = {
    "vrrp_instance": "interface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n192.0.2.1\n}\n",
    "virtual_server": "lb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 192.0.2.99 80 {\n}\n",
    "vrrp_script": 'script "/bin/true"\n',
    "vrrp_track_process": "process word\n",
    "track_file": "file /dev/shm/word\n",
    "vrrp_track_file": "file /dev/shm/word\n",
    "bfd_instance": "neighbor_ip 192.0.2.9\n",
    "MISC_CHECK": "misc_path /bin/true\n",
    "BFD_CHECK": "name word\n",
    "FILE_CHECK": "track_file word\n",
    "HTTP_GET": "url {\npath /\n}\n",
    "SSL_GET": "url {\npath /\n}\n",
    "url": "path /\n",
    "garp_group": "garp_interval 1\ninterface eth0\n",
    "auth_hmac": "key 1 0123456789abcdef0123456789abcdef\nactive_key 1\n",
    "track_group": "group {\nword\n}\n",
}
"""What a block needs to be of use."""
_HEADERS = {"virtual_server": ["192.0.2.80", "80"], "real_server": ["192.0.2.81", "80"]}


def header_args(keyword: Keyword) -> list[str]:
    if keyword.name in _HEADERS:
        return _HEADERS[keyword.name]
    args = [legal(arg)[0] for arg in keyword.args if not arg.optional]
    if keyword.options and not keyword.args:
        option = keyword.options[0]
        args += [option.name, *(legal(arg)[0] for arg in option.args)]
    return args


def places(block: Block = ROOT, around: tuple[Keyword, ...] = ()) -> Iterator[Place]:
    """Every keyword of every keyword block."""
    for keyword in block.keywords.values():
        yield Place(block, keyword, around)
        if keyword.block is not None and keyword.block.kind == "keywords":
            yield from places(keyword.block, (*around, keyword))


def entry_places(block: Block = ROOT, around: tuple[Keyword, ...] = ()) -> Iterator[Place]:
    """Every block of entries or words."""
    for keyword in block.keywords.values():
        if keyword.block is None:
            continue
        if keyword.block.kind == "keywords":
            yield from entry_places(keyword.block, (*around, keyword))
        else:
            yield Place(block, keyword, around)
