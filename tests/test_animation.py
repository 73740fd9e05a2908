"""The animated GIF: a frame an epoch, nodes that stand still, edges in the colours of their operations."""

from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageColor

from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.report import palette, write_gif
from dartboard.report.animation import FRAME_MS, LAST_MS, SWAP_MS, looks, picture
from dartboard.report.facts import read_facts
from synthetic_runs import write_search, write_training
from test_cell_changes import relaxed_lines, write_chain, write_folder


def frames_of(path: Path) -> tuple[list[Image.Image], list[int]]:
    """The frames in colours, and how long each stays in ms."""
    with Image.open(path) as file:
        found, stay = [], []
        for number in range(getattr(file, "n_frames", 1)):
            file.seek(number)
            found.append(file.convert("RGB"))
            stay.append(file.info["duration"])
        assert file.info["loop"] == 0
    return found, stay


def test_there_is_a_frame_an_epoch_and_each_shows_what_moved(tmp_path: Path) -> None:
    folder = write_search(tmp_path / "run", epochs=3)
    path = write_gif(folder)
    assert path == folder / "report.gif"
    frames, stay = frames_of(path)
    assert stay == [FRAME_MS] * 3 + [LAST_MS]
    assert len({frame.size for frame in frames}) == 1
    for before, after in pairwise(frames):
        assert ImageChops.difference(before, after).getbbox() is not None
    assert frames[0].getpixel((2, 2)) == ImageColor.getrgb(palette.PAPER)


def test_the_derived_edges_are_in_full_colour_and_the_others_faint(tmp_path: Path) -> None:
    facts = read_facts(write_search(tmp_path / "run", epochs=2))
    epoch = facts.epochs[-1]
    found = looks(facts, facts.history, epoch, "normal")
    assert len(found) == 14
    assert epoch.architecture is not None
    inputs = {
        (source, number, operation)
        for number in range(2, 6)
        for operation, source in epoch.architecture[f"normal.{number}"]
    }
    assert {(one.source, one.target, one.operation) for one in found if one.lit} == inputs
    assert all(one.operation != "none" for one in found)
    drawn = picture(facts, facts.history, len(facts.history) - 1, ["normal"])
    colours = {colour for _, colour in drawn.getcolors(10**6) or []}
    assert {ImageColor.getrgb(palette.colour(operation)) for _, _, operation in inputs} <= colours


def test_a_chain_stays_longer_at_the_swap(tmp_path: Path) -> None:
    _, second = write_chain(tmp_path)
    _, stay = frames_of(write_gif(second, tmp_path / "chain.gif"))
    assert stay == [FRAME_MS] * 4 + [SWAP_MS] + [FRAME_MS] * 2 + [LAST_MS]


def test_cells_of_another_number_of_nodes_and_an_alpha_that_is_no_number_are_drawn(tmp_path: Path) -> None:
    lines = relaxed_lines(2, 2)
    lines[1]["alpha_normal"] = [*lines[1]["alpha_normal"][:-1], [float("nan")] * 8]
    config = {"command": "search", "method": "darts", "data": "digits", "seed": 0}
    frames, _ = frames_of(write_gif(write_folder(tmp_path / "run", config, {}, lines)))
    assert len(frames) == 2


def test_a_run_without_alpha_has_no_animation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no epoch with alpha"):
        write_gif(write_folder(tmp_path / "run", {"command": "search"}, {}, []))
    with pytest.raises(InputError, match="no epoch with alpha"):
        write_gif(write_training(tmp_path / "train"))


def test_report_gif_writes_it_beside_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = write_search(tmp_path / "search", epochs=1)
    training = write_training(tmp_path / "train", parent=search)
    assert main(["report", str(search), str(training), "--out", str(tmp_path / "both.html"), "--gif"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "both.html"), str(tmp_path / "both.gif")]
    assert len(frames_of(tmp_path / "both.gif")[0]) == 2
    assert main(["report", str(training), "--gif"]) == 2
    assert main(["report", str(search), str(write_search(tmp_path / "other", epochs=1)), "--gif"]) == 2
    assert main(["report", str(search), "--gif", "--out", str(tmp_path / "page.gif")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "page.gif").exists()
