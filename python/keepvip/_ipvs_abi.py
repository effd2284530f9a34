"""Numbers and shapes of the IPVS generic netlink interface, as in <linux/ip_vs.h>.

Shared by the two codecs (keepvip._ipvs in Cython, keepvip._ipvs_py in Python) and by whoever calls them. Both codecs
speak in plain tuples; the aliases below name their fields. Addresses are packed bytes (4 or 16), empty for a firewall
mark service. Ports are plain numbers (the codecs turn them round). Names ending in `_s` are seconds.
"""

from typing import Final, Literal, TypeAlias

Data: TypeAlias = bytes | bytearray | memoryview
"""What decode() reads."""

FAMILY_NAME: Final = "IPVS"
GENL_ID_CTRL: Final = 16
"""Netlink message type of the generic netlink controller, which tells the number of the family above."""

# Netlink message flags (<linux/netlink.h>).
NLM_F_REQUEST: Final = 0x1
NLM_F_ACK: Final = 0x4
NLM_F_DUMP: Final = 0x300

# Commands: the first field of what is asked. The kernel answers GET_SERVICE with NEW_SERVICE records, GET_CONFIG with
# SET_CONFIG and so on.
CMD_NEW_SERVICE: Final = 1
CMD_SET_SERVICE: Final = 2
CMD_DEL_SERVICE: Final = 3
CMD_GET_SERVICE: Final = 4
CMD_NEW_DEST: Final = 5
CMD_SET_DEST: Final = 6
CMD_DEL_DEST: Final = 7
CMD_GET_DEST: Final = 8
CMD_NEW_DAEMON: Final = 9
CMD_DEL_DAEMON: Final = 10
CMD_GET_DAEMON: Final = 11
CMD_SET_CONFIG: Final = 12
CMD_GET_CONFIG: Final = 13
CMD_SET_INFO: Final = 14
CMD_GET_INFO: Final = 15
CMD_ZERO: Final = 16
CMD_FLUSH: Final = 17

# Kinds of decoded records that are no IPVS command.
ACK: Final = -1
"""An answer to a request with NLM_F_ACK, or its refusal."""
DONE: Final = -2
"""The end of a dump."""
FAMILY: Final = -3
"""The controller's answer: the number of a generic netlink family."""

# Flags of a service.
SVC_F_PERSISTENT: Final = 0x1
SVC_F_HASHED: Final = 0x2
SVC_F_ONEPACKET: Final = 0x4
SVC_F_SCHED1: Final = 0x8
SVC_F_SCHED2: Final = 0x10
SVC_F_SCHED3: Final = 0x20

# Forwarding methods of a destination.
FWD_MASQ: Final = 0
FWD_LOCALNODE: Final = 1
FWD_TUNNEL: Final = 2
FWD_DROUTE: Final = 3
FWD_BYPASS: Final = 4

# Tunnel types and flags of a destination.
TUNNEL_IPIP: Final = 0
TUNNEL_GUE: Final = 1
TUNNEL_GRE: Final = 2
TUNNEL_FLAG_NOCSUM: Final = 0
TUNNEL_FLAG_CSUM: Final = 1
TUNNEL_FLAG_REMCSUM: Final = 2

# States of a synchronisation daemon.
STATE_MASTER: Final = 1
STATE_BACKUP: Final = 2

NAME_MAX: Final = 15
"""Longest scheduler, persistence engine and interface name in bytes: the kernel keeps 16 with the closing NUL."""

ServiceKey: TypeAlias = tuple[int, int, bytes, int, int]
"""family, protocol, address, port, fwmark. With a fwmark: (family, 0, b"", 0, fwmark)."""

ServiceOptions: TypeAlias = tuple[str, int, int, int, int, str]
"""scheduler, flags, flag mask, timeout_s, netmask, persistence engine ("" = none).

`netmask` is a mask as a number (0xffffff00) for IPv4 and a prefix length (1..128) for IPv6.
"""

Destination: TypeAlias = tuple[int, bytes, int, int, int, int, int, int, int, int]
"""family, address, port, method, weight, upper threshold, lower threshold, tunnel type, tunnel port, tunnel flags."""

DestinationKey: TypeAlias = tuple[int, bytes, int]
"""family, address, port."""

Daemon: TypeAlias = tuple[int, str, int, int, bytes, int, int]
"""state, interface, sync id, longest UDP payload, multicast group, port, ttl; 0 or b"" means the kernel's default."""

Stats: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]
"""connections, packets in, packets out, bytes in, bytes out; then the same five per second."""

# The records that decode() returns. Every one begins with its kind and the sequence number of the request it answers,
# so that record[2:7] of a service is its ServiceKey, record[7:13] its ServiceOptions, record[2:12] of a destination a
# Destination and record[2:] of a daemon a Daemon.
ServiceRecord: TypeAlias = tuple[
    Literal[1], int, int, int, bytes, int, int, str, int, int, int, int, str, Stats | None
]  # fmt: skip
"""kind, seq, *ServiceKey, *ServiceOptions, stats."""

DestinationRecord: TypeAlias = tuple[
    Literal[5], int, int, bytes, int, int, int, int, int, int, int, int, int, int, int, Stats | None
]
"""kind, seq, *Destination, active connections, inactive connections, persistent connections, stats."""

DaemonRecord: TypeAlias = tuple[Literal[9], int, int, str, int, int, bytes, int, int]
"""kind, seq, *Daemon."""

ConfigRecord: TypeAlias = tuple[Literal[12], int, int, int, int]
"""kind, seq, TCP timeout_s, TCP FIN timeout_s, UDP timeout_s."""

InfoRecord: TypeAlias = tuple[Literal[14], int, int, int]
"""kind, seq, version (0x010201 = 1.2.1), size of the connection table."""

AckRecord: TypeAlias = tuple[Literal[-1], int, int]
"""kind, seq, errno (0 = done)."""

DoneRecord: TypeAlias = tuple[Literal[-2], int, int]
"""kind, seq, errno (0 = the dump is whole)."""

FamilyRecord: TypeAlias = tuple[Literal[-3], int, int, str]
"""kind, seq, number of the family, its name."""

Record: TypeAlias = (
    ServiceRecord | DestinationRecord | DaemonRecord | ConfigRecord | InfoRecord | AckRecord | DoneRecord | FamilyRecord
)
