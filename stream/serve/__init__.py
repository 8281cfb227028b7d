"""The server: one shared recogniser, many streams over WebSockets. `python -m stream.serve`.

docs/protocol.md is what clients see of it.
"""

from .app import create_app
from .limits import Limits
from .server import DrainingServer
from .service import Service

__all__ = ["DrainingServer", "Limits", "Service", "create_app"]
