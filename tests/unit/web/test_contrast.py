"""The colours of the page are far enough from what they stand on, as WCAG 2 asks at level AA, light and dark."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

import worker.web

CSS = (Path(worker.web.__file__).parent / "static" / "page.css").read_text()
LIGHT, DARK = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", root)) for root in CSS.split(":root")[1:3])

TEXTS, DRAWINGS = ("ink", "soft", "link", "bad", "good"), ("came", "left", "waiting")
LEAST = dict.fromkeys(product(TEXTS, ("paper", "card")), 4.5) | dict.fromkeys(product(DRAWINGS, ("card",)), 3.0)
"""The least contrast of what stands in front to its ground: charts stand on cards alone."""


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_texts_and_drawings_stand_out(colours: dict[str, str]) -> None:
    found = {(front, ground): contrast(colours[front], colours[ground]) for front, ground in LEAST}
    assert {pair: value for pair, value in found.items() if value < LEAST[pair]} == {}
    shades = [luminance(colours[f"heat-{number}"]) for number in range(1, 5)]
    assert shades == sorted(shades, reverse=colours is LIGHT)


def test_no_text_has_a_colour_that_is_not_looked_at() -> None:
    used = set(re.findall(r"(?<![-\w])color: var\(--([\w-]+)\)", CSS))
    assert used <= set(TEXTS)
