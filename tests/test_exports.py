"""The names that packages offer are those they say they offer, and all of them are explained."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

import acoustic
import decoders
import lm
import quran_index
import stream
from stream import Event, StreamError


@pytest.mark.parametrize("package", [stream, quran_index, lm, decoders, acoustic])
def test_all_is_all(package: ModuleType) -> None:
    offered = package.__all__
    assert len(set(offered)) == len(offered)
    public = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public <= set(offered)
    for name in offered:
        assert inspect.getdoc(getattr(package, name)), f"{name} is not explained"


def descendants(kind: type) -> Iterator[type]:
    for child in kind.__subclasses__():
        if child.__module__.startswith("stream.") and child.__module__.count(".") == 1:
            yield child
        yield from descendants(child)


@pytest.mark.parametrize("base", [Event, StreamError])
def test_every_event_and_every_error_is_offered(base: type) -> None:
    found = set(descendants(base))
    assert len(found) > 5
    assert {kind.__name__ for kind in found} <= set(stream.__all__)


@pytest.mark.parametrize("kind", sorted(descendants(StreamError), key=lambda kind: kind.__name__))
def test_errors_say_what_to_do(kind: type[StreamError]) -> None:
    error = kind("the cable is out", "put it in")
    assert str(error) == "the cable is out: put it in"
    assert (error.problem, error.remedy) == ("the cable is out", "put it in")
