"""IPVS netlink messages to plain tuples and back: the pure-Python twin of the Cython module keepvip._ipvs.

It is the readable form of the codec, the fallback where no compiled module exists, and the second opinion in the tests:
both must return the same tuples, the same bytes and the same error texts. The shapes of the tuples are in
keepvip._ipvs_abi.

Everything that does not fit raises ValueError: when decoding, with the byte offset in the data; when encoding, with the
name of the value. Attributes of unknown number are skipped, as everywhere in netlink: newer kernels send more.
"""

import struct
import sys
from collections.abc import Iterator

from keepvip import _ipvs_abi as abi
from keepvip._ipvs_abi import (
    Daemon,
    DaemonRecord,
    Data,
    Destination,
    DestinationKey,
    DestinationRecord,
    Record,
    ServiceKey,
    ServiceOptions,
    ServiceRecord,
    Stats,
)

_NLMSGHDR = struct.Struct("=IHHII")  # length, type, flags, sequence number, port id
_ATTR = struct.Struct("=HH")  # length with this header, type
_I32 = struct.Struct("=i")
_FLAGS = struct.Struct("=II")

_NLMSG_NOOP, _NLMSG_ERROR, _NLMSG_DONE = 1, 2, 3
_GENL_HEADER = 4  # command, version, reserved
_NLA_TYPE_MASK = 0x3FFF  # without the bits "nested" and "network byte order"
_NLA_F_NESTED = 0x8000
_AF_INET, _AF_INET6 = 2, 10
_ADDRESS_SIZE = {_AF_INET: 4, _AF_INET6: 16}
_UNION_ADDRESS = 16  # the kernel's union nf_inet_addr, which it sends whole for either family

# First level (IPVS_CMD_ATTR_*) and inside of it (IPVS_SVC_ATTR_* and so on).
_CMD_SERVICE, _CMD_DEST, _CMD_DAEMON, _CMD_TCP, _CMD_TCP_FIN, _CMD_UDP = range(1, 7)
_SVC_AF, _SVC_PROTOCOL, _SVC_ADDR, _SVC_PORT, _SVC_FWMARK, _SVC_SCHED = range(1, 7)
_SVC_FLAGS, _SVC_TIMEOUT, _SVC_NETMASK, _SVC_STATS, _SVC_PE, _SVC_STATS64 = range(7, 13)
_DEST_ADDR, _DEST_PORT, _DEST_METHOD, _DEST_WEIGHT, _DEST_UPPER, _DEST_LOWER = range(1, 7)
_DEST_ACTIVE, _DEST_INACTIVE, _DEST_PERSISTENT, _DEST_STATS, _DEST_FAMILY, _DEST_STATS64 = range(7, 13)
_DEST_TUN_TYPE, _DEST_TUN_PORT, _DEST_TUN_FLAGS = range(13, 16)
_DAEMON_STATE, _DAEMON_IFN, _DAEMON_ID, _DAEMON_MAXLEN, _DAEMON_GROUP, _DAEMON_GROUP6 = range(1, 7)
_DAEMON_PORT, _DAEMON_TTL = 7, 8
_STATS_COUNT = 10
_STATS_BYTES = (4, 5)  # bytes in, bytes out: 64 bits wide in the old statistics, too
_INFO_VERSION, _INFO_TABLE = 1, 2
_CTRL_NEWFAMILY, _CTRL_GETFAMILY = 1, 3
_CTRL_ID, _CTRL_NAME = 1, 2


