"""Weight files that claim much: refused in one line, with little memory taken, whatever lengths they name."""

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dartboard.errors import InputError
from dartboard.formats import load_weights, pickle_values, torch_files

LARGE = 2**33
MEGABYTE = 2**20
CLAIMS = {  # instructions that name a length, or a number of memory, far beyond the file
    "long": b"\x8b" + struct.pack("<i", 2**31 - 1),
    "negative long": b"\x8b" + struct.pack("<i", -1),
    "string": b"T" + struct.pack("<i", 2**31 - 1),
    "text": b"X" + struct.pack("<I", 2**32 - 1),
    "long text": b"\x8d" + struct.pack("<Q", LARGE),
    "bytes": b"B" + struct.pack("<I", 2**32 - 1),
    "long bytes": b"\x8e" + struct.pack("<Q", 2**63),
    "byte array": b"\x96" + struct.pack("<Q", LARGE),
    "frame": b"\x95" + struct.pack("<Q", 2**63 - 1) + b"N.",
    "memory": b"Nr" + struct.pack("<I", 2**32 - 1) + b"." + bytes(10),
    "memory of text": b"Np999999999999\n.",
    "digits": b"I" + b"9" * 10_000 + b"\n.",
    "open line": b"c" + b"x" * 100_000,
    "buffer": b"\x97.",
    "extension": b"\x84\xff\xff\xff\x7f.",
}
PROTOCOL = b"\x80\x02"


def legacy(pickle: bytes) -> bytes:
    """A file of before torch 1.6, whose content is this pickle."""
    magic = PROTOCOL + b"\x8a\x0a" + torch_files.MAGIC.to_bytes(10, "little") + b"."
    return magic + PROTOCOL + b"M\xe9\x03." + PROTOCOL + b"}." + pickle + PROTOCOL + b"]."


def refused(path: Path) -> tuple[str, int]:
    """The line of refusal, and the most bytes that Python held at once while reading."""
    load_weights_once()
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as caught:
            load_weights(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert len(message) < 600
    return message, peak


def load_weights_once() -> None:
    """Imports what reading imports, so that it does not count."""
    with pytest.raises(InputError):
        load_weights("/dev/null")


def archive_of(path: Path, pickle: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickle)
    return path


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claimed_length_takes_no_memory(tmp_path: Path, claim: str) -> None:
    pickle = PROTOCOL + CLAIMS[claim]
    archive_of(tmp_path / "zip.pt", pickle)
    (tmp_path / "short.pt").write_bytes(pickle)
    (tmp_path / "legacy.pt").write_bytes(legacy(pickle))
    for name in ("zip.pt", "short.pt", "legacy.pt"):
        assert refused(tmp_path / name)[1] < 2 * MEGABYTE


def test_an_archive_that_claims_more_than_it_has_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.ones(3)}, path)
    data = path.read_bytes()
    start = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    for offset in (20, 24, 42):  # compressed size, size, place of an entry
        changed = data[: start + offset] + struct.pack("<I", 2**31) + data[start + offset + 4 :]
        path.write_bytes(changed)
        assert refused(path)[1] < 2 * MEGABYTE
    place = data.index(b"PK\x06\x06")
    path.write_bytes(data[: place + 40] + struct.pack("<Q", 2**40) + data[place + 48 :])  # size of the table
    assert refused(path)[1] < 2 * MEGABYTE


def test_an_archive_whose_entries_all_name_the_same_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", PROTOCOL + b"}.")
        archive.writestr("x/data/0", bytes(MEGABYTE))
        whole = archive.infolist()[1]
        for number in range(1, 100):
            entry = zipfile.ZipInfo(f"x/data/{number}")
            entry.file_size = entry.compress_size = whole.file_size
            entry.header_offset, entry.CRC = whole.header_offset, whole.CRC
            archive.filelist.append(entry)
    message, peak = refused(path)
    assert "claims more bytes than the file has" in message
    assert peak < 4 * MEGABYTE


