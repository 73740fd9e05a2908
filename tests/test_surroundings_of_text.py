"""Architectures inside logs, code, pages and pipes: the right one is read, or one line says why not; never another."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cell_strategies import architectures, two_input_architectures
from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.formats import load, published, read, resolve, write
from dartboard.formats.limits import MAX_TEXT
from dartboard.formats.notations import find
from surroundings_of_text import AROUND, ENCODINGS, GENOTYPES, LETTERS, STEP, VALUES, texts

V1, V2 = published()["DARTS_V1"].architecture, published()["DARTS_V2"].architecture
FIRST, SECOND = write(V1, "quark0"), write(V2, "quark0")


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    message = str(caught.value)
    assert message.splitlines() == [message]
    assert len(message) < 600
    return message


@given(st.data())
@settings(max_examples=300)
def test_any_architecture_in_any_surroundings_is_read_or_refused_and_never_becomes_another(data: st.DataObject) -> None:
    notation = data.draw(st.sampled_from(["quark0", "nested", "json"]))
    architecture = data.draw(two_input_architectures() if notation == "quark0" else architectures())
    text = data.draw(texts(architecture, notation))
    try:
        assert find(text).architecture == architecture
    except InputError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("change", [*VALUES, *LETTERS, *AROUND])
@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize("name", ["DARTS_V2", "FairDARTS_a"])
def test_each_way_of_writing_and_each_encoding_is_read(change: object, encode: object, name: str) -> None:
    assert callable(change) and callable(encode)
    architecture = published()[name].architecture
    text = change(write(architecture, "quark0" if name == "DARTS_V2" else "nested"))
    assert find(encode(text)).architecture == architecture


def test_of_a_log_the_last_genotype_is_taken_and_its_line_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    epochs = "".join(f"03/20 10:30:11 PM genotype = {text}\n{STEP * 2}" for text in [FIRST, FIRST, SECOND])
    (tmp_path / "log.txt").write_text(epochs, encoding="utf-8")
    assert load(tmp_path / "log.txt") == (V2, "quark0")
    assert capsys.readouterr().err == f"note: {tmp_path}/log.txt: the last of 3 genotypes (line 7)\n"


def test_export_and_json_of_a_log_keep_standard_output_clean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    log.write_text(f"genotype = {FIRST}\ngenotype = {SECOND}\n", encoding="utf-8")
    assert main(["export", str(log)]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == (SECOND + "\n", 1)


def test_a_log_whose_last_genotype_is_cut_off_is_refused_with_its_line() -> None:
    message = refusal(f"genotype = {FIRST}\n{STEP}genotype = {SECOND[:200]}\n")
    assert message.startswith("the last of 2 genotypes (line 3): line")
    assert "the last of 2" in refusal(f"genotype = {FIRST}\n{STEP}genotype = {SECOND[:200]}")


def test_of_a_file_of_several_names_one_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "genotypes.py"
    commented = f"# OLD = {FIRST}\n"
    path.write_text(f"{GENOTYPES}{commented}V1 = {FIRST}\nV2 = gt.{SECOND}\n\nDARTS = V2\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"several genotypes are here: V1, V2; .* such as {path}:V2"):
        resolve(path)
    assert resolve(f"{path}:V1") == (V1, "quark0", "V1")
    assert resolve(f"{path}:DARTS") == (V2, "quark0", "DARTS")
    with pytest.raises(InputError, match="unknown genotype 'V3'; did you mean"):
        resolve(f"{path}:V3")
    with pytest.raises(InputError, match=r"there is no file .*missing\.py$"):
        resolve(f"{tmp_path}/missing.py:V1")
    path.rename(f"{path}:V1")
    (tmp_path / "genotypes.py:V1").write_text(SECOND, encoding="utf-8")
    assert resolve(f"{path}:V1")[0] == V2


def test_names_are_also_those_of_a_dict_and_only_one_is_taken_by_itself() -> None:
    assert "several genotypes are here: a, b" in refusal(f"ALL = {{'a': {FIRST},\n 'b': {SECOND}}}")
    assert read(f"MINE = {SECOND}\n# OLD = {FIRST}\n") == (V2, "quark0")
    assert read(f"# MINE = {SECOND}\n") == (V2, "quark0")


def test_code_that_would_make_a_genotype_is_not_taken_for_one() -> None:
    code = "class Genotype(NamedTuple):\n  ...\ndef f():\n  return Genotype(normal=gene_normal, normal_concat=concat)\n"
    assert read(f"{code}X = {SECOND}\n{code}") == (V2, "quark0")
    assert "no architecture found" in refusal(code)


OTHERS = {
    "Genotype(recurrent=[('relu', 0), ('relu', 1)], concat=range(1, 9))": "recurrent cells are not supported yet",
    "Genotype([('relu', 0), ('tanh', 1)], range(1, 9))": "recurrent cells are not supported yet",
    "####### ALPHA #######\n# Alpha - normal\ntensor([[0.1249, 0.1250],\n [0.1249, 0.125]])": "bare alpha values",
    "alphas_normal = [[0.1, 0.2]]": "bare alpha values",
    "<!DOCTYPE html>\n<html></html>": "a web page",
    "Genotype(normal=[('none', 0), ('none', 1)], normal_concat=range(6), reduce=[('none', 0), ('none', 1)], "
    "reduce_concat=[2])": "0 and 1 are its inputs",
    "Genotype(normal=[('none', 0), ('none', 1)], normal_concat=[2], reduce=[('none', 0), ('none', 1)], "
    "reduce_concat=[2], up=[('none', 0)])": "a third cell, up",
    "Genotype(normal=[('none', 01), ('none', 1)], normal_concat=[2], reduce=[], reduce_concat=[2])": "begins with 0",
}


@pytest.mark.parametrize("text", OTHERS)
def test_what_is_another_tools_is_named(text: str) -> None:
    assert OTHERS[text] in refusal(text)


def test_the_weights_in_a_dict_of_gdas_are_left_out() -> None:
    text = """{'normal': [(('skip_connect', 1, 0.15), ('sep_conv_3x3', 0, 0.14))], 'normal_concat': [2],
        'reduce': [(('max_pool_3x3', 0, 0.2), ('max_pool_3x3', 1, 1e-05))], 'reduce_concat': [2]}"""
    architecture, notation = read(text)
    assert notation == "nested"
    assert architecture["normal.2"] == (("skip_connect", 1), ("sep_conv_3x3", 0))
    assert architecture["reduce.2"] == (("max_pool_3x3", 0), ("max_pool_3x3", 1))
    assert read(f"<<<--->>> The 3-th epoch : {text}\n")[0] == architecture


NNI = """{"normal_n2_p0": "sepconv3x3", "normal_n2_p1": 2, "normal_n2_switch": [1, 0],
    "normal_n3_p0": [], "normal_n3_p1": ["dilconv5x5"], "normal_n3_p2": "maxpool", "normal_n3_switch":
    ["normal_n3_p1", "normal_n3_p2"], "reduce_n2_p0": [true, false, false, false, false, false, false],
    "reduce_n2_p1": "avgpool", "reduce_n2_switch": [true, true]}"""


def test_both_forms_of_nni_are_read() -> None:
    architecture, notation = read(NNI)
    assert notation == "nni"
    assert architecture["normal.2"] == (("skip_connect", 1), ("sep_conv_3x3", 0))
    assert architecture["normal.3"] == (("dil_conv_5x5", 1), ("max_pool_3x3", 2))
    assert architecture["reduce.2"] == (("max_pool_3x3", 0), ("avg_pool_3x3", 1))
    assert (architecture["normal.concat"], architecture["reduce.concat"]) == ((2, 3), (2,))
    hub = {"width": 36}
    for name, node in V2.choices:
        kind, _, number = name.partition(".")
        for position, (operation, source) in enumerate(node if number != "concat" else ()):
            hub |= {f"{kind}/op_{number}_{position}": operation, f"{kind}/input_{number}_{position}": [source]}  # type: ignore[dict-item]
    assert read(str(hub)) == (V2, "nni")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"normal_n2_p1": 2, ', "", "no 'normal_n2_p1'"),
        ("[1, 0]", "[2, 0]", "'normal_n2_switch' of this NNI export is [2, 0]"),
        ('"sepconv3x3"', '"sepconv9x9"', "'normal_n2_p0' of this NNI export is ['sepconv9x9']"),
        ('"reduce_n2', '"other_n2', "the reduce cell of this NNI export has the nodes []"),
        ("[true, true]", "[]", "node 2 of the reduce cell has inputs ()"),
    ],
)
def test_a_damaged_export_of_nni_is_refused_in_a_line(old: str, new: str, words: str) -> None:
    assert words in refusal(NNI.replace(old, new))


def test_the_genotype_itself_is_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    for text in (SECOND, write(V2, "json"), f"  {SECOND},", write(V2, "nnabla")):
        assert resolve(text)[::2] == (V2, "genotype")
        assert main(["export", text]) == 0
        assert main(["show", "--no-counts", text, "--against", "DARTS_V2"]) == 0
        assert capsys.readouterr().out.count("cell: the same") == 2
    assert main(["show", SECOND.replace("sep_conv_3x3", "sep_conv_9x9")]) == 2
    assert "unknown operation 'sep_conv_9x9'" in capsys.readouterr().err


def run(words: list[str], given: bytes) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "dartboard", *words]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("words", [["export", "-"], ["export", "/dev/stdin", "--to", "quark0"]])
def test_a_dash_is_a_pipe(words: list[str]) -> None:
    done = run(words, f"genotype = {FIRST}\ngenotype = {SECOND}\n".encode())
    assert (done.returncode, done.stdout.decode()) == (0, SECOND + "\n")
    assert done.stderr == b"note: standard input: the last of 2 genotypes (line 2)\n"


def test_a_dash_without_a_genotype_a_terminal_and_an_endless_pipe_are_refused_in_a_line() -> None:
    done = run(["show", "-", "--no-counts"], b"hello")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"standard input: no architecture found" in done.stderr
    _, terminal = pty.openpty()
    command = [sys.executable, "-m", "dartboard", "export", "-"]
    done = subprocess.run(command, stdin=terminal, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and b"pipe a text in" in done.stderr
    with open("/dev/zero", "rb") as endless:
        done = subprocess.run(command, stdin=endless, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2 and b"longer than 64 MB" in done.stderr


def test_a_pipe_of_the_shell_is_read_as_a_file() -> None:
    reading, writing = os.pipe()
    os.write(writing, SECOND.encode())
    os.close(writing)
    assert resolve(f"/dev/fd/{reading}")[0] == V2
    assert resolve(f"/dev/fd/{reading}")[0] == V2  # a command looks twice
    os.close(reading)


def test_of_a_file_of_more_than_64_mb_the_end_is_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "long.txt"
    with open(path, "wb") as file:
        file.write(f"genotype = {FIRST}\n".encode())
        file.truncate(MAX_TEXT)
        file.seek(1000)
        for _ in range(64):
            file.write(b" " * 2**20)
        file.write(f"\ngenotype = {SECOND}\n".encode())
    assert load(path)[0] == V2
    assert "only the last 64 MB are read" in capsys.readouterr().err


def test_weights_in_place_of_an_architecture_are_named(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(InputError, match="a binary file of weights, not an architecture"):
        load(tmp_path / "weights.pt")
