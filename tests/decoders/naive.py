"""The path model of `decoders.path` once more, as plainly as possible, straight from the words'
forms.

Every word is spelled out in its four contexts; tokens live in dictionaries; nothing is shared or
pruned.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from decoders import Decoding, Run
from decoders.path import BLANK, CUT, NEVER, SCALE, relative, scaled
from tests.texts import TestPriors, Text

# A place: word, whether said initially, whether said pausally, which phoneme, whether in its blank.
Place = tuple[int, bool, bool, int, bool]
# A token, the better the greater: score, -entry frame, -entry word, -frame in which the blank
# began.
Token = tuple[int, int, int, int]


def decode(text: Text, priors: TestPriors, log_probs: NDArray[np.float32]) -> Decoding:
    words = len(text.forms)
    scores, background = relative(log_probs, len(text.symbols), BLANK)
    entry, pause, run_on = (scaled(p).tolist() for p in (priors.entry, priors.pause, priors.run_on))
    jump, cut = scaled(np.array([priors.jump, CUT])).tolist()
    near, verses = scaled(priors.near).tolist(), scaled(priors.verses).tolist()
    verse = np.repeat(np.arange(len(text.surah)), np.diff(text.first_word))
    surah = text.surah[verse].tolist()

    spelling = {
        (word, initial, pausal): text.ids(form.spell(initial=initial, pausal=pausal))
        for word, form in enumerate(text.forms)
        for initial in (False, True)
        for pausal in (False, True)
    }

    def label(place: Place) -> int:
        return spelling[place[:3]][place[3]]

    def at_end(place: Place) -> bool:
        return place[3] == len(spelling[place[:3]]) - 1

    def leaving(place: Place) -> int:
        worst: int = cut
        return max(pause[place[0]], worst) if place[2] and at_end(place) else worst

    def moves(place: Place) -> list[tuple[Place, int]]:
        word, initial, pausal, i, in_blank = place
        found: list[tuple[Place, int]] = []
        if not at_end(place):
            found.append(((word, initial, pausal, i + 1, False), 0))
        elif word + 1 < words and surah[word + 1] == surah[word]:
            for next_pausal in (False, True):
                if not pausal:
                    found.append(((word + 1, False, next_pausal, 0, False), run_on[word]))
                elif in_blank:
                    found.append(((word + 1, True, next_pausal, 0, False), pause[word]))
        return [m for m in found if in_blank or label(m[0]) != label(place)]

    def close_by(last: int) -> list[tuple[int, int]]:
        here = int(verse[last])
        words_near = [
            (last + d - len(near) // 2, weight)
            for d, weight in enumerate(near)
            if 0 <= last + d - len(near) // 2 < words
        ]
        verses_near = [
            (int(text.first_word[here + d - len(verses) // 2]), weight)
            for d, weight in enumerate(verses)
            if 0 <= here + d - len(verses) // 2 < len(text.surah)
        ]
        in_verse = [(w, weight) for w, weight in words_near if verse[w] == here]
        return [(w, weight) for w, weight in in_verse + verses_near if weight > NEVER]

    tokens: dict[Place, Token] = {}
    # By frame, what stood before the runs entered in it: the run before, if any, and its last word.
    before: list[tuple[tuple[int, int] | None, int, int, int]] = []
    silence = 0
    for t, emit in enumerate(scores.tolist()):
        # The best of: score, entry frame, entry word, last word, end frame.
        exits = [
            (token[0] + leaving(place), token[1], token[2], -place[0], token[3])
            for place, token in tokens.items()
            if place[4]
        ]
        entries = [(word, silence + entry[word]) for word in range(words)]
        if exits and max(exits)[0] + jump > silence:
            score, frame, first, last, end = max(exits)
            entries = [(word, score + jump + entry[word]) for word in range(words)]
            entries += [(word, score + weight) for word, weight in close_by(-last)]
            before.append(((-frame, -first), -last, -end, score))
        else:
            before.append((None, 0, 0, 0))

        new: dict[Place, Token] = {}

        def offer(place: Place, token: Token, into: dict[Place, Token] = new) -> None:
            into[place] = max(into.get(place, token), token)

        for place, (score, frame, first, since) in tokens.items():
            if place[4]:
                offer(place, (score + emit[0], frame, first, since))
            else:
                offer(place, (score + emit[label(place)], frame, first, 0))
                offer((*place[:4], True), (score + emit[0], frame, first, -t))
            for target, weight in moves(place):
                offer(target, (score + weight + emit[label(target)], frame, first, 0))
        for word, score in entries:
            for pausal in (False, True):
                place = (word, True, pausal, 0, False)
                offer(place, (score + emit[label(place)], -t, -word, 0))
        silence += emit[0]
        tokens = new

    frames = len(scores)
    ends = [
        (
            token[0] + leaving(place),
            token[1],
            token[2],
            -place[0],
            token[3] if place[4] and place[2] and at_end(place) else -frames,
        )
        for place, token in tokens.items()
    ]
    best = silence
    runs: list[Run] = []
    if ends and max(ends)[0] > silence:
        best, frame, first, last, end = max(ends)
        score = best
        run: tuple[int, int] | None = (-frame, -first)
        last, end = -last, -end
        while run is not None:
            earlier, earlier_last, earlier_end, earlier_score = before[run[0]]
            runs.append(Run(run[1], last, run[0], end, (score - earlier_score) / SCALE))
            run, last, end, score = earlier, earlier_last, earlier_end, earlier_score
    return Decoding(background + best / SCALE, background, tuple(reversed(runs)))
