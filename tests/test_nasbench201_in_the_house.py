"""NAS-Bench-201 in the rest of the house: searched by DARTS, stopped, resumed, told on a page, trained, exported."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import tiny
from dartboard import train
from dartboard.commands import listing, search, transfer, why
from dartboard.commands import next_training as planned
from dartboard.commands import train as train_command
from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.formats import read
from dartboard.report import next_training
from dartboard.report.facts import read_facts
from dartboard.report.forms import nasbench201_edge
from dartboard.runs.run import Run
from dartboard.spaces import SPACES
from dartboard.spaces import nasbench201 as space
from dartboard.spaces.families import FAMILIES


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny search by DARTS, second order, as the command line makes it."""
    folder = tmp_path_factory.mktemp("nasbench201") / "run"
    words = "darts --space nasbench201 --data digits --max-images 64 --channels 2 --cells 3 --epochs 2 --batch-size 16"
    search.execute([*words.split(), "--second-order", "--stop", "skips:1,stable:1,eigenvalue,held-out:0.1",
                    "--stop-mode", "report", "--device", "cpu", "--out", str(folder)])  # fmt: skip
    return folder


def test_darts_searches_the_space_and_every_stopping_rule_says_what_it_keeps(searched: Path) -> None:
    start, *epochs, result = tiny.history(searched)
    epochs = [line for line in epochs if line["event"] == "epoch"]
    assert all(len(line["alpha_cell"]) == 6 and len(line["alpha_cell"][0]) == 5 for line in (start, *epochs))
    assert "mixed" not in start  # the run names its space
    assert [entry["rule"] for entry in result["stopped"]] == [
        "skips:1",
        "stable:1",
        "eigenvalue:1.3:2",
        "held-out:0.1:0",
    ]
    for line in epochs:
        weights = {"cell": torch.tensor(line["alpha_cell"]).softmax(-1).tolist()}
        assert line["architecture"] == space.to_string(space.derive(weights, space.OPERATIONS))
    assert Run.open(searched).architecture == read(epochs[-1]["architecture"])[0]


def test_its_page_draws_the_cell_its_heat_map_and_its_curves_and_leaves_out_what_the_space_has_not(
    searched: Path,
) -> None:
    page = (searched / "report.html").read_text()
    facts = read_facts(searched)
    assert facts.operations == space.OPERATIONS
    for words in (
        "Relaxed cell",
        "Alpha, cell",
        "Derived cell",
        "Entropy of alpha",
        "Skip connections",
        "Drift of alpha",
    ):
        assert words in page
    for edge in space.EDGES:
        assert f"e-{edge[0]}-{edge[1]}" in page and nasbench201_edge(*edge) in page
    assert len(re.findall(r'data-edge="\d" data-operation="\d"', page)) == 6 * 5
    assert str(facts.architecture and space.to_string(facts.architecture)) in page
    for words in ("reduction cell", "normal cell", 'id="close"', "dartboard why", "Closest win of an edge"):
        assert words not in page


def test_the_command_that_the_page_gives_trains_the_cell(searched: Path, tmp_path: Path) -> None:
    command = next_training.command(searched, read_facts(searched).config)
    _, _, *words = command.split()
    more = ["--epochs", "1", "--channels", "2", "--cells", "3", "--out", str(tmp_path / "train")]
    train_command.execute([*words, *more])
    assert Run.open(tmp_path / "train").done


def test_the_recipe_of_a_data_set_is_changed_where_the_networks_have_no_part_for_it(searched: Path) -> None:
    run = SimpleNamespace(setup=Setup(data="cifar10"))
    cell = space.SPACE.largest()
    found = planned.Found(run, train.Config(), tiny.digits(), cell, 1)  # type: ignore[arg-type]
    recipe, flags = planned.recipe_of(found)
    assert not recipe.auxiliary and recipe.drop_path == 0.0
    assert " ".join(flags).endswith("--no-auxiliary --drop-path 0.0")


def test_a_search_goes_on_from_another_of_the_space(searched: Path, tmp_path: Path) -> None:
    words = "darts --space nasbench201 --data digits --max-images 64 --channels 2 --cells 3 --epochs 1 --batch-size 16"
    search.execute([*words.split(), "--from", str(searched), "--device", "cpu", "--out", str(tmp_path / "on")])
    ours, theirs = tiny.history(tmp_path / "on"), tiny.history(searched)
    assert ours[0]["alpha_cell"] == theirs[-2]["alpha_cell"]
    assert "epochs are counted through 2 runs" in (tmp_path / "on" / "report.html").read_text()
    with pytest.raises(InputError, match="was searched with space nasbench201, not darts"):
        search.execute([*words.replace("nasbench201", "darts").split(), "--from", str(searched)])


def test_studies_that_compare_pairs_of_cells_refuse_the_space_in_one_line(searched: Path) -> None:
    with pytest.raises(InputError, match="why compares normal and reduction cells; the space nasbench201 has none"):
        why.execute([str(searched)])
    with pytest.raises(InputError, match="transfer compares normal and reduction cells; the space nasbench201"):
        transfer.execute(["--a", "digits", "--b", "cifar10", "--space", "nasbench201"])


def test_a_method_goes_with_the_spaces_that_offer_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nasbench201" in listing.spaces_of("darts")
    only_paths = replace(space.SPACE, name="paths", kinds=frozenset({"path"}))
    monkeypatch.setitem(SPACES, "paths", only_paths)
    assert "paths" not in listing.spaces_of("darts")
    with pytest.raises(InputError, match="darts needs a supernet that computes a mixture, that of paths does not"):
        search.execute(["darts", "--space", "paths"])


def test_stable_has_nothing_to_go_by_where_no_edge_has_two_convolutions(tmp_path: Path) -> None:
    few = space.space("few", "made up", ("none", "skip_connect", "nor_conv_3x3"))
    with pytest.raises(InputError, match="--stop stable goes by the order of convolutions, and few has none"):
        tiny.search(tmp_path / "run", space=few, stop="stable:2")
    tiny.search(tmp_path / "other", space=few, stop="skips:2")
    assert read_facts(tmp_path / "other").operations == ("none", "skip_connect", "nor_conv_3x3")


def test_kinds_of_cells_tell_the_families_apart() -> None:
    kinds = [kind for family in FAMILIES.values() for kind in family.kinds]
    assert len(kinds) == len(set(kinds))
