"""Asks a running daemon. Standard library only, so that a command answers fast."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from keepvip.admin.error import AnswerError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DEFAULT_SOCKET", "AdminClient", "AnswerError", "UnreachableError"]

DEFAULT_SOCKET = "/run/keepvip/keepvip.sock"
TIMEOUT_S = 10.0

Json = dict[str, Any]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class AdminClient:
    """The API of one daemon. The socket: the argument, else `KEEPVIP_SOCKET`, else the default place."""

    def __init__(self, path: str | None = None, *, timeout_s: float = TIMEOUT_S) -> None:
        self.path = path or os.environ.get("KEEPVIP_SOCKET") or DEFAULT_SOCKET
        self._timeout_s = timeout_s

    def get(self, path: str, /, *, accept: tuple[int, ...] = (200,), **query: str | int) -> Json:
        """The JSON of a GET. Raises `AnswerError` when the status is not in `accept`."""
        return self._json("GET", path, query, accept, self._timeout_s)

    def post(self, path: str, /, *, accept: tuple[int, ...] = (200,), **query: str | int) -> Json:
        """The JSON of a POST; a reload may take as long as it takes, so it waits without limit."""
        return self._json("POST", path, query, accept, None)

    def lines(self, path: str, /, **query: str | int) -> Iterator[Json]:
        """The objects of a line stream as they come; ends when the daemon stops."""
        connection, response = self._request("GET", path, query, None)
        try:
            if response.status != 200:
                raise AnswerError(response.status, _decode(response.read()))
            for line in response:
                if line.strip():
                    yield json.loads(line)
        except (http.client.IncompleteRead, ConnectionError):
            return  # the daemon ended while we followed it
        finally:
            connection.close()

    def _json(
        self, method: str, path: str, query: dict[str, str | int], accept: tuple[int, ...], timeout_s: float | None
    ) -> Json:
        connection, response = self._request(method, path, query, timeout_s)
        try:
            data = _decode(response.read())
        except TimeoutError:
            raise UnreachableError(f"the daemon at {self.path} does not answer") from None
        finally:
            connection.close()
        if response.status not in accept:
            raise AnswerError(response.status, data)
        return data

    def _request(
        self, method: str, path: str, query: dict[str, str | int], timeout_s: float | None
    ) -> tuple[_UnixConnection, http.client.HTTPResponse]:
        connection = _UnixConnection(self.path, timeout_s)
        target = f"{path}?{urlencode(query)}" if query else path
        try:
            connection.request(method, target)
            return connection, connection.getresponse()
        except FileNotFoundError:
            problem = f"no daemon: {self.path} does not exist"
        except ConnectionRefusedError:
            problem = f"no daemon: nobody listens on {self.path}"
        except PermissionError:
            problem = f"no permission for {self.path}: only root may ask"
        except TimeoutError:
            problem = f"the daemon at {self.path} does not answer"
        except (OSError, http.client.HTTPException) as error:
            problem = f"cannot ask the daemon at {self.path}: {error}"
        connection.close()
        raise UnreachableError(problem)


def _decode(body: bytes) -> Json:
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        return {"error": body.decode("utf-8", "replace").strip() or "empty answer"}
    return data