class _Nest:
    """Walks the attributes between two offsets of `data`; `what` names them in error texts."""

    __slots__ = ("data", "end", "kind", "pos", "size", "start", "what")

    def __init__(self, data: bytes, pos: int, end: int, what: str) -> None:
        self.data, self.pos, self.end, self.what = data, pos, end, what
        self.kind = self.start = self.size = 0

    def __iter__(self) -> Iterator[int]:
        """Yield the type of each attribute; `start` and `size` then tell where its value lies."""
        while self.pos < self.end:
            left = self.end - self.pos
            if left < 4:
                raise ValueError(f"{self.what} at byte {self.pos}: {left} bytes left, too few for an attribute")
            length, kind = _ATTR.unpack_from(self.data, self.pos)
            if not 4 <= length <= left:
                raise ValueError(f"{self.what} at byte {self.pos}: attribute of {length} bytes in the {left} left")
            self.kind = kind & _NLA_TYPE_MASK
            self.start, self.size = self.pos + 4, length - 4
            self.pos += (length + 3) & ~3
            yield self.kind

    def need(self, size: int) -> None:
        """Raise ValueError unless the current value is `size` bytes long."""
        if self.size != size:
            raise ValueError(
                f"{self.what} at byte {self.start}: attribute {self.kind} has {self.size} bytes instead of {size}"
            )

    def number(self, size: int) -> int:
        """Return the current value as an unsigned number of `size` bytes in the host's byte order."""
        self.need(size)
        return int.from_bytes(self.data[self.start : self.start + size], sys.byteorder)

    def port(self) -> int:
        """Return the current value as a 16 bit number in network byte order."""
        self.need(2)
        return int.from_bytes(self.data[self.start : self.start + 2], "big")

    def value(self) -> bytes:
        """Return the bytes of the current value."""
        return self.data[self.start : self.start + self.size]

    def text(self) -> str:
        """Return the current value up to its NUL; bytes that are no UTF-8 stay as surrogates, like in file names."""
        return self.value().split(b"\0", 1)[0].decode("utf-8", "surrogateescape")

    def inner(self, what: str) -> "_Nest":
        """Return the walk through the attributes within the current value."""
        return _Nest(self.data, self.start, self.start + self.size, what)


def decode(data: Data, family_id: int) -> list[Record]:
    """Decode what one recv() returned: any number of whole netlink messages.

    `family_id` is the number the controller gave the IPVS family (a FAMILY record tells it).
    """
    raw = bytes(data)
    records: list[Record] = []
    pos, end = 0, len(raw)
    while pos < end:
        left = end - pos
        if left < 16:
            raise ValueError(f"message at byte {pos}: {left} bytes left, too few for a netlink header")
        length, kind, _flags, seq, _port_id = _NLMSGHDR.unpack_from(raw, pos)
        if not 16 <= length <= left:
            raise ValueError(f"message at byte {pos}: {length} bytes long with {left} left")
        if kind in (family_id, abi.GENL_ID_CTRL):
            records.append(_generic(raw, pos, length, kind, seq))
        elif kind == _NLMSG_ERROR:
            if length < 20:
                raise ValueError(f"message at byte {pos}: {length} bytes are too few for an error number")
            records.append((abi.ACK, seq, -_I32.unpack_from(raw, pos + 16)[0]))
        elif kind == _NLMSG_DONE:
            records.append((abi.DONE, seq, -_I32.unpack_from(raw, pos + 16)[0] if length >= 20 else 0))
        elif kind != _NLMSG_NOOP:
            raise ValueError(f"message at byte {pos}: unexpected type {kind}")
        pos += (length + 3) & ~3
    return records


def _generic(raw: bytes, pos: int, length: int, kind: int, seq: int) -> Record:
    if length < 16 + _GENL_HEADER:
        raise ValueError(f"message at byte {pos}: {length} bytes are too few for a generic netlink header")
    command = raw[pos + 16]
    nest = _Nest(raw, pos + 16 + _GENL_HEADER, pos + length, "message")
    if kind == abi.GENL_ID_CTRL:
        if command == _CTRL_NEWFAMILY:
            return _family(nest, seq)
        raise ValueError(f"message at byte {pos}: unexpected controller command {command}")
    if command == abi.CMD_NEW_SERVICE:
        return _service(_only(nest, _CMD_SERVICE, "service", pos), seq)
    if command == abi.CMD_NEW_DEST:
        return _destination(_only(nest, _CMD_DEST, "destination", pos), seq)
    if command == abi.CMD_NEW_DAEMON:
        return _daemon(_only(nest, _CMD_DAEMON, "daemon", pos), seq)
    if command == abi.CMD_SET_CONFIG:
        timeouts = {kind: nest.number(4) for kind in nest if _CMD_TCP <= kind <= _CMD_UDP}
        return (
            abi.CMD_SET_CONFIG,
            seq,
            timeouts.get(_CMD_TCP, 0),
            timeouts.get(_CMD_TCP_FIN, 0),
            timeouts.get(_CMD_UDP, 0),
        )
    if command == abi.CMD_SET_INFO:
        info = {kind: nest.number(4) for kind in nest if kind in (_INFO_VERSION, _INFO_TABLE)}
        return (abi.CMD_SET_INFO, seq, info.get(_INFO_VERSION, 0), info.get(_INFO_TABLE, 0))
    raise ValueError(f"message at byte {pos}: unexpected IPVS command {command}")


