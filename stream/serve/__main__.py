"""Serves recognition: `python -m stream.serve`"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import socket
import sys
from collections.abc import Sequence

from .. import command
from ..engine import Engine
from .limits import Limits
from .server import DrainingServer, listen
from .service import Service

_TOKEN = "TASMI_TOKEN"
_HELP = """\
Recognises Quran recitation for many clients at once, over WebSockets, and serves a page that
follows a recitation from the microphone. Everything stays on this computer.

  http://HOST:PORT/      the page            /v1/recite   events as they are (docs/protocol.md)
  /healthz               is it up            /v1/listen   for Deepgram's SDKs
  /metrics               for Prometheus      /vosk        for clients of vosk-server
"""
_EPILOG = f"""\
examples:
  python -m stream.serve
      for this computer only; then open http://127.0.0.1:8000/
  {_TOKEN}=secret python -m stream.serve --host 0.0.0.0
      for the network, to those who know the token (put TLS in front: browsers give the microphone
      only to secure pages)
  python -m stream.serve --allow-origin https://example.org
      scripts on that site may connect as well

SIGTERM and Ctrl-C end open streams with their final verses, within two seconds, and exit with 0.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    limits = Limits()
    parser = command.parser("serve", _HELP, _EPILOG)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port, 0 for any (%(default)s)")
    command.add_model_options(parser)
    parser.add_argument(
        "--streams",
        type=int,
        default=limits.streams,
        metavar="N",
        help="streams at once; more are refused (%(default)s: 12 per core)",
    )
    parser.add_argument(
        "--ahead",
        type=float,
        default=limits.ahead,
        metavar="SECONDS",
        help="how far audio may run ahead of real time (%(default)g)",
    )
    parser.add_argument(
        "--idle",
        type=float,
        default=limits.idle,
        metavar="SECONDS",
        help="silence on the line after which a stream is ended (%(default)g)",
    )
    parser.add_argument(
        "--total",
        type=float,
        default=limits.total,
        metavar="SECONDS",
        help="length of a stream (%(default)g)",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="a web site whose scripts may connect, besides this server's page; may be repeated",
    )
    args = parser.parse_args(arguments)
    limits = dataclasses.replace(
        limits, streams=args.streams, ahead=args.ahead, idle=args.idle, total=args.total
    )

    def work() -> int:
        engine = Engine.load(args.hop, args.model)
        service = Service(engine, limits, os.environ.get(_TOKEN), args.allow_origin)
        with listen(args.host, args.port) as listening:
            asyncio.run(_serve(service, listening))
        return 0

    return command.run("serve", work)


async def _serve(service: Service, listening: socket.socket) -> None:
    server = DrainingServer(service)
    serving = asyncio.create_task(server.serve([listening]))
    await server.ready.wait()
    host, port = listening.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    print(f"serving on http://{host}:{port}/  (Ctrl-C stops)", file=sys.stderr, flush=True)
    await serving


if __name__ == "__main__":
    sys.exit(main())
