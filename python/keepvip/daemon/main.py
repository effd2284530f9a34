"""From exec to a running daemon and back: the order of the start is what makes it fast and safe.

Signals held back, configuration, pid files, background, engine, and only then the event loop with everything
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
from typing import TYPE_CHECKING, NoReturn

import msgspec

from keepvip import __version__
from keepvip.daemon import background, findings, netns, signals
from keepvip.daemon.loading import Loaded, read, start_status
from keepvip.daemon.outputs import open_sinks
from keepvip.daemon.pidfile import AlreadyRunningError, PidFile
from keepvip.daemon.ports import ENGINE_STOP_S
from keepvip.daemon.settings import ExitStatus, Settings, pid_paths, socket_path
from keepvip.observe.log import install

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    from keepvip.config.model import Config, GlobalDefs, Script
    from keepvip.daemon.routing import Routing
    from keepvip.engine import Engine
    from keepvip.net.own_links import OwnLinks
    from keepvip.observe.log import LogPipe
    from keepvip.track.first import First

__all__ = ["leave", "run"]

_log = logging.getLogger("keepvip.daemon")

THREAD_STACK_BYTES = 1 << 20
"""Stack of our own threads. The engine locks all memory, also that of later threads: the usual 8 MiB each add up."""


class _StartRefusedError(Exception):
    """There will be no daemon. `lines` are for the log, `shown` (the same unless given) for the terminal."""

    def __init__(self, status: int, *lines: str, shown: str | None = None) -> None:
        super().__init__(*lines)
        self.status = status
        self.lines = lines
        self.shown = "\n".join(lines) if shown is None else shown


class _Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a start needs, found out before the process goes to the background."""

    settings: Settings
    loaded: Loaded
    config: Config
    socket: Path
    pid_files: tuple[PidFile, ...]
    messages: tuple[str, ...]
    at_ns: int


def run(settings: Settings, messages: Sequence[str] = ()) -> int:
    """Runs a daemon until it is stopped; returns the exit status, to be given to `leave`.

    `messages` are logged at the start.
    """
    signals.hold_reload()
    _prepare(settings)
    try:
        start = _look(settings, messages)
    except _StartRefusedError as refusal:
        _say(settings, refusal)
        return refusal.status
    launch = background.Launch() if settings.foreground else background.detach()
    status, shown = ExitStatus.SOFTWARE, ""
    try:
        status = _run(start, launch)
    except _StartRefusedError as refusal:
        _say(settings, refusal)
        status, shown = refusal.status, refusal.shown
    finally:
        for pid_file in start.pid_files:
            pid_file.release()
        launch.report(status, shown)
    return status


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
            _print(f"cannot set the core pattern: {error.strerror}")


def _look(settings: Settings, messages: Sequence[str]) -> _Start:
    """Reads the configuration and takes the pid files. Raises `_StartRefusedError`."""
    at_ns = time.time_ns()
    loaded = _read_in_namespace(settings)
    status = start_status(loaded, refuse_errors=settings.refuse_errors)
    if status != ExitStatus.OK or loaded.config is None:
        end = f"keepvip cannot start with {settings.config_path}"
        raise _StartRefusedError(
            status,
            *(findings.one_line(found) for found in loaded.diagnostics),
            end,
            shown=f"{findings.for_terminal(loaded.diagnostics, colour=sys.stderr.isatty())}\n{end}",
        )
    config = loaded.config
    settings = _tagged(settings, config)
    socket = socket_path(settings, config.instance_name)
    paths = pid_paths(
        settings,
        socket,
        instance=config.instance_name,
        namespace=settings.namespace or config.net_namespace,
        use_pid_dir=config.use_pid_dir,
    )
    return _Start(
        settings=settings,
        loaded=loaded,
        config=config,
        socket=socket,
        pid_files=_acquire(paths, already=ExitStatus.OK if settings.drop_in else ExitStatus.FATAL),
        messages=tuple(messages),
        at_ns=at_ns,
    )


