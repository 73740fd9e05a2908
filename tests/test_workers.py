"""Independent pieces of work: by processes as in one process, bit for bit; workers that are killed; what stops them."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import plain_loop
import tiny
from dartboard.cli import main
from dartboard.errors import CannotContinueError, InputError, InterruptedRunError
from dartboard.methods import random_search
from dartboard.runs import ray_workers
from dartboard.runs.limits import Limits
from dartboard.runs.run import Run
from dartboard.runs.worker import DefectError, Event, as_error, as_fields
from dartboard.runs.workers import MOST_DEATHS, Dispatch, done, outcomes
from dartboard.scoring.scorers import Score
from dartboard.studies.claims import is_alive

ROOT, WRONG = "pieces_for_workers:root", "pieces_for_workers:wrong"
# --- The verb --------------------------------------------------------------------------------------------------------


def test_three_processes_give_the_results_of_one_and_a_killed_one_is_replaced(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pieces = [{"number": number} for number in range(6)]
    alone = dict(done(ROOT, pieces))
    capfd.readouterr()
    pieces[1] |= {"killed": str(tmp_path / "killed")}  # type: ignore[dict-item]
    assert dict(done(ROOT, iter(pieces), "3")) == alone
    said = capfd.readouterr()
    assert "piece 2: its worker was killed by SIGKILL; the piece is sent again" in said.err
    assert sorted(said.out.splitlines()) == [f"piece {number + 1}  root of {number}" for number in range(6)]


def test_a_piece_that_fails_leaves_the_others_at_work_and_its_error_is_what_it_was() -> None:
    pieces = [{"kind": kind} for kind in ("input", "stopped", "defect")]
    found = {one.index: one.error for one in outcomes(WRONG, pieces, "1")}
    assert isinstance(found[0], InputError) and str(found[0]) == "there is no such thing; give another"
    assert isinstance(found[1], CannotContinueError) and isinstance(found[2], DefectError)
    assert "ZeroDivisionError: a defect" in str(found[2]) and "Traceback" in found[2].__notes__[0]


def test_in_this_process_the_error_of_a_piece_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        list(done(WRONG, [{"kind": "defect"}]))
    with pytest.raises(InputError, match="there is no such thing"):
        list(done(WRONG, [{"kind": "input"}]))


@pytest.mark.parametrize(
    "error",
    [
        InputError("a"),
        CannotContinueError("b"),
        InterruptedRunError("c", 143),
        OSError(28, "No space left on device", "/a/file"),
    ],
)
def test_an_error_survives_the_way_from_a_worker(error: Exception) -> None:
    again = as_error(json.loads(json.dumps(as_fields(error))))
    assert type(again) is type(error) and str(again) == str(error)
    assert getattr(again, "exit_code", None) == getattr(error, "exit_code", None)


def test_a_killed_parent_leaves_no_worker_behind(tmp_path: Path) -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from dartboard.runs.workers import done\n"
        "list(done('pieces_for_workers:wait', [{'folder': sys.argv[2]}] * 2, '2'))\n"
    )
    words = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(words) as parent:
        assert within(60, lambda: len(list(tmp_path.iterdir())) == 2)
        parent.kill()
    assert within(60, lambda: not any(is_alive(int(path.name)) for path in tmp_path.iterdir()))


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition comes true in this time."""
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.02)
    return condition()


# --- How pieces are given out: with workers that are only made up -----------------------------------------------------


class MadeUp:
    """Two workers of which a plan says what becomes of each piece they are sent."""

    def __init__(self, plan: Mapping[int, list[Event]]) -> None:
        self.plan = {index: list(events) for index, events in plan.items()}
        self.at_work: list[int] = []
        self.sent: list[int] = []
        self.stopped = 0

    def has_room(self) -> bool:
        return len(self.at_work) < 2

    def send(self, index: int, order: Mapping[str, Any]) -> None:
        self.sent.append(index)
        self.at_work.append(index)

    def events(self, wait_s: float) -> list[Event]:
        index = self.at_work.pop(0)
        return [self.plan[index].pop(0)]

    def stop(self) -> None:
        self.stopped += 1

    def kill(self) -> None:
        self.at_work = []


def ended(index: int, **fields: Any) -> Event:
    return Event(index, ended=json.dumps(fields or {"result": index}))


def dispatch(crew: MadeUp, number: int, limits: Limits | None = None, **more: Any) -> Dispatch:
    options = {"label": str, "progress": lambda piece: None, "resume": lambda: "dartboard resume here", **more}
    pieces = iter(enumerate([{"number": one} for one in range(number)]))
    return Dispatch(crew, {}, pieces, limits or Limits(), **options)


def test_a_piece_whose_worker_dies_is_sent_again_until_it_makes_no_progress() -> None:
    deaths = [Event(0, died="was killed by SIGKILL") for _ in range(9)]
    crew = MadeUp({0: list(deaths), 1: [ended(1)]})
    found = {one.index: one for one in dispatch(crew, 2).run()}
    assert crew.sent.count(0) == MOST_DEATHS and found[1].result == 1
    assert isinstance(found[0].error, CannotContinueError)
    assert "3 times without any progress" in str(found[0].error) and "dartboard resume here" in str(found[0].error)
    steps = iter(range(20))  # one that comes further each time is never given up
    crew = MadeUp({0: [*deaths, ended(0)]})
    assert [one.result for one in dispatch(crew, 1, progress=lambda piece: next(steps)).run()] == [0]
    assert crew.sent.count(0) == len(deaths) + 1


