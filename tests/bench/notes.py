"""Samples of two guests in turns, and what is made of them: medians, spread, ratios, a table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

# Name of the figure, then name of the guest.
Samples = dict[str, dict[str, list[float]]]
# Unit of a figure, and how many digits of it are worth showing.
Unit = Callable[[str], tuple[str, int]]

BY_CPU = ", by guest CPU"


class Notes:
    """All samples. Each is told as it comes."""

    def __init__(self, unit: Unit) -> None:
        self.samples: Samples = {}
        self._unit = unit
        self._begun = time.monotonic()

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"{time.monotonic() - self._begun:5.0f} s  {text}", flush=True)

    def add(self, figure: str, guest: str, value: float) -> None:
        """One more sample."""
        self.samples.setdefault(figure, {}).setdefault(guest, []).append(value)
        unit, digits = self._unit(figure)
        self.say(f"{guest}: {figure}: {value:,.{digits}f} {unit}")


def in_turns(both: list[Any], rounds: int) -> Iterator[tuple[int, list[Any]]]:
    """The number of each round, and who comes in which order."""
    for number in range(rounds):
        yield number, both if number % 2 == 0 else both[::-1]


def _ratio(of: dict[str, list[float]]) -> float:
    pairs = zip(of["kiln"], of["linux"], strict=True)
    return statistics.median(ours / theirs for ours, theirs in pairs)


def figures_of(samples: Samples, unit_of: Unit) -> list[dict[str, Any]]:
    """Medians, spread and ratios; what the guest's CPU did comes after what a client sees."""
    figures = []
    for name in sorted(samples, key=lambda name: BY_CPU in name):
        of = samples[name]
        unit, digits = unit_of(name)
        figure: dict[str, Any] = {"name": name, "unit": unit, "digits": digits}
        for guest, values in of.items():
            spread = {
                "median": statistics.median(values),
                "least": min(values),
                "most": max(values),
            }
            figure[guest] = spread | {"samples": values}
        if len(of) == 2:
            figure["ratio"] = _ratio(of)
        figures.append(figure)
    return figures


def show(figures: list[dict[str, Any]]) -> None:
    """The table."""
    width = max(26, *(len(figure["name"]) for figure in figures))
    print(f"\n{'':{width}}{'Kiln':>26}{'Linux':>30}   Kiln/Linux")
    for figure in figures:
        cells = ""
        for guest in ("kiln", "linux"):
            of = figure.get(guest)
            text = "-"
            if of:
                digits = figure["digits"]
                text = f"{of['median']:,.{digits}f} {figure['unit']}"
                if of["least"] != of["most"]:
                    text += f" ({of['least']:,.{digits}f}–{of['most']:,.{digits}f})"
            cells += f"{text:>30}" if guest == "linux" else f"{text:>26}"
        ratio = f"{figure['ratio']:.2f}" if "ratio" in figure else "-"
        print(f"{figure['name']:{width}}{cells}   {ratio}")
