"""Every error that the stream package raises on purpose.

All of them descend from `StreamError`. Each says what went wrong and, in the same message, what the
reader can do about it, so that a program may print `str(error)` and be done.
"""

from __future__ import annotations


class StreamError(Exception):
    """Base of the tree. `problem` is what happened, `remedy` what to do about it."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}: {remedy}")
        self.problem = problem
        self.remedy = remedy


class AudioError(StreamError):
    """The audio cannot be used."""


class AudioNotFoundError(AudioError):
    """The path names no readable file."""


class UnreadableAudioError(AudioError):
    """The file exists, but no audio can be decoded from it."""


class EmptyAudioError(AudioError):
    """The file holds no bytes, or not one sample of audio."""


class UnsupportedAudioError(AudioError):
    """Pushed audio has a type, shape or rate that means nothing here."""


class AudioOverflowError(AudioError):
    """More audio was pushed than the stream's input buffer holds."""


class InstallationError(StreamError):
    """A file that ships with the packages is missing or damaged."""


class UnsupportedHopError(StreamError):
    """The model cannot work in hops of this length."""


class UnsupportedModelError(StreamError):
    """The acoustic model that was named is missing, or of no kind that can be used."""


class ManifestError(StreamError):
    """A manifest.jsonl is missing, malformed or names no file."""


class OutputError(StreamError):
    """What was recognised cannot be written where it should go."""


class DeviceError(StreamError):
    """The microphone cannot be used."""


class PortAudioMissingError(DeviceError):
    """The PortAudio library is not installed."""


class NoInputDeviceError(DeviceError):
    """There is no such input device, or none at all."""


class DeviceLostError(DeviceError):
    """The microphone stopped delivering audio."""


class StreamClosedError(StreamError):
    """Audio was pushed to a stream whose input has ended."""


class RecognitionError(StreamError):
    """Recognition itself failed; the cause is chained."""
