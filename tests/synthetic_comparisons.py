"""Comparisons made up by a random number generator: what their page reads, without a search. No torch."""

from collections.abc import Sequence
from itertools import accumulate
from random import Random

from dartboard.studies.contenders import Comparison, Contender, Repetition, Role

Named = tuple[str, Role, float]  # label, role, the greatest accuracy that is likely
ON_A_TABLE: tuple[Named, ...] = (
    ("regularized_evolution", "method", 0.9430),
    ("reinforce, lstm = false", "method", 0.9428),
    ("reinforce, lstm = true", "method", 0.9405),
    ("random search", "random at equal cost", 0.9400),
    ("most multiply-adds", "most multiply-adds", 0.9380),
)
ON_DATA: tuple[Named, ...] = (
    ("darts", "method", 0.93),
    ("regularized_evolution", "method", 0.96),
    ("random search", "random at equal cost", 0.95),
    ("most multiply-adds", "most multiply-adds", 0.94),
)


def repeated(seed: int, result: float | None, cost: float = 1.0, **more: object) -> Repetition:
    return Repetition(seed, result, cost, **more)  # type: ignore[arg-type]


def plain(results: dict[str, Sequence[float | None]], roles: Sequence[Role] = (), **changes: object) -> Comparison:
    """Contenders with these results by seed from 0, without curves; the roles of the last of them."""
    given: list[Role] = [*["method"] * (len(results) - len(roles)), *roles]  # type: ignore[list-item]
    contenders = tuple(
        Contender(label, tuple(repeated(seed, value) for seed, value in enumerate(values)), role, label)
        for (label, values), role in zip(results.items(), given, strict=True)
    )
    fields = {"title": "Comparison", "space": "nasbench201", "unit": "trials", "budget": 1.0}
    fields |= {"scored_by": "table made-up.csv", "result_is": "accuracy of a column nobody saw"}
    return Comparison(**{**fields, "contenders": contenders, **changes})  # type: ignore[arg-type]


def on_a_table(seeds: int = 500, trials: int = 200, named: Sequence[Named] = ON_A_TABLE) -> Comparison:
    """Curves of equal costs; the contender of most multiply-adds has none."""
    costs = tuple(float(number) for number in range(1, trials + 1))
    contenders = []
    for label, role, top in named:
        found = []
        for seed in range(seeds):
            rng = Random(f"{label} {seed}")
            level = top - abs(rng.gauss(0, 0.003))
            scores = (level - 0.25 * rng.betavariate(0.8, 4) for _ in range(trials))
            best = tuple(accumulate(scores, max))
            curve = {"costs": costs, "best": best} if role != "most multiply-adds" else {}
            found.append(repeated(seed, best[-1], float(trials), seconds=0.05, architecture="|a~0|", **curve))
        contenders.append(Contender(label, tuple(found), role, label.split(",")[0], label.partition(", ")[2]))
    return Comparison(
        "Methods compared", "nasbench201", "trials", float(trials), "table accuracies.csv, test_seed0 seen",
        "accuracy in the column test_seed1, which no method saw", tuple(contenders),
        {"hardware": "2 cores of an imaginary processor", "commit": "0123456"},
    )  # fmt: skip


def on_data(seeds: int = 3, budget: float = 600.0) -> Comparison:
    """Costs in seconds, different in each repetition; one is unfinished, one contender has no curve."""
    contenders = []
    for label, role, top in ON_DATA:
        found = []
        for seed in range(seeds):
            rng = Random(f"{label} {seed}")
            costs = tuple(accumulate(rng.uniform(20, 60) for _ in range(12)))
            best = tuple(accumulate((top - 0.3 * rng.betavariate(1, 4) for _ in costs), max))
            curve = {"costs": costs, "best": best} if label != "darts" else {}
            result = None if (label, seed) == ("regularized_evolution", seeds - 1) else best[-1] - 0.01
            more = {"seconds": costs[-1] + 20, "peak_memory_mb": 800.0 + 10 * seed, "folder": f"runs/{label}-s{seed}"}
            found.append(repeated(seed, result, costs[-1], architecture="Genotype(...)", **more, **curve))
        contenders.append(Contender(label, tuple(found), role, label))
    return Comparison(
        "Methods compared", "darts", "seconds", budget, "trainings of 1 epoch on digits",
        "accuracy on the test images after a training", tuple(contenders), {"device": "cpu, 2 threads"},
    )  # fmt: skip
