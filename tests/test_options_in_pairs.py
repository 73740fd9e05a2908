"""Options beside each other: each of two has its effect, whether the other is given or not."""

import tomllib
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch

import plain_loop
import test_contracts
import test_training
import tiny
from dartboard import testing, train
from dartboard.cli import main
from dartboard.config import Setup, field_names, flag
from dartboard.data import load_data
from dartboard.errors import InterruptedRunError
from dartboard.methods import METHODS, darts
from dartboard.runs.limits import limits_of
from dartboard.runs.run import Run
from dartboard.tasks import task_of
from dartboard.testing.methods import Tried


def in_pairs(count: int) -> list[set[int]]:
    """Few sets of numbers below count, in which each two are both there, both not there, and one without the other."""
    bits = range(max(1, (count - 1).bit_length()))
    halves = [{number for number in range(count) if number >> bit & 1} for bit in bits]
    return [set(range(count)), set(), *halves, *(set(range(count)) - half for half in halves)]


def test_the_sets_try_each_two_in_all_four_ways() -> None:
    for count in (1, 2, 5, 37, 64):
        for one, other in combinations(range(count), 2):
            assert len({(one in given, other in given) for given in in_pairs(count)}) == 4


# --- How long to work ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "until", "seconds", "steps"),
    [
        ("7steps", "1h", 3600.0, 7),
        ("2h", "1h", 3600.0, None),
        ("1h", "2h", 3600.0, None),
        ("7steps", None, float("inf"), 7),
        (None, "1h", 3600.0, None),
        (None, None, float("inf"), None),
    ],
)
def test_of_a_budget_and_an_end_the_nearer_holds(
    budget: str | None, until: str | None, seconds: float, steps: int | None
) -> None:
    limits = limits_of(budget, until)
    assert (limits.seconds, limits.steps) == (seconds, steps)


@pytest.mark.parametrize(
    ("budget", "until", "reason"),
    [
        ("3steps", "1h", "budget of 3 steps"),
        ("1000steps", "0.05s", "time limit"),
        ("1h", "0.05s", "time limit"),
        ("0.05s", "1h", "time limit"),
    ],
)
@pytest.mark.parametrize("resumed", [False, True], ids=["begun", "resumed"])
def test_whichever_of_a_budget_and_an_end_comes_first_stops_the_run(
    budget: str, until: str, reason: str, resumed: bool, tmp_path: Path
) -> None:
    run = plain_loop.begin(tmp_path / "run", Setup(device="cpu", budget=budget, until=until))
    if resumed:
        run.close()
        run = Run.open(tmp_path / "run", write=True)
        run.limits = limits_of(budget, until)
    with pytest.raises(InterruptedRunError, match=f"stopped by {reason}"):
        plain_loop.resume(run, 0.002)
    assert not run.done and (len(run.metrics()) == 3) == ("steps" in reason)


def test_a_command_that_goes_on_heeds_both_as_one_that_begins_does(tmp_path: Path) -> None:
    words = ["train", "DARTS_V1", "--data", "digits", "--max-images", "48", "--channels", "2", "--cells", "3"]
    words += ["--batch-size", "16", "--epochs", "2", "--device", "cpu", "--no-auxiliary"]
    for number, limits in enumerate((("1steps", "1h"), ("1h", "0.001s"), ("1000steps", "0.001s"))):
        folder, both = tmp_path / str(number), ["--budget", limits[0], "--until", limits[1]]
        for command in ([*words, "--out", str(folder)], ["resume", str(folder)]):
            assert main([*command, *both]) == 0 and not Run.open(folder).done
        assert main(["resume", str(folder), "--budget", "1000steps", "--until", "1h"]) == 0
        assert Run.open(folder).done


# --- Flags, files, presets -------------------------------------------------------------------------------------------

