"""What is recognised in a recording, all at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stream import AudioBlock, Engine, Event
from stream.audio import SAMPLE_RATE
from stream.pipeline import Pipeline


def recognise(engine: Engine, samples: npt.NDArray[np.float32]) -> list[Event]:
    """The events of a whole recording [N], at 16 kHz."""
    pipeline = Pipeline(engine, "bench")
    return [*pipeline.advance([AudioBlock(samples, SAMPLE_RATE)]), *pipeline.finish()]
