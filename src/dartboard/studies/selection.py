"""Searches that differ in their seed alone, and which of their architectures is the result.

As the DARTS paper does it: search with several seeds, train each architecture from scratch for a short time, and take
the one that is best on the validation images. A training learns on train and is scored on val, with the data, the
splits and the seed of the search that found its architecture; no test image is read.

A selection is a folder: select.toml, which has everything that determines its numbers; the run of each search (seed-0)
and of each training (select-0); at the end architecture.json and selection.json. A search and a training are
independent pieces of work, functions of the folder and the seed, and each resumes where it was stopped.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.config import Setup, build, flat, to_toml
from dartboard.devices import pick_device
from dartboard.errors import InputError
from dartboard.methods import check_known, method_module
from dartboard.runs import held_settings
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.environment import describe
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.limits import Limits
from dartboard.runs.locks import locked
from dartboard.runs.new_folder import check_empty, make_folder
from dartboard.runs.run import ARCHITECTURE, CONFIG, ENVIRONMENT, Run, is_done
from dartboard.spaces import SPACES
from dartboard.spaces.families import FAMILIES
from dartboard.studies.study import read_study, resume_command

if TYPE_CHECKING:
    from dartboard.data import Data

COMMAND, SELECT, SELECTION = "select", "select.toml", "selection.json"
PARTS = ("setup", "search", "train")  # the tables of select.toml
BEGINNING = (ENVIRONMENT,)  # what is written before select.toml makes it a selection
HEADER = ("command", "method", "space")  # of a run's config.toml, beside its settings
TRAINED = "trial"  # the command of a training's run: a score, not to be resumed by itself


@dataclass(frozen=True)
class Selection:
    """A selection in a folder. setup: of the first search; search, train: settings of all searches and trainings."""

    folder: Path
    method: str
    space: str
    num_seeds: int
    together: bool
    setup: Setup
    search: Mapping[str, Any]
    train: Mapping[str, Any]

    @classmethod
    def create(cls, folder: Path, table: Mapping[str, Any], *, exist_ok: bool) -> "tuple[Selection, list[Path]]":
        """A new one in a folder that is empty or not there, or with exist_ok=False not there; and the folders made.

        Raises TakenError if the folder belongs to something else, InputError if it cannot be written.
        """
        text = to_toml(table)
        environment = describe(pick_device(table["setup"]["device"]), None)
        environment |= held_settings.record(tomllib.loads(text))
        made = make_folder(folder, BEGINNING, exist_ok)
        with locked(folder):
            check_empty(folder, BEGINNING)
            replace_file(folder / ENVIRONMENT, as_json(environment))
            replace_file(folder / SELECT, text)
        return cls.open(folder), made

    @classmethod
    def open(cls, folder: Path) -> "Selection":
        """The one in a folder. Raises InputError if its file is damaged or was edited."""
        table, environment = read_study(folder / SELECT), read_json(folder / ENVIRONMENT)
        held_settings.check(environment, table, folder / SELECT, "start a new search with another --out")
        try:
            parts = [dict(table[name]) for name in PARTS]
            setup = build(Setup, parts[0])
            names = table["method"], table["space"], table["seeds"], table["together"]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{folder / SELECT} is damaged; restore it or start a new search") from error
        check_known(*names[:2], folder)
        return cls(folder, *names, setup, *parts[1:])

    @property
    def seeds(self) -> range:
        return range(self.setup.seed, self.setup.seed + self.num_seeds)

    @property
    def epochs(self) -> int:
        """Of each training."""
        return int(self.train["epochs"])

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return (self.folder / SELECTION).is_file()

    @property
    def threads(self) -> int | None:
        """With which every search and training computes: as given, or those of the machine at the start."""
        return self.setup.threads or read_json(self.folder / ENVIRONMENT).get("threads")

    @property
    def resume_command(self) -> str:
        return resume_command(self.folder)

    def search_folder(self, seed: int) -> Path:
        return self.folder / f"seed-{seed}"

    def training_folder(self, seed: int) -> Path:
        return self.folder / f"select-{seed}"

    def setup_of(self, seed: int) -> Setup:
        return replace(self.setup, seed=seed, threads=self.threads)

    def search_config(self) -> Any:
        return build(method_module(self.method).Config, self.search)

    def data(self, seed: int) -> "Data":
        """What the search of that seed learned from: if shared weights scored, the data of their search."""
        from dartboard.data.sources import load_setup

        shared = self.search.get("shared_weights")
        return load_setup(self.setup_of(seed) if shared is None else Run.open(shared).setup)


def table_of(
    method: str, space: str, seeds: int, together: bool, setup: Setup, config: Any, train: Any
) -> dict[str, Any]:
    """The content of select.toml. setup: of the first search; limits of the first process are left out."""
    header = {"command": COMMAND, "method": method, "space": space, "seeds": seeds, "together": together}
    parts = (replace(setup, budget=None, until=None), config, train)
    return {**header, **{name: flat(part) for name, part in zip(PARTS, parts, strict=True)}}


def is_selection(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a selection, finished or not."""
    try:
        return (Path(folder) / SELECT).is_file()
    except (OSError, ValueError):
        return False


