"""Events in words, one line each, for people."""

from __future__ import annotations

from quran_index import QuranIndex

from .events import (
    Ended,
    Event,
    Final,
    Mistake,
    NotQuran,
    Provisional,
    Retracted,
    SpeechEnded,
    SpeechStarted,
    Warned,
)


class Narrator:
    """Tells one stream's events; says nothing of those that change nothing for a reader."""

    def __init__(self, index: QuranIndex) -> None:
        self._index = index
        self._shown: tuple[int, int, int] | None = None

    def line(self, event: Event) -> str | None:
        """A line about the event, or None."""
        told = self._tell(event)
        return None if told is None else f"{event.audio_time:8.2f}  {told}"

    def _tell(self, event: Event) -> str | None:
        match event:
            case SpeechStarted():
                return "(speech)"
            case SpeechEnded():
                return "(silence)"
            case Provisional():
                shown = (event.slot, event.surah, event.ayah)
                if shown == self._shown:
                    return None
                self._shown = shown
                return f"? {self._verse(event.surah, event.ayah)}"
            case Final():
                part = ""
                total = len(self._index.words(self._index.verse_of(event.surah, event.ayah)))
                if event.first_word > 1 or event.last_word < total:
                    part = f" words {event.first_word}-{event.last_word}"
                others = "".join(f" or {v.surah}:{v.ayah}" for v in event.ambiguous_with)
                return f"✓ {self._verse(event.surah, event.ayah)}{part}{others}"
            case Retracted():
                return f"✗ {event.surah}:{event.ayah} withdrawn ({event.reason})"
            case NotQuran():
                return "(not Quran)"
            case Mistake():
                where = f"{event.surah}:{event.ayah}" + (f" word {event.word}" * bool(event.word))
                return f"! {where}: expected {event.expected}, heard {event.heard or 'nothing'}"
            case Warned():
                return f"warning: {event.message}"
            case Ended():
                cost = event.statistics
                return (
                    f"{len(event.finals)} verse(s) in {cost.audio_seconds:.1f} s of audio, "
                    f"computed in {cost.compute_seconds:.1f} s"
                )
        return None

    def _verse(self, surah: int, ayah: int) -> str:
        text = self._index.text(self._index.verse_of(surah, ayah))
        return f"{surah}:{ayah}  {text}"
