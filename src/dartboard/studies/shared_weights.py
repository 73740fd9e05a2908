"""Scores by the supernet's weights: the discretisation gap, every change of the found cell, random cells."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor

from dartboard import formats
from dartboard.networks.darts import Network, NetworkCell, inherit
from dartboard.networks.layers import Zero
from dartboard.scoring.evaluate import Answers, answers, calibration_images, recalibrate, restored_buffers
from dartboard.spaces import darts as cells_space
from dartboard.spaces.search_space import Architecture
from dartboard.studies.subject import Search, Study, record_answers
from dartboard.studies.variants import Variant, variants
from dartboard.tasks.images import placed_like


def discretisation(one: Study) -> None:
    """From the relaxed supernet to the cell cut out of it, step by step."""
    search = one.search
    cut_out = inherited(search)
    hard = one_hot(search)
    steps: dict[str, Callable[[], Answers]] = {
        "soft": lambda: by_batch_statistics(one, search.weights),
        "one-hot": lambda: by_batch_statistics(one, hard),
        "cell": lambda: by_batch_statistics(one, search.architecture),
        "inherited": lambda: by_running_statistics(one, cut_out, recalibrated=False),
        "recalibrated": lambda: by_running_statistics(one, cut_out, recalibrated=True),
    }
    for name, answer in steps.items():
        record_answers(one, f"gap/{name}", answer)


def one_hot(search: Search) -> dict[str, Tensor]:
    """The mixture in which every edge has only its strongest operation other than `none`; all edges remain."""
    mixed, found = cells_space.mixed(search.space), {}
    for kind, rows in search.weights.items():
        hard = torch.zeros_like(rows)
        for edge, names in enumerate(mixed[kind]):
            row = [-1.0 if name == "none" else weight for name, weight in zip(names, rows[edge].tolist(), strict=True)]
            hard[edge, row.index(max(row))] = 1.0
        found[kind] = hard
    return found


def by_batch_statistics(one: Study, choice: Any) -> Answers:
    """A choice in the supernet, each batch normalised by its own mean and variance, as in the search."""
    supernet = one.search.supernet
    place = placed_like(supernet)
    was_training = supernet.training
    supernet.train()
    with restored_buffers(supernet):
        found = answers(lambda x: supernet(place(x), choice), one.val, one.search.data, one.search.batch_size)
    supernet.train(was_training)
    return found


def by_running_statistics(one: Study, network: Network, *, recalibrated: bool) -> Answers:
    """A network in evaluation mode: with its own running statistics, or with new ones from training images."""
    data, place = one.search.data, placed_like(network)

    def predict(x: Tensor) -> Tensor:
        return network.logits(place(x), form="fast")[0]

    if recalibrated:
        recalibrate(network, predict, calibration_images(network, data.train, data, one.index))
    was_training = network.training
    network.eval()
    found = answers(predict, one.val, data)
    network.train(was_training)
    return found


def inherited(search: Search, architecture: Architecture | None = None) -> Network:
    """A cell cut out of the supernet; by default the found one. Draws nothing from the global generator."""
    with torch.random.fork_rng():
        return inherit(search.supernet, architecture or search.architecture)


def cut(search: Search, variant: Variant) -> Network:
    """The network of a variant, with the supernet's weights; a removed operation need not be in the supernet."""
    if variant.change != "removed":
        return inherited(search, variant.architecture)
    network = inherited(search)
    for cell in network.cells:
        assert isinstance(cell, NetworkCell)
        if cell.reduction == (variant.kind == "reduce"):
            before = sum(len(node) for node in cell.cell.nodes[: variant.node - cells_space.NUM_INPUTS])
            strided = cell.reduction and variant.before[1] < cells_space.NUM_INPUTS
            cell.ops[before + variant.input] = Zero(2 if strided else 1)
    return network


def score_variants(one: Study) -> None:
    """Every single change of the found cell, by shared weights and recalibrated statistics."""
    found = list(all_variants(one.search))
    for number, variant in enumerate(found):
        record_answers(
            one,
            f"variant/{variant.key}",
            lambda variant=variant: by_running_statistics(one, cut(one.search, variant), recalibrated=True),  # type: ignore[misc]
        )
        if (number + 1) % 20 == 0 or number + 1 == len(found):
            one.on_progress(f"scored {number + 1} of {len(found)} changes of the cell")


def all_variants(search: Search) -> Iterator[Variant]:
    return variants(search.architecture, cells_space.mixed(search.space))


def score_samples(one: Study) -> None:
    """Random cells of the space, by shared weights and recalibrated statistics."""
    for number, architecture in enumerate(sampled(one.search, one.config.samples)):
        record_answers(
            one,
            f"sample/{number}",
            lambda drawn=architecture: by_running_statistics(one, inherited(one.search, drawn), recalibrated=True),  # type: ignore[misc]
            architecture=architecture.to_json(),
        )


def score_beside(one: Study) -> None:
    """The cells given with --beside, by shared weights and recalibrated statistics."""
    for number, (label, architecture) in enumerate(others(one.config.beside)):
        record_answers(
            one,
            f"beside/{number}",
            lambda other=architecture: by_running_statistics(one, inherited(one.search, other), recalibrated=True),  # type: ignore[misc]
            architecture=architecture.to_json(),
            label=label,
        )


def others(words: Sequence[str]) -> list[tuple[str, Architecture]]:
    """(label, architecture) of run folders, files and published names. Raises InputError."""
    return [(label, architecture) for architecture, _, label in map(formats.resolve, words)]


def sampled(search: Search, number: int) -> list[Architecture]:
    """Cells drawn from the space, every choice uniform; the same ones for the same seed of the run."""
    rng = Random(search.run.generator("why-samples").initial_seed())
    return [search.space.sample(rng) for _ in range(number)]
