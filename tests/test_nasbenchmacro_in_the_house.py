"""NAS-Bench-Macro in the rest of the house: searched by a table and by trainings, drawn, exported, refused."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import tiny
from dartboard import load_foreign, load_network, train, write_torch
from dartboard.cli import main
from dartboard.commands import listing, show
from dartboard.errors import InputError
from dartboard.export.folding import folded, predictor
from dartboard.networks.nasbenchmacro import Network, Supernet, sized, sizes_of
from dartboard.runs.run import Run
from dartboard.scoring.cost import count_module
from dartboard.scoring.tables import read_truth
from dartboard.spaces import SPACES
from dartboard.spaces import nasbenchmacro as space
from test_nasbenchmacro import CODE, images, made, of, summed

# --- A search by a table ---------------------------------------------------------------------------------------------


def write_rows(path: Path, rows: list[dict[str, Any]]) -> Path:
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def rows() -> list[dict[str, Any]]:
    """A made-up table: the more digits, the better; the seed that is shown is a point worse."""
    scores = {code: 10 + 5 * sum(map(int, code)) for code in map(space.to_code, space.SPACE.enumerate())}
    return [{"arch": code, "test_seed0": score, "test_seed1": score - 1} for code, score in scores.items()]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("table") / "accuracies.csv", rows())


@pytest.fixture(scope="module")
def searched(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search by that table, as the command line makes it."""
    folder = tmp_path_factory.mktemp("search") / "run"
    words = ["search", "random_search", "--space", "nasbenchmacro", "--truth", str(table), "--trials", "12"]
    assert main([*words, "--out", str(folder)]) == 0
    return folder


def test_a_search_sees_one_seed_and_its_result_shows_the_other(searched: Path) -> None:
    *_, result = Run.open(searched).metrics()
    assert result["source"] == "table, test_seed0" and result["shown_by"] == "test_seed1"
    assert result["shown"] == pytest.approx(result["score"] - 0.01)
    trials = [line for line in Run.open(searched).metrics() if line["event"] == "trial"]
    assert all(summed(line["architecture"]) == (line["params"], line["macs"]) for line in trials)


def test_the_page_of_a_search_draws_each_stage_of_the_best_chain(searched: Path) -> None:
    page = (searched / "report.html").read_text()
    assert all(f"Stage {number}" in page for number in (1, 2, 3))
    architecture = Run.open(searched).architecture
    assert architecture is not None and space.to_code(architecture) in page
    assert not re.search("normal cell|reduction cell|derived cell|relaxed cell", page, re.IGNORECASE)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], "lacks 1 of the 6,561 architectures, such as 22222222; give the complete table"),
        (lambda rows: [*rows, rows[5]], "line 6563 repeats the architecture of line 7"),
        (lambda rows: [{**row, "arch": row["arch"].lstrip("0")} for row in rows], "line 2: '' has 0 digits; a code"),
    ],
)
def test_a_table_with_holes_and_one_without_leading_zeros_are_refused(change: Any, words: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "wrong.csv", change(rows()))
    with pytest.raises(InputError, match=words):
        read_truth(str(path), "nasbenchmacro")