def unlike(folder: Path, table: Mapping[str, Any]) -> list[str]:
    """In what the selection in a folder differs from the one that a table describes, in words. Raises InputError."""
    before = held_settings.canonical(read_study(folder / SELECT))
    return held_settings.edits(before, held_settings.canonical(tomllib.loads(to_toml(table))))


def search_of(folder: Path | None) -> Path | None:
    """The search that found what a folder holds: of a selection, the one that was selected; of a run, itself."""
    if folder is None or not is_selection(folder):
        return folder
    return folder / str(read_result(folder)["search"])


# --- The pieces of work ----------------------------------------------------------------------------------------------


def search_seed(folder: str, seed: int, limits: Limits | None = None) -> None:
    """The search with one seed, from its start or from where it was stopped; nothing if it is done.

    Raises InterruptedRunError (a signal or a limit; all is saved), CannotContinueError, InputError.
    """
    selection = Selection.open(Path(folder))
    if is_done(selection.search_folder(seed)):
        return
    with search_run(selection, seed) as run:
        run.limits = limits or Limits()
        search_in(selection, run, selection.data(seed))


def search_run(selection: Selection, seed: int) -> Run:
    """The run of a search, open for writing: a new one, or the one that was started."""
    config, setup, folder = selection.search_config(), selection.setup_of(seed), selection.search_folder(seed)
    run = opened(folder) or Run.create(
        folder,
        config,
        setup=setup,
        method=selection.method,
        space=selection.space,
        parent=selection.search.get("shared_weights"),
    )
    check_settings(selection, run, seed)
    run.resumed_by, run.label = selection.folder, f"seed {seed}"
    return run


def search_in(selection: Selection, run: Run, data: "Data") -> None:
    """The search itself, in a run that is open for writing."""
    print(f"search {run.method} on {data.name}, seed {run.seed}, in {run.folder}", flush=True)
    method = method_module(selection.method)
    method.search(selection.search_config(), SPACES[selection.space], data, run)


def train_seed(folder: str, seed: int, limits: Limits | None = None) -> None:
    """The training of what the search with one seed has found, on train, scored on val. Resumes and raises as above."""
    from dartboard import networks
    from dartboard.training import from_scratch

    selection = Selection.open(Path(folder))
    if is_done(selection.training_folder(seed)):
        return
    data = selection.data(seed)
    with training_run(selection, seed, data.fingerprint) as run:
        run.limits = limits or Limits()
        length = f"{selection.epochs} epoch{'s' * (selection.epochs != 1)}"
        print(f"train on {data.name}, seed {seed}, {length}, in {run.folder}", flush=True)
        architecture, config = run.architecture, build(from_scratch.Config, selection.train)
        assert architecture is not None  # `training_run` has compared it
        network = networks.module(architecture.space).sized(architecture, config, data)
        from_scratch.fit(config, network, data, run, learn_on="train", score_on="val")


def training_run(selection: Selection, seed: int, fingerprint: str) -> Run:
    """The run of a training, open for writing. fingerprint: of the data. Raises InputError if they are others now."""
    from dartboard.training import from_scratch

    search, folder = Run.open(selection.search_folder(seed)), selection.training_folder(seed)
    if (search.environment.get("data") or {}).get("fingerprint") != fingerprint:
        raise InputError(f"the data of {search.folder} has changed since the search; restore it, or search again")
    config, setup = build(from_scratch.Config, selection.train), selection.setup_of(seed)
    run = opened(folder) or Run.create(
        folder,
        config,
        setup=setup,
        command=TRAINED,
        space=selection.space,
        parent=selection.folder,
        architecture=search.architecture,
    )
    check_settings(selection, run, seed)
    if run.architecture is None or run.architecture != search.architecture:
        run.close()
        raise InputError(f"{folder} trains another architecture than {search.folder} found; remove it to train again")
    run.resumed_by, run.label = selection.folder, f"selection, seed {seed}"
    return run


def opened(folder: Path) -> Run | None:
    """The run in a folder, for writing; None if there is none yet."""
    return Run.open(folder, write=True) if (folder / CONFIG).is_file() else None


