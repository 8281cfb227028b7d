"""What the follower tells of verses spelled into noise, by the real decoder and the whole text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decoders import BeamDecoder
from lm import Priors
from quran_index import QuranIndex
from stream import Candidates, Event, Final, Mistake, NotQuran, Provisional, Retracted, Word
from stream.clock import FrameClock
from stream.follower import Follower
from stream.passages import PassageFinder
from stream.policy import Evidence, Policy
from stream.vad import SpeechState
from tests.texts import spoken

SHIFT, HOP = 0.06, 8
# Breaths: first and last (surah, ayah, word); word 0 is the last of the verse.
Place = tuple[int, int, int]


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture(scope="module")
def decoder(index: QuranIndex) -> BeamDecoder:
    return BeamDecoder(index.graph, Priors.load())


@pytest.fixture(scope="module")
def finder(index: QuranIndex) -> PassageFinder:
    return PassageFinder(index)


class Listener:
    """Feeds breaths to a decoder and a follower, hop by hop."""

    def __init__(self, index: QuranIndex, decoder: BeamDecoder, finder: PassageFinder) -> None:
        self.index, self.decoder, self.finder = index, decoder, finder

    def word(self, place: Place) -> int:
        surah, ayah, number = place
        first, end = self.index.first_word[self.index.verse_of(surah, ayah) :][:2].tolist()
        return int(first + number - 1 if number else end - 1)

    def hear(
        self, breaths: list[tuple[Place, Place]], silence: float = 2.0, seed: int = 0
    ) -> list[Event]:
        spelled = [self.index.spell(self.word(a), self.word(b)).tolist() for a, b in breaths]
        log_probs = spoken(np.random.default_rng(seed), spelled, len(self.index.symbols))
        quiet = silent(log_probs.shape[1], silence)
        return self.follow(np.concatenate([log_probs, quiet]), len(log_probs))

    def follow(
        self,
        log_probs: np.ndarray,
        speech_frames: int,
        *,
        loud_frames: int | None = None,
        stop: tuple[int, int] = (0, 0),
        ends: bool = True,
        again: np.ndarray | None = None,
    ) -> list[Event]:
        """``loud_frames``: after so many it is quiet too; ``stop``: from and to which frame it is
        silent before; ``ends``: whether the end is told; ``again``: what is heard when it is heard
        at once, if not the same."""
        clock, state = FrameClock(SHIFT), self.decoder.start()
        symbols = self.index.symbols
        follower = Follower(
            self.index,
            self.index.graph,
            symbols,
            self.finder,
            self.decoder.whole_verses,
            lambda start, end, _: (log_probs if again is None else again)[start:end],
            clock,
            Policy(),
        )
        events: list[Event] = []
        for at in range(0, len(log_probs), HOP):
            hop = log_probs[at : at + HOP]
            clock.add(len(hop), at * SHIFT)
            follower.hear(hop)
            self.decoder.advance(state, hop)
            now = (at + len(hop)) * SHIFT
            silence = max(0.0, now - speech_frames * SHIFT)
            loud = speech_frames if loud_frames is None else loud_frames
            quiet = max(0.0, now - loud * SHIFT)
            if stop[0] < at + len(hop) <= stop[1]:
                silence = quiet = now - stop[0] * SHIFT
            speech = SpeechState(active=not silence, since=0.0, silence=silence, quiet=quiet)
            events += follower.update(self.decoder.partial(state), now, speech)
        if not ends:
            return events
        partial, decoding = self.decoder.partial(state), self.decoder.finish(state)
        return events + follower.finish(partial, decoding)


@pytest.fixture(scope="module")
def listener(index: QuranIndex, decoder: BeamDecoder, finder: PassageFinder) -> Listener:
    return Listener(index, decoder, finder)


def verse(surah: int, ayah: int) -> tuple[Place, Place]:
    return (surah, ayah, 1), (surah, ayah, 0)


def finals(events: list[Event]) -> list[tuple[int, int]]:
    return [(e.surah, e.ayah) for e in events if isinstance(e, Final)]


def test_a_surah_is_told_verse_by_verse_and_word_by_word(listener: Listener) -> None:
    events = listener.hear([verse(112, a) for a in range(1, 5)])
    assert finals(events) == [(112, a) for a in range(1, 5)]
    assert not [e for e in events if isinstance(e, Retracted)]
    assert any(isinstance(e, Candidates) for e in events)
    for final in (e for e in events if isinstance(e, Final)):
        total = len(listener.index.words(listener.index.verse_of(112, final.ayah)))
        assert (final.first_word, final.last_word) == (1, total)
        words = [e for e in events if isinstance(e, Word) and e.slot == final.slot]
        assert [w.word for w in words] == list(range(1, total + 1))
        assert [w.word for w in final.words] == list(range(1, total + 1))
        starts = [w.start for w in final.words]
        assert starts == sorted(starts)
        assert final.start == starts[0] < final.end


def test_a_verse_is_shown_before_it_is_final(listener: Listener) -> None:
    events = listener.hear([verse(2, 255)])
    kinds = [type(e) for e in events if isinstance(e, (Provisional, Final))]
    assert kinds[0] is Provisional
    assert kinds.count(Final) == 1
    shown = next(e for e in events if isinstance(e, Provisional))
    assert (shown.surah, shown.ayah) == (2, 255)
    assert shown.current_word < shown.words_total == 50


def test_every_final_verse_was_shown_in_its_slot(listener: Listener) -> None:
    """Also one so short that it is known only when the next one is read."""
    events = listener.hear([verse(20, 1), verse(20, 2), verse(20, 3)])
    assert finals(events) == [(20, 1), (20, 2), (20, 3)]
    for final in (e for e in events if isinstance(e, Final)):
        before = events[: events.index(final)]
        shown = [e for e in before if isinstance(e, Provisional) and e.slot == final.slot]
        assert (shown[-1].surah, shown[-1].ayah) == (final.surah, final.ayah)


def test_five_recitations_are_five_finals(listener: Listener) -> None:
    assert finals(listener.hear([verse(113, 3)] * 5)) == [(113, 3)] * 5


def test_words_said_again_inside_a_verse_make_no_verse(listener: Listener) -> None:
    breaths = [((2, 286, 1), (2, 286, 12)), ((2, 286, 8), (2, 286, 0))]
    assert finals(listener.hear(breaths)) == [(2, 286)]


def test_who_goes_back_may_go_on_from_where_he_was(listener: Listener) -> None:
    breaths = [
        ((2, 286, 1), (2, 286, 12)),
        ((2, 286, 5), (2, 286, 7)),
        ((2, 286, 13), (2, 286, 0)),
    ]
    events = listener.hear(breaths)
    assert finals(events) == [(2, 286)]
    assert mistakes(events) == []


def test_the_end_of_a_verse_said_again_makes_no_verse(listener: Listener) -> None:
    breaths = [verse(59, 23), ((59, 23, 12), (59, 23, 0)), verse(59, 24)]
    assert finals(listener.hear(breaths)) == [(59, 23), (59, 24)]


def test_the_basmala_belongs_to_no_other_surah(listener: Listener) -> None:
    opening = [verse(0, 1), verse(1, 1)]
    assert finals(listener.hear([*opening, verse(108, 1), verse(108, 2)])) == [(108, 1), (108, 2)]
    assert finals(listener.hear([*opening, verse(1, 2)])) == [(1, 1), (1, 2)]
    assert finals(listener.hear(opening)) == [(1, 1)]


def test_a_part_of_a_verse_says_which(listener: Listener) -> None:
    (final,) = (e for e in listener.hear([((24, 35, 5), (24, 35, 20))]) if isinstance(e, Final))
    assert (final.surah, final.ayah, final.first_word, final.last_word) == (24, 35, 5, 20)


def test_identical_verses_are_told_apart_by_what_came_before(listener: Listener) -> None:
    assert finals(listener.hear([verse(55, 46), verse(55, 47), verse(55, 48)])) == [
        (55, 46),
        (55, 47),
        (55, 48),
    ]


def test_an_identical_verse_alone_is_ambiguous(listener: Listener) -> None:
    (final,) = (e for e in listener.hear([verse(55, 13)]) if isinstance(e, Final))
    same = {
        listener.index.reference(v)
        for v in listener.index.identical(listener.index.verse_of(55, 13))
    }
    named = {(final.surah, final.ayah)} | {(r.surah, r.ayah) for r in final.ambiguous_with}
    assert named <= same
    assert len(named) > 10


def test_noise_is_no_verse(listener: Listener) -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 1.5, (300, len(listener.index.symbols)))
    logits -= np.logaddexp.reduce(logits, axis=1, keepdims=True)
    assert finals(listener.follow(logits.astype(np.float32), 300)) == []


def test_speech_that_fits_nothing_is_not_quran(listener: Listener) -> None:
    """Other words of the same sounds: each of them is certain, and their order is in no verse."""
    rng = np.random.default_rng(8)
    symbols = len(listener.index.symbols)
    prose = spoken(rng, [rng.integers(1, symbols, 12).tolist() for _ in range(8)], symbols)
    events = listener.follow(prose, len(prose))
    assert finals(events) == []
    assert not [e for e in events if isinstance(e, Provisional)]
    (told,) = (e for e in events if isinstance(e, NotQuran))
    assert told.since < 1.0

    verse_after = spoken(
        rng, [listener.index.spell(*listener.index.passage(112, 1, 1)).tolist()], symbols
    )
    assert finals(listener.follow(np.concatenate([prose, verse_after]), len(prose) + 99)) == [
        (112, 1)
    ]


def test_silence_finalises_a_complete_verse_before_the_end(listener: Listener) -> None:
    log_probs_end = 2.0
    events = listener.hear([verse(112, 1)], silence=log_probs_end)
    final = next(i for i, e in enumerate(events) if isinstance(e, Final))
    # It came from silence, not from `finish`: nothing of this slot is open after it.
    assert not [e for e in events[final:] if isinstance(e, (Provisional, Retracted))]


def silent(symbols: int, seconds: float) -> np.ndarray:
    log_probs = np.full((int(seconds / SHIFT), symbols), -9.0, np.float32)
    log_probs[:, 0] = -0.01
    return log_probs


def test_a_verse_whose_last_sounds_were_not_heard_ends_when_it_is_quiet(
    listener: Listener,
) -> None:
    """Not where something is held that is no voice to the detector."""
    symbols = len(listener.index.symbols)
    spelled = listener.index.spell(*listener.index.passage(1, 4, 4)).tolist()[:-2]
    said = spoken(np.random.default_rng(0), [spelled], symbols)
    heard = np.concatenate([said, silent(symbols, 2.4)])
    state = listener.decoder.start()
    listener.decoder.advance(state, heard)
    assert not listener.decoder.partial(state).pause
    assert finals(listener.follow(heard, len(said), ends=False)) == [(1, 4)]
    held = listener.follow(heard, len(said), loud_frames=len(heard), ends=False)
    assert finals(held) == []


def test_a_verse_whose_end_was_heard_ends_when_it_is_quiet(listener: Listener) -> None:
    """Though it is still a voice to the detector: the network tells of sounds late."""
    symbols = len(listener.index.symbols)
    spelled = listener.index.spell(*listener.index.passage(112, 1, 1)).tolist()
    said = spoken(np.random.default_rng(0), [spelled], symbols)
    heard = np.concatenate([said, silent(symbols, 0.12)])
    late = round(0.7 / SHIFT)
    quiet = listener.follow(heard, len(heard), loud_frames=len(said) - late, ends=False)
    assert finals(quiet) == [(112, 1)]
    assert finals(listener.follow(heard, len(heard), ends=False)) == []


def badly_heard(index: QuranIndex, place: tuple[int, int], seed: int) -> np.ndarray:
    """Log-probs of a verse in which three of ten phonemes are others."""
    rng, number = np.random.default_rng(seed), index.verse_of(*place)
    first, end = index.first_word[number : number + 2].tolist()
    labels = index.spell(first, end - 1)
    others = rng.integers(1, len(index.symbols), len(labels))
    labels = np.where(rng.random(len(labels)) < 0.3, others, labels)
    return spoken(rng, [labels.tolist()], len(index.symbols))


@pytest.mark.parametrize("place", [(1, 7), (2, 3), (103, 3), (110, 2)])
def test_a_badly_heard_verse_is_told_as_a_whole(listener: Listener, place: tuple[int, int]) -> None:
    """Though the search finds but pieces: it is no other verse's whole."""
    told = []
    for seed in range(6):
        log_probs = badly_heard(listener.index, place, seed)
        quiet = silent(log_probs.shape[1], 3.0)
        heard = np.concatenate([log_probs, quiet])
        events = listener.follow(heard, len(log_probs), ends=False)
        told += finals(events)
        assert [type(e) for e in events if e.type in ("provisional", "final")][-1:] != [Provisional]
    assert set(told) == {place}
    assert len(told) >= 3