SETUP: dict[str, Any] = {  # a value unlike the default of each field
    "data": "digits-inverted",
    "data_dir": "/",
    "download": True,
    "image_size": 9,
    "max_classes": 5,
    "stream": "never",
    "official_split": True,
    "max_images": 60,
    "device": "cpu",
    "threads": 3,
    "seed": 7,
    "precision": "float64",
    "save_every": "1m",
    "budget": "3steps",
    "until": "1h",
}
CASES = {
    "search": {**test_contracts.METHOD_CASES["darts"].changes, "keep_every": (2, {}), "latency": ("/table.json", {})},
    "train": test_training.CASES,
}
BESIDE = {"search": tiny.SEARCH, "train": test_training.COLOURED}  # values unlike those of the cases
WORDS = {"search": ["search", "darts"], "train": ["train", "DARTS_V2"]}
CONFIGS = {"search": darts.Config, "train": train.Config}


def as_words(values: dict[str, Any]) -> Iterable[str]:
    for name, value in values.items():
        if isinstance(value, bool):
            yield flag(name if value else f"no_{name}")
        else:
            yield from (flag(name), str(value))


@pytest.mark.parametrize("command", WORDS)
def test_every_two_flags_hold_beside_each_other_and_beside_those_of_a_file(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which are given is tried in all four ways for each two; the others come from a file, or are not given at all."""
    values = values_of(command, default := printed(WORDS[command], capsys))
    assert values.keys() == {*field_names(Setup), *field_names(CONFIGS[command])}
    assert all(default.get(name) != value for name, value in values.items())
    for number, chosen in enumerate(in_pairs(len(values))):
        given = {name: value for place, (name, value) in enumerate(values.items()) if place in chosen}
        others = {name: value for name, value in values.items() if name not in given}
        file = tmp_path / f"{number}.toml"
        file.write_text("".join(f"{name} = {literal(value)}\n" for name, value in others.items()))
        words = [*WORDS[command], *as_words(given)]
        assert printed(words, capsys) == {**default, **given}
        assert printed([*words, "--config", str(file)], capsys) == {**default, **values}


def printed(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The resolved settings."""
    assert main([*words, "--print-config"]) == 0
    return tomllib.loads(capsys.readouterr().out)


def values_of(command: str, default: dict[str, Any]) -> dict[str, Any]:
    """A value unlike the default of each field of the setup and of the config."""
    values = {name: value for name, (value, _) in CASES[command].items()}
    values |= {name: value for name, value in BESIDE[command].items() if values[name] == default.get(name)}
    return SETUP | values


def literal(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


# --- Data ------------------------------------------------------------------------------------------------------------

DATA: dict[str, Any] = {"max_images": 120, "max_classes": 4, "image_size": 6, "official_split": True, "seed": 3}


@pytest.mark.parametrize("given", list(combinations(DATA, 2)), ids=str)
def test_two_options_of_the_data_have_both_their_effects(given: Sequence[str]) -> None:
    options = {name: DATA[name] for name in given}
    data, alone = load_data("digits", **options), {name: load_data("digits", **{name: DATA[name]}) for name in given}
    counted = data.train_and_val()
    if "max_images" in given:
        assert len(counted) == 120
    if "max_classes" in given:
        assert data.num_classes == 4 and counted.labels.unique().tolist() == [0, 1, 2, 3]
    if "image_size" in given:
        assert data.image_size == 6 and counted.images.shape[2:] == data.test.images.shape[2:] == (6, 6)
    prints = {data.fingerprint, *(one.fingerprint for one in alone.values())}
    nothing_to_draw = set(given) == {"official_split", "seed"}  # halves by index are the same for every seed
    assert len(prints) == (2 if nothing_to_draw else 3)


AUGMENTING: dict[str, Any] = {"crop_padding": 3, "flip": True, "cutout": 5, "color_jitter": 0.4, "hue_jitter": 0.2}


def test_each_two_ways_to_augment_a_batch_both_change_it(tmp_path: Path) -> None:
    data, nothing = test_training.coloured(), {"crop_padding": 0, "flip": False, "cutout": 0, "color_jitter": 0.0}
    network = torch.nn.Linear(1, 1, device="meta")
    with Run.create(tmp_path / "run", train.Config(), setup=Setup(device="cpu")) as run:

        def batch(*given: str) -> torch.Tensor:
            config = train.Config(**{**nothing, **{name: AUGMENTING[name] for name in given}})
            network.weight = torch.nn.Parameter(torch.zeros(1))
            task = task_of(config, data, "train and val")
            return task.batch("training", torch.arange(8), run, 0, network).x

        alone = {name: batch(name) for name in AUGMENTING}
        for one, other in combinations(AUGMENTING, 2):
            both = batch(one, other)
            assert not torch.equal(both, alone[one]) and not torch.equal(both, alone[other]), (one, other)


# --- Settings --------------------------------------------------------------------------------------------------------

Histories = Callable[..., Any]
Cases = dict[str, tuple[Any, dict[str, Any]]]
# Pairs, in the order of the alphabet, in which one setting leaves the other nothing to do.
IDLE = {
    ("lr_min", "lr_schedule"),  # only the cosine has an end
    ("lr_factor", "lr_min"),
    ("lr_min", "lr_period"),  # periods of one epoch have no end
    ("lr_min", "lr_period_factor"),
    ("auxiliary", "auxiliary_weight"),  # without the head its loss has no weight
    ("auxiliary", "stem"),  # too small a map for a head
    ("auxiliary_weight", "stem"),
}


def pairs_of(cases: Cases) -> list[tuple[str, str]]:
    """Two settings each, of which neither sets the other."""
    found = combinations(sorted(cases), 2)
    return [(a, b) for a, b in found if a not in cases[b][1] and b not in cases[a][1] and (a, b) not in IDLE]


def settings_of(cases: Cases, *given: str) -> dict[str, Any]:
    more = {name: value for one in cases for name, value in cases[one][1].items() if one in given}
    return more | {name: cases[name][0] for name in given}


def without_effect(cases: Cases, run: Callable[[dict[str, Any]], object]) -> list[tuple[str, str]]:
    """Pairs in which one setting changes nothing where the other is given."""
    known: dict[str, object] = {}

    def history(settings: dict[str, Any]) -> object:
        key = str(sorted(settings.items(), key=str))
        if key not in known:
            known[key] = run(settings)
        return known[key]

    found = []
    for one, other in pairs_of(cases):
        more = {name: value for name, value in settings_of(cases, one, other).items() if name not in (one, other)}
        alone = [history({**more, name: cases[name][0]}) for name in (one, other)]
        if history(settings_of(cases, one, other)) in alone:
            found.append((one, other))
    return found


# Not tried beside others: numbers of multiply-adds, which other sizes of the network have no part of; and the form of a
# supernet of which only a stopping rule's score is computed, in which last bits seldom show.
NOT_IN_PAIRS = {
    "enas": ("limit", "schedule_epochs", "supernet"),  # a schedule over all epochs is refused beside periods
    "spos": ("band", "bins", "limit", "supernet"),
    "random_search_ws": ("limit", "supernet"),
    "darts": ("limit",),
    "gdas": ("limit", "supernet"),
}
SPACE = testing.tiny.SEARCHED["darts"]
SEARCHES = [name for name, one in METHODS.items() if not one.by_trials and one.needs <= SPACE.kinds]  # not by slices


@pytest.mark.slow
@pytest.mark.parametrize("method", SEARCHES)
def test_each_two_settings_of_a_search_both_change_something(method: str, tmp_path: Path) -> None:
    case = test_contracts.METHOD_CASES[method]
    tried = Tried(method, case, SPACE)

    def run(settings: dict[str, Any]) -> object:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        tried.search(folder, **settings)
        return tiny.history(folder)

    left_out = NOT_IN_PAIRS.get(method, ())
    assert without_effect({name: one for name, one in case.changes.items() if name not in left_out}, run) == []


@pytest.mark.slow
def test_each_two_settings_of_a_training_both_change_something(tmp_path: Path) -> None:
    def run(settings: dict[str, Any]) -> object:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        _, network = test_training.fit(folder, **settings)
        weights = b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())
        return tiny.history(folder), sha256(weights).hexdigest()  # the weights show last bits that the history does not

    assert without_effect(test_training.CASES, run) == []
