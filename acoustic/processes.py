"""Work that processes share, none of which outlives the others or the one that started them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from torch.multiprocessing.spawn import ProcessException, ProcessExitedException, spawn

from acoustic.stopping import StopSignals

_POLL_SECONDS = 0.5


def share_work(share: Callable[[int, int], object], processes: int, patience: float) -> bool:
    """Runs ``share(rank, processes)`` in so many processes; whether they came to their end.

    They are told of SIGTERM and Ctrl-C by SIGTERM, and of the end of this process, whatever ended
    it, by SIGINT. Those that have not ended ``patience`` seconds after the first are killed.
    SystemExit: one of them failed, and the others were ended.
    """
    with StopSignals() as stop:
        workers = spawn(share, (processes,), nprocs=processes, join=False)  # type: ignore[no-untyped-call]
        latest = math.inf
        try:
            while not workers.join(timeout=_POLL_SECONDS):
                if time.monotonic() > latest:
                    for process in workers.processes:
                        process.kill()
                elif stop.asked and latest == math.inf:
                    latest = time.monotonic() + patience
                    for process in workers.processes:
                        process.terminate()
        except ProcessException as error:
            # One that had not begun, and so did not note the signal, was ended by it.
            if not (stop.asked and isinstance(error, ProcessExitedException)):
                raise SystemExit(f"a process failed: {error}") from error
        return not stop.asked
