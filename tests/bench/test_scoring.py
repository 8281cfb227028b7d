import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scoring import Score, mean, score

VERSES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=8)


def test_perfect() -> None:
    assert score([(112, 1), (112, 2)], [(112, 1), (112, 2)]) == Score(1.0, 1.0, 1.0, 1.0)


def test_nothing_recognised() -> None:
    assert score([(1, 1)], []) == Score(0.0, 0.0, 0.0, 0.0)


def test_an_extra_prediction_costs_precision_only() -> None:
    assert score([(1, 2)], [(1, 1), (1, 2)]) == Score(0.0, 1.0, 0.5, 0.0)


def test_a_missed_verse_does_not_move_the_pointer() -> None:
    result = score([(1, 1), (1, 2), (1, 3)], [(1, 1), (1, 3)])
    assert result == Score(0.0, 2 / 3, 1.0, 0.0)


def test_order_matters_for_recall_but_not_for_the_set() -> None:
    # 1:2 is taken at position 1, so 1:1 before it is passed over... and 1:1 is expected first.
    result = score([(1, 1), (1, 2)], [(1, 2), (1, 1)])
    assert result == Score(0.0, 0.5, 0.5, 1.0)


def test_repetitions_count() -> None:
    once, twice = [(55, 13)], [(55, 13), (55, 13)]
    assert score(twice, twice).ordered == 1.0
    assert score(twice, once).recall == 0.5
    assert score(once, twice) == Score(0.0, 1.0, 0.5, 1.0)


def test_the_better_of_the_right_answers_counts() -> None:
    assert score([(3, 23)], [(4, 44)], [[(4, 44)]]).ordered == 1.0
    assert score([(3, 23)], [(3, 23)], [[(4, 44)]]).ordered == 1.0
    # The other answer has one hit in two against none.
    assert score([(3, 23)], [(4, 44)], [[(4, 44), (4, 45)]]) == Score(0.0, 0.5, 1.0, 0.0)


def test_identical_text_is_accepted_when_asked() -> None:
    group = {(55, 16): (55, 13)}

    def same(verse: tuple[int, int]) -> tuple[int, int]:
        return group.get(verse, verse)

    assert score([(55, 13)], [(55, 16)]).recall == 0.0
    assert score([(55, 13)], [(55, 16)], same_text=same) == Score(1.0, 1.0, 1.0, 1.0)
    assert score([(55, 16)], [(55, 13)], same_text=same).ordered == 1.0
    assert score([(1, 1)], [(55, 16)], [[(55, 13)]], same_text=same).ordered == 1.0


@given(VERSES.filter(bool), VERSES)
def test_bounds(expected: list[tuple[int, int]], predicted: list[tuple[int, int]]) -> None:
    result = score(expected, predicted)
    assert 0 <= result.recall <= 1
    assert 0 <= result.precision <= 1
    if result.ordered:
        assert result == Score(1.0, 1.0, 1.0, 1.0)
    assert score(expected, expected).ordered == 1.0


@given(VERSES.filter(bool), VERSES, VERSES)
def test_more_right_answers_never_hurt(
    expected: list[tuple[int, int]],
    predicted: list[tuple[int, int]],
    other: list[tuple[int, int]],
) -> None:
    assert score(expected, predicted, [other] if other else []) >= score(expected, predicted)


def test_mean() -> None:
    assert mean([Score(1, 1, 1, 1), Score(0, 0.5, 0, 1)]) == Score(0.5, 0.75, 0.5, 1)
    with pytest.raises(ValueError, match="no scores"):
        mean([])
