"""Downloads against a server of our own on this machine: cuts, wrong bytes, no ranges, no server."""

import dataclasses
import hashlib
import io
import socket
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from cifar_files import records, write_cifar10, write_cifar100
from dartboard.data import download, load_data
from dartboard.data.download import fetch
from dartboard.data.layouts import SETS
from dartboard.errors import InputError

FILE = "cifar-10-binary.tar.gz"


class Server(ThreadingHTTPServer):
    """Serves `content` under every path; `cuts`: how many bytes each of the next answers sends before it breaks."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cuts, self.ranges, self.status, self.length = b"", [], True, 200, True
        self.asked = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.ranges else 0
        if server.status != 200:
            return self.send_error(server.status)
        if start >= len(server.content) > 0:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(server.content)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.length:
            self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        part = server.content[start:]
        return self.wfile.write(part[: server.cuts.pop(0)] if server.cuts else part)

    def log_message(self, *args):
        """Says nothing on stderr."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def pack(folder, extra=()):
    """The bytes of a .tar.gz of the folder, with more (TarInfo, bytes) members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        archive.add(folder, folder.name)
        for member, content in extra:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def offer(server, monkeypatch, content, name="cifar10"):
    """The server's archive, with its checksum in place of the official one."""
    server.content = content
    archive = dataclasses.replace(SETS[name].archive, md5=hashlib.md5(content).hexdigest())
    monkeypatch.setitem(SETS, name, dataclasses.replace(SETS[name], archive=archive))


@pytest.fixture
def cifar10(server, monkeypatch, tmp_path):
    """A served archive of 240 images; the place to download to is tmp_path / "place"."""
    offer(server, monkeypatch, pack(write_cifar10(tmp_path / "made")))
    return server


def get(server, tmp_path):
    return fetch("cifar10", tmp_path / "place", base_url=server.url, pause_s=0.0)


def check_whole(tmp_path):
    assert sorted(path.name for path in (tmp_path / "place").iterdir()) == [".download.lock", "cifar-10-batches-bin"]
    made, got = (tmp_path / name / "cifar-10-batches-bin" for name in ("made", "place"))
    assert sorted(path.name for path in got.iterdir()) == sorted(path.name for path in made.iterdir())
    assert all((got / file.name).read_bytes() == file.read_bytes() for file in made.iterdir())


def fails(server, tmp_path, message):
    with pytest.raises(InputError, match=message) as caught:
        get(server, tmp_path)
    assert "\n" not in str(caught.value) and "cifar-10-binary.tar.gz" in str(caught.value)
    return str(caught.value)


def test_an_archive_is_downloaded_checked_and_unpacked(cifar10, tmp_path):
    folder, layout = get(cifar10, tmp_path)
    assert folder == tmp_path / "place" / "cifar-10-batches-bin" and layout is SETS["cifar10"].binary
    check_whole(tmp_path)
    assert cifar10.asked == [(f"/{FILE}", None)]


@pytest.mark.parametrize("cut", [1, 1000, 100_000, -1])
def test_a_cut_download_goes_on_where_it_broke(cifar10, tmp_path, cut):
    cut = cut % len(cifar10.content)
    cifar10.cuts = [cut]
    get(cifar10, tmp_path)
    check_whole(tmp_path)
    assert cifar10.asked == [(f"/{FILE}", None), (f"/{FILE}", f"bytes={cut}-")]


def test_many_cuts_are_survived_as_long_as_each_brings_new_bytes(cifar10, tmp_path):
    cifar10.cuts = [20_000] * 12
    get(cifar10, tmp_path)
    check_whole(tmp_path)
    assert len(cifar10.asked) == 13


def test_a_download_that_brings_nothing_new_stops_and_a_later_call_goes_on(cifar10, tmp_path):
    cifar10.cuts = [5000] + [0] * download.MAX_BREAKS
    assert "stopped after 5000 bytes" in fails(cifar10, tmp_path, "give the same command")
    assert (tmp_path / "place" / f"{FILE}.part").stat().st_size == 5000
    get(cifar10, tmp_path)
    check_whole(tmp_path)
    assert cifar10.asked[-1] == (f"/{FILE}", "bytes=5000-")