def _tagged(settings: Settings, config: Config) -> Settings:
    """The log tag tells several daemons of a host apart: `keepvipd_NAMESPACE_INSTANCE`."""
    names = (settings.log.tag, settings.namespace or config.net_namespace, config.instance_name)
    log = msgspec.structs.replace(settings.log, tag="_".join(filter(None, names)))
    return msgspec.structs.replace(settings, log=log)


def _read_in_namespace(settings: Settings) -> Loaded:
    """Reads the configuration in the network namespace it is for, so that its interfaces can be checked.

    The namespace may be named in the file itself; then the file is read once more inside.
    """
    if settings.namespace is not None:
        _enter(settings.namespace)
        return read(settings)
    loaded = read(settings)
    if loaded.config is not None and loaded.config.net_namespace is not None:
        _enter(loaded.config.net_namespace)
        loaded = read(settings)
    return loaded


def _enter(namespace: str) -> None:
    try:
        netns.enter(namespace)
    except OSError as error:
        raise _StartRefusedError(
            _os_status(error), f"cannot enter network namespace {namespace}: {error.strerror}"
        ) from error


def _acquire(paths: Sequence[Path], *, already: int) -> tuple[PidFile, ...]:
    """Locks all pid files or none. `already`: the status when another daemon holds one."""
    held: list[PidFile] = []
    try:
        for path in paths:
            pid_file = PidFile(path)
            pid_file.acquire()
            held.append(pid_file)
    except (AlreadyRunningError, OSError) as error:
        for pid_file in held:
            pid_file.release()
        if isinstance(error, AlreadyRunningError):
            raise _StartRefusedError(already, f"keepvip is {error}") from error
        raise _StartRefusedError(_os_status(error), f"no pid file: {error}") from error
    return tuple(held)


def _run(start: _Start, launch: background.Launch) -> int:
    """The part after going to the background. Raises `_StartRefusedError` when the engine cannot start."""
    defs = start.config.global_defs
    messages = _once("startup_script", defs.startup_script, defs.startup_script_timeout_s, defs)
    signals.block()
    threading.stack_size(THREAD_STACK_BYTES)
    routing = _routing(start.config)
    try:
        return _run_engine(start, launch, messages, routing)
    finally:
        routing.abandon(release=start.settings.release_on_stop)


def _run_engine(start: _Start, launch: background.Launch, messages: list[str], routing: Routing) -> int:
    from keepvip.daemon.sysctl import LocalIgmp  # noqa: PLC0415
    from keepvip.engine import DEFAULT_RT_PRIORITY, Engine  # noqa: PLC0415  (not needed to refuse a configuration)
    from keepvip.net.own_links import OwnLinks  # noqa: PLC0415
    from keepvip.track.first import look  # noqa: PLC0415

    defs = start.config.global_defs
    try:
        with _pinned(defs.vrrp_cpu_affinity, messages):
            engine = Engine(rt_priority=defs.vrrp_rt_priority or DEFAULT_RT_PRIORITY, packet_filter=defs.packet_filter)
    except OSError as error:
        needed = " (it needs root, or CAP_NET_ADMIN and CAP_NET_RAW)" if isinstance(error, PermissionError) else ""
        raise _StartRefusedError(_os_status(error), f"the engine cannot start: {_strerror(error)}{needed}") from error
    own_links = OwnLinks(engine.filter_vmac)
    local_igmp = LocalIgmp()
    try:
        if defs.disable_local_igmp:
            local_igmp.disable()
        try:
            refused = netns.make_room(len(start.config.namespaces))
            messages += [refused] if refused is not None else []
            first = look(start.config)
            messages += first.messages
            engine.apply(start.config, first.values, own_links.prepare(start.config))
            for pid_file in start.pid_files:
                pid_file.write()
            sinks = open_sinks(start.settings.log)
        except (ValueError, OSError) as error:
            raise _StartRefusedError(ExitStatus.FATAL, f"cannot start: {error}") from error
        pipe = install(sinks, start.settings.log.level)
        launch.report(ExitStatus.OK)
        try:
            return _serve(start, engine, own_links, pipe, messages, first, routing)
        except Exception:
            _log.critical("keepvip fails and stops", exc_info=True)
            return ExitStatus.SOFTWARE
        finally:
            pipe.stop()
    finally:
        _end(engine, release=start.settings.release_on_stop)
        own_links.close(remove=start.settings.release_on_stop)
        local_igmp.restore()