@pytest.mark.parametrize("place", [(2, 3), (103, 3)])
def test_a_badly_heard_verse_is_shown_while_it_is_recited(
    listener: Listener, place: tuple[int, int]
) -> None:
    """Though the search finds but pieces: it is the beginning of no other verse."""
    early = 0
    for seed in range(6):
        log_probs = badly_heard(listener.index, place, seed)
        events = listener.follow(log_probs, len(log_probs), ends=False)
        early += any(
            (e.surah, e.ayah) == place and e.current_word < e.words_total
            for e in events
            if isinstance(e, Provisional)
        )
    assert early >= 4


def test_what_is_not_understood_is_heard_again(listener: Listener) -> None:
    index, rng = listener.index, np.random.default_rng(3)
    symbols = len(index.symbols)
    clear = spoken(rng, [index.spell(*index.passage(103, 3, 3)).tolist()], symbols)
    labels = rng.integers(1, symbols, 30).tolist()
    garbled = spoken(rng, [labels], symbols)
    garbled = np.concatenate([garbled, silent(symbols, 60.0)])[: len(clear)]
    quiet = silent(symbols, 3.0)
    once, again = (np.concatenate([heard, quiet]) for heard in (garbled, clear))
    assert finals(listener.follow(once, len(clear), ends=False)) == []
    (final,) = (
        e
        for e in listener.follow(once, len(clear), ends=False, again=again)
        if isinstance(e, Final)
    )
    assert (final.surah, final.ayah) == (103, 3)
    # Its words are where they are in what was heard at last.
    assert final.words[-1].end == pytest.approx(len(clear) * SHIFT, abs=0.5)


