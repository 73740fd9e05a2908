"""A family, made up here, that gives only the pictures of its architectures: its files, its pages.

Nothing of it is known to `report`; what a family is lies in its own files and its record.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dartboard.formats import write
from dartboard.report import cells, write_report
from dartboard.report.drawing import draw
from dartboard.report.facts import read_facts
from dartboard.spaces.families import FAMILIES, Family
from dartboard.spaces.graph import Graph, name_and_index
from dartboard.spaces.search_space import Architecture
from synthetic_runs import ENVIRONMENT, train_lines, write_folder
from test_report_page import outline, words_of


def chain(architecture: Architecture) -> tuple[Graph, ...]:
    """A chain of blocks, one after the other."""
    blocks = [operation for _, operation in architecture.choices]
    nodes = ("image", *(f"x_{{{number}}}" for number in range(1, len(blocks))), "classes")
    edges = tuple((nodes[place], nodes[place + 1], operation) for place, operation in enumerate(blocks))
    return (Graph("chain", "chain of blocks", nodes, edges),)


def of_choices(values: Any) -> Architecture:
    return Architecture("chain", tuple(values.items()))


CHAIN = Family(
    notation="json",
    sizes={},
    read=of_choices,
    kinds={"chain": "chain of blocks"},
    operations=("mbconv_3", "mbconv_5", "skip_connect"),
    lines=lambda architecture: [str(architecture)],
    graphs=chain,
    num_skips=lambda architecture: 0,
    is_learnable=lambda operation: True,
    note="Blocks follow one another.",
)
ONE = Architecture("chain", (("block.1", "mbconv_3"), ("block.2", "mbconv_5"), ("block.3", "skip_connect")))
OTHER = Architecture("chain", (("block.1", "mbconv_3"), ("block.2", "mbconv_3"), ("block.3", "skip_connect")))


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "chain", CHAIN)


def write_run(folder: Path, command: str, lines: list[dict[str, Any]]) -> Path:
    config = {"command": command, "method": "made_up", "space": "chain", "data": "digits", "seed": 0}
    write_folder(folder, config, ENVIRONMENT, lines)
    (folder / "architecture.json").write_text(json.dumps(ONE.to_json()))
    return folder


def test_its_picture_is_drawn_into_files_with_its_names_its_frame_and_its_operations(tmp_path: Path) -> None:
    svg = draw(ONE, tmp_path / "chain.svg", title="A chain").read_text().replace("&#45;", "-")
    for word in ("A chain", "chain of blocks", ">image</text>", ">classes</text>", ">mbconv_5</text>"):
        assert word in svg, word
    assert re.search(r">x</text>\s*<text [^>]*>2</text>", svg)  # the index is set low
    for suffix, magic in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        assert draw(ONE, tmp_path / f"chain{suffix}").read_bytes().startswith(magic)


def test_the_page_of_its_training_has_the_picture(tmp_path: Path) -> None:
    page = write_report([write_run(tmp_path / "run", "train", train_lines(3, 0, True))])
    said = words_of(page)
    for words in ("Chain of blocks", "3 edges, 1 skip connection, 0 pools.", "Blocks follow one another.", "mbconv_5"):
        assert words in said, words
    assert "The chain of blocks: node x_{1} adds mbconv_3 of image" in page.read_text()
    assert "svg" in outline(page).names


def test_the_page_of_its_search_tells_when_the_architecture_changed_and_nothing_of_a_relaxed_form(
    tmp_path: Path,
) -> None:
    found = [OTHER, OTHER, ONE, ONE]
    lines: list[dict[str, Any]] = [
        {"event": "epoch", "epoch": epoch, "step": epoch + 1, "val_accuracy": 0.5, "architecture": write(one, "json"),
         "policy": [[0.5, 0.5], [0.2, 0.8]]}
        for epoch, one in enumerate(found)
    ]  # fmt: skip
    lines.append({"event": "result", "architecture": write(ONE, "json"), "val_accuracy": 0.5})
    folder = write_run(tmp_path / "search", "search", lines)
    page = write_report([folder])
    said = words_of(page)
    assert "The derived cell last changed at epoch 2" in said and "Chain of blocks" in said
    assert "Table policy" in said
    for words in ("Relaxed", "Does the cell change?", "collapse into", "normal cell"):
        assert words not in said, words
    assert read_facts(folder).mixed == {}
    other = write_run(tmp_path / "other", "search", lines[:2])
    assert "Chain of blocks" in words_of(write_report([folder, other], tmp_path / "both.html"))


def test_an_index_is_what_stands_low_in_braces() -> None:
    assert name_and_index("c_{k-2}") == ("c", "k-2")
    assert name_and_index("n1") == ("n1", "") and name_and_index("a_{b") == ("a_{b", "")


def test_a_caption_of_the_family_takes_the_place_of_the_counts() -> None:
    assert (
        cells.caption(Graph("a", "a", ("x", "y"), (("x", "y", "max_pool_3x3"),)))
        == "1 edge, 0 skip connections, 1 pool."
    )
    assert cells.caption(Graph("a", "a", ("x", "y"), (), caption="Its own.")) == "Its own."
