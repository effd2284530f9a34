"""Chooses the outputs of the log from what was asked for and what this host has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keepvip.observe import journald
from keepvip.observe.sinks import DescriptorSink, FileSink, SyslogSink, json_lines, plain_lines, sd_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from keepvip.daemon.settings import LogSettings
    from keepvip.observe.log import Sink

__all__ = ["open_sinks"]


def open_sinks(
    settings: LogSettings, environ: Mapping[str, str] = os.environ, *, journal: str = journald.SOCKET
) -> list[Sink]:
    """The outputs, opened. Raises OSError when the log file cannot be opened.

    Where journald runs it gets the records with their fields over its own socket, once: instead of lines on a
    stderr that is the journal anyway, and instead of /dev/log, behind which it listens as well.
    """
    sinks: list[Sink] = []
    lines = json_lines if settings.json else plain_lines
    has_journal = journald.available(journal)
    stderr_is_journal = settings.stderr and journald.stderr_is_journal(environ)
    if has_journal and (settings.syslog or stderr_is_journal):
        facility = settings.facility if settings.syslog else None
        sinks.append(journald.JournaldSink(settings.tag, facility=facility, path=journal))
    elif settings.syslog:
        sinks.append(SyslogSink(settings.tag, facility=settings.facility))
    if settings.stderr and not (has_journal and stderr_is_journal):
        sinks.append(DescriptorSink(2, form=sd_lines if stderr_is_journal else lines))
    if settings.file is not None:
        sinks.append(FileSink(settings.file, form=lines))
    return sinks
