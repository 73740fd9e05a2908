"""Claims: one owner at a time, and an owner that is gone is found out."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dartboard.studies import claims
from dartboard.studies.claims import Claims, is_alive, machine, read_claim


def nothing() -> None:
    pass


def foreign(path: Path, beats: int, pid: int = 1, where: str = "elsewhere") -> None:
    """A claim as another machine writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"owner": "other", "machine": where, "pid": pid, "beats": beats}))


def test_what_one_has_claimed_another_cannot_until_it_is_given_free(tmp_path: Path) -> None:
    one, other = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
    claim = one.take("stage", nothing)
    assert claim is not None
    with claim:
        assert other.take("stage", nothing) is None
        second = other.take("another", nothing)
        assert second is not None
        second.__exit__(None, None, None)
    third = other.take("stage", nothing)
    assert third is not None
    third.__exit__(None, None, None)
    assert list((tmp_path / "claims").iterdir()) == []


def test_of_many_that_try_at_once_exactly_one_has_it(tmp_path: Path) -> None:
    found: list[object] = []
    ready = threading.Barrier(8)

    def attempt() -> None:
        mine = Claims(tmp_path / "claims")
        ready.wait()
        found.append(mine.take("stage", nothing))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [claim for claim in found if claim is not None]
    assert len(held) == 1
    held[0].__exit__(None, None, None)  # type: ignore[attr-defined]


def test_a_claim_that_stands_still_is_taken_over_after_a_while_and_no_sooner(tmp_path: Path) -> None:
    now = [1000.0]
    mine = Claims(tmp_path / "claims", now=lambda: now[0])
    foreign(tmp_path / "claims" / "stage.json", beats=3)
    assert mine.take("stage", nothing) is None  # seen for the first time
    now[0] += claims.STALE_S - 1
    assert mine.take("stage", nothing) is None
    foreign(tmp_path / "claims" / "stage.json", beats=4)  # it lives
    now[0] += 2
    assert mine.take("stage", nothing) is None
    now[0] += claims.STALE_S
    claim = mine.take("stage", nothing)
    assert claim is not None and read_claim(claim.path)["owner"] == mine.owner
    claim.__exit__(None, None, None)


def test_the_claim_of_a_process_of_this_machine_that_has_ended_is_taken_at_once(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    pid = int(ended.stdout)
    assert not is_alive(pid) and is_alive(os.getpid())
    foreign(tmp_path / "claims" / "stage.json", beats=0, pid=pid, where=machine())
    claim = Claims(tmp_path / "claims").take("stage", nothing)
    assert claim is not None
    claim.__exit__(None, None, None)
    foreign(tmp_path / "claims" / "stage.json", beats=0, pid=os.getpid(), where=machine())
    assert Claims(tmp_path / "claims").take("stage", nothing) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the state of a process is read as Linux tells it")
def test_a_process_that_has_ended_and_that_nobody_waited_for_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert is_alive(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays to be waited for
    assert not is_alive(child.pid)
    child.communicate()


def test_an_owner_that_was_taken_for_gone_is_told_and_leaves_the_new_claim_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "BEAT_S", 0.01)
    told = threading.Event()
    claim = Claims(tmp_path / "claims").take("stage", told.set)
    assert claim is not None
    with claim:
        while read_claim(claim.path).get("beats", 0) < 2:  # it beats
            pass
        foreign(claim.path.with_name("beside.json"), beats=9)
        os.replace(claim.path.with_name("beside.json"), claim.path)
        while not told.wait(1.0):  # a beat that was on its way may have overwritten it
            foreign(claim.path, beats=9)
    assert read_claim(tmp_path / "claims" / "stage.json")["owner"] == "other"


def test_a_claim_that_cannot_be_read_for_a_moment_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "BEAT_S", 0.01)
    told = threading.Event()
    claim = Claims(tmp_path / "claims").take("stage", told.set)
    assert claim is not None
    with claim:
        for error in (OSError("the drive is away"), None):
            with monkeypatch.context() as patch:
                if error is not None:
                    patch.setattr(claims, "replace_file", lambda *words: raised(error))  # noqa: B023
                else:
                    patch.setattr(claims, "read_claim", lambda path: {})
                assert not told.wait(0.2)
        beats = claim.beats
        while claim.beats < beats + 2:  # it goes on
            assert not told.wait(0.01)
    assert not claim.path.exists()


def raised(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_a_claim_that_cannot_be_read_is_one_that_stands_still(text: str, tmp_path: Path) -> None:
    now = [0.0]
    mine = Claims(tmp_path, now=lambda: now[0])
    (tmp_path / "stage.json").write_text(text)
    assert mine.take("stage", nothing) is None
    now[0] += claims.STALE_S
    claim = mine.take("stage", nothing)
    assert claim is not None
    claim.__exit__(None, None, None)
