"""SPOS: shares of paths, bands of multiply-adds, and the evolution with what it promises."""

from collections import Counter
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pytest

import path_settings
import tiny
from dartboard import formats
from dartboard.cli import main
from dartboard.config import Setup
from dartboard.data import Data
from dartboard.errors import InputError
from dartboard.methods import spos
from dartboard.runs.run import Run
from dartboard.scoring.limits import band_from
from dartboard.scoring.scorers import Score
from dartboard.search import paths
from dartboard.spaces import nasbench201
from dartboard.spaces.search_space import Architecture, SearchSpace

SMALL = nasbench201.space("two operations", "made up", ("skip_connect", "nor_conv_3x3"))  # 64 cells of 7 sizes
FULL = nasbench201.SPACE
EVOLUTION = {"population": 10, "generations": 4, "kept": 3, "mutations": 4, "crossovers": 3, "recalibrate": 8}


def config_of(**changes: Any) -> spos.Config:
    return spos.Config(**{**path_settings.BASE, **EVOLUTION, **changes})


COUNT = paths.counting(config_of(), tiny.digits())


@cache
def costs() -> dict[Architecture, int]:
    """Multiply-adds of the 64 cells."""
    return {architecture: COUNT(architecture).macs for architecture in SMALL.enumerate()}


# --- Which paths train ------------------------------------------------------------------------------------------------


def chi_square(counts: Counter[Any], expected: dict[Any, float]) -> float:
    assert counts.keys() <= expected.keys()
    return sum((counts[key] - share) ** 2 / share for key, share in expected.items())


def drawn_paths(steps: int, tmp_path: Path, **changes: Any) -> list[Architecture]:
    """The paths that a search trains in its steps, as `search` draws them."""
    config = config_of(**changes)
    with Run.create(tmp_path / "run", config, setup=Setup(device="cpu"), method="spos") as run:
        return [spos.path(config, SMALL, COUNT, paths.stream(run, "path", step)) for step in range(steps)]


def test_every_path_trains_equally_often(tmp_path: Path) -> None:
    """63 degrees of freedom: a chi-square above 117 has a chance of 1 in 25,000."""
    counts = Counter(drawn_paths(3200, tmp_path))
    assert chi_square(counts, dict.fromkeys(SMALL.enumerate(), 50.0)) < 117


def test_every_bin_of_a_band_trains_equally_often_and_in_it_every_path(tmp_path: Path) -> None:
    """With as many bins as there are sizes, each size is drawn equally often, whether 1 or 20 of 64 cells have it."""
    sizes = sorted(set(costs().values()))
    step = sizes[1] - sizes[0]
    assert [size - sizes[0] for size in sizes] == [step * number for number in range(7)]
    band = f"{sizes[0] - step // 2}-{sizes[-1] + step // 2}"
    drawn = drawn_paths(2100, tmp_path, band=band, bins=7)
    by_size = Counter(costs()[path] for path in drawn)
    assert chi_square(by_size, dict.fromkeys(sizes, 300.0)) < 25  # 6 degrees of freedom: 1 in 3,000
    same = Counter(path for path in drawn if costs()[path] == sizes[3])
    of_size = [path for path, cost in costs().items() if cost == sizes[3]]
    assert chi_square(same, dict.fromkeys(of_size, same.total() / len(of_size))) < 50  # 19: 1 in 8,000


def test_where_no_path_is_in_the_bin_the_nearest_of_those_drawn_trains(tmp_path: Path) -> None:
    sizes = sorted(set(costs().values()))
    wide = config_of(band=f"{sizes[-1]}-{sizes[-1] * 3}", bins=2)  # its second bin is beyond the largest
    found = {costs()[spos.path(wide, SMALL, COUNT, Random(seed))] for seed in range(4)}
    assert found == {sizes[-1]}