@pytest.mark.parametrize("place", [(1, 7), (110, 2)])
def test_where_nothing_is_heard_again_what_was_heard_first_counts(
    listener: Listener, place: tuple[int, int]
) -> None:
    told = []
    for seed in range(6):
        log_probs = badly_heard(listener.index, place, seed)
        quiet = silent(log_probs.shape[1], 3.0)
        heard = np.concatenate([log_probs, quiet])
        nothing = silent(log_probs.shape[1], len(heard) * SHIFT)
        told += finals(listener.follow(heard, len(log_probs), ends=False, again=nothing))
    assert set(told) == {place}
    assert len(told) >= 3


def test_a_badly_heard_verse_of_many_places_is_the_next_one(listener: Listener) -> None:
    index = listener.index
    clear = spoken(
        np.random.default_rng(0),
        [index.spell(listener.word((55, 29, 1)), listener.word((55, 29, 0))).tolist()],
        len(index.symbols),
    )
    pause = silent(clear.shape[1], 2.0)
    bad = badly_heard(index, (55, 30), 13)
    log_probs = np.concatenate([clear, pause, bad, pause])
    events = listener.follow(log_probs, len(log_probs) - len(pause))
    assert finals(events) == [(55, 29), (55, 30)]


def test_a_badly_heard_basmala_is_told_when_nothing_follows(listener: Listener) -> None:
    for seed in (1, 5):
        log_probs = badly_heard(listener.index, (1, 1), seed)
        heard = np.concatenate([log_probs, silent(log_probs.shape[1], 3.0)])
        assert finals(listener.follow(heard, len(log_probs), ends=False)) == [(1, 1)]
        short = heard[: len(log_probs) + round(1.0 / SHIFT)]
        assert finals(listener.follow(short, len(log_probs), ends=False)) == []


