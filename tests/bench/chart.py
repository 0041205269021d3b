"""Draws the results as one SVG: a row a figure, a bar a guest, the ratio beside them."""

from __future__ import annotations

from html import escape
from typing import Any

_COLOURS = {"kiln": "#c8502d", "linux": "#5b7ba6"}
_WIDTH, _ROW, _LEFT, _BAR = 880, 62, 210, 400


def _bar(y: int, name: str, value: float, largest: float, text: str) -> str:
    length = max(2, round(_BAR * value / largest))
    return (
        f'<rect x="{_LEFT}" y="{y}" width="{length}" height="18" rx="2" fill="{_COLOURS[name]}"/>'
        f'<text x="{_LEFT + length + 8}" y="{y + 14}">{escape(text)}</text>'
    )


def _row(number: int, figure: dict[str, Any]) -> str:
    y = 64 + number * _ROW
    values = {name: figure[name]["median"] for name in ("kiln", "linux")}
    largest = max(values.values())
    parts = [
        f'<text x="{_LEFT - 12}" y="{y + 24}" text-anchor="end">{escape(figure["name"])}</text>'
    ]
    for offset, (name, value) in enumerate(values.items()):
        text = f"{value:,.{figure['digits']}f} {figure['unit']}"
        parts.append(_bar(y + offset * 21, name, value, largest, text))
    ratio = f"Kiln/Linux {figure['ratio']:.2f}"
    parts.append(f'<text x="{_WIDTH - 16}" y="{y + 24}" text-anchor="end" class="r">{ratio}</text>')
    return "\n".join(parts)


def draw(figures: list[dict[str, Any]], title: str) -> str:
    """The whole picture."""
    height = 84 + len(figures) * _ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="13">\n'
        "<style>.t{font-size:17px;font-weight:bold}.r{font-weight:bold}</style>\n"
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>\n'
        f'<text x="16" y="30" class="t">{escape(title)}</text>\n'
        f'<rect x="{_WIDTH - 200}" y="18" width="12" height="12" fill="{_COLOURS["kiln"]}"/>'
        f'<text x="{_WIDTH - 182}" y="29">Kiln</text>'
        f'<rect x="{_WIDTH - 130}" y="18" width="12" height="12" fill="{_COLOURS["linux"]}"/>'
        f'<text x="{_WIDTH - 112}" y="29">Debian Linux</text>\n'
    )
    rows = "\n".join(_row(number, figure) for number, figure in enumerate(figures))
    return f"{head}{rows}\n</svg>\n"