def _routing(config: Config) -> Routing:
    """What stands before any advert: the static addresses may be those that adverts are sent from."""
    from keepvip.daemon.routing import Routing  # noqa: PLC0415

    routing = Routing()
    try:
        routing.prepare(config)
    except OSError as error:
        raise _StartRefusedError(
            _os_status(error), f"static addresses, routes and rules cannot be set: {_strerror(error)}"
        ) from error
    return routing


@contextlib.contextmanager
def _pinned(cpus: Sequence[int], messages: list[str]) -> Iterator[None]:
    """Threads that are made inside may use only these CPUs (none named: all that the process may use)."""
    before = os.sched_getaffinity(0)
    if cpus:
        try:
            os.sched_setaffinity(0, cpus)
        except OSError as error:
            named = " ".join(map(str, cpus))
            messages.append(f"vrrp_cpu_affinity {named}: {error.strerror}; the engine may run on any CPU")
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _once(keyword: str, script: Script | None, timeout_s: int, defs: GlobalDefs) -> list[str]:
    """Runs a script of the start or the end, if there is one; returns what there is to say."""
    if script is None:
        return []
    from keepvip.daemon.once import run_once  # noqa: PLC0415  (rare)

    return run_once(keyword, script, timeout_s, defs)


def _serve(
    start: _Start,
    engine: Engine,
    own_links: OwnLinks,
    pipe: LogPipe,
    messages: Sequence[str],
    first: First,
    routing: Routing,
) -> int:
    """Everything beside the engine, which is at work already."""
    import asyncio  # noqa: PLC0415  (this and the following: 60 ms, after the first advert)

    from keepvip.config.plan import plan  # noqa: PLC0415
    from keepvip.daemon.service import Service  # noqa: PLC0415
    from keepvip.notify import Notifier  # noqa: PLC0415

    settings = start.settings
    _log.info("keepvip %s starts with %s", __version__, settings.config_path)
    for message in (*start.messages, *messages, *engine.notices):
        _log.warning("%s", message)
    findings.log_all(start.loaded.diagnostics)
    if settings.dump_config:
        from keepvip.daemon.dump import dump  # noqa: PLC0415  (on request)

        for line in dump(start.config):
            _log.info("%s", line)
    service = Service(
        settings,
        engine,
        start.loaded,
        own_links=own_links,
        read=lambda: read(settings),
        plan=lambda old, new: plan(old, new).lines(),
        notifier=Notifier,
        socket=start.socket,
        log_pipe=pipe,
        started_ns=start.at_ns,
        first=first,
        routing=routing,
        pid_file=start.pid_files[0].path,
    )
    # Not asyncio.Runner: its end waits for every thread, also for one that looks at a file on a dead disk.
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    status = loop.run_until_complete(service.run())
    defs = service.config.global_defs
    for message in _once("shutdown_script", defs.shutdown_script, defs.shutdown_script_timeout_s, defs):
        _log.warning("%s", message)
    return status


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        import asyncio  # noqa: PLC0415

        return asyncio.new_event_loop()  # does as well, only slower
    return uvloop.new_event_loop()


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
        leave(ExitStatus.SOFTWARE)


def leave(status: int) -> NoReturn:
    """Ends the process without the interpreter's own farewell, which waits for threads (see `_serve`)."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _say(settings: Settings, refusal: _StartRefusedError) -> None:
    """Tells why there will be no daemon: on stderr, and in the log that it would have had."""
    _print(refusal.shown)
    try:
        sinks = open_sinks(msgspec.structs.replace(settings.log, stderr=False))
    except OSError as error:
        _print(f"cannot open the log: {error}")
        return
    for sink in sinks:
        for line in refusal.lines:
            with contextlib.suppress(OSError):  # stderr has it already
                sink.write(logging.LogRecord(_log.name, logging.ERROR, "", 0, line, None, None))
        sink.close()


def _print(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201  (the log does not exist yet)


def _strerror(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _os_status(error: OSError) -> int:
    return ExitStatus.NO_PERMISSION if isinstance(error, PermissionError) else ExitStatus.FATAL
