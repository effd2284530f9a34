"""From exec to a running daemon and back: the order of the start is what makes it fast and safe.

Signals held back, configuration, pid file, background, engine, and only then the event loop with everything
else. The first advert leaves while Python still imports the rest.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from keepvip import __version__
from keepvip.daemon import background, findings, netns, signals
from keepvip.daemon.findings import one_line
from keepvip.daemon.loading import Loaded, read, start_status
from keepvip.daemon.outputs import open_sinks
from keepvip.daemon.pidfile import AlreadyRunningError, PidFile
from keepvip.daemon.ports import ENGINE_STOP_S
from keepvip.daemon.settings import ExitStatus, Settings, pid_paths, socket_path
from keepvip.observe.log import LogPipe, install

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from keepvip.engine import Engine

__all__ = ["run"]

_log = logging.getLogger("keepvip.daemon")

THREAD_STACK_BYTES = 1 << 20
"""Stack of our own threads. The engine locks all memory, also that of later threads: the usual 8 MiB each add up."""


def run(settings: Settings, messages: Sequence[str] = ()) -> int:
    """Runs a daemon until it is stopped; returns the exit status. `messages` are logged at the start."""
    started_ns = time.time_ns()
    signals.block()
    _prepare(settings)
    try:
        loaded = _read_in_namespace(settings)
    except OSError as error:
        _say(settings, f"cannot enter network namespace {error.filename}: {error.strerror}")
        return _os_status(error)
    status = start_status(loaded, refuse_errors=settings.refuse_errors)
    if status != ExitStatus.OK or loaded.config is None:
        _refuse(settings, loaded)
        return status
    config = loaded.config
    socket = socket_path(settings, config.instance_name)
    pid_files = [
        PidFile(path)
        for path in pid_paths(
            settings,
            socket,
            instance=config.instance_name,
            namespace=settings.namespace or config.net_namespace,
            use_pid_dir=config.use_pid_dir,
        )
    ]
    try:
        for pid_file in pid_files:
            pid_file.acquire()
        launch = background.Launch() if settings.foreground else background.detach()
        status = ExitStatus.SOFTWARE  # unless it gets to say better
        try:
            status = _run(settings, loaded, pid_files, socket, launch, messages, started_ns)
        finally:
            launch.report(status)
    except AlreadyRunningError as error:
        _say(settings, f"keepvip is {error}")
        return ExitStatus.OK if settings.drop_in else ExitStatus.FATAL
    except OSError as error:
        _say(settings, f"cannot start: {error}")
        return _os_status(error)
    finally:
        for pid_file in pid_files:
            pid_file.release()
    return status


def _refuse(settings: Settings, loaded: Loaded) -> None:
    lines = [f"{found.severity}: {one_line(found)}" for found in loaded.diagnostics]
    _say(settings, *lines, f"cannot start with {settings.config_path}")


def _say(settings: Settings, *lines: str) -> None:
    """Tells why there will be no daemon: on stderr, and in the log that it would have had."""
    for line in lines:
        print(line, file=sys.stderr)  # noqa: T201  (before the log exists)
    log = msgspec.structs.replace(settings.log, stderr=False)
    try:
        sinks = open_sinks(log)
    except OSError as error:
        print(f"cannot open the log: {error}", file=sys.stderr)  # noqa: T201
        return
    for sink in sinks:
        for line in lines:
            with contextlib.suppress(OSError):  # stderr has it already
                sink.write(logging.LogRecord(_log.name, logging.ERROR, "", 0, line, None, None))
        sink.close()


def _os_status(error: OSError) -> int:
    return ExitStatus.NO_PERMISSION if isinstance(error, PermissionError) else ExitStatus.FATAL


def _prepare(settings: Settings) -> None:
    """What concerns the process itself."""
    if settings.umask is not None:
        os.umask(settings.umask)
    if settings.core_dump:
        import resource  # noqa: PLC0415  (rare)

        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if settings.core_pattern is not None:
        try:
            Path("/proc/sys/kernel/core_pattern").write_text(settings.core_pattern, encoding="utf-8")
        except OSError as error:
            _say(settings, f"cannot set the core pattern: {error.strerror}")


def _read_in_namespace(settings: Settings) -> Loaded:
    """Reads the configuration in the network namespace it is for, so that its interfaces can be checked.

    The namespace may be named in the file itself; then the file is read once more inside. Raises OSError when the
    namespace cannot be entered.
    """
    if settings.namespace is not None:
        netns.enter(settings.namespace)
        return read(settings)
    loaded = read(settings)
    if loaded.config is not None and loaded.config.net_namespace is not None:
        netns.enter(loaded.config.net_namespace)
        loaded = read(settings)
    return loaded


def _run(
    settings: Settings,
    loaded: Loaded,
    pid_files: Sequence[PidFile],
    socket: Path,
    launch: background.Launch,
    messages: Sequence[str],
    started_ns: int,
) -> int:
    """The part after going to the background. Raises OSError when the engine cannot start."""
    from keepvip.engine import DEFAULT_RT_PRIORITY, Engine  # noqa: PLC0415  (not needed to refuse a configuration)

    config = loaded.config
    assert config is not None  # checked by the caller
    threading.stack_size(THREAD_STACK_BYTES)
    engine = Engine(rt_priority=config.global_defs.vrrp_rt_priority or DEFAULT_RT_PRIORITY)
    try:
        engine.apply(config)
        for pid_file in pid_files:
            pid_file.write()
        pipe = install(open_sinks(settings.log), settings.log.level)
        try:
            launch.report(ExitStatus.OK)
            return _serve(settings, loaded, engine, socket, pipe, messages, started_ns)
        except Exception:
            _log.critical("keepvip fails and stops", exc_info=True)
            return ExitStatus.SOFTWARE
        finally:
            pipe.stop()
    finally:
        _end(engine, release=settings.release_on_stop)


def _serve(
    settings: Settings,
    loaded: Loaded,
    engine: Engine,
    socket: Path,
    pipe: LogPipe,
    messages: Sequence[str],
    started_ns: int,
) -> int:
    """Everything beside the engine, which is at work already."""
    import asyncio  # noqa: PLC0415  (40 ms, after the first advert)

    from keepvip.config.plan import plan  # noqa: PLC0415
    from keepvip.daemon.service import Service  # noqa: PLC0415

    _log.info("keepvip %s starts with %s", __version__, settings.config_path)
    for message in (*messages, *engine.notices):
        _log.warning("%s", message)
    findings.log_all(loaded.diagnostics)

    service = Service(
        settings,
        engine,
        loaded,
        read=lambda: read(settings),
        plan=lambda old, new: plan(old, new).lines(),
        notifier=None,
        socket=socket,
        log_pipe=pipe,
        started_ns=started_ns,
    )
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(service.run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None  # asyncio's own loop does as well, only slower
    return uvloop.new_event_loop


def _end(engine: Engine, *, release: bool) -> None:
    """Whatever went wrong above: the addresses are removed before the process ends.

    An engine that hangs ends the process on the spot; its destructor would wait for the thread for ever.
    """
    with contextlib.suppress(RuntimeError):  # it has been stopped, the usual way
        engine.stop(release=release)
    waiter = threading.Thread(target=engine.join, name="join", daemon=True)
    waiter.start()
    waiter.join(ENGINE_STOP_S)
    if waiter.is_alive():
        os._exit(ExitStatus.SOFTWARE)
