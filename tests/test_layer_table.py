"""Long chains with skip connections are drawn as a table that can be read: a row a layer, a square an earlier state."""

import re
from dataclasses import replace
from pathlib import Path
from random import Random

from dartboard import formats, spaces
from dartboard.report import layer_table, palette
from dartboard.report.drawing import draw, graphs_of
from dartboard.spaces import enas_macro
from dartboard.spaces.graph import Graph

ROW = re.compile(r'<FONT POINT-SIZE="10.5">(\w+)</FONT></TD>(.*?)</TR>')


def rows_of(one: Graph) -> list[tuple[str, tuple[bool, ...]]]:
    """(operation, whether each square is filled) of each row of the table."""
    found = ROW.findall(layer_table.label(one))
    fills = [(name, re.findall(r'BGCOLOR="(#\w+)"', squares)) for name, squares in found]
    assert all(fill in (palette.PANEL, palette.colour(name)) for name, own in fills for fill in own)
    return [(name, tuple(fill != palette.PANEL for fill in own)) for name, own in fills]


def test_the_squares_are_the_bits_of_the_arc() -> None:
    drawn = [spaces.SPACES["enas_macro"].sample(Random(seed)) for seed in range(3)]
    for architecture in (formats.published()["ENAS_macro"].architecture, *drawn):
        (one,) = graphs_of(architecture)
        layers = enas_macro.layers_of(architecture)
        assert layer_table.fits(one)
        assert rows_of(one) == [(name, tuple(bit == 1 for bit in bits)) for name, bits in layers]


def test_short_chains_those_without_skips_and_cells_are_drawn_with_lines() -> None:
    (one,) = graphs_of(formats.published()["ENAS_macro"].architecture)
    short = replace(one, nodes=one.nodes[:5], edges=one.edges[:4], passed=(("stem", "3"),))
    assert not layer_table.fits(short) and not layer_table.fits(replace(one, passed=()))
    assert not any(map(layer_table.fits, graphs_of(formats.published()["ENAS_micro"].architecture)))


def test_a_picture_of_24_layers_is_no_wider_than_a_page(tmp_path: Path) -> None:
    svg = draw(formats.published()["ENAS_macro"].architecture, tmp_path / "chain.svg").read_text()
    width = re.search(r'<svg width="(\d+)pt"', svg)
    assert width is not None and int(width[1]) < 600
    assert svg.count(">sep_conv_5x5<") == 5 and 'class="node layers"' in svg
