"""What recognition costs on one thread: time, memory, disk.

    python -m bench.cost [FILE...] [--json PATH]

Everything is measured in a fresh process tied to one core, after one such process has run before
(so that what is compiled at first use is compiled; that first run's start-up is printed too).
Machines differ: the time of one Silero VAD step (32 ms of audio) in the same process is the
yardstick.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("quran_index", "lm", "decoders", "acoustic", "stream")
SAMPLE = Path(__file__).parent.parent / "examples" / "al-fatiha.opus"
_CODE = {".py", ".pyc", ".nbi", ".nbc", ".typed"}
_VAD_STEPS = 2000


def data_bytes() -> dict[str, int]:
    """Bytes of everything but code in each package, unfinished weights left out."""
    sizes = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        files = [f for f in Path(spec.origin).parent.rglob("*") if f.is_file()]
        sizes[package] = sum(
            f.stat().st_size
            for f in files
            if f.suffix not in _CODE and f.parent.name != "checkpoints"
        )
    return sizes


def resident_mb() -> float:
    """This process's resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _vad_step_ms() -> float:
    import numpy as np

    from stream.vad import STEP, SileroVad

    vad = SileroVad()
    state = vad.start()
    steps = np.random.default_rng(0).normal(0, 0.1, (_VAD_STEPS, STEP)).astype(np.float32)
    times = []
    for step in steps:
        begin = time.perf_counter()
        vad.probabilities(state, step)
        times.append(time.perf_counter() - begin)
    return 1000 * sorted(times)[len(times) // 2]


def _measure(launched: float, files: Sequence[Path]) -> dict[str, Any]:
    """All of it, in this process; ``launched`` is the clock when its parent started it."""
    from stream import Recognizer

    recognizer = Recognizer.load()
    ready = time.time() - launched
    loaded_mb = resident_mb()
    audio = wall = cpu = 0.0
    hop_p95 = 0.0
    for file in files:
        begin_wall, begin_cpu = time.perf_counter(), time.process_time()
        statistics = recognizer.recognize(file).statistics
        wall += time.perf_counter() - begin_wall
        cpu += time.process_time() - begin_cpu
        audio += statistics.audio_seconds
        hop_p95 = max(hop_p95, statistics.hop_ms_p95)
    return {
        "ready_seconds": ready,
        "torch_imported": "torch" in sys.modules,
        "audio_seconds": audio,
        "rtf": wall / audio,
        "cpu_rtf": cpu / audio,
        "hop_ms_p95": hop_p95,
        "loaded_mb": loaded_mb,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "vad_step_ms": _vad_step_ms(),
    }


def measure(files: Sequence[Path]) -> dict[str, Any]:
    """:func:`_measure` in a fresh process on one core."""
    core = str(min(os.sched_getaffinity(0)))
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "NUMBA")}
    command = [sys.executable, "-m", "bench.cost", "--within", core, str(time.time())]
    done = subprocess.run(
        [*command, *map(str, files)],
        env=os.environ | threads,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench.cost", description=__doc__)
    parser.add_argument("files", type=Path, nargs="*", default=[SAMPLE], help="default: the sample")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers here")
    parser.add_argument("--within", nargs=2, metavar=("CORE", "LAUNCHED"), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.within:
        core, launched = args.within
        os.sched_setaffinity(0, {int(core)})
        print(json.dumps(_measure(float(launched), args.files)))
        return 0

    first = measure(args.files)
    result = measure(args.files)
    sizes = data_bytes()
    result |= {"first_ready_seconds": first["ready_seconds"], "data_bytes": sizes}
    print(f"start-up to ready:     {result['ready_seconds']:.2f} s", end="")
    print(f" (the process before it: {first['ready_seconds']:.2f} s)")
    print(f"torch imported:        {'yes' if result['torch_imported'] else 'no'}")
    print(f"real-time factor:      {result['rtf']:.4f} wall, {result['cpu_rtf']:.4f} CPU,", end="")
    print(f" one core, {result['audio_seconds']:.0f} s of audio")
    print(f"slowest 5% of hops:    {result['hop_ms_p95']:.1f} ms and more")
    print(f"resident memory:       {result['loaded_mb']:.0f} MB loaded,", end="")
    print(f" {result['peak_mb']:.0f} MB at the peak")
    print(f"weights, index, n-grams on disk: {sum(sizes.values()) / 1e6:.1f} MB", end="")
    print(" (" + ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.items()) + ")")
    print(f"one Silero VAD step:   {result['vad_step_ms']:.3f} ms")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
