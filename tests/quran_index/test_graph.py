"""The graph allows exactly what the words' forms say."""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quran_index import QuranIndex, WordForms
from quran_index.graph import ACROSS, INSIDE, Graph, pack
from tests.texts import BLANK, Text, random_text

seeds = st.integers(0, 2**32 - 1)


def arcs(graph: Graph, state: int) -> Iterator[tuple[int, int]]:
    for arc in range(graph.succ_offsets[state], graph.succ_offsets[state + 1]):
        yield int(graph.succ[arc]), int(graph.arc_kind[arc])


def spellings(graph: Graph, state: int) -> Iterator[tuple[tuple[int, ...], int]]:
    """Labels along every way from ``state`` to where its word can end, and the last state."""
    here = (int(graph.label[state]),)
    if graph.can_end[state] or graph.ends_joined[state]:
        yield here, state
    for target, _ in arcs(graph, state):
        if graph.word[target] == graph.word[state]:
            for rest, end in spellings(graph, target):
                yield here + rest, end


def said(graph: Graph, word: int, *, initial: bool, pausal: bool) -> set[tuple[int, ...]]:
    """The label sequences the graph gives a word in one context."""
    first, end = graph.word_states[word], graph.word_states[word + 1]
    inside = np.arange(first, end)
    opening = inside[np.isin(inside, graph.starts) if initial else graph.starts_joined[first:end]]
    closing = graph.can_end if pausal else graph.ends_joined
    return {
        labels for state in opening for labels, last in spellings(graph, state) if closing[last]
    }


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_words_are_said_as_their_forms_say(seed: int) -> None:
    text = random_text(np.random.default_rng(seed))
    graph = text.graph()
    for word, form in enumerate(text.forms):
        for initial in (False, True):
            for pausal in (False, True):
                expected = tuple(text.ids(form.spell(initial=initial, pausal=pausal)))
                assert expected in said(graph, word, initial=initial, pausal=pausal)
    # Nothing else: a word has no more ways than heads times tails, of which equal ones count once.
    for word, form in enumerate(text.forms):
        ways = {
            tuple(text.ids(form.spell(initial=i, pausal=p)))
            for i in (False, True)
            for p in (False, True)
        }
        allowed = set().union(
            *(said(graph, word, initial=i, pausal=p) for i in (False, True) for p in (False, True))
        )
        assert allowed == ways


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_words_are_read_in_order_and_surahs_end(seed: int) -> None:
    text = random_text(np.random.default_rng(seed))
    graph = text.graph()
    starts = set(graph.starts.tolist())
    surah = text.surah[graph.verse_of_word]
    for state in range(graph.linear):
        word = graph.word[state]
        onward = [(t, kind) for t, kind in arcs(graph, state) if graph.word[t] != word]
        if word + 1 == graph.words or surah[word + 1] != surah[word]:
            assert not onward
            continue
        expected: set[tuple[int, int]] = set()
        for target in range(graph.word_states[word + 1], graph.word_states[word + 2]):
            if graph.ends_joined[state] and graph.starts_joined[target]:
                expected.add((target, INSIDE))
            if graph.can_end[state] and target in starts:
                expected.add((target, ACROSS))
        assert sorted(onward) == sorted(expected)


def ways_in(graph: Graph) -> list[tuple[tuple[int, ...], int]]:
    """Labels of every way through the trie, and the linear state it leads to (not among them)."""
    found: list[tuple[tuple[int, ...], int]] = []
    pending: list[tuple[tuple[int, ...], int]] = [((), int(root)) for root in graph.roots]
    while pending:
        labels, state = pending.pop()
        if state < graph.linear:
            found.append((labels, state))
        else:
            pending += [
                ((*labels, int(graph.label[state])), target) for target, _ in arcs(graph, state)
            ]
    return found


@given(seeds)
@settings(max_examples=150, deadline=None)
def test_the_trie_enters_every_word_once_and_says_its_beginning(seed: int) -> None:
    text = random_text(np.random.default_rng(seed), surahs=6)
    graph = text.graph()
    entered: dict[int, list[tuple[int, ...]]] = {w: [] for w in range(graph.words)}
    ways = ways_in(graph)
    assert len({state for _, state in ways}) == len(ways)
    for labels, state in ways:
        word = int(graph.word[state])
        entered[word] += [labels + rest for rest, _ in spellings(graph, state)]
    for word, found in entered.items():
        expected = said(graph, word, initial=True, pausal=False)
        assert set(found) == expected | said(graph, word, initial=True, pausal=True)
    roots = [graph.label[r] for r in graph.roots if r >= graph.linear]
    assert len(roots) == len(set(roots))


@given(seeds)
@settings(max_examples=50, deadline=None)
def test_trie_ranges_hold_the_words_below(seed: int) -> None:
    graph = random_text(np.random.default_rng(seed), surahs=6).graph()
    values = np.random.default_rng(seed).normal(size=graph.words)
    best = graph.trie_max(values)
    for node in range(graph.states - graph.linear):
        below: set[int] = set()
        pending = [graph.linear + node]
        while pending:
            state = pending.pop()
            if state < graph.linear:
                below.add(int(graph.word[state]))
            else:
                pending += [target for target, _ in arcs(graph, state)]
        low, high = graph.trie_range[node]
        assert set(graph.trie_words[low:high].tolist()) == below
        assert best[node] == max(values[list(below)])


def test_a_single_word() -> None:
    text = Text((BLANK, "a"), (WordForms("", "", "a", "", ""),), np.array([0, 1]), np.array([1]))
    graph = text.graph()
    assert graph.states == graph.linear == 1
    assert graph.roots.tolist() == [0]
    assert graph.can_end.tolist() == graph.ends_joined.tolist() == [True]


def test_a_word_without_a_sound_is_refused() -> None:
    spellings = pack([WordForms("", "", "", "a", "")], (BLANK, "a"))
    with pytest.raises(ValueError, match="without a phoneme"):
        Graph.build(spellings, 2, np.array([0, 1]), np.array([1]))


def test_the_whole_text_builds_quickly() -> None:
    index = QuranIndex.load()
    begin = process_time()
    graph = index.graph
    assert process_time() - begin < 0.3
    assert graph.words == len(index.verse_of_word)
    rng = np.random.default_rng(0)
    for word in rng.integers(0, graph.words, 200).tolist():
        form = index.forms(word)
        for initial in (False, True):
            for pausal in (False, True):
                spelled = tuple(
                    index.symbols.index(p) for p in form.spell(initial=initial, pausal=pausal)
                )
                assert said(graph, word, initial=initial, pausal=pausal) >= {spelled}
