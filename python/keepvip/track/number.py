"""The number in a tracked file (vrrp-behaviour.md 9). Light: it is imported before the first advert."""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keepvip.config.model_track import TrackFile

__all__ = ["folder_missing", "make_file", "read_number"]

READ_OCTETS = 127
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)(?:0[xX]([0-9a-fA-F]+)|(0[0-7]*)|([1-9][0-9]*))")


def read_number(path: str) -> tuple[int | None, str]:
    """The value of a file, and what was seen, in words. None: the number does not fit, and the value stays."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0, "the file does not exist"
    except (OSError, ValueError) as error:
        return 0, f"the file cannot be opened: {(error.strerror if isinstance(error, OSError) else None) or error}"
    try:
        content = os.read(descriptor, READ_OCTETS)
    except OSError as error:
        return 0, f"the file cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
    return parse(content)


def parse(content: bytes) -> tuple[int | None, str]:
    """The number at the start of a text, in C notation."""
    found = _NUMBER.match(content)
    if found is None:
        return 0, "the file is empty" if not content.strip() else "the file does not begin with a number"
    sign, hexadecimal, octal, decimal = found.groups()
    value = int(hexadecimal or octal or decimal, 16 if hexadecimal else 8 if octal else 10)
    value = -value if sign == b"-" else value
    if not -(2**31) <= value < 2**31:
        return None, f"the file says {value}, which is beyond 32 bits"
    return value, f"the file says {value}"


def folder_missing(path: str) -> bool:
    """Whether there is not even a folder for the file: without one keepalived does not track it at all."""
    return not os.path.isdir(os.path.dirname(os.path.abspath(path)))  # noqa: PTH100, PTH112, PTH120


def make_file(file: TrackFile) -> str:
    """Writes `init_file`; returns why it could not be done, or nothing."""
    if file.init_value is None:
        return ""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    flags |= os.O_TRUNC if file.init_overwrite else os.O_EXCL
    try:
        descriptor = os.open(file.path, flags, 0o644)
    except FileExistsError:
        return ""
    except OSError as error:
        return f"track_file {file.name}: {file.path} cannot be made: {error.strerror}"
    with contextlib.closing(os.fdopen(descriptor, "wb")) as stream:
        stream.write(b"%d\n" % file.init_value)
    return ""
