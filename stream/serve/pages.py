"""What is served over plain HTTP: the page, the words of a surah, the font."""

from __future__ import annotations

import importlib.util
import mimetypes
from functools import lru_cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from quran_index import QuranIndex

from ..errors import InstallationError

_PAGE = Path(__file__).parent / "page"
_SURAHS = 114
_WEEK = "public, max-age=604800"
# Nothing from anywhere else: neither the page nor what somebody might inject into it may call out.
_SECURITY = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; object-src 'none'",
    "permissions-policy": "microphone=(self)",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
# Systems differ in their lists of types; browsers refuse modules of the wrong one.
for _type, _suffix in (
    ("text/javascript", ".js"),
    ("text/javascript", ".mjs"),
    ("font/ttf", ".ttf"),
    ("application/manifest+json", ".webmanifest"),
):
    mimetypes.add_type(_type, _suffix)


class SecurityHeaders:
    """Middleware that adds the headers above to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in _SECURITY.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_secured)


def page_routes(index: QuranIndex) -> list[BaseRoute]:
    """Routes of the page and of what it asks for. Raises InstallationError without the font."""
    font = _font_file()
    surahs = {str(number): number for number in range(1, _SURAHS + 1)}

    @lru_cache(maxsize=_SURAHS)
    def body(surah: int) -> bytes:
        name, name_latin = index.surah_name(surah)
        ayahs = range(1, index.ayah_count(surah) + 1)
        verses = [index.words(index.verse_of(surah, ayah)) for ayah in ayahs]
        return bytes(
            JSONResponse(
                {"surah": surah, "name": name, "name_latin": name_latin, "verses": verses}
            ).body
        )

    async def surah(request: Request) -> Response:
        found = surahs.get(request.path_params["number"])
        if found is None:
            return JSONResponse({"error": f"surahs are numbered from 1 to {_SURAHS}"}, 404)
        return Response(
            body(found), media_type="application/json", headers={"cache-control": _WEEK}
        )

    async def home(_: Request) -> Response:
        return FileResponse(_PAGE / "index.html", headers={"cache-control": "no-cache"})

    async def font_file(_: Request) -> Response:
        return FileResponse(font, headers={"cache-control": _WEEK})

    return [
        Route("/", home),
        Mount("/page", StaticFiles(directory=_PAGE)),
        Route("/v1/surah/{number}", surah),
        Route(f"/font/hafs{font.suffix}", font_file),
    ]


def _font_file() -> Path:
    """The KFGQPC Hafs font, which quran-text carries."""
    spec = importlib.util.find_spec("quran_text_data")
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent
    fonts = [] if folder is None else sorted(folder.glob("*.ttf"))
    if not fonts:
        raise InstallationError(
            "the font of the Quran is not installed", "run: pip install 'tasmi[serve]'"
        )
    return fonts[0]
