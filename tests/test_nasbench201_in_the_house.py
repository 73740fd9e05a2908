"""NAS-Bench-201 in the rest of the house: searched by DARTS, stopped, resumed, told on a page, trained, exported."""

import copy
import json
import re
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import tiny
from dartboard import load_foreign, load_network, train, write_torch
from dartboard.commands import evaluate, export, listing, search, transfer, why
from dartboard.commands import next_training as planned
from dartboard.commands import train as train_command
from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.export.folding import folded, predictor
from dartboard.export.weights import load_trained
from dartboard.formats import read
from dartboard.networks import nasbench201
from dartboard.report import next_training
from dartboard.report.facts import read_facts
from dartboard.runs.run import Run
from dartboard.scoring.cost import count_module
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
        assert f"e-{edge[0]}-{edge[1]}" in page and f"{space.node_name(edge[0])} → {space.node_name(edge[1])}" in page
    assert len(re.findall(r'data-edge="\d" data-operation="\d"', page)) == 6 * 5
    assert str(facts.architecture and space.to_string(facts.architecture)) in page
    past, margin = page.index("Derived cell"), page.index("Smallest margin of an operation")
    assert past < margin and 'class="duo"' not in page[past:margin]  # side by side
    for words in ("reduction cell", "normal cell", 'id="sensitivity"', "dartboard why", "Smallest margin of an edge"):
        assert words not in page


def test_the_command_that_the_page_gives_trains_the_cell(searched: Path, tmp_path: Path) -> None:
    command = next_training.command(searched, read_facts(searched).config)
    _, _, *words = command.split()
    more = ["--epochs", "1", "--channels", "2", "--cells", "3", "--out", str(tmp_path / "train")]
    train_command.execute([*words, *more])
    assert Run.open(tmp_path / "train").done


AS_TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|"


def test_a_cell_is_trained_without_flags_that_its_networks_ask_for(tmp_path: Path) -> None:
    few = ["--channels", "2", "--cells", "3", "--epochs", "1", "--max-images", "64", "--batch-size", "16"]
    train_command.execute([AS_TEXT, "--data", "digits", *few, "--device", "cpu", "--out", str(tmp_path / "run")])
    run = Run.open(tmp_path / "run")
    assert run.done and run.settings["drop_path"] == 0.0 and not run.settings["auxiliary"]


def test_settings_that_the_networks_ask_for_lie_over_the_presets_and_under_flags_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*words: str) -> str:
        train_command.execute([*words, "--data", "cifar10", "--print-config"])
        return capsys.readouterr().out

    (tmp_path / "mine.toml").write_text("drop_path = 0.1\n")
    assert "auxiliary = false" in printed(AS_TEXT) and "drop_path = 0.0\n" in printed("--no-flip", AS_TEXT)
    assert "drop_path = 0.1\n" in printed(AS_TEXT, "--config", str(tmp_path / "mine.toml"))
    assert "auxiliary = true" in printed("DARTS_V2") and "drop_path = 0.2\n" in printed("DARTS_V2")
    for flag, told in (("--auxiliary", "no auxiliary head"), ("--drop-path=0.1", "drops no paths, give 0")):
        with pytest.raises(InputError, match=told):
            train_command.execute([AS_TEXT, flag, "--data", "digits", "--out", str(tmp_path / "refused")])
    assert not (tmp_path / "refused").exists()


def test_the_recipe_has_what_the_networks_ask_for_and_its_command_leaves_that_to_train(searched: Path) -> None:
    run = SimpleNamespace(setup=Setup(data="cifar10"))
    cell = space.SPACE.largest()
    found = planned.Found(run, train.Config(), tiny.digits(), cell, 1)  # type: ignore[arg-type]
    recipe, flags = planned.recipe_of(found)
    assert not recipe.auxiliary and recipe.drop_path == 0.0
    assert not {"--no-auxiliary", "--auxiliary", "--drop-path"} & set(flags)


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
    with pytest.raises(InputError, match="--stop stable compares the order of convolutions, and few has none"):
        tiny.search(tmp_path / "run", space=few, stop="stable:2")
    tiny.search(tmp_path / "other", space=few, stop="skips:2")
    assert read_facts(tmp_path / "other").operations == ("none", "skip_connect", "nor_conv_3x3")


