"""How the compiled kernels are built: many processes at once, places that do not do, compilers that refuse flags."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import tiny
from dartboard import kernels
from dartboard.errors import InterruptedRunError
from dartboard.kernels import building
from dartboard.kernels.building import BuildError, PlaceError
from dartboard.runs import environment
from dartboard.runs.limits import limits_of
from dartboard.runs.run import Run

compiler = kernels.compiler()
pytestmark = pytest.mark.skipif(compiler is None, reason="no C++ compiler here")

# A compiler that notes its flags, takes its time, and builds something small in place of the kernels.
FAKE = """#!/bin/sh
echo "$@" >> {notes}
sleep {seconds}
for flag in {refused}; do case " $* " in *" $flag "*) echo "error: unknown argument $flag" >&2; exit 1;; esac; done
while [ "$1" != -o ]; do shift; done
echo 'extern "C" int one() {{ return 1; }}' | {real} -shared -fPIC -x c++ - -o "$2"
"""


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Any]:
    """Makes such compilers; a function of the seconds and of the flags they refuse."""

    def make(seconds: float = 0.0, refused: str = "") -> str:
        path = tmp_path / "compiler"
        path.write_text(FAKE.format(notes=tmp_path / "notes", seconds=seconds, refused=refused, real=compiler))
        path.chmod(0o755)
        return str(path)

    yield make
    building.own_folder.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernels' folder in an empty cache; not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/dartboard/kernels"


def flags_of(library: building.Library) -> tuple[str, ...]:
    return library.flags[len(building.FLAGS) : -1]


ASK = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("building", sys.argv[2])  # without torch, which takes its time
building = sys.modules["building"] = module_from_spec(spec)
spec.loader.exec_module(building)
found = building.load(sys.argv[1], "float")
print(found.sha256, *found.flags)
"""


def test_processes_that_start_at_once_compute_with_one_library(tmp_path: Path, cache: Path, fake: Any) -> None:
    program = fake(seconds=1.5)
    words = [sys.executable, "-c", ASK, program, building.__file__]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=120) for process in processes]
    assert len({out for out, _ in said}) == 1 and "-march=native -fopenmp" in said[0][0]
    assert len((tmp_path / "notes").read_text().splitlines()) == 1  # compiled once
    assert sum("waiting for it" in err for _, err in said) <= 3
    assert sorted(path.suffix for path in cache.iterdir()) == ["", ".json", ".so"]  # the lock, nothing left over


