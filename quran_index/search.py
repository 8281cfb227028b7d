"""Text search over the verses: Arabic text, surah names and references."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A verse found; ``score`` is 0..100."""

    surah: int
    ayah: int
    score: float


class Searcher:
    def __init__(
        self,
        references: list[tuple[int, int]],
        plain: list[str],
        uthmani: list[str],
        surah_names: list[tuple[str, str]],
    ) -> None:
        self._references = references

    def search(self, query: str, limit: int) -> list[SearchHit]:
        raise NotImplementedError