@pytest.mark.parametrize("band", ["290M", "360M-290M", "290M-290M", "a-b", "290-360T"])
def test_a_band_that_is_none_is_refused(band: str) -> None:
    with pytest.raises(InputError, match=r"--band is .*; give the least and the most multiply-adds"):
        spos.Config(band=band)
    assert band_from("290M-360M") == (290e6, 360e6) and band_from("1.5k-2G") == (1500.0, 2e9) and band_from("") is None


# --- The evolution ----------------------------------------------------------------------------------------------------


def evolved(
    folder: Path, monkeypatch: pytest.MonkeyPatch, space: SearchSpace, value: Any, **changes: Any
) -> tuple[paths.Result, list[dict[str, Any]], list[Architecture]]:
    """A search whose candidates have the scores that `value` gives them: its result, its metrics, what was scored."""
    asked: list[Architecture] = []

    def scorer(config: spos.Config, supernet: object, data: Data) -> Any:
        def score(architecture: Architecture, number: int) -> Score:
            asked.append(architecture)
            return Score(value(architecture, len(asked)), source="made up")

        return score

    monkeypatch.setattr(spos, "scorer", scorer)
    config = config_of(**changes)
    with Run.create(folder, config, setup=Setup(device="cpu"), method="spos") as run:
        result = spos.search(config, space, tiny.digits(), run)
    return result, tiny.history(folder), asked


def of_event(history: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in history if line["event"] == event]


def convolutions(architecture: Architecture, number: int) -> float:
    return str(architecture).count("nor_conv_3x3") / 6


def test_no_candidate_is_over_the_limit_none_is_scored_twice_and_random_draws_are_as_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = sorted(COUNT(FULL.sample(Random(seed))).macs for seed in range(101))[50]  # about half of all are within
    result, history, asked = evolved(
        tmp_path / "run", monkeypatch, FULL, convolutions, limit=f"macs<={limit},params<=100M"
    )
    trials, random = of_event(history, "trial"), of_event(history, "random")
    assert len(trials) == len(random) == 40 and [line["trial"] for line in random] == list(range(40))
    assert all(line["macs"] <= limit for line in (*trials, *random)) and result.cost.macs <= limit
    assert len(set(asked)) == len(asked)
    texts = {line["architecture"] for line in trials}
    assert len(texts) == 40 == len({line["architecture"] for line in random})
    assert len(asked) == len(texts | {line["architecture"] for line in random}) < 80  # the first one is in both
    told = history[-1]
    assert (told["scorings"], told["random_scorings"]) == (40, 40)
    assert told["score"] == max(line["score"] for line in trials) >= told["random_score"]
    best = max(random, key=lambda line: line["score"])
    assert (told["random_score"], told["random_architecture"]) == (best["score"], best["architecture"])


