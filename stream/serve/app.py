"""The application: what is served where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from .connection import Connection
from .limits import Ending
from .listen import listen
from .metrics import CONTENT_TYPE
from .pages import SecurityHeaders, page_routes
from .recite import recite
from .service import Service
from .vosk import vosk

Protocol = Callable[[Service, Connection], Awaitable[Ending]]


def create_app(service: Service) -> Starlette:
    """The ASGI application around a service."""

    def speaks(path: str, name: str, protocol: Protocol) -> WebSocketRoute:
        async def endpoint(websocket: WebSocket) -> None:
            await service.serve(websocket, name, lambda connection: protocol(service, connection))

        return WebSocketRoute(path, endpoint, name=name)

    async def healthz(_: Request) -> Response:
        if service.admission.draining:
            return JSONResponse({"status": "stopping"}, 503)
        return JSONResponse({"status": "ok"})

    async def metrics(_: Request) -> Response:
        service.metrics.lag.set(service.load.lag)
        return Response(service.metrics.render(), headers={"content-type": CONTENT_TYPE})

    return Starlette(
        routes=[
            speaks("/v1/recite", "recite", recite),
            speaks("/v1/listen", "listen", listen),
            speaks("/vosk", "vosk", vosk),
            Route("/healthz", healthz),
            Route("/metrics", metrics),
            *page_routes(service.engine.index),
        ],
        middleware=[Middleware(SecurityHeaders)],
    )
