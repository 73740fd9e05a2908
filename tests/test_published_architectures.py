"""The shipped architectures are the reference's, and a person reaches them, files and run folders by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from dartboard.errors import InputError
from dartboard.formats import published, read, resolve, write
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

V2 = published()["DARTS_V2"].architecture


@pytest.fixture(scope="module")
def genotypes(reference: Path) -> dict[str, Any]:
    """The reference's published architectures; skips where the reference is absent."""
    record: dict[str, Any] = json.loads((reference / "reference" / "genotypes.json").read_text(encoding="utf-8"))
    return record


def test_every_cell_of_the_reference_ships_as_it_is_there(genotypes: dict[str, Any]) -> None:
    for name, record in genotypes["cells"].items():
        ours = published()[name]
        for kind in darts.CELLS:
            cell = darts.cell(ours.architecture, kind)
            assert [list(pair) for inputs in cell.nodes for pair in inputs] == record[kind]
            assert [len(inputs) for inputs in cell.nodes] == [2] * (len(record[kind]) // 2)
            assert list(cell.concat) == record[f"{kind}_concat"]
        assert (ours.source, ours.note) == (record["source"], record.get("note", ""))
        assert ours.published.startswith(record.get("published", ""))
        assert ours.counts.items() >= record.get("counts", {}).items()


def test_fairdarts_architectures_lose_their_missing_nodes_and_nothing_else(genotypes: dict[str, Any]) -> None:
    for name, record in genotypes["fairdarts"]["archs"].items():
        ours = published()[name]
        for kind in darts.CELLS:
            there = sorted({target for _, target, _ in record[kind]})
            number = {old: new for new, old in enumerate([0, 1, *there])}
            expected = {(op, number[to], number[source]) for op, to, source in record[kind] if source in number}
            nodes = darts.cell(ours.architecture, kind).nodes
            assert {(op, to, source) for to, node in enumerate(nodes, 2) for op, source in node} == expected
            assert darts.cell(ours.architecture, kind).concat == tuple(range(2, 2 + len(there)))
            assert (len(there) < 4) == (f"original {kind} cell has no node" in ours.note)


def test_the_nnabla_examples_of_the_reference_are_read_and_written_as_they_are(genotypes: dict[str, Any]) -> None:
    examples = genotypes["nnabla_json"]["examples_converted"]
    assert len(examples) >= 4
    for name, record in examples.items():
        architecture = published()[name].architecture
        assert read(json.dumps(record)) == (architecture, "nnabla")
        assert json.loads(write(architecture, "nnabla")) == record


def test_every_published_architecture_has_a_source_and_whole_positive_counts() -> None:
    assert len(published()) == 69
    for name, entry in published().items():
        assert entry.source, name
        assert entry.architecture.space in FAMILIES
        assert all(type(count) is int and count > 0 for count in entry.counts.values())


def test_published_cells_lie_in_the_space_but_for_other_sizes_operations_and_doubled_edges() -> None:
    cells = {name: entry.architecture for name, entry in published().items() if entry.architecture.space == "darts"}
    inside = {name for name, cell in cells.items() if darts.canonical(cell) in darts.SPACE}
    outside = cells.keys() - inside
    assert {"DARTS_V1", "DARTS_V2", "PDARTS", "GDAS_V1", "FairDARTS_d"} <= inside
    assert {"NASNet", "AmoebaNet", "PNASNet", "ENASNet", "SETN", "SDARTS_c10_s4_pcdarts", "FairDARTS_a"} <= outside
    assert V2 not in darts.SPACE  # its authors list the inputs of three nodes in another order


def test_the_table_of_published_architectures_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        published()["mine"] = published()["DARTS_V2"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "near"), [("DARTS_V3", "DARTS_V2"), ("darts_v2", "DARTS_V2"), ("PCDARTS_cifar", "PC_DARTS_cifar")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(InputError, match=f"unknown architecture '{name}'; did you mean '{near}'"):
        resolve(name)


def test_a_published_name_wins_over_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    other = published()["PDARTS"].architecture
    Path("DARTS_V2").write_text(write(other, "nested"), encoding="utf-8")
    Path("mine").write_text(write(other, "quark0"), encoding="utf-8")
    assert resolve("DARTS_V2") == (V2, "published", "DARTS_V2")
    assert resolve("./DARTS_V2") == (other, "nested", "DARTS_V2")
    assert resolve("mine") == (other, "quark0", "mine")


def test_a_run_folder_stands_for_the_architecture_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "darts-digits-s0"
    folder.mkdir()
    with pytest.raises(InputError, match=r"has no architecture\.json"):
        resolve(str(folder))
    (folder / "architecture.json").write_text(str(V2), encoding="utf-8")
    expected: tuple[Architecture, str, str] = (V2, "json", "darts-digits-s0")
    assert resolve(str(folder)) == expected
    assert resolve(f"{folder}/") == expected
    assert resolve(str(folder / "architecture.json")) == expected
    monkeypatch.chdir(folder)
    assert resolve(".") == expected
