"""Many seeds at once on a table: what each search scores, without its run."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dartboard.config import Setup
from dartboard.errors import InputError
from dartboard.methods import ppo, random_search, regularized_evolution, reinforce
from dartboard.runs.run import Run
from dartboard.scoring.scorers import by_table
from dartboard.scoring.tables import Table
from dartboard.search import on_tables, trials
from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture
from trial_settings import chance

SPACE = nasbench201.space("nasbench201", "made up", ("none", "nor_conv_3x3"))  # 64 cells
SCORES = {one: chance(one, 0).value for one in SPACE.enumerate()}
TABLE = Table(SPACE, "seen", "shown", SCORES, SCORES, ())


def scored_by_runs(method: Any, config: Any, folder: Path, seeds: range) -> Iterator[tuple[int, list[Architecture]]]:
    """What real searches look up in the table, seed by seed."""
    look_up = by_table(TABLE)
    for seed in seeds:
        seen: list[Architecture] = []

        def scorer(architecture: Architecture, number: int, seen: list[Architecture] = seen) -> Any:
            seen.append(architecture)
            return look_up(architecture, number)

        setup = Setup(device="cpu", seed=seed)
        with Run.create(folder / str(seed), config, setup=setup, space=SPACE.name) as run:
            method.search(config, SPACE, None, run, scorer=scorer)
        yield seed, seen


@pytest.mark.parametrize(
    ("method", "seeds", "settings"),
    [
        (random_search, 20, {}),
        (regularized_evolution, 20, {}),
        (reinforce, 20, {"controller_lr": 0.3}),
        (regularized_evolution, 3, {"batch": 7, "limit": "macs<=100M"}),
        (reinforce, 3, {"batch": 7, "controller_lr": 0.3, "entropy_weight": 0.1, "limit": "macs<=100M"}),
        (ppo, 3, {"batch": 7, "controller_lr": 0.3}),
        (reinforce, 2, {"controller": "lstm", "controller_lr": 0.1, "batch": 4, "trials": 20}),
    ],
    ids=lambda value: value.__name__.split(".")[-1] if hasattr(value, "__name__") else str(value),
)
def test_each_seed_scores_what_a_search_of_that_seed_scores(
    method: Any, seeds: int, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_tables, "TOGETHER", 8)  # the last seeds are fewer
    config = method.Config(**{"trials": 60, **settings})
    name = method.__name__.split(".")[-1]
    found = list(on_tables.run(name, config, SPACE, TABLE, range(seeds)))
    assert found == list(scored_by_runs(method, config, tmp_path, range(seeds)))
    assert len({tuple(own) for _, own in found}) == seeds and {len(own) for _, own in found} == {config.trials}


def test_a_trials_stream_is_that_of_its_run(tmp_path: Path) -> None:
    with Run.create(tmp_path / "run", random_search.Config(), setup=Setup(seed=12)) as run:
        by_torch = run.generator("trial", 34).initial_seed()
    assert trials.stream(12, 34).random() == Random(by_torch).random()


def test_a_table_of_another_space_is_refused() -> None:
    with pytest.raises(InputError, match="the table is of the space nasbench201"):
        next(on_tables.run("reinforce", reinforce.Config(), nasbench201.SPACE, TABLE, [0]))
