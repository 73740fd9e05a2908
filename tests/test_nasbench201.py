"""The space of NAS-Bench-201: strings, equal cells, networks against the benchmark's own numbers, and what is shown."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import planted
import tiny
from dartboard import draw, train
from dartboard.commands import show
from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.formats import read, write
from dartboard.formats.weights import our_name
from dartboard.networks.nasbench201 import Network, Supernet, inherit, sized
from dartboard.runs.run import Run
from dartboard.scoring.cost import count, count_supernet
from dartboard.spaces import SPACES
from dartboard.spaces import nasbench201 as space
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
cells = st.lists(st.sampled_from(space.OPERATIONS), min_size=6, max_size=6).map(space.architecture)
forms = pytest.mark.parametrize("form", ["plain", "fast"])


def everywhere(operation: str) -> Architecture:
    return space.architecture([operation] * 6)


# --- Values ----------------------------------------------------------------------------------------------------------


def test_the_space_has_15625_cells_whose_choices_are_the_edges_in_the_benchmarks_order() -> None:
    assert len(set(space.SPACE.enumerate())) == 5**6 == 15_625
    assert [choice.name for choice in space.SPACE.choices] == ["1<-0", "2<-0", "2<-1", "3<-0", "3<-1", "3<-2"]
    assert space.SPACE.choices[0].options[:2] == ("none", "skip_connect")
    assert SPACES["nasbench201"] is space.SPACE


@given(cells)
def test_a_cell_comes_back_from_its_string_and_from_json(cell: Architecture) -> None:
    text = space.to_string(cell)
    assert space.from_string(text) == cell
    assert read(text + "\n") == (cell, "nasbench201")
    assert write(cell, "nasbench201") == text
    assert read(write(cell, "json")) == (cell, "json")


def test_a_string_names_the_operations_by_node_and_source() -> None:
    cell = space.from_string("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|")
    assert dict(cell.choices) == {
        "1<-0": "avg_pool_3x3", "2<-0": "none", "2<-1": "skip_connect",
        "3<-0": "nor_conv_1x1", "3<-1": "none", "3<-2": "nor_conv_3x3",
    }  # fmt: skip


def test_of_the_strings_in_a_log_the_last_is_read() -> None:
    first, last = space.to_string(everywhere("none")), BEST
    assert read(f"epoch 1: {first}\nepoch 2: cell = {last}, 91.2 %\n") == (space.from_string(last), "nasbench201")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("|", "1 node between"),
        (BEST + "+|none~0|", "4 nodes between"),
        (BEST[:-2], "has 3 nodes|node 3 of the cell is written"),
        (BEST[1:], "node 1 of the cell is written"),
        (BEST.replace("~1", "~0"), "node 2 of the cell has input 'nor_conv_3x3~0'; give nor_conv_3x3~1"),
        (BEST.replace("~2", "2"), "has input 'nor_conv_3x32'; give op~2"),
        (BEST.replace("skip_connect", "skip"), "edge 3<-0: unknown operation 'skip'; did you mean 'skip_connect'"),
        (BEST.replace("|nor_conv_3x3~2|", "|"), "node 3 of the cell is written"),
        (BEST.replace("|+|", "|+||"), "node 2 of the cell is written"),
        ("é|~\0", "1 node between"),
        ("", "1 node between"),
    ],
)
def test_a_string_that_is_no_cell_is_refused_in_one_line(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        space.from_string(text)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400


@given(st.text() | st.lists(st.sampled_from(["|", "+", "~", "none", "~0", "|none~0|", "\n"])).map("".join))
@example("|" + "x" * 60_000 + "~0|+||+||")
def test_any_text_is_a_cell_or_refused(text: str) -> None:
    try:
        assert space.from_string(text) in space.SPACE
    except InputError as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 1000


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"2<-1": None}, "'2<-1' is missing"),
        ({"2<-2": "none"}, "unknown choice '2<-2'"),
        ({"2<-1": "conv"}, "edge 2<-1: unknown operation 'conv'"),
        ({"2<-1": ("none",)}, r"'2<-1' is \('none',\); give one of none, skip_connect"),
        ({"2<-1": 3}, "'2<-1' is 3"),
    ],
)
def test_choices_that_make_no_cell_are_refused(change: dict[str, Any], words: str) -> None:
    values = {**dict(everywhere("none").choices), **change}
    with pytest.raises(InputError, match=words):
        space.from_choices({name: value for name, value in values.items() if value is not None})


def test_sampling_draws_every_operation_of_every_edge_alike() -> None:
    rng, draws = Random(0), 2000
    drawn = [space.SPACE.sample(rng) for _ in range(draws)]
    for name in space.NAMES:
        counts = Counter(cell[name] for cell in drawn)
        chi_square = sum((counts[option] - draws / 5) ** 2 / (draws / 5) for option in space.OPERATIONS)
        assert chi_square < 23.5  # of 4 degrees of freedom: one in ten thousand


# --- Equal cells -----------------------------------------------------------------------------------------------------


def test_the_cells_fall_into_6466_classes_by_the_benchmarks_rule_and_4930_sums() -> None:
    for form, number in ((space.benchmark_form, 6466), (space.sum_form, 4930)):
        found = space.classes(form)
        assert len(found) == number
        assert sum(map(len, found.values())) == 15_625


def test_cells_of_one_sum_compute_one_function_and_others_do_not() -> None:
    """In the search form, where a convolution of nothing is nothing."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        supernet = Supernet(channels=2, cells=3, num_classes=3).double()
    for cell in supernet.cells[:1]:  # operations of one name and one input compute one function only if they are equal
        for name in space.OPERATIONS[2:4]:
            chosen = [layers[space.OPERATIONS.index(name)] for layers in cell.edges.values()]  # type: ignore[union-attr]
            for layer in chosen[1:]:
                layer.load_state_dict(chosen[0].state_dict())
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    groups = list(space.classes(space.sum_form).values())
    answers = []
    for group in Random(0).sample([group for group in groups if len(group) > 1], 40):
        with torch.no_grad():
            found = [supernet(x, cell) for cell in Random(0).sample(group, 2)]
        assert torch.allclose(found[0], found[1], rtol=0, atol=1e-9)
        answers.append(found[0])
    different = [not torch.allclose(one, other) for one, other in product(answers, answers) if one is not other]
    assert all(different)