def test_a_server_that_ignores_ranges_is_asked_from_the_start(cifar10, tmp_path):
    cifar10.cuts, cifar10.ranges = [70_000], False
    get(cifar10, tmp_path)
    check_whole(tmp_path)


def test_an_archive_that_was_whole_but_not_unpacked_is_not_downloaded_again(cifar10, tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / f"{FILE}.part").write_bytes(cifar10.content)
    get(cifar10, tmp_path)
    check_whole(tmp_path)
    assert cifar10.asked == [(f"/{FILE}", f"bytes={len(cifar10.content)}-")]


def test_a_part_longer_than_the_archive_is_begun_anew(cifar10, tmp_path):
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / f"{FILE}.part").write_bytes(bytes(len(cifar10.content) + 9))
    get(cifar10, tmp_path)
    check_whole(tmp_path)


def test_a_server_that_does_not_tell_the_length_is_read_to_its_end(cifar10, tmp_path):
    cifar10.length = False
    get(cifar10, tmp_path)
    check_whole(tmp_path)


def test_wrong_bytes_are_deleted_and_it_says_so(cifar10, tmp_path):
    good, cifar10.content = cifar10.content, cifar10.content[:-9] + bytes(9)
    message = fails(cifar10, tmp_path, r"wrong bytes \(MD5 [0-9a-f]{32}, not [0-9a-f]{32}\); they were deleted")
    assert hashlib.md5(good).hexdigest() in message
    assert [path.name for path in (tmp_path / "place").iterdir()] == [".download.lock"]
    cifar10.content = good
    get(cifar10, tmp_path)
    check_whole(tmp_path)