@pytest.mark.parametrize("pause", [0.96, 1.92])
def test_a_beginning_that_is_a_verse_elsewhere_is_not_told_as_that(
    listener: Listener, pause: float
) -> None:
    """The first words of 2:255 are 3:2; who stops after them for breath reads on."""
    index, rng = listener.index, np.random.default_rng(0)
    symbols = len(index.symbols)
    first, second = (
        spoken(rng, [index.spell(listener.word(a), listener.word(b)).tolist()], symbols)
        for a, b in (((2, 255, 1), (2, 255, 7)), ((2, 255, 8), (2, 255, 0)))
    )
    log_probs = np.concatenate([first, silent(symbols, pause), second])
    stop = len(first), len(log_probs) - len(second)
    heard = np.concatenate([log_probs, silent(symbols, 2.0)])
    events = listener.follow(heard, len(log_probs), stop=stop)
    assert finals(events) == [(2, 255)]
    assert not [e for e in events if isinstance(e, (Mistake, NotQuran))]


def test_what_is_no_verse_is_not_told_as_a_whole(listener: Listener) -> None:
    symbols = len(listener.index.symbols)
    for seed in range(12):
        rng = np.random.default_rng(seed)
        labels = rng.integers(1, symbols, int(rng.integers(8, 60))).tolist()
        log_probs = spoken(rng, [labels], symbols)
        heard = np.concatenate([log_probs, silent(symbols, 3.0)])
        assert finals(listener.follow(heard, len(log_probs))) == []


