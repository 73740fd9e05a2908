"""Configs: ranges, durations, TOML there and back, unknown keys."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dartboard.config import (
    Setup,
    build,
    check_ranges,
    check_types,
    flat,
    from_toml,
    parse_budget,
    parse_duration,
    to_toml,
)
from dartboard.errors import InputError


@dataclass(frozen=True)
class Config:
    epochs: int = 50
    lr: float = 0.025
    betas: tuple[float, float] = (0.5, 0.999)
    order: Literal["first", "second"] = "first"
    limit: int | None = None
    name: str | None = "a"
    flip: bool = True

    def __post_init__(self) -> None:
        check_types(self)
        check_ranges(self, epochs="[1, inf)", lr="(0, inf)", betas="[0, 1)", limit="[0, 10]")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epochs": 0}, "--epochs is 0; give 1 or more"),
        ({"epochs": -3}, "--epochs is -3"),
        ({"epochs": 2.5}, "--epochs is '2.5'; give a whole number"),
        ({"epochs": True}, "--epochs"),
        ({"lr": 0.0}, "--lr is 0.0; give more than 0"),
        ({"lr": float("nan")}, "--lr is nan"),
        ({"lr": float("inf")}, "--lr is inf"),
        ({"betas": [0.1, 1.0]}, "--betas is 1.0; give 0 or more and less than 1"),
        ({"betas": [0.1]}, "--betas has 1 values; give 2"),
        ({"betas": 0.1}, "--betas is '0.1'; give a list"),
        ({"order": "third"}, "--order is 'third'; give one of first, second"),
        ({"limit": 11}, "--limit is 11; give 0 to 10"),
        ({"flip": 1}, "--flip is '1'; give true or false"),
        ({"epcohs": 3}, "unknown setting 'epcohs'; did you mean 'epochs'?"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_flag(values: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        build(Config, values)
    assert words in str(caught.value) and "\n" not in str(caught.value)


configs = st.builds(
    Config,
    epochs=st.integers(1, 10**9),
    lr=st.floats(1e-300, 1e300),
    betas=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
    order=st.sampled_from(["first", "second"]),
    limit=st.none() | st.integers(0, 10),
    name=st.none() | st.text(max_size=20).filter(lambda text: text != "none"),
    flip=st.booleans(),
)


@given(configs)
def test_every_config_comes_back_from_toml_as_it_was(tmp_path_factory: pytest.TempPathFactory, config: Config) -> None:
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    path.write_text(to_toml(flat(config)))
    assert build(Config, from_toml(path)) == config


def test_a_whole_number_is_a_number_where_one_is_wanted() -> None:
    assert build(Config, {"lr": 1}).lr == 1.0 and isinstance(build(Config, {"lr": 1}).lr, float)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"epochs = ", "is not TOML"),
        (b"\xff\xfe\x00", "is not TOML"),
        (b"[search]\nepochs = 3", "table [search]"),
        (b"x = " + b"[" * 5000, "is not TOML"),
        (b"# " + b"x" * 1_100_000, "larger than"),
    ],
)
def test_a_file_that_is_no_flat_toml_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.toml") as caught:
        from_toml(tmp_path / "config.toml")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_of_settings_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.toml"):
        from_toml(tmp_path / "nothing.toml")


def test_keys_may_be_written_as_flags_are(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("batch-size = 3")
    assert from_toml(tmp_path / "config.toml") == {"batch_size": 3}


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("10m", 600), ("7h30m", 27000), ("4h", 14400), ("1d", 86400), ("1.5h", 5400)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text, "--until") == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "-3h", "0s", "1h-3m", "soon", "10mm", "1e3s", "9" * 400 + "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--until"):
        parse_duration(text, "--until")


def test_a_budget_is_a_time_or_a_number_of_steps() -> None:
    assert parse_budget("500steps") == (float("inf"), 500)
    assert parse_budget("1step") == (float("inf"), 1)
    assert parse_budget("2m") == (120.0, None)
    for text in ("0steps", "-1steps", "1.5steps", "steps", "many"):
        with pytest.raises(InputError, match="--budget"):
            parse_budget(text)


@pytest.mark.parametrize(
    "values",
    [
        {"seed": -1},
        {"threads": 0},
        {"image_size": 0},
        {"max_images": 1},
        {"device": "gpu"},
        {"precision": "half"},
        {"save_every": "never"},
        {"budget": "3"},
        {"until": "3"},
        {"data": ""},
        {"download": "yes"},
        {"data_dir": 3},
    ],
)
def test_every_impossible_setup_is_refused_with_its_flag(values: dict[str, object]) -> None:
    with pytest.raises(InputError, match="--" + next(iter(values)).replace("_", "-")):
        build(Setup, values)


def test_settings_come_through_a_pipe_and_one_that_nobody_writes_into_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is a pipe without a writer"):
        from_toml(tmp_path / "pipe")
    reader, writer = os.pipe()
    later = threading.Timer(
        0.2, lambda: (os.write(writer, b"lr = 0.5\nepochs"), os.write(writer, b" = 3"), os.close(writer))
    )
    later.start()
    assert from_toml(f"/dev/fd/{reader}") == {"lr": 0.5, "epochs": 3}
    later.join()
    os.close(reader)