def check_settings(selection: Selection, run: Run, seed: int) -> None:
    """Raises InputError, and closes the run, if it has other settings than the selection gives it."""
    settings = selection.train if run.command == TRAINED else selection.search
    expected = held_settings.held({**flat(selection.setup_of(seed)), **settings})
    found = {name: value for name, value in held_settings.held(run.stored).items() if name not in HEADER}
    # A setting that is newer than the run has the value of its default.
    if changed := held_settings.edits({name: expected.get(name) for name in found}, found):
        run.close()
        text = f"{run.folder} was made with other settings than {selection.folder / SELECT}: {changed[0]}"
        raise InputError(f"{text}; restore it, or remove it to do its work again")


# --- The result ------------------------------------------------------------------------------------------------------


def read_result(folder: Path) -> dict[str, Any]:
    """The content of selection.json. Raises InputError if there is none yet, or it is damaged."""
    if not (folder / SELECTION).exists():
        raise InputError(f"{folder} has no result yet; finish it with: {resume_command(folder)}")
    return read_json(folder / SELECTION)


def write_result(selection: Selection) -> dict[str, Any]:
    """The content of selection.json, written after the selected architecture. Everything is read from the runs."""
    rows = [row_of(selection, seed) for seed in selection.seeds]
    best = rows[best_of([row["val_accuracy"] for row in rows])]
    found = {
        "method": selection.method,
        "space": selection.space,
        "data": best["data"],
        "val_images": best["val_images"],
        "epochs": selection.epochs,
        "seed": best["seed"],
        "search": best["search"],
        "architecture": best["architecture"],
        "val_accuracy": best["val_accuracy"],
        "seeds": rows,
        "cost": cost_of(rows),
    }
    source = Run.open(selection.folder / best["search"]).architecture
    assert source is not None  # its row has it
    replace_file(selection.folder / ARCHITECTURE, as_json(source.to_json()))
    replace_file(selection.folder / SELECTION, as_json(found))  # the last one: now it is done
    return found


def best_of(accuracies: Sequence[float]) -> int:
    """The position of the highest one; of equal ones the first."""
    return max(range(len(accuracies)), key=lambda position: accuracies[position])


def row_of(selection: Selection, seed: int) -> dict[str, Any]:
    """What a seed has found, what its training reached, and what both took. Raises InputError if it is unfinished."""
    from dartboard import formats

    search, training = (Run.open(one(seed)) for one in (selection.search_folder, selection.training_folder))
    for run in (search, training):
        run.check_settings()
        check_settings(selection, run, seed)
    architecture, found, trained = search.architecture, result_of(search), result_of(training)
    if architecture is None or training.architecture != architecture:
        raise InputError(f"{training.folder} did not train what {search.folder} found; remove it to train again")
    data = search.environment.get("data") or {}
    by_trials = "score" in found
    return {
        "seed": seed,
        "search": search.folder.name,
        "training": training.folder.name,
        "data": data.get("name"),
        "val_images": data.get("val"),
        "architecture": formats.write(architecture, FAMILIES[architecture.space].notation),
        "search_score": found["score"] if by_trials else found.get("derived_val_accuracy"),
        "search_score_is": found["source"] if by_trials else "the derived cell with the supernet's weights, val",
        "val_accuracy": trained["val_accuracy"],
        "val_loss": trained["val_loss"],
        "train_accuracy": trained["train_accuracy"],
        "params": trained["params"],
        "macs": trained.get("macs"),
        "search_steps": steps_of(search),
        "search_s": found["elapsed_s"],
        "selection_steps": steps_of(training),
        "selection_s": trained["elapsed_s"],
    }


def result_of(run: Run) -> Mapping[str, Any]:
    """The last line of a finished run. Raises InputError."""
    if not run.done:
        raise InputError(f"{run.folder} is not finished; resume with: dartboard resume {run.folder.parent}")
    return run.metrics()[-1]


def steps_of(run: Run) -> int:
    """Gradient steps of the weights in a finished run; of a search by trials, of all its trainings together."""
    lines = run.metrics()
    trials: int = sum(line["event"] == "trial" for line in lines)
    if not trials:
        return int(next(line["step"] for line in reversed(lines) if line["event"] == "epoch"))
    if run.settings.get("shared_weights") is not None:
        return 0
    images, size, epochs = run.environment["data"]["train"], run.settings["batch_size"], run.settings["epochs"]
    return trials * int(epochs) * batches(int(images), int(size))


def batches(images: int, size: int) -> int:
    """Steps of an epoch: a single image that would be left joins the batch before (data/augmentation.py)."""
    number = -(-images // size)
    return number - 1 if number > 1 and size > 1 and images % size == 1 else number


def cost_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Steps and seconds of all searches, of all trainings, and of both together."""
    parts = {
        part: {"steps": sum(row[f"{part}_steps"] for row in rows), "elapsed_s": sum(row[f"{part}_s"] for row in rows)}
        for part in ("search", "selection")
    }
    return {**parts, "total": {name: sum(part[name] for part in parts.values()) for name in ("steps", "elapsed_s")}}
