"""N-gram models of the Quran, and the priors of the decoders taken from them."""

from lm.ngram import NGram
from lm.priors import Priors

__all__ = ["NGram", "Priors"]