def test_the_checksums_are_the_official_ones():
    assert SETS["cifar10"].archive.md5 == "c32a1d4ab5d03f1284b67883e8d87530"
    assert SETS["cifar100"].archive.md5 == "03b5dce01913d631647c71ecec9e9cb8"
    assert download.HOME == "https://www.cs.toronto.edu/~kriz"


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_of_the_server_is_told(cifar10, tmp_path, status):
    cifar10.status = status
    message = fails(cifar10, tmp_path, f"the server returned {status}")
    assert f"unpack {download.HOME}/{FILE} into {tmp_path / 'place'} by hand" in message


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_without_a_server_one_line_tells_where_to_put_which_files(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(InputError, match="cannot reach") as caught:
        fetch("cifar10", tmp_path, base_url=f"http://127.0.0.1:{closed_port()}")
    assert f"so that {tmp_path / 'cifar-10-batches-bin'} is there" in str(caught.value) and "\n" not in str(
        caught.value
    )


def test_a_server_that_never_answers_is_given_up_after_the_limit(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    assert download.CONNECT_LIMIT_S == 10
    monkeypatch.setattr(download, "CONNECT_LIMIT_S", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        begin = time.monotonic()
        with pytest.raises(InputError, match="cannot reach"):
            fetch("cifar10", tmp_path, base_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begin < 5


def test_a_part_left_from_before_does_not_make_it_try_for_long_without_a_server(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / f"{FILE}.part").write_bytes(bytes(500))
    begin = time.monotonic()
    with pytest.raises(InputError, match="cannot reach"):
        fetch("cifar10", tmp_path, base_url=f"http://127.0.0.1:{closed_port()}")
    assert time.monotonic() - begin < 3 and (tmp_path / f"{FILE}.part").exists()


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def test_only_the_expected_members_are_unpacked_and_none_outside(server, monkeypatch, tmp_path):
    folder = write_cifar10(tmp_path / "made")
    link = member("cifar-10-batches-bin/readme.html", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    strange = [
        (member(name), b"harm") for name in ("../outside", "/tmp/outside", "cifar-10-batches-bin/../../out", "x")
    ]
    offer(server, monkeypatch, pack(folder, [*strange, (link, b"")]))
    get(server, tmp_path)
    check_whole(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "place"]


def test_an_archive_without_the_files_is_refused(server, monkeypatch, tmp_path):
    (tmp_path / "other").mkdir()
    offer(server, monkeypatch, pack(tmp_path / "other"))
    fails(server, tmp_path, "lacks files of cifar10")


@pytest.mark.parametrize("content", [b"no archive at all" * 100, pack.__doc__.encode()])
def test_what_is_no_archive_is_refused_and_deleted(server, monkeypatch, tmp_path, content):
    offer(server, monkeypatch, content)
    fails(server, tmp_path, "cannot be unpacked and was deleted")
    assert not list((tmp_path / "place").glob("*.part"))


def test_a_truncated_archive_with_the_right_checksum_is_refused(server, monkeypatch, tmp_path):
    whole = pack(write_cifar10(tmp_path / "made"))
    offer(server, monkeypatch, whole[: len(whole) // 2])
    fails(server, tmp_path, "cannot be unpacked and was deleted")


def test_load_data_downloads_into_the_cache_by_itself(cifar10, monkeypatch, tmp_path, capfd):
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DARTBOARD_DATA_URL", f"{cifar10.url}/mirror/")
    assert len(load_data("cifar10").test) == 40
    assert cifar10.asked == [(f"/mirror/{FILE}", None)]
    assert capfd.readouterr().err.splitlines() == [
        f"downloading {cifar10.url}/mirror/{FILE} to {tmp_path / 'cache' / 'dartboard'}"
    ]
    assert len(load_data("cifar10").test) == 40 and len(cifar10.asked) == 1


def test_on_a_terminal_a_bar_shows_the_download(cifar10, monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    get(cifar10, tmp_path)
    shown = capfd.readouterr().err
    assert "downloading" in shown and "kB" in shown
    check_whole(tmp_path)


def test_load_data_fills_a_given_folder_only_when_asked(cifar10, monkeypatch, tmp_path):
    monkeypatch.setenv("DARTBOARD_DATA_URL", cifar10.url)
    with pytest.raises(InputError, match="--download"):
        load_data("cifar10", data_dir=tmp_path / "place")
    assert not cifar10.asked
    data = load_data("cifar10", data_dir=tmp_path / "place", download=True, official_split=True)
    check_whole(tmp_path)
    assert np.array_equal(data.test.images.numpy().reshape(40, -1), records(40, 10, 5)[0])


def test_half_of_the_data_are_completed_by_a_download(cifar10, monkeypatch, tmp_path):
    monkeypatch.setenv("DARTBOARD_DATA_URL", cifar10.url)
    (write_cifar10(tmp_path / "place") / "test_batch.bin").unlink()
    load_data("cifar10", data_dir=tmp_path / "place", download=True)
    check_whole(tmp_path)


def test_cifar100_is_downloaded_too(server, monkeypatch, tmp_path):
    offer(server, monkeypatch, pack(write_cifar100(tmp_path / "made")), "cifar100")
    monkeypatch.setenv("DARTBOARD_DATA_URL", server.url)
    assert load_data("cifar100", data_dir=tmp_path / "place", download=True).num_classes == 100


def test_two_downloads_at_a_time_fetch_the_archive_once(cifar10, tmp_path):
    threads = [threading.Thread(target=get, args=(cifar10, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check_whole(tmp_path)
    assert len(cifar10.asked) == 1


def test_a_place_that_cannot_be_written_is_refused(cifar10, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"):
        fetch("cifar10", tmp_path / "file" / "below", base_url=cifar10.url)


@pytest.mark.parametrize("url", ["file:///etc", "ftp://example.org", "nonsense"])
def test_only_web_addresses_are_taken(tmp_path, url):
    with pytest.raises(InputError, match="not an http or https address"):
        fetch("cifar10", tmp_path, base_url=url)