def _only(nest: _Nest, wanted: int, what: str, pos: int) -> _Nest:
    """Return the walk through the attribute `wanted`; an IPVS message without it says nothing."""
    found = None
    for kind in nest:
        if kind == wanted:
            found = nest.inner(what)
    if found is None:
        raise ValueError(f"message at byte {pos}: {what} missing")
    return found


def _family(nest: _Nest, seq: int) -> Record:
    number, name = 0, ""
    for kind in nest:
        if kind == _CTRL_ID:
            number = nest.number(2)
        elif kind == _CTRL_NAME:
            name = nest.text()
    return (abi.FAMILY, seq, number, name)


def _stats(narrow: _Nest | None, wide: _Nest | None) -> Stats | None:
    """Read the 64 bit statistics, the old ones only where the kernel knows no others; None without any."""
    nest = wide or narrow
    if nest is None:
        return None
    values = [0] * _STATS_COUNT
    for kind in nest:
        if 1 <= kind <= _STATS_COUNT:  # number 11 is padding
            values[kind - 1] = nest.number(8 if wide or kind in _STATS_BYTES else 4)
    a, b, c, d, e, f, g, h, i, j = values
    return (a, b, c, d, e, f, g, h, i, j)


def _address(value: bytes, family: int, what: str) -> bytes:
    """Cut the kernel's address union to the size of the family; AF_UNSPEC (kernels before 3.18) keeps it whole."""
    size = _ADDRESS_SIZE.get(family) if family else _UNION_ADDRESS
    if size is None:
        raise ValueError(f"{what}: unknown address family {family}")
    if len(value) < size:
        raise ValueError(f"{what}: address of {len(value)} bytes for address family {family}")
    return value[:size]


def _service(nest: _Nest, seq: int) -> ServiceRecord:
    family = protocol = port = fwmark = flags = mask = timeout_s = netmask = 0
    address, raw_netmask, scheduler, engine = b"", b"\0\0\0\0", "", ""
    narrow: _Nest | None = None
    wide: _Nest | None = None
    for kind in nest:
        if kind == _SVC_AF:
            family = nest.number(2)
        elif kind == _SVC_PROTOCOL:
            protocol = nest.number(2)
        elif kind == _SVC_ADDR:
            address = nest.value()
        elif kind == _SVC_PORT:
            port = nest.port()
        elif kind == _SVC_FWMARK:
            fwmark = nest.number(4)
        elif kind == _SVC_SCHED:
            scheduler = nest.text()
        elif kind == _SVC_FLAGS:
            nest.need(8)
            flags, mask = _FLAGS.unpack_from(nest.data, nest.start)
        elif kind == _SVC_TIMEOUT:
            timeout_s = nest.number(4)
        elif kind == _SVC_NETMASK:
            nest.need(4)
            raw_netmask = nest.value()
        elif kind == _SVC_PE:
            engine = nest.text()
        elif kind == _SVC_STATS64:
            wide = nest.inner("statistics")
        elif kind == _SVC_STATS:
            narrow = nest.inner("statistics")
    if family not in _ADDRESS_SIZE:
        raise ValueError(f"service: unknown address family {family}")
    if fwmark:
        protocol, address, port = 0, b"", 0
    else:
        address = _address(address, family, "service")
    # A prefix length in the host's order for IPv6, a mask in network order for IPv4.
    netmask = int.from_bytes(raw_netmask, "big" if family == _AF_INET else sys.byteorder)
    return (
        abi.CMD_NEW_SERVICE,
        seq,
        family,
        protocol,
        address,
        port,
        fwmark,
        scheduler,
        flags,
        mask,
        timeout_s,
        netmask,
        engine,
        _stats(narrow, wide),
    )


def _destination(nest: _Nest, seq: int) -> DestinationRecord:
    family = port = 0
    numbers = [0] * 16
    address = b""
    narrow: _Nest | None = None
    wide: _Nest | None = None
    for kind in nest:
        if _DEST_METHOD <= kind <= _DEST_PERSISTENT:
            numbers[kind] = nest.number(4)
        elif kind == _DEST_ADDR:
            address = nest.value()
        elif kind == _DEST_PORT:
            port = nest.port()
        elif kind == _DEST_FAMILY:
            family = nest.number(2)
        elif kind == _DEST_STATS64:
            wide = nest.inner("statistics")
        elif kind == _DEST_STATS:
            narrow = nest.inner("statistics")
        elif kind == _DEST_TUN_TYPE:
            numbers[kind] = nest.number(1)
        elif kind == _DEST_TUN_PORT:
            numbers[kind] = nest.port()
        elif kind == _DEST_TUN_FLAGS:
            numbers[kind] = nest.number(2)
    return (
        abi.CMD_NEW_DEST,
        seq,
        family,
        _address(address, family, "destination"),
        port,
        numbers[_DEST_METHOD],
        numbers[_DEST_WEIGHT],
        numbers[_DEST_UPPER],
        numbers[_DEST_LOWER],
        numbers[_DEST_TUN_TYPE],
        numbers[_DEST_TUN_PORT],
        numbers[_DEST_TUN_FLAGS],
        numbers[_DEST_ACTIVE],
        numbers[_DEST_INACTIVE],
        numbers[_DEST_PERSISTENT],
        _stats(narrow, wide),
    )


