"""Makes the sample recording: al-Fatiha read by espeak-ng, a speech synthesiser.

    python -m examples.make_sample

No reciter's recording may be shipped freely, so the sample is a machine's. It says the phonemes of
the tajweed spelling (see acoustic/synthesize.py) and is no model of recitation.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from acoustic.corpus import SAMPLE_RATE
from acoustic.synthesize import Voice, recite, silence

PATH = Path(__file__).with_name("al-fatiha.opus")
VERSES = [(1, ayah) for ayah in range(1, 8)]
VOICE = Voice(variant="m3", words_per_minute=120, pitch=45)
PAUSE_SECONDS = 0.8


def main() -> None:
    audio = np.concatenate([silence(0.5), recite(VERSES, VOICE, PAUSE_SECONDS), silence(1.0)])
    with av.open(str(PATH), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono", bit_rate=32_000)
        resampler = av.AudioResampler("s16", "mono", 48_000)
        frame = av.AudioFrame.from_ndarray(audio[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for resampled in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(resampled))
        container.mux(stream.encode(None))
    print(f"{PATH}: {len(audio) / SAMPLE_RATE:.1f} s, {PATH.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