def test_a_process_that_waits_says_so_and_builds_alone_where_it_waits_in_vain(
    cache: Path, fake: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(building, "WORD_AFTER_S", 0.0)
    monkeypatch.setattr(building, "WAIT_LIMIT_S", 0.2)
    program, place = fake(), building.cache_place()
    with building.alone(place):
        found = building.load(program, "float")
    said = capsys.readouterr().err
    assert flags_of(found) == building.FURTHER[0] and not list(place.glob("*.so"))
    assert said.count("another process is building") == 1 and "for this process alone" in said


@pytest.mark.parametrize("refused", ["-fopenmp", "-march=native", "-fopenmp -march=native"])
def test_only_flags_that_the_compiler_refuses_are_left_out_and_the_next_start_compiles_nothing(
    tmp_path: Path, cache: Path, fake: Any, refused: str
) -> None:
    program = fake(refused=refused)
    wanted = next(flags for flags in building.FURTHER if not set(flags) & set(refused.split()))
    assert flags_of(building.load(program, "float")) == wanted
    compiled = (tmp_path / "notes").read_text()
    assert flags_of(building.load(program, "float")) == wanted
    assert (tmp_path / "notes").read_text() == compiled


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_place_that_cannot_be_written_changes_the_place_and_not_the_flags(
    tmp_path: Path,
    cache: Path,
    fake: Any,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The compiler only fails there; that it is the place is found by writing."""
    program, compiled, check = fake(), building.compiled, building.check_room

    def full(folder: Path) -> bool:
        return cache in folder.parents

    def no_room(folder: Path) -> None:
        if full(folder):
            raise OSError(number, os.strerror(number))
        check(folder)

    def fails(name: str, flags: tuple[str, ...], source: Path, result: Path) -> str | None:
        return ": cannot write" if full(result.parent) else compiled(name, flags, source, result)

    monkeypatch.setattr(building, "check_room", no_room)
    monkeypatch.setattr(building, "compiled", fails)
    assert flags_of(building.load(program, "float")) == building.FURTHER[0]
    said = capsys.readouterr().err
    assert os.strerror(number) in said and said.count("\n") == 1
    assert list(cache.glob("*.so")) == []


def test_where_no_place_does_the_reason_is_said(
    cache: Path, fake: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(building, "put", no_room)
    with pytest.raises(BuildError, match="No space left"):
        building.load(fake(), "float")


def test_a_compiler_that_the_system_stops_is_not_asked_with_other_flags(tmp_path: Path, cache: Path) -> None:
    program = tmp_path / "killed"
    said = 'echo "fatal error: Killed signal terminated program cc1plus" >&2'
    program.write_text(f"#!/bin/sh\necho x >> {tmp_path}/notes\n{said}\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(BuildError, match="stopped by the system"):
        building.load(str(program), "float")
    assert (tmp_path / "notes").read_text() == "x\n"


@pytest.mark.parametrize("words", ["exit 1", "kill -9 $$", "exit 0"])
def test_a_compiler_that_never_works_is_told_as_such(tmp_path: Path, cache: Path, words: str) -> None:
    program = tmp_path / "broken"
    program.write_text(f"#!/bin/sh\n{words}\n")
    program.chmod(0o755)
    with pytest.raises(BuildError, match="broken"):
        building.load(str(program), "float")


# --- A library is executed: whose is it? -----------------------------------------------------------------------------


def plant(cache: Path, program: str) -> Path:
    """Puts a library with its record where a process would take it from, as another user could."""
    cache.mkdir(parents=True, mode=0o700, exist_ok=True)
    target = cache / f"{building.key(program, 'float')}.so"
    words = [str(compiler), "-shared", "-fPIC", "-x", "c++", "-", "-o", str(target)]
    subprocess.run(words, input=b'extern "C" int planted() { return 1; }', check=True)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    building.record_of(target).write_text(json.dumps({"sha256": digest, "flags": ["planted"]}))
    for path in (target, building.record_of(target)):
        path.chmod(0o600)
    return target


def test_a_library_of_ones_own_is_taken(cache: Path, fake: Any) -> None:
    program = fake()
    plant(cache, program)
    assert building.load(program, "float").flags == ("planted",)


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o722])
@pytest.mark.parametrize("which", ["kernels", "cache"])
def test_nothing_is_loaded_from_a_folder_that_others_can_write_to(
    cache: Path, fake: Any, mode: int, which: str, capsys: pytest.CaptureFixture[str]
) -> None:
    program = fake()
    plant(cache, program)
    folder = cache if which == "kernels" else cache.parent.parent
    folder.chmod(mode)
    taken = mode == 0o775 and which == "cache"  # a group's own folder above, as umask 002 leaves it
    assert (building.load(program, "float").flags == ("planted",)) == taken
    assert ("can be written by others" in capsys.readouterr().err) != taken


@pytest.mark.parametrize("change", ["mode", "link"])
def test_a_file_that_others_could_have_put_there_is_built_anew(cache: Path, fake: Any, change: str) -> None:
    program = fake()
    target = plant(cache, program)
    if change == "mode":
        target.chmod(0o666)
    else:
        target.rename(cache / "elsewhere.so")
        target.symlink_to("elsewhere.so")
    assert building.load(program, "float").flags != ("planted",)
    assert not target.is_symlink() and target.stat().st_mode & 0o022 == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("which", ["library", "kernels", "above"])
def test_nothing_of_another_user_is_loaded(cache: Path, fake: Any, which: str) -> None:
    program = fake()
    target = plant(cache, program)
    os.chown({"library": target, "kernels": cache, "above": cache.parent}[which], 12345, 12345)
    assert building.load(program, "float").flags != ("planted",)


def test_a_cache_that_is_a_link_to_a_folder_of_others_is_not_used(tmp_path: Path, cache: Path, fake: Any) -> None:
    program = fake()
    plant(tmp_path / "theirs", program)
    (tmp_path / "theirs").chmod(0o777)
    cache.parent.mkdir(parents=True)
    cache.symlink_to(tmp_path / "theirs")
    with pytest.raises(PlaceError, match="can be written by others"):
        building.cache_place()
    assert building.load(program, "float").flags != ("planted",)


# --- What a run notes ------------------------------------------------------------------------------------------------


def noted(folder: Path) -> list[dict[str, Any]]:
    found = json.loads((folder / "environment.json").read_text())["kernel_libraries"]
    assert isinstance(found, list)
    return found


def resume(folder: Path, budget: str | None) -> None:
    """Goes on with a tiny search, by so many steps or to its end."""
    with Run.open(folder, write=True) as run:
        run.limits = limits_of(budget, None)
        with nullcontext() if budget is None else pytest.raises(InterruptedRunError):
            tiny.resume(run)


@pytest.mark.skipif(not kernels.available(), reason="no compiled kernels here")
def test_a_search_notes_the_library_it_computes_with_and_says_where_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InterruptedRunError):
        tiny.search(tmp_path / "run", budget="1steps", epochs=2)
    (first,) = noted(tmp_path / "run")
    assert first["compiler"] == kernels.compiler() and "-O3" in first["flags"] and len(first["sha256"]) == 64
    resume(tmp_path / "run", budget="1steps")
    assert noted(tmp_path / "run") == [first] and "continues with" not in capsys.readouterr().err
    monkeypatch.setenv(kernels.SWITCH, "0")
    resume(tmp_path / "run", budget=None)
    assert noted(tmp_path / "run") == [first, {"sha256": None, "reason": "switched off by DARTBOARD_KERNELS=0"}]
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"started with the compiled kernels {first['sha256'][:12]}" in said


def test_a_training_and_a_plain_search_note_no_library(tmp_path: Path) -> None:
    tiny.search(tmp_path / "plain", supernet="plain")
    assert "kernel_libraries" not in json.loads((tmp_path / "plain/environment.json").read_text())


def test_another_library_than_at_first_is_said_each_time_and_noted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "environment.json"
    path.write_text("{}")
    for digest in ("a" * 64, "b" * 64, "b" * 64, "a" * 64):
        entry = {"sha256": digest, "compiler": "g++", "flags": ["-O3"]}
        monkeypatch.setattr(kernels, "described", lambda precision, entry=entry: entry)
        environment.note_kernels(path, "float32")
    assert capsys.readouterr().err.count("continues with the compiled kernels bbbbbbbbbbbb (-O3)") == 2
    assert [entry["sha256"][0] for entry in noted(tmp_path)] == ["a", "b"]
