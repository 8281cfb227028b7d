"""How a list of recognised verses is scored against the verses that were recited.

All measures look at final verses only, in the order they were given:

- *ordered*: the list of predictions equals the expected list.
- *recall*: walk the expected verses and take the first equal prediction at or after a pointer,
  which then moves past it; hits / expected.
- *precision*: predictions so used / all predictions; 0 without predictions.
- *exact set*: the two lists hold the same verses, order and repetition aside.

Where a clip lists other right answers, the answer with the best score counts. With *identical text
accepted* a prediction whose words are those of the expected verse is equal to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

Verse = tuple[int, int]
"""(surah, ayah), both from 1."""


@dataclass(frozen=True, slots=True, order=True)
class Score:
    """The measures of one clip, each in 0..1; the better answer compares greater."""

    ordered: float
    recall: float
    precision: float
    exact_set: float


def hits(expected: Sequence[Verse], predicted: Sequence[Verse]) -> list[bool]:
    """Which expected verses were found, as recall counts them."""
    found = []
    pointer = 0
    for verse in expected:
        at = next((i for i in range(pointer, len(predicted)) if predicted[i] == verse), None)
        found.append(at is not None)
        pointer = pointer if at is None else at + 1
    return found


def _score(expected: Sequence[Verse], predicted: Sequence[Verse]) -> Score:
    used = sum(hits(expected, predicted))
    return Score(
        ordered=float(list(expected) == list(predicted)),
        recall=used / len(expected) if expected else 1.0,
        precision=used / len(predicted) if predicted else 0.0,
        exact_set=float(set(expected) == set(predicted)),
    )


def score(
    expected: Sequence[Verse],
    predicted: Sequence[Verse],
    also_accept: Iterable[Sequence[Verse]] = (),
    *,
    same_text: Callable[[Verse], Verse] | None = None,
) -> Score:
    """Score the final verses of one clip.

    ``also_accept`` are other right answers. ``same_text`` maps a verse to one that stands for all
    verses of the same words; given, identical text is accepted.
    """
    if same_text is not None:
        expected = [same_text(verse) for verse in expected]
        predicted = [same_text(verse) for verse in predicted]
        also_accept = [[same_text(verse) for verse in answer] for answer in also_accept]
    return max(_score(answer, predicted) for answer in (expected, *also_accept))


def mean(scores: Sequence[Score]) -> Score:
    """Every measure averaged over clips (a long clip weighs as much as a short one)."""
    if not scores:
        raise ValueError("no scores to average")
    return Score(
        **{f.name: sum(getattr(s, f.name) for s in scores) / len(scores) for f in fields(Score)}
    )
