"""A training's log as a picture: ``python -m acoustic.curve RUN/log.jsonl --out curve.png``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure


def curve(log: Path) -> Figure:
    """Loss and held-out phoneme error rate over the hours of audio heard.

    A training that was interrupted went on from its last checkpoint: what it had logged after that
    was lost with it, and is not drawn.
    """
    rows: list[dict[str, float]] = []
    for line in log.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        # A loss and an error rate may stand at one step; of either there is one.
        rows = [
            r
            for r in rows
            if r["step"] < row["step"] or (r["step"] == row["step"] and r.keys() != row.keys())
        ]
        rows.append(row)
    losses = [(row["hours"], row["loss"]) for row in rows if "loss" in row]
    hours = {row["step"]: row["hours"] for row in rows if "hours" in row}
    rates = [
        (hours[max((s for s in hours if s <= row["step"]), default=min(hours))], 100 * row["per"])
        for row in rows
        if "per" in row
    ]
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    loss = figure.add_subplot()
    loss.plot(*zip(*losses, strict=True), color="tab:blue", linewidth=1)
    loss.set(xlabel="hours of audio heard", ylabel="loss, nats per phoneme", ylim=(0, None))
    if rates:
        rate = loss.twinx()
        rate.plot(*zip(*rates, strict=True), "o-", color="tab:orange", markersize=3)
        rate.set(ylabel="held-out phoneme error rate, %", ylim=(0, None))
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="acoustic.curve")
    parser.add_argument("log", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    curve(args.log).savefig(args.out, dpi=120)


if __name__ == "__main__":
    main()
