import random
from pathlib import Path

import pytest

from acoustic import corpus, synthesize
from acoustic.synthesize import Voice


def test_every_symbol_of_the_phonetic_spelling_has_a_sound() -> None:
    # The disjoined letters, an imala, a sakt, an eased hamza, assimilation, madd of six counts.
    verses = [(1, 7), (2, 1), (19, 1), (11, 41), (75, 27), (41, 44), (104, 4), (77, 20)]
    for verse in verses:
        assert synthesize.mnemonics(synthesize.phonetise(*verse))
    with pytest.raises(ValueError, match="no espeak sound"):
        synthesize.mnemonics("abc")


def test_mnemonics() -> None:
    said = synthesize.mnemonics(synthesize.phonetise(1, 1))
    # Assimilated article, long vowels, four counts at the pausal end.
    assert said == ("[[b|'i|s|m|i]] [[l|l|'a:|h|i]] [[R|R|a|H|m|'a:|n|i]] [[R|R|a|H|'i:|i:|m]]")


def test_rows_cover_the_short_surahs() -> None:
    rows = synthesize.draw(400, random.Random(0))
    assert len(rows) == 400
    single = {row[0] for row in rows if len(row) == 1}
    verses = {verse for verse in single if verse[0] in synthesize.SHORT_SURAHS}
    assert {surah for surah, _ in verses} == set(synthesize.SHORT_SURAHS)
    whole = {row[0][0] for row in rows if len(row) > 1}
    assert {1, 103, 108, 112, 114} <= whole
    assert len(single - verses) > 100


def test_speech_is_as_long_as_asked() -> None:
    phonemes = synthesize.phonetise(112, 1)
    slow, fast = (synthesize.speak(phonemes, Voice("", speed)) for speed in (100, 170))
    assert 1.2 * len(fast) < len(slow) < 5 * corpus.SAMPLE_RATE
    assert abs(slow).max() > 10_000


def test_corpus_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesize, "VARIANTS", ("", "f2"))
    hours = synthesize.build(tmp_path, 6, seed=3)
    utterances = corpus.load(tmp_path)
    assert len(utterances) == 6
    assert {u.reciter for u in utterances} == {"espeak-plain", "espeak-f2"}
    assert sum(u.samples for u in utterances) == round(hours * 3600 * corpus.SAMPLE_RATE)
    for utterance in utterances:
        pcm = utterance.pcm()
        assert len(pcm) == utterance.samples
        assert abs(pcm).max() > 10_000
