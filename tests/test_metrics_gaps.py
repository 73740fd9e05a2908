"""metrics.jsonl short, missing or damaged beside intact checkpoints: gone on from the weights, the gap is marked."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from dartboard.cli import main
from dartboard.runs.metrics_file import as_line, as_object, mended
from dartboard.runs.run import Run

SMALL = ["--data", "digits", "--max-images", "64", "--channels", "2", "--cells", "3", "--batch-size", "8"]
MORE = ["--device", "cpu", "--threads", "1", "--epochs"]
COMMANDS = {
    "search": ["search", "darts", *SMALL, *MORE, "2"],
    "train": ["train", "DARTS_V1", *SMALL, *MORE, "3"],
}
STEPS = {"search": 5, "train": 17}  # to stop after: in the last epoch

pytestmark = pytest.mark.usefixtures("global_rng")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search and a training, each stopped in its last epoch, and each never stopped."""
    import torch

    folder = tmp_path_factory.mktemp("runs")
    with torch.random.fork_rng():
        for name, words in COMMANDS.items():
            assert main([*words, "--budget", f"{STEPS[name]}steps", "--out", str(folder / name)]) == 0
            assert main([*words, "--out", str(folder / f"{name}-whole")]) == 0
    return folder


def missing(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def short(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 3])


def a_garbage_tail(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-40] + b"\0" * 4096)


def a_longer_garbage_tail(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"\xff\xfe{]\n" * 50)


def a_line_that_is_no_json(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"x" * (len(lines[1]) - 1) + b"\n", *lines[2:]]))


def deep(path: Path) -> None:
    path.write_bytes(b"[" * 100_000)


Damage = Callable[[Path], None]
DAMAGES: list[tuple[str, Damage, bool]] = [  # the last: whether more is lost than the line that the checkpoint has
    ("train", missing, True),
    ("train", empty, True),
    ("train", short, True),
    ("train", a_garbage_tail, False),
    ("train", a_longer_garbage_tail, False),
    ("train", a_line_that_is_no_json, True),
    ("train", deep, True),
    ("search", missing, True),
    ("search", a_garbage_tail, False),
]