def test_the_two_rules_differ_in_sums_that_a_skip_connection_hands_on() -> None:
    one = space.from_string("|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|")
    other = space.from_string("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")
    dead = space.from_string("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|avg_pool_3x3~2|")
    assert space.sum_form(one) == space.sum_form(other) == space.sum_form(dead)
    assert space.benchmark_form(one) == space.benchmark_form(other)
    assert space.benchmark_form(dead) != space.benchmark_form(other)
    assert space.sum_form(everywhere("none")) == ()


# --- The relaxed cell ------------------------------------------------------------------------------------------------


def test_the_strongest_operation_of_each_edge_is_derived_and_may_be_none() -> None:
    weights = torch.eye(5)[torch.tensor([0, 1, 2, 3, 4, 0])].tolist()
    derived = FAMILIES["nasbench201"].derive({"cell": weights}, space.mixed(space.SPACE))
    assert [derived[name] for name in space.NAMES] == [*space.OPERATIONS, "none"]
    tie = [[0.2] * 5] * 6
    assert space.derive({"cell": tie}, space.OPERATIONS) == everywhere("none")
    assert space.derive({"cell": [[0.4, 0.6]] * 6}, ("none", "nor_conv_1x1")) == everywhere("nor_conv_1x1")


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def supernet_of(form: str = "plain", **sizes: Any) -> Supernet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Supernet(channels=2, cells=5, num_classes=3, form=form, **sizes).double()


@pytest.mark.usefixtures("global_rng")
def test_a_path_the_network_cut_out_and_a_mixture_at_its_vertex_are_one_function() -> None:
    rng = Random(0)
    for form in ("plain", "fast"):
        supernet = supernet_of(form)
        for training in (True, False):
            supernet.train(training)
            cell = space.SPACE.sample(rng)
            mixture = {"cell": planted.nasbench201_vertex(cell, supernet.mixed)["cell"].double()}
            path = supernet(images(4, 3, 8, 8), cell)
            assert torch.allclose(inherit(supernet, cell)(images(4, 3, 8, 8)), path, rtol=0, atol=1e-12)
            assert torch.allclose(supernet(images(4, 3, 8, 8), mixture), path, rtol=0, atol=1e-12)


