"""Everything that can be recited, as one graph of phoneme states in flat numpy arrays.

A state is one occurrence of a phoneme in the text (a *label state*); the CTC blank that may follow
it is the decoder's business. Each word owns five short chains of states, in this order::

    head_joined, head_initial, core, tail_joined, tail_pausal

and is said as one of its heads, the core, one of its tails. Arcs are of two kinds: ``INSIDE`` a
breath (the next phoneme follows directly, or after blanks) and ``ACROSS`` a pause (from a pausal
end to the next word's initial start, with at least one blank between). Words read on to the next
word of their surah; a surah's last word ends there, and going elsewhere is the decoder's jump.

Behind these *linear* states stands a prefix trie over the words' initial spellings, through which a
decoder enters the text at any word without touching every word: taking a trie path and leaving it
for a word's linear states passes the same labels as entering at that word's start. A trie node
never ends a word, so only linear states need to know how words go on.

Built from the packed spellings in a few dozen milliseconds; nothing derived is stored on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from quran_index.phonetics import WordForms

INSIDE, ACROSS = 0, 1

_T = TypeVar("_T", bound=np.generic)
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
_Ends = list[tuple[Bools, Ints]]

# Columns of `Spellings.lengths`, in the order of a word's states.
_HEAD_JOINED, _HEAD_INITIAL, _CORE, _TAIL_JOINED, _TAIL_PAUSAL = range(5)


@dataclass(frozen=True, slots=True)
class Spellings:
    """Every word's forms as symbol ids.

    ``codes``: int16 [N], the words' five parts one after another; ``lengths``: uint8 [W, 5].
    """

    codes: NDArray[np.int16]
    lengths: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.lengths)


def pack(forms: Sequence[WordForms], symbols: Sequence[str]) -> Spellings:
    """Spellings of ``forms``; ``symbols[0]`` is the blank. KeyError: a phoneme without a symbol."""
    ids = {symbol: i for i, symbol in enumerate(symbols) if i}
    codes: list[int] = []
    lengths = np.zeros((len(forms), 5), np.uint8)
    for word, form in enumerate(forms):
        parts = (form.head_joined, form.head_initial, form.core, form.tail_joined, form.tail_pausal)
        for column, part in enumerate(parts):
            lengths[word, column] = len(part)
            codes.extend(ids[phoneme] for phoneme in part)
    return Spellings(np.array(codes, np.int16), lengths)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """The states and arcs; W words, S states of which the first ``linear`` are not trie nodes.

    ``label``: int16 [S] symbol of each state (never 0, the blank); ``word``: int32 [S], -1 in the
    trie.
    ``succ[succ_offsets[s]:succ_offsets[s + 1]]`` are the states that follow ``s``, and ``arc_kind``
    says how. An arc between linear states of different words reads on from one word to the next; an
    arc from the trie to a linear state enters that state's word.
    ``word_states``: int32 [W + 1], linear states of word ``w`` are ``word_states[w]:word_states[w +
    1]``.
    ``starts``: linear states that begin a word after a pause; ``starts_joined``: bool [S], those
    that begin one inside a breath. ``can_end``: bool [S], a breath may stop after this state;
    ``ends_joined``: bool [S], the last state of a word's joined form.
    ``roots``: where an entry begins: trie nodes, and the starts that share no prefix.
    ``trie_words[trie_range[i, 0]:trie_range[i, 1]]`` are the words below trie node ``linear + i``,
    and ``trie_depth[i]`` is how many phonemes lead to it, its own included.
    ``verse_of_word``: int32 [W]; ``first_word``: int32 [V + 1].
    """

    symbols: int
    linear: int
    label: NDArray[np.int16]
    word: Ints
    succ_offsets: Ints
    succ: Ints
    arc_kind: NDArray[np.int8]
    word_states: Ints
    starts: Ints
    starts_joined: Bools
    can_end: Bools
    ends_joined: Bools
    roots: Ints
    trie_words: Ints
    trie_range: Ints
    trie_depth: Ints
    verse_of_word: Ints
    first_word: Ints

    @property
    def states(self) -> int:
        """Number of states, the trie included."""
        return len(self.label)

    @property
    def words(self) -> int:
        """Number of words."""
        return len(self.word_states) - 1

    @property
    def verses(self) -> int:
        """Number of verses."""
        return len(self.first_word) - 1

    def trie_max(self, values: NDArray[_T]) -> NDArray[_T]:
        """Largest of ``values`` [W] over the words below each trie node: [states - linear]."""
        if not len(self.trie_range):
            return values[:0].copy()
        # reduceat takes pairs (lo, hi) if the odd results are dropped; hi may be one past the end.
        padded = np.append(values[self.trie_words], values[:1])
        result: NDArray[_T] = np.maximum.reduceat(padded, self.trie_range.ravel())[::2]
        return result

    @staticmethod
    def build(
        spellings: Spellings,
        symbols: int,
        first_word: NDArray[np.int32],
        surah: NDArray[np.int32],
    ) -> Graph:
        """Lay out the graph of a text.

        ``symbols``: how many there are, with the blank. ``first_word``: [V + 1], verse ``v`` is
        words ``first_word[v]:first_word[v + 1]``. ``surah``: [V]; a verse reads on into the next
        one of the same surah. ValueError: a word that would be said with no phoneme at all.
        """
        words = len(spellings)
        lengths = spellings.lengths.astype(np.int32)
        _check(lengths)
        verse_of_word = np.repeat(np.arange(len(surah), dtype=np.int32), np.diff(first_word))
        reads_on = np.zeros(words, bool)
        reads_on[:-1] = surah[verse_of_word[1:]] == surah[verse_of_word[:-1]]

        bounds = np.zeros(words * 5 + 1, np.int32)
        np.cumsum(lengths.ravel(), out=bounds[1:])
        first, last = bounds[:-1].reshape(words, 5), bounds[1:].reshape(words, 5) - 1
        linear = int(bounds[-1])
        word = np.repeat(np.arange(words, dtype=np.int32), lengths.sum(1))

        starts = _concatenate(_openings(lengths, first, _HEAD_INITIAL))
        ends = _closings(lengths, last, _TAIL_PAUSAL)
        ends_joined = _closings(lengths, last, _TAIL_JOINED)
        starts_joined = _openings(lengths, first, _HEAD_JOINED)

        trie = _Trie.build(spellings, symbols, lengths, first)
        arcs = [
            *_word_arcs(lengths, first, last, linear),
            *_reading_arcs(ends_joined, starts_joined, reads_on, INSIDE),
            *_reading_arcs(ends, _openings(lengths, first, _HEAD_INITIAL), reads_on, ACROSS),
        ]
        states = linear + len(trie.label)
        succ_offsets, succ, arc_kind = _compress(arcs, trie, linear)

        def flags(ending: _Ends) -> Bools:
            result = np.zeros(states, bool)
            result[_concatenate(ending)] = True
            return result

        return Graph(
            symbols=symbols,
            linear=linear,
            label=np.concatenate([spellings.codes, trie.label]),
            word=np.concatenate([word, np.full(len(trie.label), -1, np.int32)]),
            succ_offsets=succ_offsets,
            succ=succ,
            arc_kind=arc_kind,
            word_states=np.ascontiguousarray(bounds[::5]),
            starts=np.sort(starts),
            starts_joined=flags(starts_joined),
            can_end=flags(ends),
            ends_joined=flags(ends_joined),
            roots=trie.roots,
            trie_words=trie.words,
            trie_range=trie.range,
            trie_depth=trie.depth,
            verse_of_word=verse_of_word,
            first_word=np.asarray(first_word, np.int32),
        )


def _check(lengths: Ints) -> None:
    heads = np.minimum(lengths[:, _HEAD_JOINED], lengths[:, _HEAD_INITIAL])
    tails = np.minimum(lengths[:, _TAIL_JOINED], lengths[:, _TAIL_PAUSAL])
    silent = np.flatnonzero(heads + lengths[:, _CORE] + tails == 0)
    if len(silent):
        raise ValueError(f"words without a phoneme in some context: {silent[:10].tolist()}")


def _openings(lengths: Ints, first: Ints, head: int) -> _Ends:
    """The states a word may begin with when said with ``head``: choices (whether, state), [W]."""
    no_head = lengths[:, head] == 0
    no_body = no_head & (lengths[:, _CORE] == 0)
    return [
        (~no_head, first[:, head]),
        (no_head & ~no_body, first[:, _CORE]),
        (no_body & (lengths[:, _TAIL_JOINED] > 0), first[:, _TAIL_JOINED]),
        (no_body & (lengths[:, _TAIL_PAUSAL] > 0), first[:, _TAIL_PAUSAL]),
    ]


def _closings(lengths: Ints, last: Ints, tail: int) -> _Ends:
    """The states a word may end with when said with ``tail``, as in `_openings`."""
    no_tail = lengths[:, tail] == 0
    no_body = no_tail & (lengths[:, _CORE] == 0)
    return [
        (~no_tail, last[:, tail]),
        (no_tail & ~no_body, last[:, _CORE]),
        (no_body & (lengths[:, _HEAD_JOINED] > 0), last[:, _HEAD_JOINED]),
        (no_body & (lengths[:, _HEAD_INITIAL] > 0), last[:, _HEAD_INITIAL]),
    ]


def _concatenate(ends: _Ends) -> Ints:
    return np.concatenate([state[holds] for holds, state in ends])


# Arcs of one kind, each source at most once: (sources, targets, kind).
_Arcs = tuple[Ints, Ints, int]


def _word_arcs(lengths: Ints, first: Ints, last: Ints, linear: int) -> list[_Arcs]:
    """Arcs inside words: along each chain, and from head to core to tail (past an empty core)."""
    inner = np.ones(linear, bool)
    inner[last[lengths > 0]] = False
    along = np.flatnonzero(inner).astype(np.int32)
    arcs: list[_Arcs] = [(along, along + 1, INSIDE)]
    has = lengths > 0
    no_core = ~has[:, _CORE]
    joints = [(head, _CORE, has[:, _CORE]) for head in (_HEAD_JOINED, _HEAD_INITIAL)]
    for tail in (_TAIL_JOINED, _TAIL_PAUSAL):
        joints.append((_CORE, tail, has[:, _CORE]))
        joints += [(head, tail, no_core) for head in (_HEAD_JOINED, _HEAD_INITIAL)]
    for a, b, where in joints:
        both = where & has[:, a] & has[:, b]
        arcs.append((last[both, a], first[both, b], INSIDE))
    return arcs


def _reading_arcs(ends: _Ends, starts: _Ends, reads_on: Bools, kind: int) -> list[_Arcs]:
    """Arcs from each word that reads on to the word after it."""
    arcs: list[_Arcs] = []
    for ending, source in ends:
        for beginning, target in starts:
            both = np.flatnonzero(reads_on[:-1] & ending[:-1] & beginning[1:])
            arcs.append((source[both], target[both + 1], kind))
    return arcs


def _compress(arcs: list[_Arcs], trie: _Trie, linear: int) -> tuple[Ints, Ints, NDArray[np.int8]]:
    """The arcs in compressed rows: those of linear states as listed, then those of the trie."""
    count = np.zeros(linear, np.int32)
    for source, _, _ in arcs:
        count[source] += 1
    trie_count = np.bincount(trie.sources, minlength=len(trie.label))
    offsets = np.zeros(linear + len(trie.label) + 1, np.int32)
    np.cumsum(np.concatenate([count, trie_count]), out=offsets[1:])
    succ = np.empty(offsets[linear], np.int32)
    kinds = np.empty(offsets[linear], np.int8)
    free = offsets[:linear].copy()
    for source, target, kind in arcs:
        at = free[source]
        succ[at] = target
        kinds[at] = kind
        free[source] += 1
    succ = np.concatenate([succ, trie.targets[np.argsort(trie.sources, kind="stable")]])
    return offsets, succ, np.concatenate([kinds, np.full(len(trie.targets), INSIDE, np.int8)])


@dataclass(frozen=True, slots=True)
class _Trie:
    """``sources`` [A] count trie nodes from 0; ``targets`` [A] and ``roots`` are states."""

    label: NDArray[np.int16]
    sources: Ints
    targets: Ints
    roots: Ints
    words: Ints
    range: Ints
    depth: Ints

    @staticmethod
    def build(spellings: Spellings, symbols: int, lengths: Ints, first: Ints) -> _Trie:
        """Trie nodes of the prefixes that at least two words share.

        Only prefixes of head and core count, and of those only states after which the word
        certainly goes on: the last one only where both tails say something more.
        """
        words, linear = len(lengths), len(spellings.codes)
        bits = max(1, int(symbols - 1).bit_length())
        depth = 63 // bits
        body = lengths[:, _HEAD_INITIAL] + lengths[:, _CORE]
        begin = first[:, _HEAD_INITIAL]
        goes_on = (lengths[:, _TAIL_JOINED] > 0) & (lengths[:, _TAIL_PAUSAL] > 0)
        within = np.minimum(np.where(goes_on, body, body - 1), depth).clip(0)

        # Each word's prefix packed into one integer, first phoneme highest; sorting groups
        # prefixes.
        codes = np.append(spellings.codes, np.zeros(depth, np.int16)).astype(np.int64)
        key = np.zeros(words, np.int64)
        for d in range(depth):
            key = (key << bits) | np.where(d < within, codes[begin + d], 0)
        order = np.argsort(key, kind="stable").astype(np.int32)
        key = key[order]

        node = np.full(words, -1, np.int32)  # deepest node so far of each word in sorted order
        shared = np.zeros(words, np.int32)  # and its depth
        labels, sources, targets = [np.zeros(0, np.int16)], [np.zeros(0, np.int32)], []
        ranges = [np.zeros((0, 2), np.int32)]
        size = roots = 0
        for d in range(1, depth + 1):
            prefix = key >> (bits * (depth - d))
            low = np.flatnonzero(np.diff(prefix, prepend=-1)).astype(np.int32)
            high = np.append(low[1:], np.int32(words))
            label = (prefix[low] & ((1 << bits) - 1)).astype(np.int16)
            kept = (high - low > 1) & (label > 0)
            low, high = low[kept], high[kept]
            ids = np.arange(size, size + len(low), dtype=np.int32)
            size += len(low)
            if d == 1:
                roots = size
            else:
                sources.append(node[low])
                targets.append(linear + ids)
            labels.append(label[kept])
            ranges.append(np.stack([low, high], 1))
            members = _ranges(low, high)
            node[members] = np.repeat(ids, high - low)
            shared[members] = d

        # Words leave their deepest shared node for the linear state that says their next phoneme.
        direct: list[Ints] = [linear + np.arange(roots, dtype=np.int32)]
        rest, depths = body[order] - shared, begin[order] + shared
        leaving = [(rest > 0, depths)]
        for tail in (_TAIL_JOINED, _TAIL_PAUSAL):
            leaving.append(((rest == 0) & (lengths[order, tail] > 0), first[order, tail]))
        for holds, target in leaving:
            in_trie = holds & (node >= 0)
            sources.append(node[in_trie])
            targets.append(target[in_trie])
            direct.append(target[holds & (node < 0)])
        return _Trie(
            label=np.concatenate(labels),
            sources=np.concatenate(sources),
            targets=np.concatenate(targets).astype(np.int32),
            roots=np.concatenate(direct).astype(np.int32),
            words=order,
            range=np.concatenate(ranges),
            depth=np.repeat(np.arange(len(ranges), dtype=np.int32), [len(r) for r in ranges]),
        )


def _ranges(low: Ints, high: Ints) -> Ints:
    """All integers of the half-open ranges, one after another."""
    size = high - low
    step = np.arange(size.sum(), dtype=np.int32)
    return step - np.repeat(np.cumsum(size) - size - low, size).astype(np.int32)
