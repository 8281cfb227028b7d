"""The live pipeline: audio in, verse events out.

```python
recognizer = Recognizer.load()
async with recognizer.stream() as stream:
    async for event in stream.run(FileSource("recitation.mp3")):
        print(event.to_json())
```

`Recognizer` is loaded once and shared; a `RecognitionStream` is one recitation. Every error is a
`StreamError` whose message says what to do.
"""

from .audio import AudioBlock, Notice
from .engine import Decoder, Encoder, Engine
from .errors import (
    AudioError,
    AudioNotFoundError,
    AudioOverflowError,
    DeviceError,
    DeviceLostError,
    EmptyAudioError,
    InstallationError,
    ManifestError,
    NoInputDeviceError,
    OutputError,
    PortAudioMissingError,
    RecognitionError,
    StreamClosedError,
    StreamError,
    UnreadableAudioError,
    UnsupportedAudioError,
    UnsupportedHopError,
    UnsupportedModelError,
)
from .events import (
    Candidate,
    Candidates,
    Ended,
    Event,
    Final,
    Mistake,
    NotQuran,
    Provisional,
    Retracted,
    SpeechEnded,
    SpeechStarted,
    Statistics,
    VerseRef,
    Warned,
    Word,
    WordTime,
)
from .microphone import InputDevice, MicrophoneSource, input_devices
from .policy import BALANCED, CAREFUL, QUICK, Policy
from .recognizer import RecognitionStream, Recognizer
from .sources import AudioSource, FileSource

__version__ = "0.1.0"

__all__ = [
    "BALANCED",
    "CAREFUL",
    "QUICK",
    "AudioBlock",
    "AudioError",
    "AudioNotFoundError",
    "AudioOverflowError",
    "AudioSource",
    "Candidate",
    "Candidates",
    "Decoder",
    "DeviceError",
    "DeviceLostError",
    "EmptyAudioError",
    "Encoder",
    "Ended",
    "Engine",
    "Event",
    "FileSource",
    "Final",
    "InputDevice",
    "InstallationError",
    "ManifestError",
    "MicrophoneSource",
    "Mistake",
    "NoInputDeviceError",
    "NotQuran",
    "Notice",
    "OutputError",
    "Policy",
    "PortAudioMissingError",
    "Provisional",
    "RecognitionError",
    "RecognitionStream",
    "Recognizer",
    "Retracted",
    "SpeechEnded",
    "SpeechStarted",
    "Statistics",
    "StreamClosedError",
    "StreamError",
    "UnreadableAudioError",
    "UnsupportedAudioError",
    "UnsupportedHopError",
    "UnsupportedModelError",
    "VerseRef",
    "Warned",
    "Word",
    "WordTime",
    "input_devices",
]
