"""Files that --out and --image name: ordinary ones, links, pipes and devices, made here and never the machine's own."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.runs.targets import write_target
from synthetic_runs import write_search

COMMANDS = {
    "export": ["export", "DARTS_V2", "--out"],
    "report": ["report", "run", "--out"],
    "show": ["show", "DARTS_V2", "--no-counts", "--image"],
}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the run of a search in it, which is where the commands are typed."""
    monkeypatch.chdir(tmp_path)
    write_search(tmp_path / "run", epochs=1)
    return tmp_path


def null_device(path: Path, minor: int = 3) -> Path:
    """A device of one's own that swallows everything (3) or is always full (7)."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        path.write_bytes(b"")
    except PermissionError:
        pytest.skip("no devices may be made here")
    return path


@as_root
@pytest.mark.parametrize("command", COMMANDS)
def test_a_device_is_written_into_and_stays_a_device(place: Path, command: str) -> None:
    device = null_device(place / "device.svg")
    assert main([*COMMANDS[command], "device.svg"]) == 0
    assert stat.S_ISCHR(device.stat().st_mode)
    assert not list(place.glob(".*"))


@as_root
def test_a_device_without_room_is_a_full_disk(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    null_device(place / "full", 7)
    assert main([*COMMANDS["export"], "full"]) == 3
    assert "the disk is full" in capsys.readouterr().err


@as_root
def test_a_disk_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        os.mknod(place / "disk", 0o600 | stat.S_IFBLK, os.makedev(259, 4242))
    except PermissionError:
        pytest.skip("no devices may be made here")
    assert main([*COMMANDS["export"], "disk"]) == 2
    assert "it is a socket or a disk" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_gets_what_was_written_and_stays_a_pipe(place: Path, command: str) -> None:
    os.mkfifo("pipe.svg")
    got: list[bytes] = []
    descriptor = os.open("pipe.svg", os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)

    def read() -> None:
        with open(descriptor, "rb") as file:
            got.append(file.read())

    writer_waits = os.open("pipe.svg", os.O_WRONLY)  # so that the reader sees no end before the command has begun
    reader = threading.Thread(target=read)
    reader.start()
    assert main([*COMMANDS[command], "pipe.svg"]) == 0
    os.close(writer_waits)
    reader.join()
    assert len(got[0]) > 100
    assert stat.S_ISFIFO(os.stat("pipe.svg").st_mode)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_that_nobody_reads_is_refused_at_once(
    place: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo("pipe.svg")
    assert main([*COMMANDS[command], "pipe.svg"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "nobody reads from this pipe" in said
    assert stat.S_ISFIFO(os.stat("pipe.svg").st_mode)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("there", [True, False], ids=["a file", "nothing yet"])
def test_the_target_of_links_is_written_and_the_links_stay(place: Path, command: str, there: bool) -> None:
    (place / "far").mkdir()
    if there:
        (place / "far/target").write_text("before")
    os.symlink("far/second.svg", "link.svg")
    os.symlink("target", "far/second.svg")
    assert main([*COMMANDS[command], "link.svg"]) == 0
    assert (place / "link.svg").is_symlink() and (place / "far/second.svg").is_symlink()
    target = place / "far/target"
    assert not target.is_symlink() and len(target.read_bytes()) > 100
    assert sorted(path.name for path in (place / "far").iterdir()) == ["second.svg", "target"]


@pytest.mark.parametrize("command", COMMANDS)
def test_links_that_lead_nowhere_are_one_line(place: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    os.symlink("loop.svg", "loop.svg")
    os.symlink("no/folder.svg", "lost.svg")
    for name, reason in (("loop.svg", "symbolic links"), ("lost.svg", f"no folder {place / 'no'}")):
        assert main([*COMMANDS[command], name]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and reason in said
        assert (place / name).is_symlink()


@pytest.mark.parametrize("words", [["--all"], ["--all", "--csv", "no/methods.csv"], ["darts", "--no-counts"]])
def test_a_page_that_has_no_folder_is_refused_before_anything_is_printed(
    place: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out = [] if "--csv" in words else ["--out", "no/page.html"]
    assert main(["explain", *words, *out]) == 2
    said = capsys.readouterr()
    assert said.out == "" and "there is no folder no; make it first" in said.err and said.err.count("\n") == 1


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which no file can be made")
def test_a_folder_that_makes_no_files_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "darts", "--no-counts", "--out", "/proc/page.html"]) == 2
    assert "no file can be made in /proc; give another folder" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["search", "darts"], ["train", "DARTS_V2"], ["export", "DARTS_V2", "--to", "torch"]])
def test_a_link_that_leads_nowhere_is_no_place_for_a_folder(
    place: Path, words: list[str], capsys: pytest.CaptureFixture[str], global_rng: None
) -> None:
    os.symlink("nowhere", "link")
    few = ["--channels", "2", "--cells", "3", "--max-images", "64", "--batch-size", "16"]
    assert main([*words, *(few if words[0] != "export" else []), "--out", "link"]) == 2
    assert "link that leads nowhere" in capsys.readouterr().err


def test_a_file_keeps_its_mode_and_names_may_be_as_long_as_the_system_takes(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 255)
    path.write_text("before")
    path.chmod(0o600)
    write_target(path, "after")
    assert path.read_text() == "after" and stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_picture_is_written_whole_or_not_at_all(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "cell.svg").write_text("before")

    def fail(*_: object) -> None:
        raise PermissionError(1, "no")

    monkeypatch.setattr("dartboard.runs.atomic_files.write_synced", fail)
    assert main([*COMMANDS["show"], "cell.svg"]) == 2
    assert (place / "cell.svg").read_text() == "before"


def test_two_that_write_one_file_at_once_do_not_meet(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def write(text: str) -> None:
        try:
            for _ in range(20):
                write_target(tmp_path / "cell.txt", text)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(text * 1000,)) for text in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and set((tmp_path / "cell.txt").read_text()) in ({"a"}, {"b"})
    assert os.listdir(tmp_path) == ["cell.txt"]


def test_a_socket_is_refused(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        with pytest.raises(InputError, match="it is a socket"):
            write_target(tmp_path / "s", "text")


@pytest.mark.parametrize("where", ["pipe", "file"])
def test_what_is_written_to_the_standard_output_is_all_that_is_printed(tmp_path: Path, where: str) -> None:
    """/dev/stdout as it is used; it is a link to a descriptor of the process, here a pipe or a file of the test."""
    os.symlink("/proc/self/fd/1", tmp_path / "out")
    if not os.path.exists("/proc/self/fd/1"):
        pytest.skip("no /proc here")
    words = [sys.executable, "-m", "dartboard", "export", "DARTS_V2", "--out", str(tmp_path / "out")]
    plain = subprocess.run(words[:-2], capture_output=True, check=True).stdout
    if where == "pipe":
        assert subprocess.run(words, capture_output=True, check=True).stdout == plain
        return
    with open(tmp_path / "file", "wb") as file:
        subprocess.run(words, stdout=file, check=True)
    assert (tmp_path / "file").read_bytes() == plain


def test_an_animation_beside_no_file_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe")
    assert main(["report", "run", "--gif", "--out", "pipe"]) == 2
    assert "--gif writes next to the page" in capsys.readouterr().err
    assert not (place / "pipe.gif").exists()


def test_a_page_of_a_runs_own_does_not_follow_a_link_out_of_its_folder(place: Path) -> None:
    (place / "mine").write_text("mine")
    os.symlink("../mine", "run/report.html")
    assert main(["report", "run"]) == 0
    assert (place / "mine").read_text() == "mine"
