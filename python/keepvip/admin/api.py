"""The routes of version 1. The daemon gives a `Subject`; nothing here touches the engine's timing."""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator, Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import msgspec

from keepvip.admin.http import HttpError, Request, Response, Stream, json_response
from keepvip.event import Event, to_jsonable
from keepvip.observe import log, text
from keepvip.observe.journal import HISTORY

if TYPE_CHECKING:
    from keepvip.admin.model import ConfigView, Health, PlanAnswer, ReloadAnswer, ServerAnswer, Status, WhyAnswer
    from keepvip.observe.feed import Feed

__all__ = ["Api", "Subject"]

DEFAULT_LIMIT = 10


class Subject(Protocol):
    """What the API asks the daemon."""

    feed: Feed

    def status(self) -> Status:
        """Everything at a glance."""

    async def refresh(self) -> None:
        """Reads anew what `status` takes from the kernel."""

    async def server(
        self, service: str, server: str, action: str, weight: int | None, for_s: int | None
    ) -> ServerAnswer:
        """What an operator wants of a real server. Raises LookupError and ValueError, with a sentence."""

    async def reconcile(self) -> ServerAnswer:
        """Compares the kernel's IPVS table with what it should be."""

    def health(self) -> Health:
        """Only whether all is well."""

    def why(self, name: str, limit: int) -> WhyAnswer | None:
        """The last transitions of an instance or group; None = unknown name."""

    def names(self) -> list[str]:
        """All names `why` knows."""

    def config(self) -> ConfigView:
        """The configuration that runs, with the diagnostics of the last attempt."""

    async def plan(self, path: str | None) -> PlanAnswer:
        """What a reload from `path`, or from the daemon's own file, would do."""

    async def reload(self) -> ReloadAnswer:
        """Reads the files again and carries out the difference."""


Handler = Callable[[Request], Awaitable[Response | Stream]]


class Api:
    """Finds the handler of a request and calls it."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._routes: dict[str, dict[str, Handler]] = {
            "/v1/status": {"GET": self._status},
            "/v1/health": {"GET": self._health},
            "/v1/why": {"GET": self._why},
            "/v1/events": {"GET": self._events},
            "/v1/config": {"GET": self._config},
            "/v1/plan": {"GET": self._plan},
            "/v1/reload": {"POST": self._reload},
            "/v1/server": {"POST": self._server},
            "/v1/reconcile": {"POST": self._reconcile},
            "/v1/log": {"GET": self._log_levels, "POST": self._set_log_level},
        }

    async def answer(self, request: Request) -> Response | Stream:
        """The answer to a request; errors are answers too."""
        methods = self._routes.get(request.path)
        if methods is None:
            return _error(HttpError(HTTPStatus.NOT_FOUND, f"no such path: {request.path}", paths=sorted(self._routes)))
        handler = methods.get(request.method)
        if handler is None:
            return _error(HttpError(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.path} wants {' or '.join(methods)}"))
        try:
            return await handler(request)
        except HttpError as error:
            return _error(error)

    async def _status(self, _request: Request) -> Response:
        await self._subject.refresh()
        return json_response(self._subject.status())

    async def _health(self, _request: Request) -> Response:
        health = self._subject.health()
        return json_response(health, HTTPStatus.OK if health.ok else HTTPStatus.SERVICE_UNAVAILABLE)

    async def _config(self, _request: Request) -> Response:
        return json_response(self._subject.config())

    async def _plan(self, request: Request) -> Response:
        path = request.query.get("path")
        if path is not None and not path.startswith("/"):
            raise HttpError(HTTPStatus.BAD_REQUEST, "path must be absolute: the daemon has a working folder of its own")
        return json_response(await self._subject.plan(path))

    async def _reload(self, _request: Request) -> Response:
        answer = await self._subject.reload()
        return json_response(answer, HTTPStatus.OK if answer.ok else HTTPStatus.CONFLICT)

    async def _server(self, request: Request) -> Response:
        query = request.query
        try:
            answer = await self._subject.server(
                query.get("service", ""),
                query.get("server", ""),
                query.get("action", ""),
                request.number("weight", None),
                request.number("for_s", None),
            )
        except LookupError as error:
            raise HttpError(HTTPStatus.NOT_FOUND, str(error.args[0])) from error
        except ValueError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, str(error)) from error
        return json_response(answer)

    async def _reconcile(self, _request: Request) -> Response:
        return json_response(await self._subject.reconcile())

    async def _log_levels(self, _request: Request) -> Response:
        return json_response(log.levels())

    async def _set_log_level(self, request: Request) -> Response:
        try:
            log.set_level(request.query.get("name") or "keepvip", request.query.get("level", ""))
        except ValueError as error:
            raise HttpError(HTTPStatus.BAD_REQUEST, str(error)) from error
        return json_response(log.levels())

    async def _why(self, request: Request) -> Response:
        name = request.query.get("name")
        if not name:
            raise HttpError(HTTPStatus.BAD_REQUEST, "say which: ?name=INSTANCE", names=self._subject.names())
        limit = min(request.number("limit", DEFAULT_LIMIT) or DEFAULT_LIMIT, HISTORY)
        answer = self._subject.why(name, limit)
        if answer is None:
            names = self._subject.names()
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise HttpError(HTTPStatus.NOT_FOUND, f"no instance or sync group is called {name!r}{hint}", names=names)
        return json_response(answer)

    async def _events(self, request: Request) -> Response | Stream:
        since = request.number("since", None)
        feed = self._subject.feed
        if request.query.get("follow", "0") in {"", "0", "false"}:
            lines = b"".join(_line(event) for event in feed.since(since or 0))
            return Response(status=HTTPStatus.OK, body=lines, content_type="application/x-ndjson")
        return Stream(chunks=self._follow(since))

    async def _follow(self, since: int | None) -> AsyncGenerator[bytes, None]:
        subscription = self._subject.feed.subscribe(since=since)
        try:
            async for event in subscription:
                yield _line(event)
        finally:
            subscription.close()


def _line(event: Event) -> bytes:
    data = to_jsonable(event)
    data["text"] = text.sentence(event)
    return msgspec.json.encode(data) + b"\n"


def _error(error: HttpError) -> Response:
    return json_response({"error": error.text, **error.detail}, error.status)
