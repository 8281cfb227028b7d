"""The live pipeline: audio in, verse events out.

recognizer = Recognizer.load()
async with recognizer.stream() as stream:
    async for event in stream.run(FileSource("recitation.mp3")):
        print(event.to_json())
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
    PortAudioMissingError,
    RecognitionError,
    StreamClosedError,
    StreamError,
    UnreadableAudioError,
    UnsupportedAudioError,
    UnsupportedHopError,
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
from .recognizer import RecognitionStream, Recognizer
from .sources import AudioSource, FileSource

__all__ = [
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
    "VerseRef",
    "Warned",
    "Word",
    "WordTime",
    "input_devices",
]