def test_at_a_signal_nothing_more_is_sent_and_what_is_at_work_is_saved() -> None:
    limits = Limits()
    stopped = as_fields(InterruptedRunError("saved", 143))
    crew = MadeUp({0: [ended(0)], 1: [ended(1, error=stopped)], 2: [ended(2, error=stopped)]})
    found = dispatch(crew, 5, limits).run()
    assert next(found).index == 0
    limits.caught = signal.SIGINT
    with pytest.raises(InterruptedRunError, match="stopped by Ctrl-C, saved; resume with: dartboard resume here") as on:
        list(found)
    assert on.value.exit_code == 130 and crew.stopped == 1 and crew.sent == [0, 1]


def test_a_signal_after_the_last_piece_stops_nothing() -> None:
    limits = Limits()
    crew = MadeUp({0: [ended(0)]})
    found = dispatch(crew, 1, limits).run()
    assert next(found).index == 0
    limits.caught = signal.SIGTERM
    assert list(found) == []


def test_who_reads_no_further_has_the_rest_saved() -> None:
    crew = MadeUp({0: [ended(0)], 1: [ended(1)]})
    with closing(dispatch(crew, 9).run()) as found:  # type: ignore[type-var]
        next(found)
    assert crew.stopped == 1 and crew.sent == [0, 1]


# --- Words that are refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("search darts --seeds 2 --workers 0", "--workers is '0'; give a number from 1 to 1024, ray, or the address"),
        ("search darts --seeds 2 --workers many", "--workers is 'many'"),
        ("search darts --seeds 2 --workers ray://", "--workers is 'ray://'"),
        ("search darts --workers 2", "--workers has no effect on one seed of darts; give --seeds 4"),
        ("search darts --seeds 2 --together --workers 2", "leave out --together or --workers"),
        ("search darts --seeds 2 --workers 2 --budget 5steps", "--budget 5steps counts the steps of one process"),
        ("search darts --workers 2 --dry-run", "--workers has no effect on one seed of darts; give --seeds 4"),
        ("train DARTS_V2 --workers 2", "--workers has no effect on one seed of a training"),
        ("search random_search --workers 2 --truth none.csv --space nasbench201", "there is no file none.csv"),
        ("search random_search --workers 2 --budget 5steps", "--budget 5steps counts the steps of one process"),
        ("search random_search --together --workers 2", "--together is for searches that train a supernet"),
        ("search regularized_evolution --workers 2", "no effect on one seed with --batch 1; give --batch 8"),
    ],
)  # fmt: skip
def test_workers_without_a_use_are_refused_in_one_line(
    words: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*words.split(), "--out", "run"]) == 2
    said = capsys.readouterr().err
    assert told in said and len(said.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_trials_that_are_trained_by_workers_are_those_of_one_process(tmp_path: Path, global_rng: None) -> None:
    sizes = "--data digits --max-images 64 --channels 2 --cells 3 --batch-size 16 --epochs 1 --device cpu --threads 1"
    words = ["search", "random_search", *sizes.split(), "--trials", "3", "--out"]
    assert main([*words, str(tmp_path / "alone")]) == 0
    assert main([*words, str(tmp_path / "workers"), "--workers", "2"]) == 0
    assert tiny.history(tmp_path / "workers") == tiny.history(tmp_path / "alone")
    (one,), (other,) = (list((tmp_path / name / "trials").iterdir()) for name in ("alone", "workers"))
    assert one.name == other.name and tiny.history(one) == tiny.history(other)
    assert (one / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
    assert "workers" not in (tmp_path / "workers" / "config.toml").read_text()


def test_workers_have_nothing_to_do_where_nothing_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], global_rng: None
) -> None:
    plain_loop.begin(tmp_path / "darts").close()
    assert main(["search", "random_search", "--shared-weights", str(tmp_path / "darts"), "--workers", "2"]) == 2
    assert "--workers has no effect on one seed that a supernet scores; give --seeds 4" in capsys.readouterr().err
    assert main(["resume", str(tmp_path / "darts"), "--workers", "2"]) == 2
    assert f"--workers has no effect on {tmp_path}/darts, which is one run; leave it out" in capsys.readouterr().err
    config = random_search.Config(trials=2)
    with Run.create(tmp_path / "run", config, space=tiny.FEW.name) as run:
        run.workers = "2"
        with pytest.raises(InputError, match="only trainings go out to workers"):
            random_search.search(config, tiny.FEW, None, run, scorer=lambda architecture, number: Score(0.5))


def test_without_ray_or_a_cluster_nothing_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["search", "darts", "--seeds", "2", "--out", str(tmp_path / "run"), "--workers"]
    monkeypatch.setattr(ray_workers, "find_spec", lambda name: None)
    assert main([*words, "ray"]) == 2
    assert "--workers ray needs Ray; install it with: pip install 'dartboard[ray]'" in capsys.readouterr().err
    monkeypatch.setattr(ray_workers, "find_spec", lambda name: object())
    assert main([*words, "ray://127.0.0.1:1"]) == 2
    said = capsys.readouterr().err
    assert "no cluster answers at 127.0.0.1, port 1 (Connection refused); start one with: ray start" in said
    assert len(said.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_how_many_workers_a_cluster_has_room_for() -> None:
    assert ray_workers.places([{"CPU": 8.0}, {"CPU": 3.0, "GPU": 1.0}], threads=2, gpu=False) == 5
    assert ray_workers.places([{"CPU": 8.0}, {"CPU": 3.0, "GPU": 1.0}], threads=2, gpu=True) == 1
    with pytest.raises(InputError, match="no machine for a worker, which takes 6 CPU threads and a GPU"):
        ray_workers.places([{"CPU": 8.0}, {"CPU": 5.0, "GPU": 1.0}], threads=6, gpu=True)