def test_the_children_of_the_last_generation_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each score is higher than those before, so the last child that is scored is the best of the evolution."""
    result, history, _ = evolved(tmp_path / "run", monkeypatch, FULL, lambda architecture, number: number / 1000)
    last = of_event(history, "trial")[-1]
    assert last["generation"] == 3 and result.number == history[-1]["trial"] == last["trial"] == 39
    assert result.architecture == formats.read(last["architecture"])[0] and history[-1]["score"] == 0.04


def test_a_generation_is_mutations_crossovers_and_the_rest_at_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, history, _ = evolved(tmp_path / "run", monkeypatch, FULL, convolutions, mutation_chance=0.5)
    made = [Counter(line["made"] for line in of_event(history, "trial") if line["generation"] == t) for t in range(4)]
    assert made[0] == {"random": 10}
    assert all(one.total() == 10 and one["mutation"] == 4 for one in made[1:])
    assert made[1]["crossover"] == 3 and made[1]["random"] == 3


def test_children_are_made_of_the_parents_and_within_what_fits() -> None:
    parents, first = [nasbench201.architecture([name] * 6) for name in ("none", "nor_conv_3x3")], FULL.smallest()
    config = config_of(population=20, mutations=8, crossovers=8, mutation_chance=0.2)
    born = spos.children(config, FULL, lambda one: one != first, parents, parents, first, Random(0))
    assert len({child for child, _ in born}) == len(born) == 20
    for child, made in born:
        values = [value for _, value in child.choices]
        assert made != "crossover" or set(values) <= {"none", "nor_conv_3x3"}
        assert child not in (*parents, first)


def test_a_space_smaller_than_the_evolution_is_scored_whole_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, history, asked = evolved(
        tmp_path / "run", monkeypatch, SMALL, convolutions, population=40, generations=3, mutations=5, crossovers=5
    )
    assert len(of_event(history, "trial")) == len(of_event(history, "random")) == len(asked) == 64
    assert result.architecture == nasbench201.architecture(["nor_conv_3x3"] * 6)
    assert history[-1]["random_score"] == history[-1]["score"] == 1.0


def test_evolution_does_better_than_as_many_random_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = FULL.sample(Random(1000))

    def alike(architecture: Architecture, number: int) -> float:
        return sum(pair in best.choices for pair in architecture.choices) / 6

    more = {"population": 20, "generations": 10, "kept": 5, "mutations": 10, "mutation_chance": 0.2, "crossovers": 5}
    _, history, _ = evolved(tmp_path / "run", monkeypatch, FULL, alike, **more)
    assert history[-1]["score"] == 1.0 > history[-1]["random_score"]


# --- The command ------------------------------------------------------------------------------------------------------

SEARCH = ["search", "spos", "--data", "digits", "--max-images", "64", "--batch-size", "16", "--channels", "2"]
SEARCH += ["--epochs", "1", "--population", "3", "--generations", "2", "--mutations", "1", "--crossovers", "1"]


def test_the_command_searches_under_a_limit_and_its_page_shows_the_random_draws(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = [*SEARCH, "--space", "nasbenchmacro", "--limit", "macs<=40k", "--band", "10k-60k"]
    assert main([*words, "--out", str(out)]) == 0, capsys.readouterr().err
    metrics = Run.open(out).metrics()
    assert all(line["macs"] <= 40_000 for line in metrics if line["event"] in ("trial", "random", "result"))
    page = (out / "report.html").read_text()
    assert "best of random draws" in page and "The supernet" in page


WRONG = {
    "--limit macs<=10": "the smallest architecture of nasbench201 has ",
    "--band 1-2": "--band 1-2: none of 20 paths of nasbench201 is within it; they have ",
    "--band 1": "--band is '1'",
    "--limit watts<=1": "'watts'",
    "--trials 3": "--trials is for methods that score architectures one by one, and spos is none",
    "--population 0": "--population is 0; give 1 to 1e+06",
    "--mutation-chance 2": "--mutation-chance",
}


@pytest.mark.parametrize("flags", WRONG)
def test_wrong_input_is_one_line_and_makes_no_folder(
    flags: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spos, "DRAWS", 20)
    words = [*SEARCH, "--cells", "3", "--space", "nasbench201", *flags.split(), "--out", str(tmp_path / "run")]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and WRONG[flags] in said
    assert not (tmp_path / "run").exists()


def test_the_preset_paper_is_the_papers_text() -> None:
    config = spos.Config(**spos.PAPER)  # type: ignore[arg-type]
    assert (config.batch_size, config.lr, config.lr_min, config.weight_decay) == (1024, 0.5, 0.0, 4e-5)
    steps_of_imagenet = config.epochs * 1_281_167 // config.batch_size
    assert steps_of_imagenet == pytest.approx(150_000, rel=0.01) and config.recalibrate == 200 * 128
    assert config.dropout == config.label_smoothing == 0.1
    one = spos.Config()
    assert (one.population, one.generations, one.kept, one.mutations, one.crossovers) == (50, 20, 10, 25, 25)
    assert one.mutation_chance == 0.1
