"""Wireshark's opinion: decodes a capture with ``tshark``, all checksums on, as the witness of what was sent."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from keepvip.lab.errors import LabError

_CHECKSUMS_ON = ("-o", "ip.check_checksum:TRUE")


def available() -> bool:
    """Whether tshark is installed."""
    return shutil.which("tshark") is not None


def _tshark(pcap: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["tshark", "-n", "-r", str(pcap), *_CHECKSUMS_ON, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise LabError(f"tshark: {done.stderr.strip()}")
    return done.stdout


def complaints(pcap: Path) -> list[str]:
    """Every frame Wireshark finds fault with: malformed, bad checksum, or an expert message of warning or worse."""
    output = _tshark(
        pcap,
        "-Y",
        '_ws.malformed or vrrp.checksum.status == "Bad" or ip.checksum.status == "Bad"'
        " or icmpv6.checksum.status == 0 or _ws.expert.severity >= 0x600000",
        "-T",
        "fields",
        *(
            word
            for name in ("frame.number", "frame.protocols", "ip.src", "ipv6.src", "_ws.expert.message", "_ws.col.Info")
            for word in ("-e", name)
        ),
    )
    return output.splitlines()


def layers(pcap: Path, display_filter: str) -> list[dict[str, Any]]:
    """The decoded layers (``-T json``) of the frames that match a display filter."""
    decoded: list[dict[str, Any]] = json.loads(_tshark(pcap, "-Y", display_filter, "-T", "json") or "[]")
    return [frame["_source"]["layers"] for frame in decoded]


def fields(pcap: Path, display_filter: str, *names: str) -> list[dict[str, list[str]]]:
    """Some fields of the frames that match a display filter; each field is a list of its occurrences."""
    separator = ("-E", "occurrence=a", "-E", "aggregator=|", "-E", "separator=/t")
    output = _tshark(pcap, "-Y", display_filter, "-T", "fields", *separator, *(w for n in names for w in ("-e", n)))
    return [
        {name: value.split("|") if value else [] for name, value in zip(names, line.split("\t"), strict=True)}
        for line in output.splitlines()
    ]