@forms
def test_what_is_not_on_a_path_is_not_computed_and_has_no_gradient(form: str) -> None:
    supernet, cell = supernet_of(form), space.from_string(BEST)
    computed = set()
    for name, module in supernet.named_modules():
        module.register_forward_hook(lambda *_, name=name: computed.add(name))
    supernet(images(4, 3, 8, 8), cell).sum().backward()
    for position in (0, 2, 4):
        for edge, operations in supernet.cells[position].edges.items():  # type: ignore[union-attr]
            for number, operation in enumerate(space.OPERATIONS):
                on_path = operation == cell[edge]
                assert (f"cells.{position}.edges.{edge}.{number}" in computed) == on_path
                assert all((weight.grad is not None) == on_path for weight in operations[number].parameters())


BY_EDGE = {
    "cell": (
        ("none", "nor_conv_3x3"), ("skip_connect", "avg_pool_3x3"), ("none", "nor_conv_1x1"),
        ("nor_conv_3x3", "skip_connect"), ("nor_conv_1x1", "nor_conv_3x3"), ("avg_pool_3x3", "none"),
    )
}  # fmt: skip


@pytest.mark.parametrize("operations", [space.OPERATIONS, BY_EDGE, ("none",)], ids=["all", "by edge", "none alone"])
def test_the_fast_form_computes_what_the_plain_one_does_gradients_included(operations: Any) -> None:
    found = []
    for form in ("plain", "fast"):
        supernet = supernet_of(form, operations=operations)
        shape = supernet.choice_shapes()["cell"]
        alpha = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).requires_grad_()
        logits = supernet(images(4, 3, 9, 9), {"cell": alpha.softmax(-1)})
        logits.square().sum().backward()
        found.append([logits, alpha.grad, *(tensor.grad for tensor in supernet.parameters())])
    zero = torch.zeros((), dtype=torch.float64)  # what nothing reaches may have no gradient in place of zeros
    for one, other in zip(*found, strict=True):
        one, other = (zero if tensor is None else tensor for tensor in (one, other))
        assert torch.allclose(one, other, rtol=0, atol=1e-10)


@forms
def test_a_supernet_computes_in_bf16_by_autocast(form: str) -> None:
    supernet = supernet_of(form).float()
    with torch.autocast("cpu", torch.bfloat16):
        logits = supernet(images(4, 3, 8, 8).float(), {"cell": torch.full((6, 5), 0.2)})
    exact = supernet(images(4, 3, 8, 8).float(), {"cell": torch.full((6, 5), 0.2)})
    assert torch.allclose(logits.float(), exact, atol=0.2)


def test_what_a_supernet_lacks_cannot_be_cut_out_of_it() -> None:
    with pytest.raises(InputError, match="no operation 'skip_connect' on the edge 1<-0"):
        inherit(supernet_of(operations=("none", "nor_conv_3x3")), everywhere("skip_connect"))


@pytest.mark.usefixtures("global_rng")
def test_a_map_of_odd_size_goes_through_the_network() -> None:
    network = Network(space.from_string(BEST), channels=2, cells=5).eval()
    assert network(torch.zeros(1, 3, 7, 9)).shape == (1, 10)


# --- Counts ----------------------------------------------------------------------------------------------------------

COUNTS = {  # METHODS, section 22: 16 channels, five cells a stage, 10 classes
    "all 3x3 convolutions": (everywhere("nor_conv_3x3"), 1_531_546, 220_119_680),
    "all skip connections": (everywhere("skip_connect"), 73_306, 7_783_040),
    "nothing": (everywhere("none"), 73_306, 7_783_040),
    "best on CIFAR-10": (space.from_string(BEST), 1_288_506, 184_730_240),
}


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_benchmarks_network(name: str) -> None:
    cell, params, macs = COUNTS[name]
    cost = count(cell)
    assert (cost.params, cost.params_with_auxiliary, cost.macs) == (params, params, macs)
    more = count(cell, num_classes=100)
    assert (more.params - params, more.macs - macs) == (5_850, 5_760)
    assert count(cell, num_classes=120).params - params == 7_150


def test_the_counts_of_twenty_cells_are_those_of_the_benchmarks_code(reference: Path) -> None:
    record = json.loads((reference / "reference" / "nb201_counts.json").read_text())
    for entry in record["cells"]:
        for classes in (10, 100):
            cost = count(read(entry["arch"])[0], num_classes=classes)
            assert (cost.params, cost.macs) == (entry[f"params_{classes}"], entry[f"macs_{classes}"])
    assert len(record["cells"]) == 20