def test_the_basmala_is_a_verse_when_nothing_follows(listener: Listener) -> None:
    symbols = len(listener.index.symbols)
    spelled = listener.index.spell(*listener.index.passage(1, 1, 1)).tolist()
    said = spoken(np.random.default_rng(0), [spelled], symbols)
    for seconds, expected in ((1.2, []), (2.2, [(1, 1)])):
        heard = np.concatenate([said, silent(symbols, seconds)])
        assert finals(listener.follow(heard, len(said), ends=False)) == expected


def test_who_talked_is_believed_less() -> None:
    policy, evidence = Policy(), Evidence(0.9, -1.0, 20)
    after = policy.probability(replace(evidence, foreign=True))
    assert 0.2 < after < policy.probability(evidence) - 0.1
    assert policy.probability(replace(evidence, follows=True)) > policy.probability(evidence) + 0.1


def test_a_verse_after_other_speech_is_told(listener: Listener) -> None:
    rng = np.random.default_rng(4)
    symbols = len(listener.index.symbols)
    talk = spoken(rng, [rng.integers(1, symbols, 12).tolist() for _ in range(14)], symbols)
    verses = [listener.index.spell(*listener.index.passage(112, a, a)).tolist() for a in (1, 2, 3)]
    log_probs = np.concatenate([talk, spoken(rng, verses, symbols)])
    events = listener.follow(log_probs, len(log_probs))
    assert [type(e) for e in events if isinstance(e, (NotQuran, Final))] == [NotQuran] + 3 * [Final]
    assert finals(events) == [(112, 1), (112, 2), (112, 3)]


def mistakes(events: list[Event]) -> list[tuple[int, int, int, str]]:
    return [(e.surah, e.ayah, e.word, e.heard) for e in events if isinstance(e, Mistake)]


