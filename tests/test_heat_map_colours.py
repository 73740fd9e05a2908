"""The numbers in the boxes of a heat map can be read, whatever their share of the scale and the reader's setting."""

import re

import pytest

from dartboard.report import measures
from documents import ROOT

REPORT = ROOT / "src/dartboard/report"
Colour = tuple[float, float, float]


def colours(dark: bool) -> dict[str, Colour]:
    """The colours of the page's variables: those of the light setting come first, then those of the dark one."""
    found: dict[str, list[Colour]] = {}
    for name, text in re.findall(r"--([\w-]+): #([0-9a-f]{6});", (REPORT / "page.css").read_text()):
        red, green, blue = (int(text[place : place + 2], 16) / 255 for place in (0, 2, 4))
        found.setdefault(name, []).append((red, green, blue))
    return {name: values[dark] for name, values in found.items() if len(values) > 1}


def luminance(colour: Colour) -> float:
    """Relative luminance as WCAG defines it."""
    linear = [one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_the_number_in_a_box_has_a_contrast_of_three_or_more(dark: bool) -> None:
    known = colours(dark)
    for percent in range(101):
        share = percent / 100
        red, green, blue = (a * (1 - share) + b * share for a, b in zip(known["paper"], known["heat"], strict=True))
        ink = known["heat-ink"] if share > measures.STRONG else known["ink"]
        assert contrast((red, green, blue), ink) >= 3, percent


def test_the_slider_changes_the_colour_of_a_number_at_the_same_share() -> None:
    assert f"share > {measures.STRONG})" in (REPORT / "page.js").read_text()