def _daemon(nest: _Nest, seq: int) -> DaemonRecord:
    state = sync_id = max_len = port = ttl = 0
    interface, group = "", b""
    for kind in nest:
        if kind == _DAEMON_STATE:
            state = nest.number(4)
        elif kind == _DAEMON_IFN:
            interface = nest.text()
        elif kind == _DAEMON_ID:
            sync_id = nest.number(4)
        elif kind == _DAEMON_MAXLEN:
            max_len = nest.number(2)
        elif kind in (_DAEMON_GROUP, _DAEMON_GROUP6):
            nest.need(4 if kind == _DAEMON_GROUP else 16)
            group = nest.value()
        elif kind == _DAEMON_PORT:
            port = nest.number(2)
        elif kind == _DAEMON_TTL:
            ttl = nest.number(1)
    return (abi.CMD_NEW_DAEMON, seq, state, interface, sync_id, max_len, group, port, ttl)


def encode(
    command: int,
    family_id: int,
    seq: int,
    nl_flags: int,
    service: ServiceKey | None = None,
    options: ServiceOptions | None = None,
    destination: Destination | DestinationKey | None = None,
) -> bytes:
    """Encode one request about services and destinations, or one without attributes (flush, dumps, info).

    NEW_SERVICE and SET_SERVICE take `options`, NEW_DEST and SET_DEST a Destination, DEL_DEST its DestinationKey. Tunnel
    attributes that are all 0 and an empty persistence engine are left out: what the kernel assumes.
    """
    body = bytearray()
    if service is not None:
        body += _attribute(_CMD_SERVICE | _NLA_F_NESTED, _service_bytes(service, options))
    elif options is not None or destination is not None:
        raise ValueError("options and destinations need a service")
    if destination is not None:
        body += _attribute(_CMD_DEST | _NLA_F_NESTED, _destination_bytes(destination))
    return _message(command, family_id, seq, nl_flags, bytes(body))


def encode_daemon(command: int, family_id: int, seq: int, nl_flags: int, daemon: Daemon) -> bytes:
    """Encode NEW_DAEMON or DEL_DAEMON; what is 0 or empty is left out and so takes the kernel's default."""
    state, interface, sync_id, max_len, group, port, ttl = daemon
    body = _attribute(_DAEMON_STATE, _number("state", state, 4))
    if interface:
        body += _attribute(_DAEMON_IFN, _text("interface", interface))
    body += _attribute(_DAEMON_ID, _number("sync id", sync_id, 4))
    if max_len:
        body += _attribute(_DAEMON_MAXLEN, _number("payload length", max_len, 2))
    if group:
        if len(group) not in (4, 16):
            raise ValueError(f"multicast group of {len(group)} bytes")
        body += _attribute(_DAEMON_GROUP if len(group) == 4 else _DAEMON_GROUP6, group)
    if port:
        body += _attribute(_DAEMON_PORT, _number("multicast port", port, 2))
    if ttl:
        body += _attribute(_DAEMON_TTL, _number("ttl", ttl, 1))
    return _message(command, family_id, seq, nl_flags, _attribute(_CMD_DAEMON | _NLA_F_NESTED, body))


def encode_config(family_id: int, seq: int, nl_flags: int, tcp_s: int, tcp_fin_s: int, udp_s: int) -> bytes:
    """Encode SET_CONFIG with the three connection timeouts in seconds; 0 leaves that timeout as it is."""
    body = b""
    for kind, name, value in (
        (_CMD_TCP, "TCP timeout", tcp_s),
        (_CMD_TCP_FIN, "TCP FIN timeout", tcp_fin_s),
        (_CMD_UDP, "UDP timeout", udp_s),
    ):
        if value:
            body += _attribute(kind, _number(name, value, 4))
    return _message(abi.CMD_SET_CONFIG, family_id, seq, nl_flags, body)


