"""The words of the command line: what each command prints, layers of settings, names of folders, exit codes."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from dartboard import cli, formats
from dartboard.cli import main
from dartboard.config import Setup, field_names
from dartboard.data import load_data
from dartboard.errors import InputError
from dartboard.formats import published
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.spaces.catalogue import reported

TINY = ["--data", "digits", "--max-images", "32", "--channels", "2", "--cells", "3", "--batch-size", "16"]
MORE = ["--max-images", "200"]
ONE_STEP = [*TINY, "--epochs", "1", "--budget", "1steps"]

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints; it must succeed and say nothing on stderr."""
    capsys.readouterr()
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def settings(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    return tomllib.loads(printed(capsys, *words, "--print-config"))


# --- Without torch ---------------------------------------------------------------------------------------------------

WITHOUT_TORCH = [
    "",
    "--help",
    "list",
    "list architectures",
    "show DARTS_V2 --no-counts",
    "show DARTS_V2",
    "export DARTS_V2 --to nnabla",
    "show --help",
    "search drats",
    "search darts --data digts",
    "search darts --space drats",
    "train DARTS_V3",
    "train missing.json",
    "train DARTS_V2 --data digts",
    "evaluate missing",
    "evaluate cell.txt --arch DARTS_V3",
    "resume missing",
    "report missing",
    "show cell.txt",
    "export cell.txt",
    "serch",
]


def test_help_lists_and_refusals_do_not_import_torch(tmp_path: Path) -> None:
    (tmp_path / "cell.txt").write_text("no cell")
    program = (
        "import sys\nfrom dartboard.cli import main\n"
        f"for words in {WITHOUT_TORCH!r}:\n"
        "    main(words.split())\n"
        "    assert 'torch' not in sys.modules, words\n"
        "print('reached the end')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.endswith("reached the end\n"), done.stderr


def test_a_refusal_is_quick(tmp_path: Path) -> None:
    """Seconds of the processor, which other work on the machine does not lengthen."""
    program = "import resource; from dartboard.cli import main; main(['train', 'DARTS_V3']);"
    program += "print(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert float(done.stdout) < 1.0


# --- What is printed -------------------------------------------------------------------------------------------------


def test_no_words_say_what_to_type_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert "dartboard search darts --data digits" in printed(capsys)


def test_help_names_every_command_and_every_command_its_flags(capsys: pytest.CaptureFixture[str]) -> None:
    usage = printed(capsys, "--help")
    for command in cli.COMMANDS:
        assert f"\n  {command} " in usage
        assert f"usage: dartboard {command}" in printed(capsys, command, "--help")
    text = printed(capsys, "search", "darts", "--help")
    assert all(flag in text for flag in ("--data", "--second-order", "--budget", "--out", "--seeds", "--print-config"))


@pytest.mark.parametrize("words", ["search darts", "train", "evaluate", "transfer"])
def test_the_help_of_download_tells_what_comes_from_where_to_where(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*words.split(), "--help"])
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    for part in ("cifar10 or cifar100", "170 MB each", "from www.cs.toronto.edu/~kriz", "to --data-dir"):
        assert part in said, part
    assert "by default $XDG_CACHE_HOME/dartboard, to which CIFAR is downloaded" in said


def test_version_tells_dartboard_torch_and_device(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "--version")
    assert "dartboard 0." in text and f"torch {torch.__version__}" in text and "device " in text


@pytest.mark.parametrize("kind", ["methods", "spaces", "data"])
def test_what_list_says_of_things_begins_in_one_column(capsys: pytest.CaptureFixture[str], kind: str) -> None:
    found = printed(capsys, "list", kind).splitlines()
    width = max(len(line.split()[0]) for line in found)
    assert all(line[width] == " " != line[width + 1] for line in found)


def test_list_has_a_line_with_its_source_for_everything_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    everything = printed(capsys, "list")
    for kind, name in [("methods", "darts"), ("spaces", "darts"), ("data", "cifar10"), ("architectures", "DARTS_V2")]:
        lines = printed(capsys, "list", kind).splitlines()
        assert any(line.startswith(name) for line in lines) and all(line.strip() in everything for line in lines)
    assert len(printed(capsys, "list", "architectures").splitlines()) == len(published())


def test_list_shows_what_is_reported_of_every_published_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = printed(capsys, "list", "architectures", "--published").splitlines()
    assert [row.split()[0] for row in rows] == [
        name for name in published() for _ in range(max(1, len(reported().get(name, ()))))
    ]
    columns = ("error %", "run ", "GPU-days", "counted params", "counted MACs", "source")
    place = {name: head.index(name) for name in columns}
    of_mean, of_single, _ = [row for row in rows if row.startswith("DARTS_V2 ")]
    found = [of_mean[start:].split("  ")[0].strip() for start in place.values()]
    assert found == ["2.76 ± 0.09", "mean", "4", "3.35M", "528M", "Liu et al., DARTS, table 1 (second order)"]
    assert of_single[place["error %"] :].split()[:2] == ["2.63", "single"]
    assert printed(capsys, "list", "architectures").count("\n") == len(published())
    assert main(["list", "spaces", "--published"]) == 2
    assert "--published is for architectures" in capsys.readouterr().err


def test_what_is_reported_is_of_known_architectures_and_says_how_often_it_was_trained() -> None:
    assert reported().keys() <= published().keys()
    for one in (one for rows in reported().values() for one in rows):
        assert 0 < one.error < 100 and one.runs in ("mean", "single", "") and one.source
        assert (one.spread is not None) == (one.runs == "mean")


def test_show_prints_every_node_and_the_exact_counts(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "DARTS_V2")
    assert "n5 = skip_connect(c[k-2]) + dil_conv_3x3(n2)" in text and "out = concat(n2, n3, n4, n5)" in text
    assert "3,349,342 parameters (3,825,768 with the auxiliary head), 528,359,040 multiply-adds" in text
    assert "parameters" not in printed(capsys, "show", "DARTS_V2", "--no-counts")


KEYS = "space notation genotype params params_with_auxiliary macs memory_mb network channels cells classes image_size"


def test_show_json_has_exactly_the_documented_keys(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "cell.json").write_text(formats.write(published()["DARTS_V1"].architecture, "nnabla"))
    found = json.loads(printed(capsys, "show", "cell.json", "--json"))
    assert " ".join(found) == KEYS
    assert (found["space"], found["notation"], found["params"]) == ("darts", "nnabla", 3_169_414)
    assert found["network"] == "cifar"
    assert [found[name] for name in ("channels", "cells", "classes", "image_size")] == [36, 20, 10, 32]
    assert formats.read(json.dumps(found["genotype"]))[0] == published()["DARTS_V1"].architecture


def test_each_flag_of_show_changes_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    def macs(*flags: str) -> int:
        return int(json.loads(printed(capsys, "show", "DARTS_V2", "--json", *flags))["macs"])

    sizes = ["--channels=16", "--cells=8", "--classes=100", "--image-size=16", "--network=imagenet"]
    assert len({macs(), *(macs(size) for size in sizes)}) == 6


def test_counts_from_the_table_of_published_cells_are_those_that_are_counted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = json.loads(printed(capsys, "show", "PDARTS", "--json"))
    counted = json.loads(printed(capsys, "show", "PDARTS", "--json", "--channels", "35"))
    again = json.loads(printed(capsys, "show", "PDARTS", "--json", "--channels", "36"))
    assert table == again and counted["params"] < table["params"]


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_show_draws_a_picture(capsys: pytest.CaptureFixture[str], tmp_path: Path, ending: str) -> None:
    assert main(["show", "DARTS_V1", "--no-counts", "--image", f"cell.{ending}"]) == 0
    start = {"svg": b"<", "png": b"\x89PNG", "pdf": b"%PDF"}[ending]
    assert (tmp_path / f"cell.{ending}").read_bytes().startswith(start)


@pytest.mark.parametrize("notation", ["quark0", "nested", "nnabla", "json"])
def test_export_writes_what_reads_back(capsys: pytest.CaptureFixture[str], tmp_path: Path, notation: str) -> None:
    text = printed(capsys, "export", "DARTS_V2", "--to", notation)
    assert formats.read(text) == (published()["DARTS_V2"].architecture, notation)
    assert printed(capsys, "export", "DARTS_V2", "--to", notation, "--out", "cell.txt") == "cell.txt\n"
    assert (tmp_path / "cell.txt").read_text() == text


# --- Settings --------------------------------------------------------------------------------------------------------


def test_settings_are_layered_flags_over_file_over_paper_over_preset_over_defaults(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text("lr_min = 0.002\nalpha_init = 0.5\nseed = 9\n")
    assert settings(capsys, "search", "darts", "--data", "cifar10")["channels"] == 16
    digits = settings(capsys, "search", "darts")
    assert digits["channels"] == darts.PRESETS["digits"]["channels"] and digits["lr_min"] == 0.001
    paper = settings(capsys, "search", "darts", "--preset", "paper")
    assert (paper["lr_min"], paper["alpha_init"], paper["channels"]) == (0.0, 0.0, digits["channels"])
    file = settings(capsys, "search", "darts", "--preset", "paper", "--config", "mine.toml")
    assert (file["lr_min"], file["alpha_init"], file["seed"]) == (0.002, 0.5, 9)
    flags = settings(capsys, "search", "darts", "--config=mine.toml", "--preset=paper", "--lr-min=0.003", "--seed=3")
    assert (flags["lr_min"], flags["alpha_init"], flags["seed"]) == (0.003, 0.5, 3)


def test_the_data_set_of_a_file_brings_its_preset_unless_a_flag_names_another(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text('data = "cifar10"\n')
    assert settings(capsys, "search", "darts", "--config", "mine.toml")["channels"] == 16
    digits = settings(capsys, "search", "darts", "--config", "mine.toml", "--data", "digits")
    assert (digits["data"], digits["channels"]) == ("digits", darts.PRESETS["digits"]["channels"])


@pytest.mark.parametrize("command", [["search", "darts"], ["train", "DARTS_V2"]])
def test_printed_settings_are_settings(capsys: pytest.CaptureFixture[str], tmp_path: Path, command: list[str]) -> None:
    text = printed(capsys, *command, "--seed", "4", "--epochs", "3", "--print-config")
    (tmp_path / "again.toml").write_text(text)
    assert printed(capsys, *command, "--config", "again.toml", "--print-config") == text
    assert os.listdir(tmp_path) == ["again.toml"]


def test_a_runs_own_settings_begin_the_same_run_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["search", "darts", *ONE_STEP, "--seed", "3", "--out", "one"]) == 0
    assert main(["search", "darts", "--config", "one/config.toml", "--out", "other"]) == 0
    assert (tmp_path / "one/config.toml").read_text() == (tmp_path / "other/config.toml").read_text()


def test_a_dry_run_tells_size_and_time_and_makes_no_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dartboard.training.dry_run.ENOUGH_EPOCHS", 2)
    search = printed(capsys, "search", "darts", *TINY, "--epochs", "3", "--dry-run")
    assert "supernet: " in search and "s per step" in search and "epochs = 3" in search
    assert "steps: 1 per epoch, 3 epochs, 3 in all" in search and "peak memory: " in search
    train = printed(capsys, "train", "DARTS_V2", *TINY, "--epochs", "2", "--dry-run")
    assert "multiply-adds per image" in train and "steps: 2 per epoch, 2 epochs, 4 in all" in train
    assert "peak memory: " in train and "s to score and" in train and "in all" in train.splitlines()[-1]
    assert os.listdir(tmp_path) == []


def test_runs_are_named_for_what_they_do_and_never_share_a_folder(tmp_path: Path) -> None:
    for _ in range(2):
        assert main(["search", "darts", *ONE_STEP]) == 0
    assert main(["train", "DARTS_V1", *ONE_STEP, "--seed", "7"]) == 0
    names = ["darts-digits-s0", "darts-digits-s0-2", "train-DARTS_V1-digits-s7"]
    assert sorted(os.listdir(tmp_path / "runs")) == names


def test_seeds_make_a_run_each(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tiny = [*TINY, "--epochs", "1", "--seed", "4", "--seeds", "2"]
    assert main(["train", "DARTS_V1", *tiny, "--out", "both"]) == 0
    assert sorted(os.listdir(tmp_path)) == ["both-s4", "both-s5"]
    assert [Run.open(f"both-s{seed}").seed for seed in (4, 5)] == [4, 5]
    assert main(["train", "DARTS_V1", *tiny, "--budget", "3steps", "--out", "some"]) == 0  # of both together
    assert Run.open("some-s4").done and not Run.open("some-s5").done


def test_a_folder_of_data_that_nothing_is_read_from_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["search", "darts"], ["train", "DARTS_V1"]):
        assert main([*words, *ONE_STEP, "--data-dir", str(tmp_path), "--out", words[0]]) == 0
        assert "note: digits does not use data_dir\n" in capsys.readouterr().out


def test_a_training_names_its_parent(tmp_path: Path) -> None:
    assert main(["search", "darts", *TINY, "--epochs", "1", "--out", "found"]) == 0
    assert main(["train", "found", *ONE_STEP, "--out", "trained"]) == 0
    run = Run.open("trained")
    assert run.environment["parent"] == "found" and run.architecture == Run.open("found").architecture


def test_a_search_a_training_and_their_page_and_scores(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["search", "darts", *TINY, "--epochs", "2", "--out", "found"]) == 0
    out = capsys.readouterr().out
    assert "epoch 1/2" in out and "Genotype(normal=" in out and "report: found/report.html" in out
    assert main(["train", "found", *TINY, "--epochs", "2", "--out", "trained"]) == 0
    told = capsys.readouterr().out
    score = json.loads(printed(capsys, "evaluate", "trained", "--json"))
    assert f"test accuracy {100 * score['test_accuracy']:.2f} %" in told and score["images"] == 359
    alone = printed(capsys, "evaluate", "trained/weights.safetensors", "--arch", "found", "--data", "digits", "--json")
    assert json.loads(alone)["test_accuracy"] == pytest.approx(score["test_accuracy"], abs=0.01)
    assert main(["evaluate", "trained", "--arch", "DARTS_V2"]) == 2
    capsys.readouterr()
    assert main(["report", "found", "trained", "--out", "both.html"]) == 0
    assert (tmp_path / "both.html").stat().st_size > 1000
    first, last = (printed(capsys, "show", "found", "--no-counts", "--epoch", epoch) for epoch in ("0", "1"))
    assert "found, epoch 0" in first and "found, epoch 1" in last
    cells = printed(capsys, "show", "found", "--no-counts").split("\n", 1)[1]
    assert last.split("\n", 1)[1] == cells
    assert main(["show", "found", "--epoch", "2"]) == 2
    assert "give 0 to 1" in capsys.readouterr().err
    assert printed(capsys, "resume", "found").startswith("found is already finished")


# --- Every field of Setup changes something --------------------------------------------------------------------------


def environment(name: str, *flags: str) -> dict[str, object]:
    assert main(["train", "DARTS_V1", *ONE_STEP, *flags, "--out", name]) == 0
    return Run.open(name).environment


def data_of(name: str, *flags: str) -> str:
    data = environment(name, *flags)["data"]
    assert isinstance(data, dict)
    return str(data["fingerprint"])


def changes_data() -> bool:
    pictures(Path("pictures"))
    one = data_of("a", "--data", "images:pictures", "--batch-size", "4", "--image-size", "8")
    other = data_of("b", "--data", "images:pictures", "--batch-size", "4", "--image-size", "10")
    return len({one, other, data_of("c")}) == 3


def stays_on_disk() -> bool:
    pictures(Path("pictures"))
    words = ("--data", "images:pictures", "--batch-size", "4", "--image-size", "8", "--stream")
    same = data_of("a", *words, "always") == data_of("b", *words, "never")
    told = [str(Run.open(name).environment["data"]["notes"]) for name in "ab"]
    return same and "stay on disk" in told[0] and "stay on disk" not in told[1]


def pictures(folder: Path) -> None:
    """Two classes of eight small pictures each."""
    from PIL import Image

    for kind in ("a", "b"):
        (folder / kind).mkdir(parents=True)
        for number in range(8):
            shade = 20 * number + (5 if kind == "a" else 12)
            Image.new("RGB", (12, 12), (shade, 255 - shade, 100)).save(folder / kind / f"{number}.png")


def changes_where_data_is_sought() -> bool:
    Path("empty").mkdir()
    for name, words in (("given", ["--data-dir", "empty"]), ("not given", [])):
        with pytest.raises(InputError) as caught:
            load_data("cifar10", data_dir=words[1] if words else None)
        assert ("empty" in str(caught.value)) == (name == "given")
    return main(["search", "darts", "--data", "cifar10", "--data-dir", "empty"]) == 2


def changes_threads() -> bool:
    before = torch.get_num_threads()
    try:
        return environment("a", "--threads", "2")["threads"] == 2 and environment("b", "--threads", "1")["threads"] == 1
    finally:
        torch.set_num_threads(before)


def changes_results(*flags: str) -> bool:
    words = ["train", "DARTS_V1", *TINY, "--epochs", "1"]
    assert main([*words, "--out", "a"]) == 0 and main([*words, *flags, "--out", "b"]) == 0
    return Run.open("a").metrics()[0]["train_loss"] != Run.open("b").metrics()[0]["train_loss"]


def stops_early(*flags: str) -> bool:
    assert main(["train", "DARTS_V1", *TINY, "--epochs", "2", *flags, "--out", "a"]) == 0
    return not Run.open("a").done


def asks_to_download(monkeypatch: pytest.MonkeyPatch) -> bool:
    asked = []

    def load(source: str, **options: object) -> None:
        asked.append(options["download"])
        raise InputError("no data")

    monkeypatch.setattr("dartboard.data.sources.load_data", load)
    assert main(["search", "darts"]) == main(["search", "darts", "--download"]) == 2
    return asked == [False, True]


def saves_inside_an_epoch() -> bool:
    words = ["train", "DARTS_V1", *TINY, "--epochs", "2", "--batch-size", "8"]
    assert main([*words, "--save-every", "0.001s", "--out", "a"]) == 0 and main([*words, "--out", "b"]) == 0
    inside = [[path.name for path in Path(name, "checkpoint").iterdir()] for name in "ab"]
    return "step-000000008.1" in inside[0] and "step-000000008.1" not in inside[1]


CHANGES: dict[str, Callable[[], bool]] = {
    "data": changes_data,
    "data_dir": changes_where_data_is_sought,
    "image_size": changes_data,
    "stream": stays_on_disk,
    "official_split": lambda: data_of("a", *MORE) != data_of("b", *MORE, "--official-split"),
    "max_classes": lambda: data_of("a") != data_of("b", "--max-classes", "4"),
    "max_images": lambda: data_of("a") != data_of("b", "--max-images", "48"),
    "device": lambda: main(["train", "DARTS_V1", *ONE_STEP, "--device", "mps"]) == 2,
    "threads": changes_threads,
    "seed": lambda: changes_results("--seed", "1"),
    "precision": lambda: changes_results("--precision", "float64"),
    "save_every": saves_inside_an_epoch,
    "budget": lambda: stops_early("--budget", "1steps"),
    "until": lambda: stops_early("--until", "0.01s"),
}


@pytest.mark.parametrize("name", field_names(Setup))
def test_every_field_of_the_setup_changes_something(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asks_to_download(monkeypatch) if name == "download" else CHANGES[name]()


# --- Stops and defects -----------------------------------------------------------------------------------------------


def test_a_stop_tells_on_both_outputs_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "darts", *ONE_STEP, "--out", "a run"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "dartboard resume 'a run'"
    assert err.count("\n") == 1 and err.endswith("dartboard resume 'a run'\n")


def test_a_loss_that_is_not_finite_exits_3_with_step_and_rate(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "DARTS_V1", *TINY, "--epochs", "20", "--lr", "1e30", "--grad-clip", "1e30", "--out", "run"]
    assert main(words) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "dartboard resume run" and err.count("\n") == 1
    assert "step" in err and "learning rate" in err and "--lr" in err


def test_a_defect_exits_1_with_its_traceback_in_the_run_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*values: object) -> None:
        raise ZeroDivisionError("made for the test")

    monkeypatch.setattr("dartboard.training.from_scratch.fit", defect)
    assert main(["train", "DARTS_V1", *ONE_STEP, "--out", "run"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "ZeroDivisionError: made for the test" in err and "run/traceback.txt" in err
    assert "made for the test" in Path("run/traceback.txt").read_text()


def test_a_defect_outside_of_a_run_leaves_its_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("dartboard.commands.listing.lines", lambda kind: 1 / 0)
    assert main(["list", "data"]) == 1
    path = capsys.readouterr().err.strip().split("traceback in ")[1]
    assert "ZeroDivisionError" in Path(path).read_text()


def test_a_reader_that_leaves_early_is_no_error() -> None:
    program = "from dartboard.cli import main; import sys; sys.exit(main(['list']))"
    done = subprocess.run(f'"{sys.executable}" -c "{program}" | head -1', shell=True, capture_output=True, text=True)
    assert done.stdout == "methods:\n" and done.stderr == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_output_exits_3() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dartboard", "list"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 3 and done.stderr.count("\n") == 1


def test_setup_is_what_the_flags_say(capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of Setup has its flag, under its own name."""
    text = printed(capsys, "search", "darts", "--help")
    for name in field_names(Setup):
        assert f"--{name.replace('_', '-')}" in text
