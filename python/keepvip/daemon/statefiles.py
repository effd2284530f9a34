"""State files on request by a signal: where they go, and how they get there (vrrp-behaviour.md 14).

The snapshot is taken on the event loop; text and file are made on a thread, so that a disk that does not answer
delays nothing. A file appears whole or not at all. That statistics are cleared is known only here: the engine goes on
counting.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keepvip.config.model import Config
    from keepvip.daemon.services import Services
    from keepvip.event import EngineSnapshot, InstanceStatus
    from keepvip.observe.dump_track import ProcessView
    from keepvip.track.trackers import Trackers

__all__ = ["DumpPaths", "StateFiles", "dump_paths", "write_whole"]

_log = logging.getLogger("keepvip.daemon")

MODE = 0o600
"""Without a `umask` in the configuration; keepalived's default mask comes to the same."""

_Key = tuple[int, int, str | None, str]


class DumpPaths(msgspec.Struct, frozen=True, kw_only=True):
    """One path per kind of file."""

    data: str
    parent: str
    """What keepalived's parent process writes: the global definitions."""
    stats: str
    json: str
    check: str
    """Of virtual servers."""


def dump_paths(config: Config, namespace: str | None, environ: Mapping[str, str] = os.environ) -> DumpPaths:
    """In `/tmp`, or `$TMPDIR` if that is absolute, unless the configuration says otherwise.

    `namespace`: the network namespace given on the command line.
    """
    folder = environ.get("TMPDIR", "")
    if not folder.startswith("/"):
        folder = "/tmp"
    defs = config.global_defs
    tag = ""
    if defs.data_use_instance:
        tag = "_".join(filter(None, (namespace or config.net_namespace, config.instance_name)))
    return DumpPaths(
        data=_path(folder, defs.state_dump_file, "keepalived.data", tag),
        parent=_path(folder, defs.state_dump_file, "keepalived.data", tag, process="_parent"),
        stats=_path(folder, defs.stats_dump_file, "keepalived.stats", ""),
        json=_path(folder, defs.json_dump_file, "keepalived.json", ""),
        check=_path(folder, defs.state_dump_file, "keepalived.data", tag, process="_check"),
    )


def _path(folder: str, asked: str | None, name: str, tag: str, *, process: str = "") -> str:
    path = os.path.join(folder, asked or name)  # noqa: PTH118  (text; an absolute path replaces the folder)
    if path.endswith("/"):
        path += name
    if tag or process:
        stem, extension = os.path.splitext(path)  # noqa: PTH122
        path = f"{stem}{process}{f'.{tag}' if tag else ''}{extension}"
    return path


def write_whole(path: str, text: str, mode: int = MODE) -> None:
    """Writes a file under a temporary name and renames it. Raises OSError; nothing is left behind then."""
    part = f"{path}.{os.getpid()}.{threading.get_ident()}.part"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(fd, mode)
            file.write(text)
        os.replace(part, path)  # noqa: PTH105
    except BaseException:
        os.unlink(part)  # noqa: PTH108
        raise


class StateFiles:
    """Writes state files. Methods belong to the event loop's thread; none of them waits."""

    def __init__(
        self,
        config: Callable[[], Config],
        snapshot: Callable[[], EngineSnapshot],
        *,
        namespace: str | None = None,
        trackers: Trackers | None = None,
        services: Services | None = None,
    ) -> None:
        self._services = services
        self._trackers = trackers
        self._namespace = namespace
        self._config = config
        self._snapshot = snapshot
        self._cleared: dict[_Key, dict[str, int]] = {}
        """What the counters were when they were cleared."""
        self._busy: set[str] = set()

    def data(self, path: str | None = None) -> None:
        """SIGUSR1. `path`: instead of where the configuration says."""
        from keepvip.observe.dump_data import data_text, globals_text  # noqa: PLC0415  (on request)

        config, snapshot = self._config(), self._snapshot()
        tracked = [] if self._trackers is None else self._trackers.status()
        processes = self._processes()
        if path is None:
            paths = dump_paths(config, self._namespace)
            path = paths.data
            self._write(paths.parent, lambda: globals_text(config))
        self._write(path, lambda: data_text(config, snapshot, tracked, processes))
        if self._services is not None and self._services.balancer is not None:
            from keepvip.observe.dump_check import check_text, service_states  # noqa: PLC0415  (on request)

            copies = service_states(self._services.balancer.pool.services.values())
            self._write(dump_paths(config, self._namespace).check, lambda: check_text(config, copies))

    def stats(self) -> None:
        """SIGUSR2."""
        from keepvip.observe.dump_stats import stats_text  # noqa: PLC0415  (on request)

        instances = [self._since_cleared(status) for status in self._snapshot().instances]
        self._write(dump_paths(self._config(), self._namespace).stats, lambda: stats_text(instances))

    def stats_clear(self) -> None:
        """SIGRTMAX-1: the statistics, which then begin at zero."""
        self.stats()
        self._cleared = {_key(status): dict(status.stats) for status in self._snapshot().instances}

    def json(self) -> None:
        """SIGRTMIN+2."""
        from keepvip.observe.dump_json import json_text  # noqa: PLC0415  (on request)

        config = self._config()
        instances = [self._since_cleared(status) for status in self._snapshot().instances]
        version = config.global_defs.json_version
        processes = self._processes()
        path = dump_paths(config, self._namespace).json
        self._write(path, lambda: json_text(config, instances, version=version, processes=processes))

    def _processes(self) -> list[ProcessView]:
        """Tracked processes as they are now: what is written is made on a thread."""
        from keepvip.observe.dump_track import ProcessView  # noqa: PLC0415  (on request)

        if self._trackers is None:
            return []
        return [
            ProcessView(
                config=counter.config,
                count=len(counter.members),
                quorum=counter.value == "good",
                fork_timer=counter.fork_timer is not None,
                terminate_timer=counter.terminate_timer is not None,
            )
            for counter in self._trackers.counters().values()
        ]

    def _since_cleared(self, status: InstanceStatus) -> InstanceStatus:
        before = self._cleared.get(_key(status))
        if before is None:
            return status
        if any(status.stats.get(name, 0) < count for name, count in before.items()):
            del self._cleared[_key(status)]  # removed and added again: it began at zero by itself
            return status
        stats = {name: count - before.get(name, 0) for name, count in status.stats.items()}
        return msgspec.structs.replace(status, stats=stats)

    def _write(self, path: str, make: Callable[[], str]) -> None:
        if path in self._busy:
            _log.warning("%s is still being written: this request for it is dropped", path)
            return
        self._busy.add(path)
        loop = asyncio.get_running_loop()
        umask = self._config().global_defs.umask
        mode = MODE if umask is None else 0o666 & ~umask

        def work() -> None:
            try:
                write_whole(path, make(), mode)
                _log.info("Written: %s", path)
            except OSError as error:
                _log.error("Cannot write %s: %s", path, error.strerror)
            except Exception:
                _log.exception("Cannot write %s", path)
            finally:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(self._busy.discard, path)

        threading.Thread(target=work, name="state file", daemon=True).start()


def _key(status: InstanceStatus) -> _Key:
    return (status.vrid, status.family, status.interface, status.name)