def check_as_if_undisturbed(folder: Path, whole: Path) -> None:
    """The same result, weights and architecture; the last line, and the last epoch's."""
    ended, unstopped = tiny.history(folder), tiny.history(whole)
    assert ended[-1] == unstopped[-1] and ended[-1]["event"] == "result"
    epochs = [[line for line in lines if line["event"] == "epoch"][-1] for lines in (ended, unstopped)]
    assert epochs[0] == epochs[1]
    assert all(line in unstopped for line in ended if line["event"] != "gap")
    one, other = Run.open(folder), Run.open(whole)
    found, wanted = one.load(), other.load()
    assert found is not None and wanted is not None and tiny.same_tensors(found.tensors, wanted.tensors)
    assert one.architecture == other.architecture
    if (whole / "weights.safetensors").exists():
        assert (folder / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


QUICK = (missing, a_garbage_tail)  # of the training; the rest in make test-slow


@pytest.mark.parametrize(
    ("name", "damage", "lost"),
    [pytest.param(*one, marks=() if one[0] == "train" and one[1] in QUICK else pytest.mark.slow) for one in DAMAGES],
    ids=[f"{one[0]} {one[1].__name__}" for one in DAMAGES],
)
def test_a_stopped_run_goes_on_from_its_weights_whatever_has_become_of_its_metrics(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, damage: Damage, lost: bool
) -> None:
    folder = Path(shutil.copytree(runs / name, tmp_path / "run"))
    damage(folder / "metrics.jsonl")
    assert main(["report", str(folder), "--out", str(tmp_path / "page.html")]) == 0  # not mended, and copes
    capsys.readouterr()
    assert main(["resume", str(folder)]) == 0
    gaps = [line for line in Run.open(folder).metrics() if line["event"] == "gap"]
    said = capsys.readouterr().err
    assert len(gaps) == lost == said.count("\n")
    assert not lost or (gaps[0]["until_step"] == STEPS[name] and "has a gap" in said)
    check_as_if_undisturbed(folder, runs / f"{name}-whole")
    assert ("has a gap of" in (folder / "report.html").read_text()) == lost


@pytest.mark.parametrize("name", [pytest.param("search", marks=pytest.mark.slow), "train"])
@pytest.mark.parametrize("damage", [missing, short, deep], ids=lambda one: one.__name__)
def test_a_run_that_has_only_its_last_checkpoint_gets_its_result_again(
    runs: Path, tmp_path: Path, name: str, damage: Damage
) -> None:
    """The line of the last epoch, which the result is made of, is in the checkpoint as well."""
    folder = Path(shutil.copytree(runs / f"{name}-whole", tmp_path / "run"))
    damage(folder / "metrics.jsonl")
    for gone in ("weights.safetensors", "architecture.json")[: 2 if name == "search" else 1]:
        (folder / gone).unlink(missing_ok=True)
    shutil.rmtree(sorted((folder / "checkpoint").iterdir())[0])
    assert main(["resume", str(folder)]) == 0
    check_as_if_undisturbed(folder, runs / f"{name}-whole")


def test_stopped_again_after_a_gap_it_still_ends_as_if_undisturbed(runs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(runs / "train", tmp_path / "run"))
    missing(folder / "metrics.jsonl")
    assert main(["resume", str(folder), "--budget", "2steps"]) == 0
    short(folder / "metrics.jsonl")
    newest = sorted((folder / "checkpoint").iterdir())[-1]
    (newest / "state.json").write_text("{")  # back to the checkpoint of before the gap was marked
    assert main(["resume", str(folder)]) == 0
    lines = Run.open(folder).metrics()
    assert [line["event"] for line in lines].count("gap") == 1
    check_as_if_undisturbed(folder, runs / "train-whole")


@pytest.mark.slow
def test_a_search_with_rules_goes_on_and_says_that_they_do_not_see_the_gap(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*COMMANDS["search"], "--stop", "skips:2,stable:10,eigenvalue,held-out"]
    assert main([*words, "--budget", "8steps", "--out", str(tmp_path / "run")]) == 0
    missing(tmp_path / "run/metrics.jsonl")
    capsys.readouterr()
    assert main(["resume", str(tmp_path / "run")]) == 0
    assert "the rules of --stop do not see its epochs" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_something_else_in_the_place_of_the_metrics_is_refused_and_left_alone(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    folder = Path(shutil.copytree(runs / "train", tmp_path / "run"))
    missing(folder / "metrics.jsonl")
    if kind == "folder":
        (folder / "metrics.jsonl").mkdir()
    else:
        (folder / "metrics.jsonl").symlink_to(tmp_path / "outside")
    capsys.readouterr()
    assert main(["resume", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "metrics.jsonl is a" in said and "delete" not in said
    assert not (tmp_path / "outside").exists()


# --- The bytes -------------------------------------------------------------------------------------------------------

LINES = st.lists(st.integers(0, 3).map(lambda n: as_line({"event": "step", "step": n, "text": "y" * n})), max_size=8)


@given(LINES, st.data())
def test_what_is_mended_has_the_length_of_the_checkpoint_and_only_whole_lines(
    lines: list[bytes], data: st.DataObject
) -> None:
    content = b"".join(lines)
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for place in data.draw(st.lists(st.integers(0, max(0, len(damaged) - 1)), max_size=4)) if damaged else []:
        damaged[place] = data.draw(st.sampled_from(b"\0\n{[\xff"))
    found, lost = mended(bytes(damaged), len(content), None, {"until_step": 7})
    assert len(found) == len(content)
    objects = [as_object(line) for line in found.split(b"\n")[:-1]]
    assert all(one is not None for one in objects)
    assert any(one is not None and one.get("event") == "gap" for one in objects) == (lost > 0)
    assert mended(found, len(found), None, {}) == (found, 0)  # mended once, it is whole


@given(st.integers(0, 6), st.integers(0, 6))
def test_the_last_epochs_line_is_put_back_and_nothing_marked_where_it_alone_was_lost(before: int, after: int) -> None:
    epoch = {"event": "epoch", "epoch": 4, "loss": 0.1 + 0.2}
    steps = [as_line({"event": "step", "step": number}) for number in range(before + after)]
    whole = b"".join([*steps[:before], as_line(epoch), *steps[before:]])
    lost = whole.replace(as_line(epoch), b"\0" * (len(as_line(epoch)) - 1) + b"\n")
    assert mended(lost, len(whole), epoch, {}) == (whole, 0)