def test_a_supernet_has_the_weights_of_every_operation_of_every_edge() -> None:
    found = count_supernet(space.SPACE, channels=2, cells=5, num_classes=3, image_size=8)
    assert found.params == sum(tensor.numel() for tensor in supernet_of().parameters())


def test_an_unknown_network_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="unknown network 'imagenet'"):
        count(everywhere("none"), "imagenet")


# --- The benchmark's own numbers --------------------------------------------------------------------------------------


@cache
def arrays(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return {name: file[name] for name in file}


def tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors under a prefix, by our names."""
    content = arrays(path)
    return {
        our_name(name.removeprefix(prefix)): torch.from_numpy(content[name])
        for name in content
        if name.startswith(prefix)
    }


@pytest.fixture(params=["plain", "fast"])
def golden(request: pytest.FixtureRequest, reference: Path) -> tuple[Supernet, dict[str, Any], Path]:
    path = reference / "reference" / "nb201_supernet.npz"
    with torch.random.fork_rng():
        supernet = Supernet(channels=4, cells=5, form=request.param).double()
    supernet.load_state_dict(tensors(path, "state/"))
    return supernet, arrays(path), path


def error(found: Tensor, expected: Any) -> float:
    """The largest difference, relative to the largest number."""
    wanted = torch.as_tensor(expected)
    assert found.shape == wanted.shape
    return float((found.detach() - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30))


def test_the_mixture_and_all_its_gradients_are_the_benchmarks(golden: tuple[Supernet, dict[str, Any], Path]) -> None:
    supernet, content, path = golden
    alpha = torch.from_numpy(content["alphas"]).clone().requires_grad_()
    logits = supernet(torch.from_numpy(content["x"]), {"cell": alpha.softmax(-1)})
    loss = F.cross_entropy(logits, torch.from_numpy(content["y"]))
    loss.backward()
    assert error(logits, content["darts/logits"]) < 1e-8
    assert error(loss, content["darts/loss"]) < 1e-8
    assert error(alpha.grad, content["darts/grad_alphas"]) < 1e-8  # type: ignore[arg-type]
    expected = tensors(path, "darts/grad/")
    own = {name: tensor.grad for name, tensor in supernet.named_parameters()}
    assert own.keys() == expected.keys()
    for name, gradient in own.items():
        assert gradient is not None
        assert float((gradient - expected[name]).abs().max()) < 1e-8 * max(1.0, float(expected[name].abs().max()))
    derived = space.derive({"cell": alpha.softmax(-1).tolist()}, space.OPERATIONS)
    assert space.to_string(derived) == str(content["darts/genotype"])
    with torch.no_grad():
        chosen = supernet(torch.from_numpy(content["x"]), derived)
    assert error(chosen, content["select/logits"]) < 1e-8


def test_single_paths_are_the_benchmarks_and_leave_the_same_weights_alone(
    golden: tuple[Supernet, dict[str, Any], Path],
) -> None:
    supernet, content, _ = golden
    for path in range(3):
        supernet.zero_grad()
        logits = supernet(torch.from_numpy(content["x"]), read(str(content[f"path/{path}/arch"]))[0])
        loss = F.cross_entropy(logits, torch.from_numpy(content["y"]))
        loss.backward()
        assert error(logits, content[f"path/{path}/logits"]) < 1e-8
        assert error(loss, content[f"path/{path}/loss"]) < 1e-8
        unused = {name for name, tensor in supernet.named_parameters() if tensor.grad is None}
        assert unused == {our_name(name) for name in json.loads(str(content[f"path/{path}/unused"]))}
        grads = [tensor.grad for tensor in supernet.parameters() if tensor.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in grads]))
        assert error(norm, content[f"path/{path}/grad_norm"]) < 1e-8


@pytest.mark.parametrize("number", [0, 1])
def test_the_final_network_is_the_benchmarks(number: int, reference: Path) -> None:
    path = reference / "reference" / "nb201_network.npz"
    content = arrays(path)
    with torch.random.fork_rng():
        network = Network(read(str(content[f"{number}/arch"]))[0], channels=4, cells=5).double()
    network.load_state_dict(tensors(path, f"{number}/state/"))
    x = torch.from_numpy(content["x"])
    assert error(network.eval()(x), content[f"{number}/logits_eval"]) < 1e-8
    logits = network.train()(x)
    assert error(logits, content[f"{number}/logits_train"]) < 1e-8
    loss = F.cross_entropy(logits, torch.from_numpy(content["y"]))
    assert error(loss, content[f"{number}/loss_train"]) < 1e-8


# --- In the house ----------------------------------------------------------------------------------------------------


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    show.execute(words)
    return capsys.readouterr().out


@pytest.fixture
def cell_file(tmp_path: Path) -> str:
    path = tmp_path / "cell.txt"
    path.write_text(BEST + "\n")
    return str(path)


def test_show_reads_counts_and_draws_a_string(cell_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(shown([cell_file, "--json"], capsys))
    assert (found["space"], found["notation"]) == ("nasbench201", "nasbench201")
    assert (found["params"], found["macs"]) == (1_288_506, 184_730_240)
    assert (found["channels"], found["cells"], found["classes"], found["image_size"]) == (16, 17, 10, 32)
    assert read(json.dumps(found["genotype"]))[0] == space.from_string(BEST)
    more = json.loads(shown([cell_file, "--json", "--classes", "100"], capsys))
    assert (more["params"], more["macs"], more["classes"]) == (1_294_356, 184_736_000, 100)
    text = shown([cell_file], capsys)
    assert BEST in text
    assert "out = skip_connect(in) + nor_conv_3x3(n1) + nor_conv_3x3(n2)" in text
    assert "17 cells, 10 classes, 32x32: 1,288,506 parameters, 184,730,240 multiply-adds" in text


def test_a_family_whose_network_has_another_name_is_counted_and_shown_without_naming_it(
    cell_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    family, expected = FAMILIES["nasbench201"], count(space.from_string(BEST))
    monkeypatch.setitem(FAMILIES, "nasbench201", replace(family, sizes={"mobile": family.sizes["cifar"]}))
    assert count(space.from_string(BEST)) == expected
    show.execute([cell_file, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["network"], found["params"], found["macs"]) == ("mobile", expected.params, expected.macs)


def test_what_show_cannot_do_with_this_space_is_refused(cell_file: str) -> None:
    with pytest.raises(InputError, match="the space nasbench201 has the network cifar"):
        show.execute([cell_file, "--network", "imagenet"])
    with pytest.raises(InputError, match="the space nasbench201 has none"):
        show.execute([cell_file, "--against", "DARTS_V2"])
    with pytest.raises(InputError, match="not of 'nasbench201'; give nasbench201 or json"):
        write(space.from_string(BEST), "quark0")
    with pytest.raises(InputError, match="not of 'darts'; give quark0 or nested or nnabla or json"):
        write(tiny.SPACE.sample(Random(0)), "nasbench201")


def test_a_node_that_nothing_reaches_is_told_as_0() -> None:
    told = space.lines(everywhere("none"))
    assert told[-3:] == ["  n1 = 0", "  n2 = 0", "  out = 0"]


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_the_picture_has_four_nodes_and_every_operation_but_none(ending: str, tmp_path: Path) -> None:
    cell = space.from_string("|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|")
    (graph,) = space.graphs(cell)
    assert graph.nodes == ("in", "n1", "n2", "out")
    assert graph.edges == (
        ("in", "n1", "avg_pool_3x3"), ("n1", "n2", "skip_connect"),
        ("in", "out", "nor_conv_1x1"), ("n2", "out", "nor_conv_3x3"),
    )  # fmt: skip
    picture = draw(cell, tmp_path / f"cell.{ending}", title="a cell").read_bytes()
    assert len(picture) > 1000
    if ending == "svg":
        text = picture.decode()
        assert all(word in text for word in (">in<", ">n1<", ">n2<", ">out<", "avg_pool_3x3", "nor_conv_3x3", "a cell"))
        assert "none" not in text.replace('"none"', "")


def test_a_network_trains_and_refuses_settings_that_it_has_no_part_for(tmp_path: Path) -> None:
    data, base = tiny.digits(), {**tiny.TRAIN, "epochs": 1, "drop_path": 0.0}
    config = train.Config(**base)
    network = sized(space.from_string(BEST), config, data)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), architecture=network.architecture) as run:
        score = train.fit(config, network, data, run)
    assert score.params == sum(tensor.numel() for tensor in network.parameters())
    for change, words in (
        ({"auxiliary": True}, "--no-auxiliary"),
        ({"drop_path": 0.1}, "--drop-path is 0.1"),
        ({"stem": "imagenet"}, "--stem"),
    ):
        with pytest.raises(InputError, match=words):
            sized(network.architecture, SimpleNamespace(**{**vars(config), **change}), data)