def encode_get_family(seq: int, name: str = abi.FAMILY_NAME) -> bytes:
    """Encode the question to the generic netlink controller for the number of family `name`."""
    return _message(
        _CTRL_GETFAMILY, abi.GENL_ID_CTRL, seq, abi.NLM_F_REQUEST, _attribute(_CTRL_NAME, _text("family name", name))
    )


def _service_bytes(key: ServiceKey, options: ServiceOptions | None) -> bytes:
    family, protocol, address, port, fwmark = key
    body = _attribute(_SVC_AF, _number("address family", family, 2))
    if fwmark:
        body += _attribute(_SVC_FWMARK, _number("fwmark", fwmark, 4))
    else:
        body += _attribute(_SVC_PROTOCOL, _number("protocol", protocol, 2))
        body += _attribute(_SVC_ADDR, _address_bytes(family, address))
        body += _attribute(_SVC_PORT, _port("port", port))
    if options is None:
        return body
    scheduler, flags, mask, timeout_s, netmask, engine = options
    order = "big" if family == _AF_INET else None
    body += _attribute(_SVC_SCHED, _text("scheduler", scheduler))
    if engine:
        body += _attribute(_SVC_PE, _text("persistence engine", engine))
    body += _attribute(_SVC_FLAGS, _number("flags", flags, 4) + _number("flag mask", mask, 4))
    body += _attribute(_SVC_TIMEOUT, _number("timeout", timeout_s, 4))
    return body + _attribute(_SVC_NETMASK, _port("netmask", netmask, 4) if order else _number("netmask", netmask, 4))


def _destination_bytes(destination: Destination | DestinationKey) -> bytes:
    family, address, port = destination[:3]
    body = _attribute(_DEST_ADDR, _address_bytes(family, address))
    body += _attribute(_DEST_PORT, _port("port", port))
    body += _attribute(_DEST_FAMILY, _number("address family", family, 2))
    if len(destination) == 3:
        return body
    method, weight, upper, lower, tunnel_type, tunnel_port, tunnel_flags = destination[3:]
    body += _attribute(_DEST_METHOD, _number("method", method, 4))
    body += _attribute(_DEST_WEIGHT, _number("weight", weight, 4))
    body += _attribute(_DEST_UPPER, _number("upper threshold", upper, 4))
    body += _attribute(_DEST_LOWER, _number("lower threshold", lower, 4))
    if tunnel_type or tunnel_port or tunnel_flags:
        body += _attribute(_DEST_TUN_TYPE, _number("tunnel type", tunnel_type, 1))
        body += _attribute(_DEST_TUN_PORT, _port("tunnel port", tunnel_port))
        body += _attribute(_DEST_TUN_FLAGS, _number("tunnel flags", tunnel_flags, 2))
    return body


def _message(command: int, family_id: int, seq: int, nl_flags: int, body: bytes) -> bytes:
    header = (
        _number("command", command, 1)
        + b"\x01\0\0"  # version of the interface (IPVS_GENL_VERSION; the controller takes any)
    )
    length = 16 + len(header) + len(body)
    return (
        _number("message length", length, 4)
        + _number("family number", family_id, 2)
        + _number("netlink flags", nl_flags, 2)
        + _number("sequence number", seq, 4)
        + b"\0\0\0\0"  # port id: the kernel fills it in
        + header
        + body
    )


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTR.pack(4 + len(value), kind) + value + b"\0" * (-len(value) & 3)


def _number(name: str, value: int, size: int) -> bytes:
    """Encode an unsigned number in the host's byte order; `name` is for the error."""
    if not 0 <= value < 1 << 8 * size:
        raise ValueError(f"{name} {value} does not fit into {8 * size} bits")
    return value.to_bytes(size, sys.byteorder)


def _port(name: str, value: int, size: int = 2) -> bytes:
    """Encode an unsigned number in network byte order."""
    return int.from_bytes(_number(name, value, size), sys.byteorder).to_bytes(size, "big")


def _text(name: str, value: str) -> bytes:
    raw = value.encode("utf-8", "surrogateescape")
    if not 1 <= len(raw) <= abi.NAME_MAX or b"\0" in raw:
        raise ValueError(f"{name} {value!r} is not 1 to {abi.NAME_MAX} bytes without NUL")
    return raw + b"\0"


def _address_bytes(family: int, address: bytes) -> bytes:
    if _ADDRESS_SIZE.get(family) != len(address):
        raise ValueError(f"address of {len(address)} bytes for address family {family}")
    return address.ljust(_UNION_ADDRESS, b"\0")
