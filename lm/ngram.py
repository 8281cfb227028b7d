"""N-gram models of words and of phonemes, scored by KenLM."""

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).with_name("data")

_LN10 = math.log(10.0)


class NGram:
    """An n-gram model over tokens; immutable.

    Attributes:
        order: length of its longest n-grams.
        kenlm: the underlying ``kenlm.Model``, for libraries that take one.
    """

    def __init__(self, path: Path) -> None:
        """Read a gzipped ARPA file.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: KenLM cannot read it.
        """
        import kenlm

        # KenLM reads compressed files itself only where it was built with zlib.
        with tempfile.TemporaryDirectory() as folder:
            arpa = Path(folder) / "model.arpa"
            with gzip.open(path) as packed, arpa.open("wb") as plain:
                shutil.copyfileobj(packed, plain)
            config = kenlm.Config()
            config.show_progress = False
            config.arpa_complain = kenlm.ARPALoadComplain.NONE
            self.kenlm: Any = kenlm.Model(str(arpa), config)
        self.order: int = self.kenlm.order

    @classmethod
    def load(cls, unit: Literal["words", "phonemes"]) -> NGram:
        """The shipped model of Uthmani words (order 3) or of phonemes (order 6)."""
        return cls(DATA / f"{unit}.arpa.gz")

    def score(self, tokens: Sequence[str], *, begin: bool = True, end: bool = True) -> float:
        """Natural log-probability of the tokens.

        ``begin``: they follow the start of a sentence, else nothing known; ``end``: a sentence ends
        after them.
        """
        return float(self.kenlm.score(" ".join(tokens), bos=begin, eos=end)) * _LN10

    def token_scores(self, tokens: Sequence[str]) -> list[float]:
        """Natural log-probability of each token of a sentence in its context, and of its end."""
        return [score * _LN10 for score, _, _ in self.kenlm.full_scores(" ".join(tokens))]

    def perplexity(self, sentences: Iterable[Sequence[str]]) -> float:
        """Perplexity per token, sentence ends counted as tokens.

        Raises:
            ValueError: there is no sentence.
        """
        total, count = 0.0, 0
        for sentence in sentences:
            total += self.score(sentence)
            count += len(sentence) + 1
        if not count:
            raise ValueError("there is no sentence to measure")
        return math.exp(-total / count)