def test_kinds_of_cells_tell_the_families_apart() -> None:
    kinds = [kind for family in FAMILIES.values() for kind in family.kinds]
    assert len(kinds) == len(set(kinds))


# --- Trained networks as files ---------------------------------------------------------------------------------------

CELL = space.from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_1x1~2|")
POOLS = space.architecture(["avg_pool_3x3"] * 6)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module]:
    folder, data = tmp_path_factory.mktemp("trained") / "run", tiny.digits()
    config = train.Config(**{**tiny.TRAIN, "cells": 5, "drop_path": 0.0})
    network = nasbench201.sized(CELL, config, data)
    with Run.create(folder, config, setup=Setup(device="cpu", data="digits"), architecture=CELL) as run:
        train.fit(config, network, data, run)
    return folder, network.eval()


def images() -> Tensor:
    return torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_result_of_a_training_tells_parameters_and_multiply_adds(trained: tuple[Path, nn.Module]) -> None:
    run, network = trained
    *_, line = Run.open(run).metrics()
    cost = count_module(network, 8)
    assert line["event"] == "result" and (line["params"], line["macs"]) == (cost.params, cost.macs)


def test_a_trained_network_is_exported_and_loads_back_bit_for_bit(
    trained: tuple[Path, nn.Module], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, network = trained
    expected = network(images())
    export.execute([str(run), "--to", "torch", "--out", str(tmp_path / "out")])
    for folder in (run, tmp_path / "out", write_torch(network, tmp_path / "own", image_size=8)):
        again = load_network(folder)
        assert type(again) is nasbench201.Network and torch.equal(again(images()), expected)
    _, description = load_trained(tmp_path / "out")
    assert description == load_trained(run)[1]
    assert description.sizes == nasbench201.Sizes(2, 5, 10, 3, 8)
    foreign = load_foreign(run / "weights.safetensors", CELL)
    assert torch.allclose(foreign(images()), expected, atol=1e-6)
    evaluate.execute([str(tmp_path / "out"), "--data", "digits", "--json"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (found["classes"], found["image_size"]) == (10, 8)


def test_folded_it_computes_the_same(trained: tuple[Path, nn.Module]) -> None:
    network = copy.deepcopy(trained[1]).double()
    x = images().double()
    assert torch.allclose(predictor(network)(x), network(x), rtol=0, atol=1e-10)
    assert not [one for one in folded(network).cells.modules() if isinstance(one, nn.BatchNorm2d)]


def test_a_network_without_convolutions_and_one_cut_out_of_a_supernet_load_back(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        sizes = {"channels": 2, "num_classes": 3, "in_channels": 3}
        supernet = nasbench201.Supernet(cells=5, **sizes)
        networks = [nasbench201.Network(POOLS, cells=cells, **sizes) for cells in (3, 4, 5, 17)]
        networks += [nasbench201.inherit(supernet, CELL), nasbench201.inherit(supernet, POOLS)]
    for number, network in enumerate(networks):
        again = load_network(write_torch(network, tmp_path / str(number)))
        assert torch.equal(again(images()), network.eval()(images()))
    with pytest.raises(InputError, match="weights of a search's supernet"):
        save_file(supernet.state_dict(), tmp_path / "supernet.safetensors")
        load_foreign(tmp_path / "supernet.safetensors", CELL)


def test_weights_of_another_family_cell_or_size_are_refused_in_one_line(
    trained: tuple[Path, nn.Module], tmp_path: Path
) -> None:
    file = trained[0] / "weights.safetensors"
    with pytest.raises(InputError, match="weights of another architecture or size"):
        load_foreign(file, space.SPACE.largest())
    with pytest.raises(InputError, match="has no weights of a network of cells"):
        load_foreign(file, tiny.SPACE.sample(Random(0)))
    tiny.fit(tmp_path / "darts", tiny.SPACE.sample(Random(0)), epochs=1)
    with pytest.raises(InputError, match="has no weights of a network of nasbench201"):
        load_foreign(tmp_path / "darts" / "weights.safetensors", CELL)


def test_an_architecture_is_written_as_a_network_that_is_not_trained(tmp_path: Path) -> None:
    _, description = load_trained(write_torch(CELL, tmp_path / "drawn"))
    assert not description.trained and description.sizes == nasbench201.Sizes()
