"""From log-probs to hypotheses: greedy, exact, live beam, forced alignment (apart: n-grams)."""

from decoders import exact
from decoders.align import WordTime, align
from decoders.beam import BeamDecoder, BeamState, Partial
from decoders.greedy import greedy
from decoders.path import Decoding, Run

__all__ = [
    "BeamDecoder",
    "BeamState",
    "Decoding",
    "Partial",
    "Run",
    "WordTime",
    "align",
    "exact",
    "greedy",
]
