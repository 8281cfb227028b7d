"""Weights between two trainings'.

    python -m acoustic.blend OLD.pt NEW.pt --share 0.75 --out MIX.pt

A network that was trained further on other voices gains on them and forgets a little. A straight
line leads from the old weights to the new ones, and somewhere on it the network is often better
than at either end, above all on recordings like neither training's (WiSE-FT, Wortsman et al. 2022).
The new weights must come from the old ones (``acoustic.train --init``): those of separate trainings
have nothing between them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from acoustic.export import load_average, save_average
from acoustic.train import average_weights


def blend(old: Path, new: Path, share: float, out: Path) -> None:
    """Write ``share`` of the new weights and the rest of the old ones, as `acoustic.train` does.

    ValueError: the networks are not of one shape.
    """
    first, second = load_average(old), load_average(new)
    if first.config != second.config:
        raise ValueError(f"{old} and {new} are networks of different shapes")
    average_weights(first, second, 1 - share)
    save_average(first, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.blend")
    parser.add_argument("old", type=Path, help="the final.pt that training started from")
    parser.add_argument("new", type=Path, help="the final.pt that it made")
    parser.add_argument("--share", type=float, required=True, help="of the new weights, 0 to 1")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    try:
        blend(args.old, args.new, args.share, args.out)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
