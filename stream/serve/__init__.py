"""The server: one shared recogniser, many streams over WebSockets. `python -m stream.serve`.

docs/protocol.md is what clients see of it.
"""

try:
    from .app import create_app
    from .limits import Limits
    from .server import DrainingServer
    from .service import Service
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"{missing.name} is not installed: pip install 'tasmi[serve]'", name=missing.name
    ) from missing

__all__ = ["DrainingServer", "Limits", "Service", "create_app"]
