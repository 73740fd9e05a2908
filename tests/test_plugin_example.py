"""The package in examples/plugin: installed beside dartboard, its family and its method do what ours do."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dartboard.runs.run import Run
from dartboard.scoring import tables
from dartboard.search import on_tables
from dartboard.spaces import nasbench201
from documents import PAGES, ROOT, blocks
from packages import TINY, forget, said, unload

EXAMPLE = ROOT / "examples" / "plugin"
PLAIN = ["--no-auxiliary", "--drop-path", "0"]
SEARCH = ["search", "frequencies", "--data", "digits", "--trials", "3", "--epochs", "1", "--best", "2", *TINY, *PLAIN]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which pip has installed the example."""
    source, folder = tmp_path_factory.mktemp("source") / "plugin", tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(folder), str(source)], check=True, capture_output=True, timeout=300)
    return folder


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.chdir(tmp_path)
    forget()
    yield
    forget()
    unload(site)


@pytest.mark.usefixtures("installed")
def test_every_command_knows_the_example_by_the_names_in_words_and_in_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command begins as a new process, which has loaded no package."""
    train = ["train", "run", "--data", "digits", "--epochs", "2", *TINY, *PLAIN]
    for words, expected in (
        (["list", "methods"], "\nfrequencies "),
        ([*SEARCH, "--budget", "4steps", "--out", "run"], "trial 1"),
        (["resume", "run"], '{"space": "activations", "choices": {"layer.1": '),
        (["resume", "run"], "score "),
        (["show", "run", "--image", "cell.svg"], "layer.1: "),
        (["export", "run", "--to", "json"], '{"space": "activations"'),
        ([*train, "--budget", "1steps", "--out", "net"], ""),
        (["resume", "net"], "test accuracy"),
        (["evaluate", "net"], "test"),
        (["export", "net", "--to", "torch", "--out", "weights"], ""),
        (["evaluate", "weights", "--data", "digits"], "test"),
        (["report", "run", "net", "--out", "both.html"], "both.html"),
        ([*SEARCH, "--dry-run"], "trials"),
        (["search", "random_search", "--space", "activations", "--data", "digits", "--print-config"], "activations"),
    ):
        code, out, err = said(words, capsys)
        assert code == 0 and expected in out, (words, out, err)
    run = Run.open(tmp_path / "run")
    assert (run.command, run.method, run.space, run.done) == ("search", "frequencies", "activations", True)
    page = (tmp_path / "run/report.html").read_text()
    assert "The best of 3 architectures" in page and "frequencies" in page and "<svg" in page
    assert any(name in (tmp_path / "cell.svg").read_text() for name in ("relu", "tanh", "sigmoid"))


@pytest.mark.usefixtures("installed")
def test_a_search_by_the_example_that_was_stopped_and_resumed_ends_as_one_that_was_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert said([*SEARCH, "--out", "once"], capsys)[0] == 0
    assert said([*SEARCH, "--budget", "6steps", "--out", "twice"], capsys)[0] == 0
    assert not Run.open("twice").done and said(["resume", "twice"], capsys)[0] == 0
    once, twice = Run.open("once"), Run.open("twice")
    assert once.architecture == twice.architecture
    scores = [[line["score"] for line in run.metrics() if line["event"] == "trial"] for run in (once, twice)]
    assert len(scores[0]) == 3 and scores[0] == scores[1]


@pytest.mark.usefixtures("installed")
def test_the_example_is_compared_with_ours(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["compare", "--methods", "frequencies,random_search", "--space", "activations", "--data", "digits"]
    sizes = ["--channels", "2", "--cells", "3", "--batch-size", "16", "--epochs", "1", "--max-images", "48"]
    sizes += [one.replace("--", "--train-") for one in sizes[:6]] + ["--train-epochs", "1"]
    code, out, err = said([*words, *sizes, "--budget", "2trials", "--seeds", "1", "--out", "compared"], capsys)
    assert code == 0, (out, err)
    assert "frequencies" in (tmp_path / "compared/table.csv").read_text()
    code, out, err = said(["compare", "compared"], capsys)
    assert code == 0, (out, err)


@pytest.mark.usefixtures("installed")
def test_the_method_of_the_example_runs_on_a_table_without_a_run_and_finds_what_is_best() -> None:
    from dartboard_activations import frequencies

    space = nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3"))
    values = {one: sum(name == "nor_conv_3x3" for _, name in one.choices) / 6 for one in space.enumerate()}
    table = tables.Table(space, "seen", "shown", values, values, ())
    config = frequencies.Config(trials=60)
    ((seed, found),) = on_tables.run(frequencies, config, space, table, [3])
    assert seed == 3 and len(found) == 60 and max(map(values.__getitem__, found)) == 1.0


def test_the_example_is_at_most_120_lines_and_the_page_shows_it_as_it_is() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in EXAMPLE.rglob("*.py")}
    assert len(files) == 4 and sum(len(text.splitlines()) for text in files.values()) <= 120
    shown = [(kind, text) for kind, text in blocks(PAGES["plugins.md"]) if kind in ("py", "toml")]
    everything = [*files.values(), (EXAMPLE / "pyproject.toml").read_text()]
    assert len(shown) == 5 and all(any(part in text for text in everything) for _, part in shown)


def in_its_own_process(site: Path, words: list[str], folder: Path) -> str:
    """What `python -m ...` prints beside the installed example."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, env=environment, cwd=folder, timeout=1800
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.slow
def test_processes_of_their_own_search_resume_and_report(site: Path, tmp_path: Path) -> None:
    in_its_own_process(site, ["dartboard", *SEARCH, "--budget", "4steps", "--out", "run"], tmp_path)
    assert "score " in in_its_own_process(site, ["dartboard", "resume", "run"], tmp_path)
    assert "report.html" in in_its_own_process(site, ["dartboard", "report", "run"], tmp_path)


@pytest.mark.slow
def test_the_contracts_of_families_and_methods_hold_of_the_example(site: Path) -> None:
    """In a process of its own, as its author runs them."""
    words = ["pytest", str(EXAMPLE / "tests"), "-p", "no:cacheprovider", "--rootdir", str(site)]
    found = re.search(r"(\d+) passed", in_its_own_process(site, words, site))
    assert found and int(found[1]) >= 75
