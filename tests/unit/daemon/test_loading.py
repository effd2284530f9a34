"""May one start, or reload, with what was found?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from keepvip.config.diagnostic import ConfigTestClass, Diagnostics
from keepvip.daemon.loading import Loaded, blockers, start_status
from keepvip.daemon.settings import ExitStatus

from .fakes import config, loaded

if TYPE_CHECKING:
    from keepvip.config.model import Config

CONFIG = config("VI_1")


def found(kind: ConfigTestClass, *, stops_start: bool = False) -> Diagnostics:
    diagnostics = Diagnostics()
    diagnostics.error("test", "bad", kind=kind, stops_start=stops_start)
    return diagnostics


@pytest.mark.parametrize(
    ("made", "diagnostics", "strict", "lenient"),
    [
        (CONFIG, Diagnostics(), ExitStatus.OK, ExitStatus.OK),
        (CONFIG, found(ConfigTestClass.UNKNOWN_KEYWORD), ExitStatus.CONFIG, ExitStatus.OK),
        (CONFIG, found(ConfigTestClass.ABORT), ExitStatus.CONFIG, ExitStatus.CONFIG),
        (CONFIG, found(ConfigTestClass.FILE_NOT_FOUND, stops_start=True), ExitStatus.CONFIG, ExitStatus.UNREADABLE),
        (None, found(ConfigTestClass.GENERAL), ExitStatus.CONFIG, ExitStatus.CONFIG),
        (None, found(ConfigTestClass.FILE_NOT_FOUND, stops_start=True), ExitStatus.CONFIG, ExitStatus.UNREADABLE),
    ],
)
def test_start(made: Config | None, diagnostics: Diagnostics, strict: int, lenient: int) -> None:
    reading = Loaded(config=made, diagnostics=diagnostics, at_ns=0)
    assert start_status(reading, refuse_errors=True) == strict
    assert start_status(reading, refuse_errors=False) == lenient


def test_reload_refuses_every_error_unless_lenient() -> None:
    running = loaded(CONFIG, "old slip")
    assert blockers(loaded(CONFIG), running, refuse_errors=True) == []
    assert [error.message for error in blockers(running, running, refuse_errors=True)] == ["old slip"]
    assert blockers(running, running, refuse_errors=False) == []
    edited = loaded(CONFIG, "old slip", "new slip")
    assert [error.message for error in blockers(edited, running, refuse_errors=False)] == ["new slip"]


def test_lenient_reload_refuses_what_would_not_start() -> None:
    running = Loaded(config=CONFIG, diagnostics=found(ConfigTestClass.GENERAL), at_ns=0)
    broken = Loaded(config=None, diagnostics=found(ConfigTestClass.GENERAL), at_ns=0)
    assert len(blockers(broken, running, refuse_errors=False)) == 1
