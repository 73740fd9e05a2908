"""Downloads the official CIFAR archives: resumes an interrupted download, verifies the checksum, unpacks the files.

During the download, an archive is a file ending in `.part` in its folder. A download that stops for any reason
resumes there the next time.
"""

import fcntl
import hashlib
import http.client
import os
import shutil
import tarfile
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dartboard.data.layouts import SETS, Cifar, Layout, find
from dartboard.data.waiting import waiting
from dartboard.errors import InputError

HOME = "https://www.cs.toronto.edu/~kriz"  # where the author of the data sets publishes them
URL_VARIABLE = "DARTBOARD_DATA_URL"
CONNECT_LIMIT_S = 10.0
MAX_BREAKS = 5  # in a row, each without a single new byte
BLOCK = 1 << 16
MAX_MEMBER_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """One file to download, from `url` to `part`; advice: what a person can do if it fails."""

    url: str
    part: Path
    advice: str


def fetch(name: str, place: Path, *, base_url: str | None = None, pause_s: float = 1.0) -> tuple[Path, Layout]:
    """Downloads `cifar10` or `cifar100` into `place` and returns the folder of its files and their layout.

    base_url: where the archive is; by default $DARTBOARD_DATA_URL, or the data sets' home. pause_s: before resuming
    after an interruption. Raises InputError if there is no network, a wrong file comes, or the place cannot be written.
    """
    cifar = SETS[name]
    base = (base_url or os.environ.get(URL_VARIABLE) or HOME).rstrip("/")
    if not base.startswith(("http://", "https://")):
        raise InputError(f"{base[:80]!r} is not an http or https address; set {URL_VARIABLE} to one, or unset it")
    advice = f"unpack {HOME}/{cifar.archive.file} into {place} by hand, so that {place / cifar.binary.folder} is there"
    wanted = Wanted(f"{base}/{cifar.archive.file}", place / f"{cifar.archive.file}.part", advice)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with locked(place / ".download.lock"):
            if find(name, place) is None:
                receive(wanted, pause_s)
                check_md5(wanted, cifar.archive.md5)
                unpack(wanted, cifar, place)
    except OSError as error:
        raise InputError(f"cannot write to {place}: {error.strerror or error}; give another --data-dir") from error
    found = find(name, place)
    if found is None:
        raise InputError(f"the archive {wanted.url} lacks files of {name}; {advice}")
    return found


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Waits until no other process downloads into the same folder. The lock dies with its process."""
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def receive(wanted: Wanted, pause_s: float) -> None:
    """Completes the part file; resumes after interruptions as long as new bytes arrive."""
    breaks, begin = 0, size(wanted.part)
    while True:
        before = size(wanted.part)
        try:
            if receive_once(wanted):
                return
        except urllib.error.HTTPError as error:
            raise InputError(f"the server returned {error.code} for {wanted.url}; {wanted.advice}") from error
        except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            if size(wanted.part) == begin:
                reason = getattr(error, "reason", None) or error
                raise InputError(f"cannot reach {wanted.url} ({str(reason)[:100]}); {wanted.advice}") from error
        breaks = 0 if size(wanted.part) > before else breaks + 1
        if breaks >= MAX_BREAKS:
            message = f"the download of {wanted.url} stopped after {size(wanted.part)} bytes"
            raise InputError(f"{message}; give the same command to resume it, or {wanted.advice}")
        time.sleep(pause_s)


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def receive_once(wanted: Wanted) -> bool:
    """One request, for the bytes that are missing. True if the file is complete, as the server says."""
    start = size(wanted.part)
    request = urllib.request.Request(wanted.url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = connect(request)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:  # nothing lies beyond what is here
            return already_complete(error, wanted.part)
        raise
    with response:
        if not answers_range(response, start):
            start = 0
        total = total_length(response, start)
        with wanted.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            text = f"downloading {wanted.url} to {wanted.part.parent}"
            with waiting(text, total, in_bytes=True, done=start) as advance:
                while block := read_block(response):
                    file.write(block)
                    advance(len(block))
    return total is None or size(wanted.part) >= total


def read_block(response: Any) -> bytes:
    """The next bytes; a failing network is a ConnectionError, which a failing disk is not."""
    try:
        return bytes(response.read(BLOCK))
    except OSError as error:
        raise ConnectionError(str(error)) from error


def connect(request: urllib.request.Request) -> Any:
    """urlopen within CONNECT_LIMIT_S, name look-up included, which urlopen's own limit does not cover."""
    result: list[Any] = []
    thread = threading.Thread(target=open_into, args=(request, result), daemon=True)
    thread.start()
    thread.join(CONNECT_LIMIT_S)
    if not result:
        raise TimeoutError(f"no answer in {CONNECT_LIMIT_S:.0f} s")
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def open_into(request: urllib.request.Request, result: list[Any]) -> None:
    """Puts the response, or the exception that is to be raised where it is awaited, into `result`."""
    try:
        result.append(urllib.request.urlopen(request, timeout=CONNECT_LIMIT_S))
    except Exception as error:
        result.append(error)


def answers_range(response: Any, start: int) -> bool:
    """Whether the response begins at `start`; a server without ranges sends the complete file."""
    return bool(start) and response.status == 206 and f"bytes {start}-" in response.headers.get("Content-Range", "")


def total_length(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def already_complete(error: urllib.error.HTTPError, part: Path) -> bool:
    """After "416 range not satisfiable": True if the server names the size of the part; else the part is deleted."""
    if error.headers.get("Content-Range", "").endswith(f"/{size(part)}"):
        return True
    part.unlink()
    return False


def check_md5(wanted: Wanted, expected: str) -> None:
    """Deletes a file with another checksum and raises InputError."""
    with wanted.part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != expected:
        wanted.part.unlink()
        raise InputError(
            f"{wanted.url} has wrong bytes (MD5 {found}, not {expected}); they were deleted; try again, or "
            f"{wanted.advice}"
        )


def unpack(wanted: Wanted, cifar: Cifar, place: Path) -> None:
    """Moves the layout's files, and only these, from the archive into `place`; deletes the archive."""
    names = {f"{cifar.binary.folder}/{file}": file for file in (*cifar.binary.files, *cifar.archive.others)}
    with tempfile.TemporaryDirectory(prefix=".unpack-", dir=place) as folder:
        try:
            with tarfile.open(wanted.part, "r:gz") as archive:
                for member in archive:
                    name = names.get(member.name.removeprefix("./"))
                    content = archive.extractfile(member) if name and member.isreg() else None
                    if name and content is not None and member.size <= MAX_MEMBER_BYTES:
                        with (Path(folder) / name).open("wb") as target:
                            shutil.copyfileobj(content, target, BLOCK)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            wanted.part.unlink()
            raise InputError(f"{wanted.url} cannot be unpacked and was deleted; {wanted.advice}") from error
        (place / cifar.binary.folder).mkdir(exist_ok=True)
        for file in sorted(Path(folder).iterdir()):
            file.replace(place / cifar.binary.folder / file.name)
    wanted.part.unlink()
