"""A TCP conversation with a server, TLS if wanted: connect, talk, and an end that always comes.

Every wait is limited by `connect_timeout`. The conversation as a whole ends at a deadline: by the time the next check
would be due, but not before two waits could have passed. So a server that sends a byte a second holds up nothing,
and a large page over a slow line is still read.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from socket import SOCK_STREAM
from typing import TYPE_CHECKING, Protocol

from keepvip.check import address
from keepvip.check.verdict import Verdict, error_text, failed, from_error, local

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepvip.check.way import Done
    from keepvip.config.model_check import Checker, Target

__all__ = ["Conversation", "StreamWay", "whole_s"]


def whole_s(check: Checker, target: Target) -> float:
    """How long a whole conversation may take."""
    return max(check.delay_loop_us, 2 * target.timeout_us) / 1e6


class TlsSource(Protocol):
    """Where the TLS settings come from."""

    async def context(self) -> ssl.SSLContext | str:
        """What to connect with, or why there is nothing."""


class Conversation(asyncio.Protocol):
    """One connection to its end. A subclass reads, and calls `finish` when it knows enough."""

    def __init__(self, wait_s: float, whole_s: float, done: Done) -> None:
        self._loop = asyncio.get_running_loop()
        self._wait_s = wait_s
        self._whole_s = whole_s
        self._done: Done | None = done
        self._began_s = self._heard_s = self._loop.time()
        self._began_ns = time.monotonic_ns()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(min(wait_s, whole_s), self._watch)
        self._transport: asyncio.Transport | None = None
        self.on_end: Callable[[], None] | None = None
        """Called at the end, before the verdict is given."""
        self.compliant = False
        """TLS ends with the close alert."""

    @property
    def ended(self) -> bool:
        """The verdict was given, or nobody wants it any more."""
        return self._done is None

    def say(self, data: bytes) -> None:
        """Sends."""
        if self._transport is not None:
            self._transport.write(data)

    def finish(self, verdict: Verdict) -> None:
        """Gives the verdict, once, and closes."""
        done, self._done = self._done, None
        self._close(polite=verdict.ok is True)
        if done is not None:
            done(verdict._replace(took_us=(time.monotonic_ns() - self._began_ns) // 1000))

    def abandon(self) -> None:
        """Ends without a verdict."""
        self._done = None
        self._close(polite=False)

    def _close(self, *, polite: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transport, self._transport = self._transport, None
        if transport is not None:
            over_tls = transport.get_extra_info("ssl_object") is not None
            # A close alert that the other side does not answer would keep the connection.
            if polite and (self.compliant or not over_tls):
                transport.close()
            else:
                transport.abort()
        on_end, self.on_end = self.on_end, None
        if on_end is not None:
            on_end()

    def _watch(self) -> None:
        now_s = self._loop.time()
        self._timer = None
        if now_s - self._began_s >= self._whole_s - 0.001:
            self.finish(failed(f"not finished within {self._whole_s:g} s", timed_out=True))
        elif now_s - self._heard_s >= self._wait_s - 0.001:
            what = "no connection" if self._transport is None else "nothing was heard"
            self.finish(failed(f"{what} within {self._wait_s:g} s", timed_out=True))
        else:
            until_s = min(self._heard_s + self._wait_s, self._began_s + self._whole_s)
            self._timer = self._loop.call_at(until_s, self._watch)

    def heard(self) -> None:
        """Something has come: the next wait begins."""
        self._heard_s = self._loop.time()

    # of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        stream: asyncio.Transport = transport  # type: ignore[assignment]  # those of uvloop are of no such class
        if self.ended:
            stream.abort()
            return
        self._transport = stream
        self.heard()
        self.greet()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side has closed, or the line broke."""
        self._transport = None
        if self.ended:
            return
        if isinstance(exc, OSError) and not isinstance(exc, ssl.SSLError):
            self.finish(failed(error_text(exc.errno) if exc.errno else str(exc)))
        elif exc is not None:
            self.finish(failed(str(exc) or type(exc).__name__))
        else:
            self.closed()

    # of the subclass

    def greet(self) -> None:
        """The connection stands: says the first word, if that is ours."""

    def closed(self) -> None:
        """The other side has closed in the proper way."""
        raise NotImplementedError


class StreamWay:
    """Connects and lets a conversation take its course."""

    def __init__(self, check: Checker, target: Target) -> None:
        self._target = target
        self._wait_s = target.timeout_us / 1e6
        self._whole_s = whole_s(check, target)
        self._talk: Conversation | None = None
        self._task: asyncio.Task[None] | None = None

    def _converse(self, talk: Conversation, tls: TlsSource | None = None, server_name: str | None = None) -> None:
        self._talk = talk
        self._task = asyncio.get_running_loop().create_task(self._connect(talk, tls, server_name))
        talk.on_end = self._ended

    def _ended(self) -> None:
        self._talk = None
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._task = None

    def cancel(self) -> None:
        """Ends the conversation without a verdict."""
        if self._talk is not None:
            self._talk.abandon()

    async def _connect(self, talk: Conversation, tls: TlsSource | None, server_name: str | None) -> None:
        loop = asyncio.get_running_loop()
        context = await tls.context() if tls is not None else None
        if isinstance(context, str):
            talk.finish(local(context))
            return
        try:
            sock = address.make_socket(self._target, SOCK_STREAM)
            try:
                await loop.sock_connect(sock, address.tuple_of(self._target))
                talk.heard()
                await loop.create_connection(
                    lambda: talk,
                    sock=sock,
                    ssl=context,
                    server_hostname=(server_name or "") if context is not None else None,
                    ssl_handshake_timeout=self._whole_s if context is not None else None,
                    ssl_shutdown_timeout=self._wait_s if context is not None else None,
                )
            except BaseException:
                sock.close()
                raise
        except asyncio.CancelledError:
            raise
        except ssl.SSLError as error:
            talk.finish(failed(f"TLS: {error.reason or error}"))
        except OSError as error:
            talk.finish(from_error(error))
        except ValueError as error:  # a server name that no certificate could have
            talk.finish(failed(f"TLS: {error}"))
