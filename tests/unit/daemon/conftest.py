"""Logging is global: every test of this folder leaves it as it found it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def quiet_levels() -> Iterator[None]:
    """Levels of keepvip's loggers are unset before and after."""

    def unset() -> None:
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("keepvip")]:
            logging.getLogger(name).setLevel(logging.NOTSET)

    unset()
    yield
    unset()
