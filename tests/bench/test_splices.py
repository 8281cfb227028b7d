"""Cases are spliced of what they say, without clicks, and scored as the bench says.

The reader of most tests speaks in tones, another one for every word, so that what was cut and
joined can be heard in the result.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from acoustic import corpus
from acoustic.corpus import SAMPLE_RATE, Utterance
from bench import cases, scoring, splices
from bench.cases import KINDS, Answer, Case, Piece, Slip
from bench.splices import Result
from bench.voice import Float, Voice
from decoders.align import WordTime
from quran_index import QuranIndex
from stream.events import Final, Mistake

SAMPLE = Path(__file__).parents[2] / "examples" / "al-fatiha.opus"
VERSES = [
    (1, 1),
    *((s, a) for s, n in ((109, 6), (110, 3), (111, 5), (112, 4)) for a in range(1, n + 1)),
]
WHOLE = (
    "plain",
    "repeated verse",
    "back one or two verses",
    "jump after a verse",
    "3 s pauses between verses",
    "across surahs",
    "noise",
    "prose around verses",
)  # kinds in which whole verses are recited, and no more
LEAD, WORD, GAP = 0.3, 0.12, 0.08  # seconds
LAG = 0.4  # of the symbols after the sound
LOWEST, BETWEEN = 300, 40  # hertz


@pytest.fixture(scope="module")
def index() -> QuranIndex:
    return QuranIndex.load()


@pytest.fixture(scope="module")
def tones(index: QuranIndex) -> dict[int, int]:
    """Frequency of every word (global number)."""
    spans = [index.passage(s, a, a) for s, a in VERSES]
    words = [word for first, last in spans for word in range(first, last + 1)]
    return {word: LOWEST + BETWEEN * i for i, word in enumerate(words)}


def times(first: int, last: int) -> list[tuple[float, float]]:
    """When the words of a verse are said."""
    starts = (LEAD + i * (WORD + GAP) for i in range(last - first + 1))
    return [(start, start + WORD) for start in starts]


@pytest.fixture(scope="module")
def voice(
    index: QuranIndex, tones: dict[int, int], tmp_path_factory: pytest.TempPathFactory
) -> Voice:
    folder = tmp_path_factory.mktemp("corpus")
    rng, rows, offset = np.random.default_rng(0), [], 0
    with open(folder / "tones.pcm", "wb") as pcm:
        for surah, ayah in VERSES:
            first, last = index.passage(surah, ayah, ayah)
            spoken = times(first, last)
            sound = rng.normal(0, 1e-3, int((spoken[-1][1] + LEAD) * SAMPLE_RATE))
            at = np.arange(len(sound)) / SAMPLE_RATE
            for word, (start, end) in zip(range(first, last + 1), spoken, strict=True):
                sound += 0.3 * np.sin(2 * np.pi * tones[word] * at) * ((start <= at) & (at < end))
            pcm.write((sound * 32767).astype("<i2").tobytes())
            rows.append(Utterance("tones", "Tones", surah, ayah, offset, len(sound)))
            offset += len(sound)
    (folder / "tones.jsonl").write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))

    def align(samples: Float, first: int, last: int) -> Sequence[WordTime]:
        assert len(samples) / SAMPLE_RATE > times(first, last)[-1][1] + LAG
        return [
            WordTime(first + i, start + LAG, end + LAG, 1.0, 0.0)
            for i, (start, end) in enumerate(times(first, last))
        ]

    return Voice(corpus.load(folder), index, align)


@pytest.fixture(scope="module")
def prose() -> list[Float]:
    return [np.random.default_rng(1).normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32)]


def heard(wave: Float, tones: dict[int, int]) -> list[int]:
    """The words (global numbers) whose tones are in a recording, one after another."""
    frame = SAMPLE_RATE // 100
    frames = wave[: len(wave) // frame * frame].reshape(-1, frame)
    loud = np.concatenate(([False], np.sqrt(np.mean(frames**2, axis=1)) > 0.1, [False]))
    edges = np.flatnonzero(np.diff(loud.astype(int)))
    words = {hertz: word for word, hertz in tones.items()}
    found = []
    for start, end in edges.reshape(-1, 2) * frame:
        power = np.abs(np.fft.rfft(wave[start:end] * np.hanning(end - start), SAMPLE_RATE))
        hertz = LOWEST + BETWEEN * round((int(power.argmax()) - LOWEST) / BETWEEN)
        assert end - start >= 0.8 * WORD * SAMPLE_RATE, "a word was cut"
        found.append(words[hertz])
    return found


def test_the_lag_of_the_symbols_is_measured(voice: Voice) -> None:
    assert voice.lag == pytest.approx(LAG, abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_case_says_is_what_is_heard(
    kind: str, voice: Voice, prose: list[Float], tones: dict[int, int], index: QuranIndex
) -> None:
    for number in range(4):
        case = cases.build(kind, number, voice, prose)
        assert np.abs(case.wave).max() <= 1
        assert case.pieces[0].start == 0
        assert case.seconds == len(case.wave) / SAMPLE_RATE
        for before, after in pairwise(case.pieces):
            assert before.end == after.start
        for piece in case.pieces:
            start, end = (round(t * SAMPLE_RATE) for t in (piece.start, piece.end))
            assert abs(case.wave[start]) < 1e-6, "a click"
            assert abs(case.wave[end - 1]) < 1e-6, "a click"
            if piece.verse is not None:
                first, _ = index.passage(piece.verse[0], piece.verse[1], piece.verse[1])
                said = range(first + piece.first_word - 1, first + piece.last_word)
                assert heard(case.wave[start:end], tones) == list(said)


def recited(case: Case) -> list[Piece]:
    return [piece for piece in case.pieces if piece.verse is not None]


@pytest.mark.parametrize("number", range(4))
def test_right_answers(number: int, voice: Voice, prose: list[Float]) -> None:
    def build(kind: str) -> tuple[Case, list[Piece], Answer]:
        case = cases.build(kind, number, voice, prose)
        return case, recited(case), case.answer

    for kind in WHOLE:
        _, pieces, answer = build(kind)
        assert answer == Answer(tuple(p.verse for p in pieces if p.verse))

    _, pieces, answer = build("repeated verse")
    assert len(set(answer.expected)) == 3
    assert len(pieces) in (4, 5)

    _, pieces, answer = build("repeated words")
    again = pieces[2]
    assert 1 < again.first_word <= pieces[1].last_word
    assert answer == Answer(tuple(p.verse for p in (*pieces[:2], *pieces[3:]) if p.verse))

    _, pieces, answer = build("restarted verse")
    assert pieces[1].verse == pieces[2].verse
    assert pieces[1].last_word < pieces[2].last_word
    assert len(answer.expected) == 3

    _, pieces, answer = build("skipped verse")
    surah, ayah = answer.expected[0]
    assert answer.expected == ((surah, ayah), (surah, ayah + 2), (surah, ayah + 3))
    assert answer.slips == (Slip((surah, ayah + 1)),)

    _, pieces, answer = build("skipped words")
    (slip,) = answer.slips
    assert pieces[1].verse == pieces[2].verse == slip.verse
    assert slip.words == tuple(range(pieces[1].last_word + 1, pieces[2].first_word))
    assert len(slip.words) in (1, 2, 3)

    case, pieces, answer = build("replaced word")
    (slip,) = answer.slips
    assert slip.words == (pieces[1].last_word + 1,) == (pieces[2].first_word - 1,)
    at = case.pieces.index(pieces[1])
    assert case.pieces[at + 1].what.startswith("word ")

    _, pieces, answer = build("basmala")
    assert pieces[0].verse == (1, 1)
    assert (1, 1) not in answer.expected


def test_a_verse_recited_in_part(voice: Voice) -> None:
    for kind, which in (("jump inside a verse", 1), ("start inside a verse", 0)):
        for number in range(8):
            case = cases.build(kind, number, voice)
            piece = recited(case)[which]
            assert piece.verse is not None
            share = (piece.last_word - piece.first_word + 1) / voice.count(piece.verse)
            assert case.answer.expected[which] == piece.verse
            others = tuple(v for v in case.answer.expected if v != piece.verse)
            assert case.answer.also_accept == ((others,) if share < 0.5 else ())


def test_cases_are_the_same_every_time(voice: Voice) -> None:
    one, two = (cases.build("repeated words", 3, voice) for _ in range(2))
    assert one.answer == two.answer
    assert (one.wave == two.wave).all()
    assert one.pieces != cases.build("repeated words", 4, voice).pieces


def test_noise_sounds_like_the_reader(voice: Voice) -> None:
    rng = np.random.default_rng(2)
    noise = voice.noise(5.0, rng)
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(voice.level, rel=0.01)
    power = np.abs(np.fft.rfft(noise)) ** 2
    hertz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    assert power[hertz < 5000].sum() > 0.95 * power.sum()  # the tones lie below
    assert np.sqrt(np.mean(voice.room(5.0, rng) ** 2)) < 0.1 * voice.level


def test_what_cannot_be_made_is_told(voice: Voice) -> None:
    with pytest.raises(cases.NoMaterialError, match="no prose"):
        cases.build("prose around verses", 0, voice)


def test_recordings_cut_through_the_voice_are_refused(voice: Voice) -> None:
    late = [
        replace(u, start=u.start + int((LEAD + 0.01) * SAMPLE_RATE), samples=u.samples // 2)
        for u in voice._takes.values()
    ]
    with pytest.raises(ValueError, match="begin in quiet"):
        _ = Voice(late, voice.index, voice._align).lag


def result(kind: str, answer: Answer, finals: int, *mistakes: Mistake) -> Result:
    """Ten seconds of a kind of which the first expected verses were recognised."""
    case = Case(kind, 0, np.zeros(0, np.float32), (Piece("", 0.0, 10.0),), answer)
    found = answer.expected[:finals] or ((2, 2),) * finals
    score = scoring.score(answer.expected, found, answer.also_accept)
    made = tuple(
        Final(slot=0, surah=s, ayah=a, start=0.0, end=1.0, confidence=0.9, words=(), first_word=1,
              last_word=1)
        for s, a in found
    )  # fmt: skip
    return Result(case, made, mistakes, 1, score, score, None if score.ordered else "path")


def mistake(ayah: int, word: int) -> Mistake:
    return Mistake(slot=0, surah=1, ayah=ayah, word=word, expected="", heard="", confidence=0.9)


def test_summary() -> None:
    answer = Answer(((1, 2), (1, 3)))
    slipped = replace(answer, slips=(Slip((1, 3), (2, 3)),))
    skipped = replace(answer, slips=(Slip((1, 3)),))
    summary = splices.by_kind(
        [
            result("plain", answer, 2),
            result("plain", answer, 1, mistake(2, 1)),
            result("skipped words", slipped, 2, mistake(3, 3)),
            result("skipped words", slipped, 2, mistake(3, 1)),
            result("skipped verse", skipped, 2, mistake(3, 0)),
            result("prose alone", Answer(()), 1),
        ]
    )
    assert list(summary) == ["plain", "skipped verse", "skipped words", "prose alone"]
    plain = summary["plain"]
    assert (plain["correct"], plain["recall"], plain["precision"]) == (0.5, 0.75, 1.0)
    assert plain["causes"] == {"path": 1, "withheld": 0, "early": 0, "follower": 0}
    assert summary["skipped words"]["slips_noticed"] == 1
    assert summary["skipped verse"]["slips_noticed"] == 1
    alarms, prose = splices.remarks(summary)
    assert alarms.endswith(": 120.0 an hour")  # one in the thirty seconds without mistakes
    assert "180.0 finals in 30 minutes; 1 of 1" in prose
    assert len(splices.picture(summary).axes[0].patches) == 5 * 3


def verses_of_the_sample(folder: Path) -> None:
    """The sample's seven verses, cut in the middle of the pauses between them."""
    pcm = corpus.decode(SAMPLE)
    frame = SAMPLE_RATE // 50
    loud = np.abs(pcm[: len(pcm) // frame * frame].reshape(-1, frame)).max(axis=1) > 300
    at = np.flatnonzero(loud)
    longest = np.sort(np.argsort(np.diff(at))[-6:])
    middles = [0, *((at[longest] + at[longest + 1]) // 2 * frame).tolist(), len(pcm)]
    folder.mkdir()
    (folder / "sample.pcm").write_bytes(pcm.tobytes())
    with open(folder / "sample.jsonl", "w") as lines:
        for ayah, (start, end) in enumerate(pairwise(middles), 1):
            row = Utterance("sample", "espeak", 1, ayah, start, end - start)
            lines.write(json.dumps(asdict(row)) + "\n")


def test_the_bench_on_the_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verses_of_the_sample(tmp_path / "corpus")
    report, drawing, kept = (tmp_path / n for n in ("report.json", "kinds.png", "kept"))
    arguments = ["--held-out", str(tmp_path / "corpus"), "--count", "1"]
    arguments += ["--json", str(report), "--picture", str(drawing), "--keep", str(kept)]
    for kind in ("plain", "repeated verse", "across surahs"):
        arguments += ["--kind", kind]
    assert splices.main(arguments) == 0
    data = json.loads(report.read_text())
    assert data["summary"]["plain"]["recall"] >= 0.75
    assert data["summary"]["plain"]["precision"] == 1.0
    assert data["summary"]["repeated verse"]["cases"] == 1
    assert drawing.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert "plain" in out
    assert "across surahs: left out, no two surahs in a row" in out
    failed = [c for c in data["cases"] if not c["correct"]]
    assert all(case["cause"] in splices.CAUSES for case in failed)
    assert len(list(kept.glob("*.wav"))) == len(failed)


def test_a_failure_is_kept(tmp_path: Path) -> None:
    failure = result("plain", Answer(((1, 2), (1, 3))), 1)
    sound = np.full(SAMPLE_RATE, 0.5, np.float32)
    splices.keep(replace(failure, case=replace(failure.case, wave=sound)), tmp_path)
    with wave.open(str(tmp_path / "plain-000.wav")) as file:
        assert (file.getnframes(), file.getframerate()) == (SAMPLE_RATE, SAMPLE_RATE)
    told = json.loads((tmp_path / "plain-000.json").read_text())
    assert (told["cause"], told["correct"]) == ("path", False)
