"""What to tell the application, and when: hypotheses become verses.

The decoder says, hop after hop, which path through the Quran explains the audio best. The follower
turns that into promises: a verse is shown (`provisional`) when its posterior is high enough, and
made final when the path has gone on from it, or when its text is complete and silence follows. What
is final stays so, whatever the path says of that audio later.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from decoders.align import WordTime as Aligned
from decoders.align import align
from decoders.beam import Partial
from decoders.path import Decoding, Run
from quran_index import QuranIndex
from quran_index.graph import Graph

from .asking import Answer, Asking, Judged
from .clock import FrameClock
from .events import Candidate, Candidates, Event, Final, Mistake, NotQuran, Provisional
from .history import Float, History
from .mistakes import SKIPPED, MistakeFinder, Recited, Slip
from .passages import ASIDE, Passage, PassageFinder, Stretch
from .policy import Evidence, Policy, shares
from .slots import Posteriors, Slot, Slots, listed
from .vad import SpeechState
from .whole import Score, WholeFinder

_CONFIRMING = 4  # times the phonemes that end a verse: so long it is waited for a doubtful one


@dataclass(slots=True)
class _Done:
    """Where the last decided passage ended: its run, its verse, and its last frame."""

    entered: int = -1
    verse: int = -1
    frame: int = 0


class Follower:
    """Follows one recitation: told the hypotheses of every hop, says what is decided.

    ``graph`` is the Quran in the ``symbols`` of the log-probs that are heard; ``whole_verses`` says
    how well they fit each verse as a whole; ``rehear`` has the log-probs [T, symbols] of the frames
    from one to another (exclusive) that are over, heard again at once, with so many seconds of
    silence at their end; ``clock`` maps the frames of the hypotheses to audio seconds. Events are
    returned without their header; the pipeline stamps it.
    """

    def __init__(
        self,
        index: QuranIndex,
        graph: Graph,
        symbols: Sequence[str],
        finder: PassageFinder,
        whole_verses: Score,
        rehear: Callable[[int, int, float], Float],
        clock: FrameClock,
        policy: Policy,
    ) -> None:
        self._index = index
        self._graph = graph
        self._clock = clock
        self._policy = policy
        self._finder = finder
        self._mistakes = MistakeFinder(index, graph, symbols, policy.temperature)
        self._history = History(len(symbols))
        self._asking = Asking(
            index,
            WholeFinder(index, graph, whole_verses),
            self._history.between,
            rehear,
            lambda passage, posterior, words, since: self._evidence(
                passage, posterior, words, since=since
            ),
            clock.shift,
            policy,
        )
        self._basmala = index.verse_of(1, 1)
        self._slots = Slots(index, clock)
        self._listed: tuple[tuple[int, int], ...] = ()
        self._known = 0.0  # audio second until which what was heard is accounted for
        self._foreign = False  # whether what is heard since then was said not to be Quran
        self._talked: int | None = None  # in which frame that was said, since the last final verse
        self._restart()

    def _restart(self) -> None:
        """A new search: frames count from 0 again."""
        self._history.clear()
        self._talked = None if self._talked is None else 0
        self._done = _Done()
        self._asking.restart()
        self._recited: Recited | None = None  # the last final verse
        self._posterior: dict[tuple[int, int], float] = {}  # best seen, by passage key
        self._posteriors: Posteriors = {}  # of the candidate verses, likeliest first

    def hear(self, log_probs: Float) -> None:
        """The encoder's next frames."""
        self._history.append(log_probs)

    def update(self, partial: Partial, audio_time: float, speech: SpeechState) -> list[Event]:
        """Events decided by the audio up to ``audio_time``."""
        policy, still = self._policy, self._still(partial, speech)
        self._posteriors = shares(
            partial.ended if still >= policy.pause else partial.candidates, policy.temperature
        )
        pending = self._pending(partial.best)
        events = self._candidates() if speech.active else []
        if pending:
            key = _key(pending[-1])
            now = self._grouped(pending[-1].verse)
            self._posterior[key] = max(self._posterior.get(key, 0.0), now)
        if still >= policy.pause and (answer := self._asked(pending, partial.frames, still)):
            events += self._close([answer.passage], answer.judged)
            pending = self._pending(partial.best)
            strays = self._slots.of(pending, 0)[1]
            events += [self._slots.withdraw(stray, "replaced") for stray in strays]
        while pending and self._is_over(pending, partial, speech):
            judged = self._judged(pending, partial.frames)
            # What is read on may yet speak for it, and so may last sounds that come late.
            more = self._may_be_confirmed(pending) if pending[1:] else still < 2 * policy.pause
            if judged.probability < policy.accept and more:
                break
            events += self._close(pending, judged)
            pending = pending[1:]
        if pending and not partial.entering:
            events += self._show(pending, partial.frames)
        if speech.active and not self._slots.open:
            events += self._guess(partial.frames)
        final = any(isinstance(event, Final) for event in events)
        return events + self._judge(pending, partial.frames, audio_time, speech, final)

    def _judge(
        self,
        pending: list[Passage],
        frames: int,
        audio_time: float,
        speech: SpeechState,
        final: bool,
    ) -> list[Event]:
        """`not_quran`, once in each stretch of speech that nothing fits for long."""
        if self._slots.open or final or not speech.active:
            self._known, self._foreign = audio_time, False
            return []
        since = max(self._known, speech.since)
        if self._foreign or audio_time - since < self._policy.foreign:
            return []
        if pending:
            # Whichever verse it may be, is it one at all?
            aligned = self._align(pending[-1], None, frames, pending[:-1])
            evidence = self._evidence(pending[-1], 1.0, aligned[:-1])
            if self._policy.probability(evidence) >= 0.5:
                return []  # it may yet be known which verse it is
        self._foreign = True
        self._talked = frames if self._talked is None else self._talked
        return [NotQuran(since=since)]

    def finish(self, partial: Partial, decoding: Decoding) -> list[Event]:
        """Closes what is open: the audio ended, was flushed, or fell silent for long."""
        self._posteriors = shares(partial.ended, self._policy.temperature)
        pending = self._pending(decoding.runs)
        frames = self._clock.frames
        events: list[Event] = []
        if answer := self._asked(pending, frames, math.inf):
            events += self._close([answer.passage], answer.judged)
            pending = []
        while pending:
            events += self._close(pending, self._judged(pending, frames))
            pending = pending[1:]
        events += [self._slots.withdraw(slot, "unclear") for slot in tuple(self._slots.open)]
        self._listed = ()
        self._restart()
        return events

    # --- what is believed -------------------------------------------------------------------------

    def _grouped(self, verse: int) -> float:
        """Posterior of a verse's words, wherever they stand."""
        return min(1.0, sum(self._posteriors.get(v, 0.0) for v in self._index.identical(verse)))

    def _best_posterior(self, passage: Passage, later: list[Passage]) -> float:
        """The most that was ever believed of a passage; what was read on from it speaks for it."""
        run = passage.stretches[-1].entered
        verses = [passage.verse, *(p.verse for p in later if p.stretches[0].entered == run)]
        now = max(self._grouped(verse) for verse in verses)
        return max(now, self._posterior.get(_key(passage), 0.0))

    def _evidence(
        self,
        passage: Passage,
        posterior: float,
        words: list[Aligned],
        *,
        over: bool = False,
        since: int | None = None,
    ) -> Evidence:
        """What speaks for a passage's aligned words; ``over``: no more of it is read; ``since``:
        other speech counts if it was told by that frame (None: whenever it was)."""
        phonemes = sum(self._finder.phonemes(w.word, w.word) for w in words)
        fit = sum(w.score for w in words) / phonemes if words else -math.inf
        begun_inside = passage.first_word > self._index.first_word[passage.verse]
        left_inside = over and not self._is_complete(passage)
        torn = begun_inside + left_inside
        before = self._recited
        talked = self._talked is not None and (since is None or self._talked <= since)
        ahead = 0 if before is None or talked else passage.verse - before.verse
        follows = 0 < ahead <= 1 + SKIPPED
        return Evidence(posterior, fit, phonemes, talked, torn, follows)

    @property
    def _last_recited(self) -> int:
        """The last final verse; -1 before there is one."""
        return -1 if self._recited is None else self._recited.verse

    def _pending(self, runs: tuple[Run, ...]) -> list[Passage]:
        """Passages of the path that are not decided yet."""
        done = self._done
        # The path may have changed its mind about what was entered in the same frame.
        same = any(
            run.start_frame == done.entered
            and self._index.first_word[done.verse] <= run.last_word
            and run.first_word < self._index.first_word[done.verse + 1]
            for run in runs
        )

        def decided(verse: int, stretch: Stretch) -> bool:
            if same and stretch.entered == done.entered:
                return verse <= done.verse
            return (stretch.start + stretch.end) / 2 < done.frame

        return self._finder.find((r for r in runs if r.end_frame > done.frame), decided)

    # --- what is decided --------------------------------------------------------------------------

    def _is_over(self, pending: list[Passage], partial: Partial, speech: SpeechState) -> bool:
        """Whether the first pending passage is finished, one way or another."""
        passage, *later = pending
        if later:
            onward = sum(
                self._finder.phonemes(s.first_word, s.last_word) for p in later for s in p.stretches
            )
            if not self._is_complete(passage):
                # Who leaves a verse in its middle may be back after a wrong word.
                return onward >= self._policy.onward_phonemes + ASIDE
            verses = {p.verse for p in later} - {passage.verse}
            return (
                onward >= self._policy.onward_phonemes
                or sum(self._posteriors.get(v, 0.0) for v in verses) >= self._policy.onward
                or self._is_settled(passage, partial)
            )
        if not self._is_complete(passage):
            return False
        if passage.verse == self._basmala:
            # It opens most recitations: a verse only if nothing else follows.
            return self._still(partial, speech) >= self._policy.opening_pause
        if not partial.pause:
            # It may be a long vowel that is no voice to a detector of speech; but if it is no
            # longer loud either, the word's last sounds were too weak to be heard.
            return self._still(partial, speech) >= self._policy.pause
        quiet = max(partial.pause * self._clock.shift, speech.silence, speech.quiet)
        return quiet >= self._policy.pause

    def _still(self, partial: Partial, speech: SpeechState) -> float:
        """Seconds in which nothing was said, by the voice, and by its level or the decoder."""
        return min(speech.silence, max(speech.quiet, partial.pause * self._clock.shift))

    def _is_settled(self, passage: Passage, partial: Partial) -> bool:
        """Whether no surviving path disagrees about the passage."""
        entered = passage.stretches[-1].entered
        run = next((i for i, r in enumerate(partial.best) if r.start_frame == entered), -1)
        if run < partial.settled:
            return run >= 0
        return run == partial.settled and passage.last_word < partial.settled_word

    def _judged(self, pending: list[Passage], frames: int) -> Judged:
        """The first pending passage's words, and the probability that it was recited."""
        passage, *later = pending
        until = later[0].end if later else frames
        words = self._align(passage, later[0] if later else None, until)
        onward = [w for w in words if w.word > passage.last_word]
        words = [w for w in words if w.word <= passage.last_word]
        # What was read on from it speaks for it: the letters that open a surah are little by
        # themselves.
        posterior = self._best_posterior(passage, later)
        probability = max(
            self._policy.probability(self._evidence(passage, posterior, aligned, over=True))
            for aligned in (words, words + onward)
        )
        return Judged(words, probability)

    def _asked(self, pending: list[Passage], until: int, still: float) -> Answer | None:
        """The verse that all that was said and not told is, unless the search is sure of one."""

        def known() -> bool:
            judged = self._judged(pending, until) if pending else None
            return judged is not None and judged.probability >= self._policy.accept

        answer = self._asking.in_silence(until, still, self._last_recited, known)
        if answer:
            self._posteriors = answer.posteriors
        return answer

    def _may_be_confirmed(self, pending: list[Passage]) -> bool:
        """Whether what is being read on from the first passage may yet speak for it."""
        passage, *later = pending
        if not later or later[0].stretches[0].entered != passage.stretches[-1].entered:
            return False
        onward = self._finder.phonemes(later[0].first_word, later[0].last_word)
        return len(later) == 1 and onward < _CONFIRMING * self._policy.onward_phonemes

    def _close(self, pending: list[Passage], judged: Judged) -> list[Event]:
        """Makes the first pending passage final, or drops it; either way it is decided."""
        passage, *later = pending
        words, probability = judged.words, judged.probability
        likely = bool(words) and probability >= self._policy.accept
        counts = likely and self._counts(passage, later)
        last = passage.stretches[-1]
        end = round(words[-1].end) if words else passage.end
        self._done = _Done(last.entered, passage.verse, end)
        events: list[Event] = []
        slot, strays = self._slots.of(pending, 0)
        if counts:
            if slot is None:  # known only now that it is over: a slot opens with its verse shown
                slot = self._slots.take(strays, passage.verse)
                events.append(self._slots.provisional(slot, passage, probability, self._posteriors))
            self._slots.close(slot)
            self._talked = None
            events += self._slots.words(slot, words)
            events += self._slips(slot, passage, words, probability)
            events.append(self._slots.final(slot, passage, words, probability, self._posteriors))
        elif slot is not None:
            events.append(self._slots.withdraw(slot, "unclear"))
        told = counts or (likely and self._is_complete(passage))
        self._asking.decided(end, told)
        self._history.forget(min(end, self._asking.untold))
        self._posterior = {k: p for k, p in self._posterior.items() if k != _key(passage)}
        return events

    def _counts(self, passage: Passage, later: list[Passage]) -> bool:
        """Whether a passage, if recited, is a verse, and not an opening or a fragment."""
        if passage.verse == self._index.istiadha:
            return False
        if passage.verse == self._basmala and later and later[0].verse != self._basmala + 1:
            return False
        opens = int(self._index.first_word[passage.verse])
        if passage.verse == self._done.verse and passage.first_word > opens:
            return False  # the end of the verse just decided, said again
        spoken = self._finder.phonemes(passage.first_word, passage.last_word)
        whole = self._finder.phonemes(opens, self._last_of(passage.verse))
        return spoken >= min(self._policy.partial_phonemes, whole)

    def _slips(
        self, slot: Slot, passage: Passage, words: list[Aligned], probability: float
    ) -> list[Event]:
        """`mistake` for each in a verse that is made final, and on the way to it."""
        before, self._recited = (
            self._recited,
            Recited(
                slot.number,
                passage.verse,
                passage.first_word,
                passage.last_word,
                words[0].start,
                words[-1].end,
                probability,
            ),
        )
        slips = [(slot.number, s) for s in self._mistakes.in_words(words, self._history.between)]
        if before is not None:
            slips = [*self._mistakes.between_verses(before, self._recited), *slips]
        return [self._mistake(n, s) for n, s in slips if s.confidence >= self._policy.mistake]

    def _mistake(self, slot: int, slip: Slip) -> Mistake:
        surah, ayah = self._index.reference(slip.verse)
        text = self._index.words(slip.verse)
        return Mistake(
            slot=slot,
            surah=surah,
            ayah=ayah,
            word=slip.word,
            expected=text[slip.word - 1] if slip.word else " ".join(text),
            heard=slip.heard,
            confidence=slip.confidence,
        )

    # --- what is shown ----------------------------------------------------------------------------

    def _candidates(self) -> list[Event]:
        top = listed(self._posteriors)
        names = tuple(self._index.reference(v) for v, _ in top)
        if not names or names == self._listed:
            return []
        self._listed = names
        candidates = (Candidate(s, a, p) for (s, a), (_, p) in zip(names, top, strict=True))
        return [Candidates(candidates=tuple(candidates))]

    def _show(self, pending: list[Passage], frames: int) -> list[Event]:
        """Shows the passage being recited, if it is likely enough, and tells its complete words."""
        index, passage = self._index, pending[-1]
        aligned = self._align(passage, None, frames, pending[:-1])
        # Of the current word there may be no more than the beginning: it may say little of the fit.
        posterior = self._grouped(passage.verse)
        confidence = max(
            self._policy.probability(self._evidence(passage, posterior, words))
            for words in (aligned, aligned[:-1])
        )
        spoken = self._finder.phonemes(passage.first_word, passage.last_word)
        slot, strays = self._slots.of(pending, len(pending) - 1)
        events: list[Event] = []
        if slot is None:
            likely = confidence >= self._policy.show and spoken >= self._policy.show_phonemes
            if not likely or passage.verse == index.istiadha:
                return []
            slot = self._slots.take(strays, passage.verse)
            events += [self._slots.withdraw(stray, "replaced") for stray in strays]
        shown = self._slots.provisional(slot, passage, confidence, self._posteriors)
        if slot.shown is None or _place(shown) != _place(slot.shown):
            events.append(shown)
            slot.shown = shown
        current = passage.stretches[-1].last_word
        if current > max(slot.told, passage.first_word - 1) + 1:
            events += self._slots.words(slot, [w for w in aligned if w.word < current])
        return events

    def _guess(self, until: int) -> list[Event]:
        """Shows the verse that all that was said and not told begins, if one stands out."""
        answer = self._asking.while_spoken(until, self._last_recited)
        if answer is None:
            return []
        slot = self._slots.take([], answer.passage.verse)
        slot.shown = self._slots.provisional(
            slot, answer.passage, answer.judged.probability, answer.posteriors
        )
        return [slot.shown]

    # --- when it was said -------------------------------------------------------------------------

    def _align(
        self,
        passage: Passage,
        following: Passage | None,
        until: int,
        before: Sequence[Passage] = (),
    ) -> list[Aligned]:
        """Times of the passage's words, in frames; a word recited again counts where it was last.

        Of a run that goes on into the ``following`` verse, that one's words come after them: they
        show where this verse's last word ends. Of one that comes from passages ``before`` that are
        not decided yet, theirs come first: where a verse begins inside a run is only guessed.
        """
        aligned: dict[int, Aligned] = {}
        for i, stretch in enumerate(passage.stretches):
            last_word, end = stretch.last_word, stretch.end
            if i + 1 == len(passage.stretches):
                end = until
                if following is not None:
                    last_word, end = _reach(stretch, following.stretches[0])
            earliest = stretch if i else _run_from(before, stretch)
            start = self._start(earliest)
            log_probs = self._history.between(start, end)
            if not len(log_probs):
                continue
            try:
                times = align(log_probs, self._graph, earliest.first_word, last_word, 1.0)
            except ValueError:  # too few frames: the path has only just arrived there
                continue
            for t in times:
                if t.word >= stretch.first_word:
                    aligned[t.word] = replace(t, start=t.start + start, end=t.end + start)
        return [aligned[w] for w in sorted(aligned)]

    def _start(self, stretch: Stretch) -> int:
        """Where a stretch's frames begin: after what is decided."""
        if stretch.entered == self._done.entered:
            return self._done.frame
        return max(stretch.start, self._done.frame if stretch.start < self._done.frame else 0)

    def _is_complete(self, passage: Passage) -> bool:
        """Whether its verse's last word was reached."""
        return passage.last_word == self._last_of(passage.verse)

    def _last_of(self, verse: int) -> int:
        return int(self._index.first_word[verse + 1]) - 1


def _key(passage: Passage) -> tuple[int, int]:
    """What stays the same of a passage while it is being recited."""
    return passage.verse, passage.stretches[0].entered


def _place(shown: Provisional) -> tuple[int, int, int, float]:
    return shown.surah, shown.ayah, shown.current_word, round(shown.confidence, 1)


def _run_from(before: Sequence[Passage], stretch: Stretch) -> Stretch:
    """The earliest of the stretches before that were read in the same run."""
    for passage in reversed(before):
        last = passage.stretches[-1]
        if last.entered != stretch.entered:
            break
        stretch = last
    return stretch


def _reach(stretch: Stretch, following: Stretch) -> tuple[int, int]:
    """Last word and end frame to align a stretch with, given what follows it."""
    if following.entered == stretch.entered:
        return following.last_word, following.end
    return stretch.last_word, max(following.start, stretch.start + 1)
