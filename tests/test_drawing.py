"""Pictures of cells: everything in them, one colour an operation, colours that all can tell apart."""

import hashlib
import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from dartboard import formats
from dartboard.errors import InputError
from dartboard.formats import published
from dartboard.report import cells, drawing, palette
from dartboard.report.drawing import SUFFIXES, draw, graph_svg, relaxed_svg
from dartboard.report.drawn_difference import difference_svg, draw_difference
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture
from documents import published_cells
from picture_cells import odd_cells

NAMES = {0: "c_{k-2}", 1: "c_{k-1}"}


def titles(svg: str) -> list[str]:
    return [title.replace("&gt;", ">") for title in re.findall(r"<title>(.*?)</title>", svg)]


@pytest.mark.parametrize("name", sorted(published_cells()))
@pytest.mark.parametrize("kind", darts.CELLS)
def test_the_picture_of_a_published_cell_has_every_node_input_and_concat(name: str, kind: str) -> None:
    cell = darts.cell(published()[name].architecture, kind)
    svg = graph_svg(darts.graph(cell, kind))
    found = titles(svg)
    for target, inputs in enumerate(cell.nodes, start=2):
        for number, (operation, source) in enumerate(inputs):
            pill = f"{number} {NAMES.get(source, source)} to {target}: {operation}"
            assert pill in found
            assert f"{NAMES.get(source, source)}->{pill}:w" in found or f"{NAMES.get(source, source)}->{pill}" in found
            assert f">{operation}</text>" in svg
            assert palette.colour(operation) in svg
    joined = [title.split("->")[0] for title in found if title.endswith("->c_{k}")]
    assert sorted(joined) == sorted(map(str, cell.concat))
    assert {"c_{k-2}", "c_{k-1}", "c_{k}"} <= set(found)
    assert 'role="img"' in svg
    assert "aria-label=" in svg


def test_one_predecessor_used_twice_is_drawn_twice_and_noise_is_drawn() -> None:
    cell = darts.Cell(((("noise", 0), ("noise", 0)),), (2,))
    assert graph_svg(darts.graph(cell, "normal")).count(">noise</text>") == 2


def test_the_relaxed_cell_has_an_edge_for_every_pair_of_nodes() -> None:
    for num_nodes in (1, 4, 5):
        one = darts.relaxed("reduce", len(darts.edges(num_nodes)))
        assert one is not None
        svg = relaxed_svg(one)
        found = re.findall(r'class="edge relaxed e-(\d+)-(\d+)"', svg)
        assert sorted((int(a), int(b)) for a, b in found) == sorted(darts.edges(num_nodes))


def test_the_difference_of_a_cell_and_itself_has_nothing_gone_or_new() -> None:
    cell = darts.cell(published()["DARTS_V2"].architecture, "normal")
    other = darts.cell(published()["PDARTS"].architecture, "normal")
    same, changed = difference_svg(cell, cell, "normal"), difference_svg(cell, other, "normal")
    assert "edge gone" not in same
    assert "edge new" not in same
    assert "edge gone" in changed
    assert "edge new" in changed
    assert "− skip_connect" in changed


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_draw_writes_the_format_that_the_suffix_names(tmp_path: Path, suffix: str) -> None:
    magic = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}
    path = draw(published()["AmoebaNet"].architecture, tmp_path / f"cell{suffix}", title="Amoeba & <friends>")
    assert path.read_bytes().startswith(magic[suffix])


def test_a_drawn_svg_names_both_cells_its_title_and_all_operations_and_knows_dark_pages(tmp_path: Path) -> None:
    architecture = published()["DARTS_V2"].architecture
    svg = draw(architecture, tmp_path / "cell.svg", title="Two & <more>").read_text()
    for word in ("normal cell", "reduction cell", "Two &amp; &lt;more&gt;", "prefers-color-scheme: dark"):
        assert word in svg
    for operation in ("sep_conv_3x3", "skip_connect", "dil_conv_3x3", "max_pool_3x3"):
        assert palette.colour(operation) in svg


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    architecture = published()["DARTS_V2"].architecture
    (tmp_path / "file").write_text("")
    for path in (
        tmp_path / "cell.gif",
        tmp_path / "cell",
        tmp_path / "no" / "cell.svg",
        tmp_path / "file" / "cell.png",
    ):
        with pytest.raises(InputError) as error:
            draw(architecture, path)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="of the space 'chain'; give one of darts, nasbench201"):
        draw(Architecture("chain", (("depth", 3),)), tmp_path / "cell.svg")


def test_pictures_are_those_that_were_recorded_when_pairs_of_cells_had_code_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the DOT text: what Graphviz makes of it depends on the fonts of the machine."""
    digests: list[str] = []

    def note(graph: Any, form: str) -> bytes:
        digests.append(hashlib.sha256(graph.to_string().encode()).hexdigest()[:16])
        return b"<svg <g >"

    monkeypatch.setattr(drawing, "render", note)
    golden = json.loads((Path(__file__).parent / "golden" / "pictures.json").read_text())
    known = {name: one.architecture for name, one in published_cells().items()} | odd_cells()
    found: dict[str, list[str]] = {}
    for name, architecture in known.items():
        for place, made in (("in a file", draw), ("on a page", cells.cells)):
            made(architecture, tmp_path / "x.svg", **({"title": name} if made is draw else {}))  # type: ignore[operator]
            found[f"{name} {place}"] = [digests.pop(0) for _ in range(len(digests))]
    draw_difference(known["DARTS_V1"], known["DARTS_V2"], tmp_path / "x.svg")
    assert found | {"DARTS_V1 against DARTS_V2": digests} == golden


def test_a_cell_that_the_notation_of_its_family_cannot_hold_stands_on_the_page_as_json() -> None:
    one = odd_cells(1)["odd 0"]
    assert cells.genotype_text(one) == formats.write(one, "json")
    assert cells.genotype_text(published()["DARTS_V2"].architecture).startswith("Genotype(")


def linear(colour: str) -> list[float]:
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def times(matrix: list[list[float]], vector: list[float]) -> list[float]:
    return [sum(weight * value for weight, value in zip(row, vector, strict=True)) for row in matrix]


def oklab(rgb: list[float]) -> list[float]:
    cone = times(
        [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]], [max(v, 0) for v in rgb]
    )
    roots = [value ** (1 / 3) for value in cone]
    return times([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]], roots)


# Machado, Oliveira, Fernandes 2009, severity 1.
SIGHTS = {
    "normal": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "deuteranopia": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
}


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_of_the_space_are_told_apart_by_every_kind_of_sight(sight: str) -> None:
    seen = [oklab(times(SIGHTS[sight], linear(palette.colour(name)))) for name in darts.OPERATIONS[1:]]
    assert min(100 * sum((a - b) ** 2 for a, b in zip(*two, strict=True)) ** 0.5 for two in combinations(seen, 2)) > 9.5


@pytest.mark.parametrize("paper", [palette.PAPER, palette.DARK_PAPER])
def test_every_colour_has_contrast_to_light_and_dark_paper(paper: str) -> None:
    def luminance(colour: str) -> float:
        return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True))

    for colour in [*palette.COLOURS.values(), *palette.SPARE, palette.REMOVED, palette.ADDED]:
        bright, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 2.95, colour
