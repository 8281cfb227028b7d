"""What a browser is given, and what whoever runs the server looks at."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path

import httpx
import pytest

import stream.serve
from tests.serve.clients import recite

PAGE = Path(stream.serve.__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


async def get(url: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(url)


async def test_every_file_of_the_page(serving):
    async with serving() as running:
        home = await get(running.url("/", "http"))
        assert home.content == (PAGE / "index.html").read_bytes()
        for file in PAGE.iterdir():
            response = await get(running.url(f"/page/{file.name}", "http"))
            assert response.content == file.read_bytes()
            assert response.headers["content-type"] == TYPES[file.suffix]


async def test_nothing_may_come_from_elsewhere(serving):
    async with serving() as running:
        for path in ("/", "/page/index.html", "/healthz", "/v1/surah/1", "/nothing"):
            headers = (await get(running.url(path, "http"))).headers
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy
            assert not re.search(r"unsafe|\*|https?:|data:", policy)
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers


async def test_words_of_every_surah(serving, shipped):
    index = shipped.index
    async with serving() as running, httpx.AsyncClient() as client:
        for number in (1, 2, 114):
            response = await client.get(running.url(f"/v1/surah/{number}", "http"))
            data = response.json()
            assert (data["surah"], data["name"], data["name_latin"]) == (
                number,
                *index.surah_name(number),
            )
            assert data["verses"] == [
                index.words(index.verse_of(number, ayah))
                for ayah in range(1, index.ayah_count(number) + 1)
            ]
            assert "max-age" in response.headers["cache-control"]
        for number in ("0", "115", "-1", "x", "1.5", "9" * 5000):
            response = await client.get(running.url(f"/v1/surah/{number}", "http"))
            assert response.status_code == 404


async def test_font(serving):
    from quran_text import Mushaf

    async with serving() as running:
        response = await get(running.url("/font/hafs.ttf", "http"))
    assert hashlib.sha256(response.content).hexdigest() == Mushaf.hafs().font.sha256
    assert response.headers["content-type"] == "font/ttf"


@pytest.mark.parametrize(
    "path", ["/page/../server.py", "/page/%2e%2e/server.py", "/page//etc/passwd"]
)
async def test_no_other_file_is_served(serving, path):
    async with serving() as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 404 ")


async def test_health_and_metrics(serving, recitation):
    async with serving() as running:
        assert (await get(running.url("/healthz", "http"))).json() == {"status": "ok"}
        start = {"encoding": "s16le", "sample_rate": recitation.rate}
        outcome = await recite(running.url(), start, [recitation.first(5)])
        assert outcome.code == 1000
        response = await get(running.url("/metrics", "http"))
        assert response.headers["content-type"].startswith("text/plain; version=")
        lines = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if line[0] != "#")
        assert float(lines['tasmi_streams_total{protocol="recite"}']) == 1
        assert float(lines['tasmi_streams_open{protocol="recite"}']) == 0
        assert float(lines["tasmi_audio_seconds_total"]) == pytest.approx(5, abs=0.01)
        assert float(lines["tasmi_compute_seconds_total"]) > 0
        assert float(lines["tasmi_hop_latency_seconds_count"]) >= 10
        assert float(lines["tasmi_stream_rtf_count"]) == 1
        assert float(lines["tasmi_events_dropped_total"]) == 0
        running.service.admission.draining = True
        response = await get(running.url("/healthz", "http"))
        assert (response.status_code, response.json()) == (503, {"status": "stopping"})
