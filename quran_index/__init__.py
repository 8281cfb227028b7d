"""The closed world: every word of the Quran, how it is spelled and how it sounds."""

from quran_index.index import QuranIndex
from quran_index.phonetics import WordForms
from quran_index.search import SearchHit

__all__ = ["QuranIndex", "SearchHit", "WordForms"]
