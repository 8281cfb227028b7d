"""Events as running text, for protocols that know words but no verses."""

from __future__ import annotations

from dataclasses import dataclass, field

from quran_index import QuranIndex

from ..events import Event, Final, Provisional, Retracted, Word


@dataclass(frozen=True, slots=True)
class TextWord:
    """A word of the mushaf as it was recited; times in seconds."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(slots=True)
class _Verse:
    """A verse that is being recited, as far as is known."""

    surah: int
    ayah: int
    current: int
    confidence: float
    times: dict[int, tuple[float, float]] = field(default_factory=dict)


class Transcript:
    """What is shown but not final, which the next events may change."""

    def __init__(self, index: QuranIndex) -> None:
        self._index = index
        self._open: dict[int, _Verse] = {}

    def update(self, event: Event) -> bool:
        """Takes an event; whether it changed anything."""
        match event:
            case Provisional():
                verse = self._open.get(event.slot)
                if verse is None or (verse.surah, verse.ayah) != (event.surah, event.ayah):
                    verse = _Verse(event.surah, event.ayah, event.current_word, event.confidence)
                    self._open[event.slot] = verse
                verse.current, verse.confidence = event.current_word, event.confidence
                return True
            case Word() if event.slot in self._open:
                self._open[event.slot].times[event.word] = (event.start, event.end)
                return True
            case Final() | Retracted():
                return self._open.pop(event.slot, None) is not None
        return False

    def words(self, now: float) -> list[TextWord]:
        """The words so far; those that are being recited last until `now`."""
        said = []
        for slot in sorted(self._open):
            verse = self._open[slot]
            texts = self._texts(verse.surah, verse.ayah)
            for number in sorted({*verse.times, verse.current}):
                start, end = verse.times.get(number, (now, now))
                said.append(_text_word(texts[number - 1], start, end, verse.confidence))
        return said

    def final_words(self, final: Final) -> list[TextWord]:
        """The words of a final verse."""
        texts = self._texts(final.surah, final.ayah)
        return [_text_word(texts[w.word - 1], w.start, w.end, w.confidence) for w in final.words]

    def _texts(self, surah: int, ayah: int) -> list[str]:
        return self._index.words(self._index.verse_of(surah, ayah))


def _text_word(text: str, start: float, end: float, confidence: float) -> TextWord:
    """Rounded as in our own events."""
    return TextWord(text, round(start, 4), round(end, 4), round(confidence, 4))


def joined(words: list[TextWord]) -> str:
    """The text of words."""
    return " ".join(word.text for word in words)