def test_an_archive_of_very_many_files_is_refused_before_its_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(b"PK\x03\x04" + torch_files.ENTRY * (torch_files.MAX_ENTRIES + 1))
    message, peak = refused(path)
    assert "more than 100,000 files" in message
    assert peak < 2 * MEGABYTE


def test_storages_that_claim_gigabytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    for number in (2**40, -1):
        path.write_bytes(data[:-20] + struct.pack("<q", number) + data[-12:])
        message, peak = refused(path)
        assert "claim more bytes than the file has" in message
        assert peak < 2 * MEGABYTE


@pytest.mark.parametrize("shape", [(2**40,), (2**30, 2**30), (2**47, 2**47, 2**47)])
def test_a_tensor_larger_than_its_storage_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    torch.save({"a": torch.ones(1).expand(shape[:1])}, tmp_path / "x.pt")
    torch.save({"a": torch.ones(3)}, tmp_path / "y.pt")
    assert "not a plain tensor" in refused(tmp_path / "x.pt")[0]
    numbers = torch_files.Numbers("0", "Float", 0, shape, (1,) * len(shape))
    content = torch_files.Content(None, lambda key: bytes(12))
    with pytest.raises((torch_files.PickleError, RuntimeError)):
        torch_files.tensors_of(content, {"a": numbers})


def test_a_pickle_of_too_many_instructions_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickle_values, "MAX_INSTRUCTIONS", 10_000)
    path = archive_of(tmp_path / "x.pt", PROTOCOL + b"N0" * 10_000 + b"}.")
    assert "more than 10,000 instructions" in refused(path)[0]


def test_a_pickle_of_all_sorts_holds_at_most_so_much_an_instruction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickle_values, "MAX_INSTRUCTIONS", 20_000)
    for instruction in (b"}", b"]", b"\x8f", b"(", b"N", b")", b"J\x01\x02\x03\x04", b"ca\nb\n"):
        path = archive_of(tmp_path / "x.pt", PROTOCOL + instruction * 30_000)
        assert refused(path)[1] < 20_000 * 200 + 2 * MEGABYTE  # 400 MB of two million


def test_keys_nested_deeply_do_not_end_the_process(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "x.pt", PROTOCOL + b"})" + b"\x85" * 150_000 + b"Ns.")
    with pytest.raises(InputError, match="holds 'dict'"):
        load_weights(path)


@pytest.mark.parametrize("size", [2**62, 2**31, 9 * MEGABYTE])
def test_a_header_of_safetensors_that_claims_much_is_refused(tmp_path: Path, size: int) -> None:
    (tmp_path / "x.pt").write_bytes(struct.pack("<Q", size) + b'{"a":' + b" " * (10 * MEGABYTE if size < 2**30 else 10))
    message, peak = refused(tmp_path / "x.pt")
    assert "cannot be read as weights" in message
    assert peak < 2 * MEGABYTE


def test_what_would_be_called_is_neither_called_nor_looked_up(tmp_path: Path) -> None:
    for pickle in (
        b"cno_such_module\nf\n)R.",
        b"\x8c\x02os\x8c\x05abort\x93)R.",
        b"(ios\nabort\n.",
        b"(cos\nabort\no.",
    ):
        message = refused(archive_of(tmp_path / "x.pt", PROTOCOL + pickle))[0]
        assert "it asks for" in message


@given(st.data())
def test_a_file_with_bytes_overwritten_is_read_or_refused_in_a_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "overwritten.pt"
    zipped = data.draw(st.booleans())
    net = {"a": torch.ones(2), "b": torch.ones(3)}
    torch.save({"epoch": 3, "net": net}, path, _use_new_zipfile_serialization=zipped)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(content), 1200) - 1))
        content[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    path.write_bytes(content)
    try:
        load_weights(path)
    except InputError as error:
        assert len(str(error).splitlines()) == 1
