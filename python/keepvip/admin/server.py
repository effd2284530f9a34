"""The Unix socket: who may speak, and the life of a connection."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import struct
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from keepvip.admin.http import HEAD_LIMIT, HttpError, Stream, json_response, read_request, send

if TYPE_CHECKING:
    from keepvip.admin.api import Api

__all__ = ["AdminServer", "SocketInUseError"]

_log = logging.getLogger("keepvip.admin")

MAX_CONNECTIONS = 64
CLOSE_WAIT_S = 1.0
_UCRED = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)


class SocketInUseError(Exception):
    """Another process answers on the socket path."""


class AdminServer:
    """Serves the API on a socket of mode 0600, to root and to the daemon's own user only."""

    def __init__(self, path: str, api: Api, *, allowed_uids: frozenset[int] | None = None) -> None:
        self.path = Path(path)
        self._api = api
        self._allowed_uids = frozenset({0, os.geteuid()}) if allowed_uids is None else allowed_uids
        self._server: asyncio.Server | None = None
        self._inode: tuple[int, int] | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Opens the socket. Raises `SocketInUseError` or OSError; a socket nobody answers on is replaced."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            # Linux gives the file the mode that the socket has before bind: never reachable by others, not for a
            # moment, and without touching the umask, which threads and new processes would see, too.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(str(self.path))
            named = self.path.lstat()
            self._inode = (named.st_dev, named.st_ino)
            self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=HEAD_LIMIT)
        except BaseException:
            listener.close()
            raise

    async def stop(self) -> None:
        """Closes all connections and removes the socket, if it still is ours."""
        if self._server is not None:
            self._server.close()
            self._server = None
        connections = set(self._connections)
        for task in connections:
            task.cancel()
        if connections:
            await asyncio.wait(connections)
        try:
            named = self.path.lstat()
            if (named.st_dev, named.st_ino) == self._inode:
                self.path.unlink()
        except FileNotFoundError:
            pass

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # the stream server runs every connection as a task
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except ConnectionError:
            pass  # the client left in the middle of an answer: nobody to tell
        except asyncio.CancelledError:
            pass  # the server stops; the task ends here, nothing awaits it
        finally:
            await _close(writer)
            self._connections.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        refusal = self._refusal(writer)
        keep_alive = True
        while keep_alive:
            try:
                request = await read_request(reader)
                if refusal is not None:  # said only now: closing with the request unread would reset the connection
                    raise refusal
            except HttpError as error:
                await send(writer, json_response({"error": error.text}, error.status), keep_alive=False)
                return
            if request is None:
                return
            keep_alive = request.keep_alive
            try:
                answer = await self._api.answer(request)
            except Exception:
                _log.exception("Cannot answer %s %s", request.method, request.path)
                answer = json_response({"error": "internal error, see the log"}, HTTPStatus.INTERNAL_SERVER_ERROR)
            if isinstance(answer, Stream):
                await _stream(reader, writer, answer)
                return
            await send(writer, answer, keep_alive=keep_alive)

    def _refusal(self, writer: asyncio.StreamWriter) -> HttpError | None:
        uid = _peer_uid(writer)
        if uid not in self._allowed_uids:
            _log.warning("Refused user id %d on the admin socket", uid)
            return HttpError(HTTPStatus.FORBIDDEN, "only root may ask")
        if len(self._connections) > MAX_CONNECTIONS:
            return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, f"{MAX_CONNECTIONS} connections are open already")
        return None


async def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: Stream) -> None:
    """Sends a stream until it ends or the client leaves, which a quiet stream would not notice by sending."""
    sending = asyncio.create_task(send(writer, stream, keep_alive=False))
    leaving = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sending, leaving):
            task.cancel()
        results = await asyncio.gather(sending, leaving, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionError):
            raise result


async def _close(writer: asyncio.StreamWriter) -> None:
    """Closes a connection; a client that does not take the rest of its answer is cut off."""
    writer.close()
    try:
        async with asyncio.timeout(CLOSE_WAIT_S):
            await writer.wait_closed()
    except (ConnectionError, TimeoutError):
        writer.transport.abort()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    """User id of the process at the other end, as the kernel saw it at connect time."""
    connection = socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno()))
    with connection:
        _pid, uid, _gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def _remove_stale(path: Path) -> None:
    """Removes a socket that no process listens on any more. Raises when it is in use or is no socket."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketInUseError(f"{path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: somebody owns it
    raise SocketInUseError(f"another process answers on {path}")
