"""Interpolated modified Kneser-Ney estimation of n-gram models, vectorised.

As Chen and Goodman describe it and as KenLM's lmplz does it: orders below the highest count in how
many contexts an n-gram stands rather than how often, except at the beginning of a sentence; counts
of one, two, and three or more are discounted separately at each order; unigrams are interpolated
with the uniform distribution, from which the unknown word takes its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"

_BEGIN, _END, _UNKNOWN = 0, 1, 2
_LOG10_ZERO = -99.0
# Where a text is too small or too even for its counts of counts to tell.
_USUAL_DISCOUNTS = (0.5, 1.0, 1.5)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Order:
    """The n-grams of one order: ``tokens`` int64 [K, n], ``log10`` and ``backoff`` float64 [K]."""

    tokens: Ints
    log10: Floats
    backoff: Floats


@dataclass(frozen=True, slots=True)
class Model:
    """An estimated model; ``vocabulary[i]`` is the token numbered ``i`` in ``orders``."""

    vocabulary: tuple[str, ...]
    orders: tuple[Order, ...]

    def write_arpa(self, path: Path) -> None:
        """Write the model as an ARPA file (UTF-8)."""
        with path.open("w", encoding="utf-8") as out:
            out.write("\\data\\\n")
            for n, order in enumerate(self.orders, start=1):
                out.write(f"ngram {n}={len(order.log10)}\n")
            for n, order in enumerate(self.orders, start=1):
                out.write(f"\n\\{n}-grams:\n")
                rows = zip(
                    order.tokens.tolist(), order.log10.tolist(), order.backoff.tolist(), strict=True
                )
                for tokens, log10, backoff in rows:
                    words = " ".join(self.vocabulary[i] for i in tokens)
                    tail = f"\t{backoff:.5g}" if n < len(self.orders) else ""
                    out.write(f"{log10:.5g}\t{words}{tail}\n")
            out.write("\n\\end\\\n")


@dataclass(frozen=True, slots=True)
class _Grams:
    """Distinct n-grams of one order.

    ``at``: a place in the text where each ends; ``prefix``, ``suffix``: number of the (n-1)-gram
    without its last, without its first token; ``count``: occurrences; ``begins``: whether it starts
    with ``<s>``.
    """

    at: Ints
    prefix: Ints
    suffix: Ints
    count: Ints
    begins: npt.NDArray[np.bool_]


def estimate(sentences: Iterable[Sequence[str]], order: int) -> Model:
    """Estimate a model of the given order from sentences of tokens.

    Raises:
        ValueError: there is no sentence, or the order is less than 2.
    """
    if order < 2:
        raise ValueError(f"the order is at least 2, not {order}")
    vocabulary, text, place = _number(sentences)
    grams = _find(text, place, order, len(vocabulary))
    # Contexts of a unigram: the distinct bigrams that end in it (none end in <s> or <unk>).
    counts = np.bincount(grams[0].suffix, minlength=len(vocabulary))
    discounts = _discounts(counts)
    freed = discounts[np.minimum(counts, 3)].sum()
    probability = (counts - discounts[np.minimum(counts, 3)]) / counts.sum()
    probability += freed / counts.sum() / (len(vocabulary) - 1)
    probability[_BEGIN] = 0.0
    orders = [_order(np.arange(len(vocabulary))[:, None], probability)]
    for i, these in enumerate(grams):
        counts = these.count
        if i + 1 < len(grams):
            continuations = np.bincount(grams[i + 1].suffix, minlength=len(counts))
            counts = np.where(these.begins, counts, continuations)
        discounts = _discounts(counts)
        discount = discounts[np.minimum(counts, 3)]
        total = np.bincount(these.prefix, counts, len(probability))
        freed = np.bincount(these.prefix, discount, len(probability))
        weight = np.divide(freed, total, out=np.ones(len(total)), where=total > 0)
        orders[-1].backoff[:] = np.log10(weight)
        probability = (counts - discount) / total[these.prefix] + (
            weight[these.prefix] * probability[these.suffix]
        )
        orders.append(_order(text[these.at[:, None] + np.arange(-i - 1, 1)], probability))
    return Model(vocabulary, tuple(orders))


def _number(sentences: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], Ints, Ints]:
    """The vocabulary, the text in its numbers, and the place of each token in its sentence."""
    number = {BEGIN: _BEGIN, END: _END, UNKNOWN: _UNKNOWN}
    text: list[int] = []
    place: list[int] = []
    for sentence in sentences:
        if not {BEGIN, END, UNKNOWN}.isdisjoint(sentence):
            raise ValueError("a sentence holds one of the model's own tokens")
        text.append(_BEGIN)
        text += [number.setdefault(token, len(number)) for token in sentence]
        text.append(_END)
        place += range(len(sentence) + 2)
    if not text:
        raise ValueError("there is no sentence to estimate from")
    return tuple(number), np.array(text), np.array(place)


def _find(text: Ints, place: Ints, order: int, vocabulary: int) -> list[_Grams]:
    """The distinct n-grams of orders 2 to ``order``, none of which reaches over a ``<s>``."""
    shorter = text
    grams = []
    for n in range(2, order + 1):
        ends = np.flatnonzero(place >= n - 1)
        key = shorter[ends - 1] * vocabulary + text[ends]
        _, first, which, count = np.unique(
            key, return_index=True, return_inverse=True, return_counts=True
        )
        at = ends[first]
        grams.append(_Grams(at, shorter[at - 1], shorter[at], count, place[at] == n - 1))
        shorter = np.full(len(text), -1)
        shorter[ends] = which
    return grams


def _discounts(counts: Ints) -> Floats:
    """What to take off a count of 0, 1, 2, and 3 or more."""
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=5)[1:5].tolist()
    if min(n1, n2, n3) == 0:
        return np.array([0.0, *_USUAL_DISCOUNTS])
    y = n1 / (n1 + 2 * n2)
    found = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return found if (found[1:] > 0).all() else np.array([0.0, *_USUAL_DISCOUNTS])


def _order(tokens: Ints, probability: Floats) -> Order:
    log10 = np.full(len(probability), _LOG10_ZERO)
    np.log10(probability, out=log10, where=probability > 0)
    return Order(tokens, log10, np.zeros(len(log10)))
