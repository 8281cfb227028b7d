"""Does something in the house when a verse has been recited: runs a command, calls a webhook.

    python -m examples.on_verse 2:255 --run 'notify-send "Ayat al-Kursi"'
    python -m examples.on_verse 112 --webhook http://homeassistant.local:8123/api/webhook/ikhlas
    python -m examples.on_verse all --run 'echo $SURAH:$AYAH $TEXT' --listen-to recitation.mp3

VERSE is a verse (2:255), a surah (112: any verse of it) or `all`. It listens to the microphone. The
command finds SURAH, AYAH, CONFIDENCE and TEXT in its environment; the webhook is posted the same as
JSON, as Home Assistant's webhook triggers take it (`trigger.json.surah`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import urllib.request
from collections.abc import Sequence

from stream import FileSource, Final, MicrophoneSource, Recognizer, StreamError

Facts = dict[str, int | float | str]

PATIENCE = 10  # seconds for a command or a webhook
SURE = 0.5  # what is less probable is left alone: lights should not go out by mistake


def wanted(final: Final, verse: str) -> bool:
    names = ("all", f"{final.surah}", f"{final.surah}:{final.ayah}")
    return verse in names and final.confidence >= SURE


async def run_command(command: str, facts: Facts) -> None:
    told = {name.upper(): str(value) for name, value in facts.items()}
    process = await asyncio.create_subprocess_shell(command, env={**os.environ, **told})
    try:
        status = await asyncio.wait_for(process.wait(), PATIENCE)
    except TimeoutError:
        process.kill()
        status = await process.wait()
    if status:
        print(f"on_verse: the command ended with {status}", file=sys.stderr)


async def call_webhook(url: str, facts: Facts) -> None:
    data = json.dumps(facts).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})

    def post() -> None:
        with urllib.request.urlopen(request, timeout=PATIENCE):
            pass

    try:
        await asyncio.to_thread(post)
    except OSError as error:  # the house may be offline; go on listening
        print(f"on_verse: {url}: {error}", file=sys.stderr)


async def listen(options: argparse.Namespace) -> int:
    source = FileSource(options.listen_to) if options.listen_to else MicrophoneSource()
    # Actions run beside the listening, which they must not hold up, and are awaited at the end.
    async with asyncio.TaskGroup() as actions:
        try:
            recognizer = Recognizer.load()
            index = recognizer.engine.index
            async with recognizer.stream() as stream:
                async for event in stream.run(source):
                    if not (isinstance(event, Final) and wanted(event, options.verse)):
                        continue
                    facts: Facts = {
                        "surah": event.surah,
                        "ayah": event.ayah,
                        "confidence": round(event.confidence, 3),
                        "text": index.text(index.verse_of(event.surah, event.ayah)),
                    }
                    if options.run:
                        actions.create_task(run_command(options.run, facts))
                    if options.webhook:
                        actions.create_task(call_webhook(options.webhook, facts))
        except StreamError as error:
            print(f"on_verse: {error}", file=sys.stderr)
            return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="on_verse", description="Acts on recited verses.")
    parser.add_argument("verse", metavar="VERSE", help="2:255, or 112, or all")
    parser.add_argument("--run", metavar="COMMAND", help="a shell command")
    parser.add_argument("--webhook", metavar="URL")
    parser.add_argument("--listen-to", metavar="FILE", help="a recording, not the microphone")
    options = parser.parse_args(arguments)
    try:
        return asyncio.run(listen(options))
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main())