def test_a_word_left_out_is_told_before_its_verse_is_final(listener: Listener) -> None:
    events = listener.hear([((2, 286, 1), (2, 286, 9)), ((2, 286, 11), (2, 286, 0))])
    assert finals(events) == [(2, 286)]
    assert mistakes(events) == [(2, 286, 10, "")]
    told = next(e for e in events if isinstance(e, Mistake))
    assert told.expected == listener.index.words(listener.index.verse_of(2, 286))[9]
    final = next(e for e in events if isinstance(e, Final))
    assert told.slot == final.slot
    assert events.index(told) < events.index(final)


def test_a_word_left_out_and_then_said_is_no_mistake(listener: Listener) -> None:
    breaths = [
        ((2, 286, 1), (2, 286, 9)),
        ((2, 286, 11), (2, 286, 14)),
        ((2, 286, 10), (2, 286, 0)),
    ]
    events = listener.hear(breaths)
    assert finals(events) == [(2, 286)]
    assert mistakes(events) == []


def test_a_verse_left_out_is_told(listener: Listener) -> None:
    events = listener.hear([verse(91, 1), verse(91, 2), verse(91, 4), verse(91, 5)])
    assert finals(events) == [(91, a) for a in (1, 2, 4, 5)]
    assert mistakes(events) == [(91, 3, 0, "")]


def test_no_verse_is_left_out_after_one_of_the_same_words(listener: Listener) -> None:
    """109:5 sounds like 109:3, and by itself may be taken for it."""
    events = listener.hear([verse(109, 5), verse(109, 6)])
    assert finals(events)[-1] == (109, 6)
    assert mistakes(events) == []


def test_another_word_in_its_place_is_told(listener: Listener) -> None:
    index = listener.index
    (first, last), other = index.passage(2, 286, 286), index.passage(105, 1, 1)[1]
    at = first + 9
    said = [index.spell(first, at - 1), index.spell(other, other), index.spell(at + 1, last)]
    log_probs = spoken(
        np.random.default_rng(0), [[s for part in said for s in part.tolist()]], len(index.symbols)
    )
    events = listener.follow(log_probs, len(log_probs))
    assert finals(events) == [(2, 286)]
    ((surah, ayah, word, heard),) = mistakes(events)
    assert (surah, ayah, word) == (2, 286, 10)
    assert len(heard) >= 3


def test_a_word_of_another_verse_is_a_mistake_and_no_leap(listener: Listener) -> None:
    """The best path goes over to the verse that the word is from, and comes back."""
    index = listener.index
    (first, last), (_, other) = index.passage(70, 43, 43), index.passage(89, 15, 15)
    at = first + 4
    said = [index.spell(first, at - 1), index.spell(other, other), index.spell(at + 1, last)]
    breaths = [index.spell(*index.passage(70, 42, 42)), np.concatenate(said)]
    log_probs = spoken(np.random.default_rng(0), [b.tolist() for b in breaths], len(index.symbols))
    state = listener.decoder.start()
    listener.decoder.advance(state, log_probs)
    runs = listener.decoder.finish(state).runs
    assert [index.reference(int(index.verse_of_word[run.first_word]))[0] for run in runs][1] != 70
    events = listener.follow(log_probs, len(log_probs))
    assert finals(events) == [(70, 42), (70, 43)]
    assert [m[:3] for m in mistakes(events)] == [(70, 43, 5)]


def test_a_slip_into_a_similar_verse_is_told(listener: Listener) -> None:
    # Both verses say "on no soul does God lay more than it can bear", in other words around it.
    events = listener.hear([((2, 233, 1), (2, 233, 23)), ((2, 286, 7), (2, 286, 0))])
    assert finals(events) == [(2, 233), (2, 286)]
    assert [m[:3] for m in mistakes(events)] == [(2, 233, 24)]


def test_going_back_and_reading_on_hold_no_mistakes(listener: Listener) -> None:
    breaths = [verse(90, 1), verse(90, 1), verse(90, 2), ((90, 3, 1), (90, 3, 0)), verse(90, 2)]
    events = listener.hear(breaths)
    assert finals(events) == [(90, 1), (90, 1), (90, 2), (90, 3), (90, 2)]
    assert mistakes(events) == []