def test_the_table_of_one_space_given_for_another_is_said_to_be_so(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = tmp_path / "cells.csv"
    cells.write_text("index,arch,cifar10-test,cifar10-val\n")
    words = ["search", "random_search", "--out", str(tmp_path / "run")]
    for file, asked, other in ((cells, "nasbenchmacro", "nasbench201"), (table, "nasbench201", "nasbenchmacro")):
        assert main([*words, "--space", asked, "--truth", str(file)]) == 2
        said = capsys.readouterr().err
        assert f"{file} is a table of the space {other}; give --space {other}, or another table" in said
        assert len(said.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_the_columns_of_a_table_that_is_no_other_spaces_are_named(tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_text("arch,test_seed0\n")
    with pytest.raises(InputError, match="has no column 'test_seed1', it has arch, test_seed0"):
        read_truth(str(path), "nasbenchmacro")


# --- By trainings, and in the rest of the house ----------------------------------------------------------------------

FEW = ["--data", "digits", "--max-images", "40", "--channels", "2", "--epochs", "1", "--batch-size", "13"]


def test_chains_are_searched_by_trainings_without_saying_how_many_layers_they_have(tmp_path: Path) -> None:
    """Batches of 13 of 20 images, and of 40: the last one of the training at the end has one image."""
    words = ["search", "random_search", "--space", "nasbenchmacro", *FEW, "--trials", "2"]
    assert main([*words, "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    run = Run.open(tmp_path / "run")
    assert run.done and run.settings["cells"] == 8
    assert main(["train", str(tmp_path / "run"), *FEW, "--device", "cpu", "--out", str(tmp_path / "chain")]) == 0
    page = (tmp_path / "chain" / "report.html").read_text()
    assert "A network of 8 layers of 2 channels was trained from scratch" in page
    assert main(["evaluate", str(tmp_path / "chain"), "--device", "cpu"]) == 0


def test_the_networks_layers_are_set_over_the_presets_and_their_channels_under_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(*words: str) -> list[str]:
        assert main([*words, "--print-config"]) == 0
        return [line for line in capsys.readouterr().out.splitlines() if re.match("cells|channels =|drop_path", line)]

    for data, channels in (("digits", 8), ("cifar10", 32)):
        asked = [f"channels = {channels}", "cells = 8", "drop_path = 0.0"]
        assert printed("search", "random_search", "--space", "nasbenchmacro", "--data", data) == asked
        assert printed("train", CODE, "--data", data) == asked
    (tmp_path / "mine.toml").write_text("channels = 5\n")
    assert printed("train", CODE, "--config", str(tmp_path / "mine.toml"))[0] == "channels = 5"
    assert printed("search", "random_search", "--space", "nasbenchmacro", "--channels", "6")[0] == "channels = 6"
    assert printed("search", "random_search", "--data", "digits")[:2] == ["channels = 8", "cells = 5"]


def test_another_number_of_cells_and_methods_and_studies_of_cells_are_refused_in_one_line(
    searched: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = "--cells 5: a network of nasbenchmacro has 8 layers; leave it out"
    for words, told in (
        (["search", "random_search", "--space", "nasbenchmacro", *FEW, "--cells", "5"], layers),
        (["train", CODE, *FEW, "--cells", "5"], layers),
        (["show", CODE, "--cells", "5"], layers),
        (["search", "darts", "--space", "nasbenchmacro"], "darts needs a supernet that computes a mixture, that of"),
        (["why", str(searched)], "trained no supernet|compares normal and reduction cells"),
        (["transfer", "--a", "digits", "--b", "cifar10", "--space", "nasbenchmacro"], "darts needs a supernet that"),
        (["show", CODE, "--against", "00000000"], "--against compares normal and reduction cells; the space nasbench"),
        (["show", CODE, "--network", "imagenet"], "the space nasbenchmacro has the network cifar"),
        (["show", "0121021"], "'0121021' has 7 digits; a code of nasbenchmacro has 8 digits"),
        (["export", CODE], "holds architectures of the space 'darts', not of 'nasbenchmacro'; give"),
    ):
        assert main([*words, *(["--out", str(tmp_path / "run")] if words[0] in ("search", "train") else [])]) == 2
        said = capsys.readouterr().err
        assert re.search(told, said) and len(said.splitlines()) == 1, (words, said)
    assert not (tmp_path / "run").exists()


def test_a_code_is_shown_drawn_and_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "chain.svg"
    assert main(["show", CODE, "--image", str(picture)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{CODE}  (space nasbenchmacro") and "stage 2: mb6_k5 -> mb3_k3 -> identity" in said
    assert "32 channels, 8 layers, 10 classes, 32x32: 2,114,922 parameters, 59,306,496 multiply-adds" in said
    drawn = picture.read_text()
    assert all(f">stage {number}<" in drawn for number in (1, 2, 3)) and drawn.count(">mb3_k3<") >= 3
    show.execute([CODE, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["space"], found["notation"], found["macs"]) == ("nasbenchmacro", "nasbenchmacro", 59_306_496)
    assert main(["export", CODE, "--to", "json", "--out", str(tmp_path / "chain.json")]) == 0
    capsys.readouterr()
    assert main(["export", str(tmp_path / "chain.json"), "--to", "nasbenchmacro"]) == 0
    assert capsys.readouterr().out == f"{CODE}\n"


def test_methods_that_need_no_mixture_search_the_space() -> None:
    assert "nasbenchmacro" in listing.spaces_of("random_search") and "nasbenchmacro" not in listing.spaces_of("darts")
    assert any(re.match(r"nasbenchmacro +6.56e\+03 architectures", line) for line in listing.lines("spaces"))


# --- Trained networks as files ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Network]]:
    folder, data = tmp_path_factory.mktemp("trained") / "run", tiny.digits()
    config = train.Config(**{**tiny.TRAIN, "cells": 8, "drop_path": 0.0, "epochs": 1})
    network = sized(of(CODE), config, data)
    with Run.create(folder, config, architecture=of(CODE)) as run:
        train.fit(config, network, data, run)
    yield folder, network.cpu().eval()


def test_a_trained_network_is_exported_loads_back_bit_for_bit_and_computes_the_same_folded(
    trained: tuple[Path, Network], tmp_path: Path
) -> None:
    run, network = trained
    expected = network(images(4, 3, 8, 8))
    *_, line = Run.open(run).metrics()
    cost = count_module(network, 8)
    assert (line["params"], line["macs"]) == (cost.params, cost.macs)
    for folder in (run, write_torch(network, tmp_path / "own", image_size=8)):
        again = load_network(folder)
        assert type(again) is Network and torch.equal(again(images(4, 3, 8, 8)), expected)
    foreign = load_foreign(run / "weights.safetensors", of(CODE))
    assert torch.allclose(foreign(images(4, 3, 8, 8)), expected, atol=1e-6)
    double = load_network(run).double()
    x = images(4, 3, 8, 8, double=True)
    assert torch.allclose(predictor(double)(x), double(x), rtol=0, atol=1e-10)
    assert not [one for one in folded(double).modules() if isinstance(one, nn.BatchNorm2d)]


def test_weights_of_another_family_chain_or_a_supernet_are_refused(
    trained: tuple[Path, Network], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="weights of another architecture or size"):
        load_foreign(trained[0] / "weights.safetensors", of("22222222"))
    other = made(tiny.supernet, SPACES["nasbench201"])
    with pytest.raises(InputError, match="this file has no weights of a network of nasbenchmacro, which has stem"):
        sizes_of(other.state_dict(), "this file")
    save_file(made(Supernet, channels=2).state_dict(), tmp_path / "supernet.safetensors")
    with pytest.raises(InputError, match="weights of a search's supernet"):
        load_foreign(tmp_path / "supernet.safetensors", of(CODE))


def test_an_architecture_is_written_as_a_network_that_is_not_trained(tmp_path: Path) -> None:
    assert load_network(write_torch(of("00000000"), tmp_path / "drawn")).architecture == of("00000000")
