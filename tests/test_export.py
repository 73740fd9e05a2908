"""A trained network comes back from its folder with the same answers; what does not fit is refused by name."""

import json
from pathlib import Path

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from dartboard.errors import InputError
from dartboard.export.weights import load_foreign, load_network, load_trained, write_torch
from dartboard.formats import published
from dartboard.networks.darts import Network, Supernet, inherit
from dartboard.scoring.evaluate import accuracy
from dartboard.spaces.search_space import Architecture

V2 = published()["DARTS_V2"].architecture
X = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def made(stem: str = "cifar", architecture: Architecture = V2, **changes: object) -> Network:
    """A small network whose running statistics are not those of a new one."""
    sizes = {"channels": 4, "cells": 3, "num_classes": 5, "image_size": 32 if stem == "cifar" else 224, **changes}
    network = Network(architecture, stem=stem, **sizes)  # type: ignore[arg-type]
    side = sizes["image_size"]
    network(torch.rand(2, sizes.get("in_channels", 3), side, side))  # type: ignore[call-overload]
    return network.eval()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Network, float]:
    """A training's run folder, its network as it was in memory, and its test accuracy."""
    with torch.random.fork_rng():
        folder = tmp_path_factory.mktemp("trained") / "run"
        score, network = tiny.fit(folder, V2, epochs=1)
    return folder, network.eval(), score.test_accuracy


def answers(network: Network, x: torch.Tensor = X) -> torch.Tensor:
    with torch.no_grad():
        return network(x)


@pytest.mark.usefixtures("global_rng")
@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
@pytest.mark.parametrize("auxiliary", [True, False])
def test_an_exported_network_gives_the_same_answers_bit_for_bit(tmp_path: Path, stem: str, auxiliary: bool) -> None:
    network = made(stem, auxiliary=auxiliary)
    folder = write_torch(
        network, tmp_path / "out", mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 2.0), class_names=tuple("abcde")
    )
    again, description = load_trained(folder)
    assert not again.training
    assert torch.equal(answers(again), answers(network))
    assert tiny.same_tensors(again.state_dict(), network.state_dict())
    assert all(parameter.requires_grad for parameter in again.parameters())
    assert (description.architecture, description.trained) == (V2, True)
    assert (description.mean, description.std, description.class_names) == (
        (0.1, 0.2, 0.3),
        (1.0, 1.0, 2.0),
        tuple("abcde"),
    )
    assert description.sizes.auxiliary == auxiliary
    assert sorted(path.name for path in folder.iterdir()) == ["description.json", "weights.safetensors"]


@pytest.mark.usefixtures("global_rng")
def test_double_precision_other_channels_and_the_search_form_survive(tmp_path: Path) -> None:
    double = made(in_channels=1).double()
    again = load_network(write_torch(double, tmp_path / "double"))
    assert torch.equal(answers(again, X[:, :1].double()), answers(double, X[:, :1].double()))
    supernet = Supernet(channels=2, cells=3).eval()
    inherited = inherit(supernet, V2)
    assert torch.equal(answers(load_network(write_torch(inherited, tmp_path / "s"))), answers(inherited))


def test_a_trainings_run_folder_loads_with_its_normalisation(run: tuple[Path, Network, float]) -> None:
    folder, network, test_accuracy = run
    again, description = load_trained(folder)
    data = tiny.digits()
    assert tiny.same_tensors(again.state_dict(), network.state_dict())
    assert (description.mean, description.std, description.class_names) == (data.mean, data.std, data.class_names)
    assert (description.sizes.image_size, description.sizes.channels, description.sizes.cells) == (8, 2, 3)
    assert accuracy(again, data.test, data)[1] == test_accuracy


def test_an_exported_run_says_all_that_its_run_folder_said(tmp_path: Path, run: tuple[Path, Network, float]) -> None:
    folder = write_torch(str(run[0]), str(tmp_path / "out"))
    assert load_trained(folder)[1] == load_trained(run[0])[1]
    assert torch.equal(answers(load_network(folder), X[..., :8, :8]), answers(run[1], X[..., :8, :8]))


def test_an_architecture_alone_is_written_with_drawn_weights_and_says_so(tmp_path: Path) -> None:
    one, other = (write_torch(source, tmp_path / str(n)) for n, source in enumerate(("DARTS_V2", V2)))
    network, description = load_trained(one)
    assert not description.trained
    assert (description.sizes.channels, description.sizes.cells) == (36, 20)
    assert tiny.same_tensors(network.state_dict(), load_network(other).state_dict())


