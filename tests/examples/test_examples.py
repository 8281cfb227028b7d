"""The examples and the sample recording, run as a reader of the README would run them."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
import uvicorn
from fastapi import FastAPI

from examples import memorise, on_verse, subtitles
from examples.fastapi_app import create_app
from stream import FileSource, Final, Recognizer, VerseRef

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "al-fatiha.opus"
VERSES = [[1, ayah] for ayah in range(1, 8)]
MOST_WORDS = 26  # of 29: the synthesiser swallows some


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load()


@pytest.fixture
def loaded(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> Recognizer:
    """The examples that run in this process share one recogniser."""
    monkeypatch.setattr(Recognizer, "load", lambda: recognizer)
    return recognizer


class House(ThreadingHTTPServer):
    """What answers webhooks; keeps what was posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Webhook)
        self.posted: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/api/webhook/verse"


class _Webhook(BaseHTTPRequestHandler):
    server: House

    def do_POST(self) -> None:
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.path == "/api/webhook/verse"
        if known:
            self.server.posted.append(data)
        self.send_response(200 if known else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def house() -> Iterator[House]:
    with House() as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def run(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{module}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_subscribe_prints_every_verse_in_order() -> None:
    out = run("subscribe", str(SAMPLE))
    finals = re.findall(r"^ *[\d.]+ s  (\d+):(\d+)  \S", out, re.MULTILINE)
    assert [[int(s), int(a)] for s, a in finals] == VERSES
    assert re.search(r"^  1:2 word \d/4\?", out, re.MULTILINE)


def test_subscribe_says_why_it_cannot() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.subscribe", "missing.wav"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "missing.wav" in done.stderr
    assert "Traceback" not in done.stderr


def test_subtitles_beside_an_mp3(tmp_path: Path) -> None:
    recording = as_mp3(tmp_path / "al-fatiha.mp3")
    assert "7 subtitles" in run("subtitles", str(recording))
    blocks = recording.with_suffix(".srt").read_text().strip().split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [str(n) for n in range(1, 8)]
    assert blocks[1].endswith("(1:2)")


def as_mp3(path: Path) -> Path:
    with av.open(str(SAMPLE)) as sample, av.open(str(path), "w") as mp3:
        stream = mp3.add_stream("libmp3lame", rate=44_100, layout="mono")
        resampler = av.AudioResampler(stream.format, "mono", 44_100)
        for frame in [*sample.decode(audio=0), None]:
            for resampled in resampler.resample(frame):
                mp3.mux(stream.encode(resampled))
        mp3.mux(stream.encode(None))
    return path


def test_subtitle_per_word(loaded: Recognizer, tmp_path: Path) -> None:
    recording = shutil.copy(SAMPLE, tmp_path)
    assert subtitles.main([str(recording), "--words"]) == 0
    blocks = (tmp_path / "al-fatiha.srt").read_text().strip().split("\n\n")
    assert MOST_WORDS <= len(blocks) <= 29


def test_on_verse_runs_commands_and_calls_webhooks(house: House, tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = f'echo "$SURAH:$AYAH $TEXT" >> {log}'
    run("on_verse", "1", "--run", command, "--webhook", house.url, "--listen-to", str(SAMPLE))
    posted = [[verse["surah"], verse["ayah"]] for verse in house.posted]
    assert sorted(posted) == VERSES
    assert {0.5 <= verse["confidence"] <= 1 for verse in house.posted} == {True}
    told = {line.split(" ")[0]: line.split(" ")[1:] for line in log.read_text().splitlines()}
    assert told["1:3"] == next(v for v in house.posted if v["ayah"] == 3)["text"].split(" ")
    assert len(told) == len(posted)


def test_on_verse_goes_on_when_its_actions_fail(
    loaded: Recognizer, house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    nobody = house.url.replace("webhook", "nobody")
    arguments = ["1:2", "--run", "exit 3", "--webhook", nobody, "--listen-to", str(SAMPLE)]
    assert on_verse.main(arguments) == 0
    _, err = capfd.readouterr()
    assert "the command ended with 3" in err
    assert "HTTP Error 404" in err
    assert on_verse.main(["1:2", "--listen-to", "missing.wav"]) == 1
    assert "missing.wav" in capfd.readouterr().err


def test_memorise_waits_for_every_verse() -> None:
    lines = run("memorise", "1", str(SAMPLE)).splitlines()
    passed = [re.match(r"✓ (\d+):(\d+)", line) for line in lines[1:-1]]
    assert [[int(m[1]), int(m[2])] for m in passed if m] == VERSES
    assert lines[-1] == "the whole surah, well done"


def test_memorise_tells_what_comes_next(
    loaded: Recognizer, capsys: pytest.CaptureFixture[str]
) -> None:
    index = loaded.engine.index
    begins = f"112:1 begins: {index.words(index.verse_of(112, 1))[0]}…"
    assert memorise.main(["112", str(SAMPLE)]) == 1
    out, _ = capsys.readouterr()
    assert f"  that was 1:2; {begins}" in out
    assert "that was 1:1;" not in out  # the basmala may be said before any surah
    assert out.endswith(f"as far as here; {begins}\n")


def test_memorise_takes_a_verse_that_stands_elsewhere_too(loaded: Recognizer) -> None:
    index = loaded.engine.index
    words = index.words(index.verse_of(55, 16))
    lesson = memorise.Lesson(index, 55)
    lesson.ayah = 16
    final = Final(
        **{"slot": 0, "surah": 55, "ayah": 13, "start": 0.0, "end": 2.0, "confidence": 0.5},
        **{"words": (), "first_word": 1, "last_word": 2, "ambiguous_with": (VerseRef(55, 16),)},
    )
    assert lesson.hear(final) == f"  55:16 goes on: …{words[2]}…"
    said = lesson.hear(dataclasses.replace(final, last_word=4))
    assert said == f"✓ 55:16  {' '.join(words)}"
    assert lesson.ayah == 17


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = threading.Thread(target=server.run)
    serving.start()
    while not server.started:
        assert serving.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    serving.join()


def test_fastapi_app(loaded: Recognizer) -> None:
    with served(create_app(FileSource(SAMPLE))) as url:
        with urllib.request.urlopen(f"{url}/verses/live", timeout=120) as live:
            assert live.headers["content-type"].startswith("text/event-stream")
            data = [json.loads(line.removeprefix(b"data: ")) for line in live if line.strip()]
        assert [[verse["surah"], verse["ayah"]] for verse in data] == VERSES
        with urllib.request.urlopen(f"{url}/verses", timeout=20) as verses:
            assert json.load(verses) == {"verses": data, "error": None}


def test_fastapi_app_says_what_is_wrong_with_its_source(loaded: Recognizer) -> None:
    with served(create_app(FileSource("missing.wav"))) as url:
        with urllib.request.urlopen(f"{url}/verses/live", timeout=120) as live:
            assert live.read() == b""
        with urllib.request.urlopen(f"{url}/verses", timeout=20) as verses:
            assert "missing.wav" in json.load(verses)["error"]


def test_latency_over_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.opus").write_bytes(SAMPLE.read_bytes())
    (tmp_path / "notes.txt").write_text("not a recording")
    out = run("latency", str(tmp_path), "--speed", "max")
    assert out.count("a.opus") == 7
    assert re.search(r"^shown: median [\d.-]+ s", out, re.MULTILINE)
    assert re.search(r"^final: median [\d.-]+ s", out, re.MULTILINE)
