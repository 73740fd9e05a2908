"""A study in a folder: study.toml, which has everything that determines its numbers, and a run for each stage."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dartboard.config import Setup, build, flat, to_toml
from dartboard.errors import InputError
from dartboard.formats.files import ordinary_bytes
from dartboard.methods import method_module
from dartboard.paths import quoted, restored
from dartboard.runs import held_settings
from dartboard.runs.atomic_files import make_folders, replace_file, writing
from dartboard.runs.json_files import as_json, read_json
from dartboard.runs.new_folder import make_folder
from dartboard.runs.run import ENVIRONMENT, Run
from dartboard.studies.protocol import Protocol, Stage, parse_proxies, stages

if TYPE_CHECKING:
    from dartboard.data import Data

STUDY, STAGES = "study.toml", "stages"
# The fields of Setup that all stages share: where to compute, and where the data are.
SHARED = ("data_dir", "download", "device", "threads", "precision", "save_every", "stream")


@dataclass(frozen=True)
class Study:
    """A study in a folder. search, train: settings of all searches and trainings; setup: the fields of SHARED."""

    folder: Path
    protocol: Protocol
    search: Mapping[str, Any]
    train: Mapping[str, Any]
    setup: Mapping[str, Any]
    stages: list[Stage] = field(default_factory=list)

    @classmethod
    def create(
        cls,
        folder: Path,
        protocol: Protocol,
        search: Mapping[str, Any],
        train: Mapping[str, Any],
        setup: Setup,
        *,
        exist_ok: bool = True,
    ) -> "Study":
        """A new study in a folder that is empty or does not exist; with exist_ok=False only in one that does not exist.

        Raises TakenError if the folder belongs to another study or run, InputError if it cannot be written.
        """
        tables = {"setup": shared(setup), "search": dict(search), "train": dict(train)}
        text = to_toml({"command": "transfer", **flat(protocol), **tables})
        make_folder(folder, (), exist_ok)
        with writing(folder):
            make_folders(folder / STAGES)
        replace_file(folder / ENVIRONMENT, as_json(held_settings.record(tomllib.loads(text))))
        replace_file(folder / STUDY, text)
        return cls.open(folder)

    def check_settings(self) -> bool:
        """Whether the study has a record of its settings. Raises EditedSettingsError if its file has others."""
        if not (self.folder / ENVIRONMENT).exists():
            return False
        new = "start a new study with another --out"
        path = self.folder / STUDY
        return held_settings.check(read_json(self.folder / ENVIRONMENT), read_study(path), path, new)

    @classmethod
    def open(cls, folder: Path) -> "Study":
        """The study in a folder. Raises InputError: there is none, or its file is damaged."""
        table = read_study(folder / STUDY)
        parts = {name: table.pop(name, {}) for name in ("setup", "search", "train")}
        if table.pop("command", None) != "transfer" or not all(isinstance(part, dict) for part in parts.values()):
            raise InputError(f"{folder / STUDY} is damaged; restore it or start a new study")
        if not {"a", "b"} <= table.keys():
            raise InputError(f"{folder / STUDY} does not name two data sets; restore it or start a new study")
        protocol = build(Protocol, table)
        return cls(folder, protocol, parts["search"], parts["train"], parts["setup"], stages(protocol))

    @property
    def resume_command(self) -> str:
        return resume_command(self.folder)

    def place(self, stage: Stage | str) -> Path:
        """The run folder of a stage."""
        return self.folder / STAGES / (stage if isinstance(stage, str) else stage.name)

    def setup_of(self, stage: Stage) -> Setup:
        """Data, seed and device of a stage."""
        protocol = self.protocol
        values: dict[str, Any] = {**self.setup, "seed": stage.seed, "image_size": protocol.image_size}
        values["data"] = {"a": protocol.a, "b": protocol.b}[stage.side]
        values["max_images"] = {"a": protocol.images_a, "b": protocol.images_b}[stage.side]
        for kind, share in parse_proxies(stage.proxy).values():
            values |= self.part_of_data(kind, share, values)
        return build(Setup, values)

    def part_of_data(self, kind: str, share: float, values: Mapping[str, Any]) -> dict[str, Any]:
        """The changes of a proxy in a Setup: a share of the classes, of the images, or of the pixels of a side."""
        if kind == "channels":
            return {}
        data = load(build(Setup, values))
        if kind == "classes":
            classes = max(2, round(share * data.num_classes))
            if values["max_images"] is None:
                return {"max_classes": classes}
            return {"max_classes": classes, "max_images": images_of(data, classes, build(Setup, values))}
        if kind == "images":
            return {"max_images": max(2, round(share * (len(data.train) + len(data.val))))}
        return {"image_size": max(1, round(share * data.image_size))}

    def config_of(self, stage: Stage) -> Any:
        """The settings of a stage, as the method's or the training's config. Raises InputError."""
        if stage.command == "train":
            from dartboard.training.from_scratch import Config

            return build(Config, {**self.train, "epochs": stage.epochs})
        values = {**self.search, "epochs": stage.epochs}
        if stage.schedule_epochs is not None:
            values["schedule_epochs"] = stage.schedule_epochs
        for kind, share in parse_proxies(stage.proxy).values():
            if kind == "channels":
                values["channels"] = max(1, round(share * int(values["channels"])))
        return build(method_of(self.protocol).Config, values)

    def is_done(self, stage: Stage | str) -> bool:
        """Whether a stage has its result; False if it cannot be read."""
        try:
            return Run.open(self.place(stage)).done
        except InputError:
            return False


def images_of(data: "Data", classes: int, setup: Setup) -> int:
    """The number of training images in `data` of the classes in a part with this number of classes."""
    selected = set(load(replace(setup, max_classes=classes)).class_names)
    labels = data.train_and_val().labels.tolist()
    return sum(data.class_names[label] in selected for label in labels)


def shared(setup: Setup) -> dict[str, Any]:
    return {name: value for name, value in flat(setup).items() if name in SHARED}


def resume_command(folder: Path) -> str:
    return f"dartboard resume {quoted(folder)}"


def is_study(folder: Path) -> bool:
    """Whether a folder holds a study."""
    try:
        return (folder / STUDY).is_file()
    except (OSError, ValueError):
        return False


def read_study(path: Path) -> dict[str, Any]:
    try:
        return dict(restored(tomllib.loads(ordinary_bytes(path).decode())))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is damaged: it is not TOML; restore it or start a new study") from error


def method_of(protocol: Protocol) -> Any:
    return method_module(protocol.method)


def load(setup: Setup) -> "Data":
    from dartboard.data.sources import load_setup

    return load_setup(setup)