def test_weights_of_the_original_code_load_by_their_tensors_alone(tmp_path: Path, reference: Path) -> None:
    with numpy.load(reference / "reference" / "darts_v2_network.npz") as golden:
        state = {key.removeprefix("state/"): torch.from_numpy(golden[key]) for key in golden if "state/" in key}
        x, expected = torch.from_numpy(golden["x"]), torch.from_numpy(golden["logits_eval"])
    torch.save(state, tmp_path / "weights.pt")
    network = load_foreign(tmp_path / "weights.pt", V2)
    assert (answers(network, x) - expected).abs().max() < 1e-12
    assert network.auxiliary_head is not None


@pytest.mark.usefixtures("global_rng")
def test_the_weights_of_a_supernet_are_refused(tmp_path: Path) -> None:
    torch.save(Supernet(channels=2, cells=3).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(InputError, match="the weights of a search's supernet, not of a trained network"):
        load_foreign(tmp_path / "weights.pt", V2)


@pytest.mark.usefixtures("global_rng")
def test_an_old_file_without_counters_and_of_the_imagenet_stem_loads(tmp_path: Path) -> None:
    network = made("imagenet", num_classes=7)
    state = {n.replace("stem.", "stem0."): t for n, t in network.state_dict().items() if "num_batches" not in n}
    torch.save({"state_dict": state}, tmp_path / "model.pth.tar")
    again = load_foreign(tmp_path / "model.pth.tar", V2)
    assert torch.equal(answers(again), answers(network))


@pytest.mark.usefixtures("global_rng")
def test_weights_of_another_architecture_name_the_first_tensor_that_differs(tmp_path: Path) -> None:
    state = made(auxiliary=False).state_dict()
    path = tmp_path / "weights.safetensors"
    save_file(state, path)
    with pytest.raises(InputError, match=r"another architecture or size: it has no cells\.0\.ops\.5\.1\.weight$"):
        load_foreign(path, published()["PDARTS"].architecture)
    for change, words in (
        ({"cells.2.ops.0.9.weight": torch.ones(1)}, r"'cells\.2\.ops\.0\.9\.weight' has no place in it"),
        (
            {"cells.0.preprocess0.1.weight": torch.ones(4, 12, 1, 2)},
            r"preprocess0\.1\.weight is \(4, 12, 1, 2\), not \(4, 12, 1, 1\)",
        ),
        ({"cells.0.preprocess0.1.weight": torch.ones(4, 12, 1, 1).int()}, r"is torch.int32, not torch.float32"),
    ):
        save_file({**state, **change}, path)
        with pytest.raises(InputError, match=words):
            load_foreign(path, V2)
    save_file({"weight": torch.ones(2)}, path)
    with pytest.raises(InputError, match="no weights of a network of cells"):
        load_foreign(path, V2)


def test_a_run_with_the_weights_of_another_is_refused(tmp_path: Path, run: tuple[Path, Network, float]) -> None:
    copy = tmp_path / "run"
    copy.mkdir()
    for path in run[0].iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    weights = load_file(copy / "weights.safetensors")
    save_file({name: tensor for name, tensor in weights.items() if name != "stem.1.bias"}, copy / "weights.safetensors")
    with pytest.raises(InputError, match=r"it has no stem\.1\.bias"):
        load_trained(copy)
    text = (copy / "architecture.json").read_text()
    (copy / "architecture.json").write_text(text.replace("sep_conv_3x3", "sep_conv_5x5"))
    with pytest.raises(
        InputError, match=r"cells\.0\.ops\.0\.1\.weight is \(2, 1, 3, 3\), not \(2, 1, 5, 5\)|has no stem"
    ):
        load_trained(copy)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sizes", {"channels": "four"}),
        ("sizes", {"channel": 4}),
        ("sizes", {"cells": 10**9}),
        ("sizes", None),
        ("mean", "x"),
        ("mean", [0.5]),
        ("class_names", ["a"]),
        ("architecture", {"space": "darts"}),
        ("std", None),
    ],
)
def test_a_damaged_description_is_refused_in_one_line(
    tmp_path: Path, run: tuple[Path, Network, float], key: str, value: object
) -> None:
    folder = write_torch(run[0], tmp_path / "out")
    record = json.loads((folder / "description.json").read_text())
    for content in ({**record, key: value}, {name: item for name, item in record.items() if name != key}):
        (folder / "description.json").write_text(json.dumps(content))
        with pytest.raises(InputError) as caught:
            load_trained(folder)
        assert len(str(caught.value).splitlines()) == 1


def test_a_search_and_a_full_folder_are_refused(tmp_path: Path, run: tuple[Path, Network, float]) -> None:
    tiny.search(tmp_path / "search", budget=None, epochs=1)
    with pytest.raises(InputError, match=r"has no weights\.safetensors; train what it found first"):
        write_torch(tmp_path / "search", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="is not an empty folder"):
        write_torch(V2, run[0])
