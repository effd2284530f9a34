"""Writes captures that Wireshark reads (classic pcap with nanoseconds, link type Ethernet)."""

import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from keepvip.lab.decode import Packet

_MAGIC_NANOSECONDS: Final = 0xA1B23C4D
_LINKTYPE_ETHERNET: Final = 1
_SNAP_LENGTH: Final = 262_144


class PcapWriter:
    """Appends frames to a new file."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._file.write(struct.pack("=IHHiIII", _MAGIC_NANOSECONDS, 2, 4, 0, 0, _SNAP_LENGTH, _LINKTYPE_ETHERNET))

    def write(self, at_ns: int, data: bytes) -> None:
        """Append one frame; ``at_ns`` is CLOCK_REALTIME."""
        seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
        self._file.write(struct.pack("=IIII", seconds, nanoseconds, len(data), len(data)))
        self._file.write(data)

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def write_pcap(path: Path, packets: Iterable[Packet]) -> Path:
    """Write packets to a file and give its path."""
    writer = PcapWriter(path)
    for packet in packets:
        writer.write(packet.at_ns, packet.data)
    writer.close()
    return path
