"""Notations: what each holds it gives back, however it is spelt; what it cannot hold it refuses by name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given

from cell_strategies import architectures, nnabla_architectures, two_input_architectures
from dartboard.errors import InputError
from dartboard.formats import NOTATIONS, published, read, write
from dartboard.formats.notations import HOLDS
from dartboard.spaces import darts
from dartboard.spaces.search_space import Architecture
from documents import published_cells

V2_FLAT = """Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), \
reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), \
('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"""
V2 = published()["DARTS_V2"].architecture
TINY = "Genotype(normal=[[('none', 0)]], normal_concat=[2], reduce=[[('none', 1)]], reduce_concat=[2])"
OF_CELLS = [notation for notation in NOTATIONS if HOLDS.get(notation, "darts") == "darts"]
OUTSIDE_QUARK0 = {"FairDARTS_a", "FairDARTS_b", "FairDARTS_c", "FairDARTS_f", "FairDARTS_g"}
OUTSIDE_NNABLA = OUTSIDE_QUARK0 | {"NASNet", "AmoebaNet", "PNASNet", "SETN", "SDARTS_c10_s4_pcdarts", "FairDARTS_e"}


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize("name", list(published_cells()))
@pytest.mark.parametrize("notation", OF_CELLS)
def test_every_published_cell_comes_back_from_every_notation_that_holds_it(name: str, notation: str) -> None:
    architecture = published()[name].architecture
    outside = {"quark0": OUTSIDE_QUARK0, "nnabla": OUTSIDE_NNABLA}.get(notation, set())
    if name in outside:
        with pytest.raises(InputError):
            write(architecture, notation)
    else:
        assert read(write(architecture, notation)) == (architecture, notation)


@given(architectures())
def test_any_architecture_comes_back_from_nested_and_json(architecture: Architecture) -> None:
    for notation in ("nested", "json"):
        text = write(architecture, notation)
        assert "\n" not in text
        assert read(text) == (architecture, notation)


@given(two_input_architectures())
def test_any_architecture_of_two_inputs_a_node_comes_back_from_quark0(architecture: Architecture) -> None:
    assert read(write(architecture, "quark0")) == (architecture, "quark0")


@given(nnabla_architectures())
def test_any_architecture_that_nnabla_can_hold_comes_back_from_it(architecture: Architecture) -> None:
    assert read(write(architecture, "nnabla")) == (architecture, "nnabla")


@given(two_input_architectures())
def test_quark0_text_means_to_python_what_it_means_to_us(architecture: Architecture) -> None:
    fields = eval(write(architecture, "quark0"), {"Genotype": dict})
    for kind in darts.CELLS:
        cell = darts.cell(architecture, kind)
        assert fields[kind] == [pair for inputs in cell.nodes for pair in inputs]
        assert tuple(fields[f"{kind}_concat"]) == cell.concat


def test_the_text_of_darts_v2_is_the_authors_text() -> None:
    assert write(V2, "quark0") == V2_FLAT


@pytest.mark.parametrize(
    "text",
    [
        f"DARTS_V2 = {V2_FLAT}\n",
        f"# the second-order cell\n\nDARTS_V2=\n{V2_FLAT}",
        V2_FLAT.replace("'", '"'),
        V2_FLAT.replace(", ", " ,\n\t"),
        V2_FLAT.replace(", ", ",\r\n"),
        V2_FLAT.replace(" ", ""),
        V2_FLAT.replace(", ", ", # why not [([(\n  "),
        V2_FLAT.replace(")]", "),]").replace("6))", "6),)"),
        V2_FLAT.replace("range(2, 6)", "[2, 3, 4, 5]"),
        V2_FLAT.replace("range(2, 6)", "(2, 3, 4, 5,)"),
        V2_FLAT.replace("('", "['").replace("0)", "0]").replace("1)", "1]").replace("2)", "2]"),
        V2_FLAT.replace("[", "(").replace("]", ")"),
        "\ufeff" + V2_FLAT,
    ],
)
def test_spelling_does_not_matter(text: str) -> None:
    assert read(text) == (V2, "quark0")


def test_the_order_of_the_arguments_does_not_matter() -> None:
    start, reduce = V2_FLAT.removeprefix("Genotype(").removesuffix(")").split(", reduce=")
    assert read(f"Genotype(reduce={reduce}, {start})") == (V2, "quark0")


def test_the_nested_example_of_its_authors_is_read() -> None:
    text = """Genotype(
                normal=[[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)],
                        [('sep_conv_3x3', 1), ('dil_conv_3x3', 2)],
                        [('sep_conv_3x3', 1), ('sep_conv_3x3', 2)],
                        [('sep_conv_3x3', 1), ('dil_conv_3x3', 4)]],
                normal_concat=range(2, 6),
                reduce=[[('max_pool_3x3', 0), ('max_pool_3x3', 1)],
                        [('max_pool_3x3', 0), ('skip_connect', 2)],
                        [('max_pool_3x3', 0), ('skip_connect', 2)],
                        [('max_pool_3x3', 0), ('skip_connect', 2)]],
                reduce_concat=range(2, 6))"""
    architecture, notation = read(text)
    assert notation == "nested"
    assert architecture in darts.SPACE
    assert architecture["normal.5"] == (("sep_conv_3x3", 1), ("dil_conv_3x3", 4))
    assert architecture["reduce.3"] == (("max_pool_3x3", 0), ("skip_connect", 2))


def test_nnabla_json_is_read_with_its_nodes_in_any_order() -> None:
    record = json.loads(write(V2, "nnabla"))
    turned = {key: dict(reversed(nodes.items())) for key, nodes in reversed(record.items())}
    assert read(json.dumps(turned, indent=4)) == (V2, "nnabla")


@pytest.mark.parametrize(
    ("name", "words"),
    [("NASNet", "'sep_conv_7x7'"), ("SDARTS_c10_s4_pcdarts", "'noise'"), ("SETN", "'conv_3x1_1x3'")],
)
def test_nnabla_says_which_operation_it_cannot_hold(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        write(published()[name].architecture, "nnabla")


def test_nnabla_refuses_an_output_that_leaves_nodes_out_and_cells_of_different_size() -> None:
    node = (("none", 0), ("none", 1))
    partial = darts.Cell((node, node), (3,))
    whole = darts.Cell((node, node), (2, 3))
    small = darts.Cell((node,), (2,))
    with pytest.raises(InputError, match=r"output .* \[3\]"):
        write(darts.architecture({"normal": whole, "reduce": partial}), "nnabla")
    with pytest.raises(InputError, match="number of nodes"):
        write(darts.architecture({"normal": whole, "reduce": small}), "nnabla")


def test_a_node_that_reads_itself_or_a_later_node_is_refused_by_its_number() -> None:
    assert "node 2 of the normal cell reads node 2" in refusal(TINY.replace("('none', 0)", "('none', 2)"))
    assert "node 2 of the reduce cell reads node 9" in refusal(TINY.replace("('none', 1)", "('none', 9)"))
    later = V2_FLAT.replace("('sep_conv_3x3', 1), ('skip", "('sep_conv_3x3', 5), ('skip")
    assert "node 4 of the normal cell reads node 5" in refusal(later)
    assert "reads node -1" in refusal(TINY.replace("('none', 0)", "('none', -1)"))
    nnabla = write(V2, "nnabla").replace('"5": [[6, 0]', '"5": [[6, 7]')
    assert "node 5 of the normal cell reads node 7" in refusal(nnabla)
    own = write(V2, "json").replace('["dil_conv_3x3", 2]', '["dil_conv_3x3", 6]')
    assert "node 5 of the normal cell reads node 6" in refusal(own)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("hello", "no architecture found"),
        ("[1, 2]", "no architecture found"),
        ("{}", "the JSON is not an architecture"),
        ("{", "not JSON"),
        ('{"space": "darts"', "not JSON"),
        ('{"space": "dartz", "choices": {}}', "did you mean 'darts'"),
        ('{"space": ["darts"], "choices": {}}', "'space' is"),
        ('{"space": "darts", "choices": 1}', "'choices' is 1"),
        ('{"space": "darts", "choices": {}, "choicez": {}}', "did you mean 'choices'"),
        ('{"space": "darts", "choices": {"normal.concat": [2], "normal.2": 3, "reduce.concat": [2]}}', "has inputs 3"),
        ('{"space": "darts", "choices": {"normal.concat": [2], "normal.3": []}}', "'normal.2' is missing"),
        ('{"arch_normal": {"2": [[0, 0], [0, 1]]}}', "'arch_reduction' is missing"),
        ('{"arch_normal": {"3": [[0, 0], [0, 1]]}, "arch_reduction": {"2": 1}}', "arch_normal has no node 2"),
        ('{"arch_normal": {"2": [[0, 0], [8, 1]]}, "arch_reduction": {"2": 1}}', "operation id 8; ids are 0 to 7"),
        ('{"arch_normal": {"2": [[0, 0], [true, 1]]}, "arch_reduction": {"2": 1}}', "has input [True, 1]"),
        ('{"arch_normal": {"2": [[0, 0], [1.0, 1]]}, "arch_reduction": {"2": 1}}', "has input [1.0, 1]"),
        ('{"arch_normal": {"2": [[0, 0], [0, true]]}, "arch_reduction": {"2": [[0, 0], [0, 0]]}}', "has input"),
        ('{"arch_normal": {"2": [[0, 0]]}, "arch_reduction": {"2": 1}}', "give two"),
        (
            '{"arch_normal": {"2": [[0, 0], [0, 0]], "3": [[0,0],[0,0]]}, "arch_reduction": {"2": [[0, 0], [0, 0]]}}',
            "number of nodes",
        ),
        ('{"arch_normal": 1, "arch_normal": 2}', "'arch_normal' is given twice"),
        ('{"arch_normal": {"2": 1, "2": 2}}', "'2' is given twice"),
        ('{"arch_normal": NaN}', "NaN is not a number"),
        ('{"arch_normal": -Infinity}', "-Infinity is not a number"),
        ('{"arch_normal": 1e999}', "too large"),
        ('{"arch_normal": 12345678901234567890}', "too large"),
        (TINY.replace("'none', 0", "'none', 12345678901234567890"), "too large"),
        (TINY.replace("[2]", "range(2, 999999999)"), "too long"),
        (TINY.replace("'none', 0", "'none', True"), "found 'True'"),
        (TINY.replace("'none', 0", "'none', 0.5"), "has input ('none', 0.5)"),
        (TINY.replace("'none', 0", "'none', 0, 1"), "has input ('none', 0, 1)"),
        (TINY.replace("'none', 0", "'none', '0'"), "has input ('none', '0')"),
        (TINY.replace("('none', 0)", "('none',)"), "has input ('none',)"),
        (TINY.replace("'none', 0", "2, 'none', 0"), "has input (2, 'none', 0)"),
        (TINY.replace("'none'", "'nine'"), "node 2 of the normal cell: unknown operation 'nine'; did you mean 'none'"),
        (TINY.replace("normal_concat=[2]", "normal_concat=[3]"), "the concat of the normal cell is (3,)"),
        (TINY.replace("normal_concat=[2]", "normal_concat=[2, 2]"), "the concat of the normal cell is (2, 2)"),
        (TINY.replace("normal_concat=[2]", "normal_concat=[]"), "the concat of the normal cell is ()"),
        (TINY.replace("normal_concat=[2]", "normal_concat=range(6, 2)"), "the concat of the normal cell is ()"),
        (TINY.replace("normal_concat=[2]", "normal_concat=2"), "the concat of the normal cell is 2"),
        (TINY.replace("reduce=", "reduced="), "did you mean 'reduce'"),
        (TINY.replace("reduce=", "normal="), "'normal' is given twice"),
        (TINY.replace(", reduce_concat=[2]", ""), "no 'reduce_concat'"),
        (TINY.replace("reduce=", ""), "expected a name"),
        (TINY.replace("[[('none', 0)]]", "[]"), "0 intermediate nodes"),
        (TINY.replace("[[('none', 0)]]", "'none'"), "the normal cell has 'none'"),
        (TINY.replace("[[('none', 0)]]", "[[]]"), "node 2 of the normal cell has inputs ()"),
        (TINY.replace("[[('none', 0)]]", "[('none', 0)]"), "odd number of pairs"),
        (TINY.replace("[[('none', 0)]]", "[('none', 0), ('none', 1)]"), "differ in form"),
        (TINY + TINY[:-1], "the last of 2 genotypes (line 1): line 1, column 188: expected ','"),
        (TINY[:-1], "expected ','"),
        (TINY[:30], "found the end"),
        (TINY.replace("'none', 1", "'none, 1"), "has no meaning"),
        (TINY.replace("Genotype(", "Genotype.normal("), "no architecture found"),
        (TINY + ".normal", "is changed by the code after it"),
        (TINY + "._replace(reduce=[[('none', 0)]])", "is changed by the code after it"),
        ("Genotype(normal=" + "(" * 40 + ")" * 40, "nested more than 16 deep"),
        ('{"space": ' + "[" * 40, "nested more than 16 deep"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, words: str) -> None:
    message = refusal(text)
    assert words in message
    assert "\n" not in message
    assert len(message) < 400


def test_a_place_in_the_text_is_counted_as_people_count() -> None:
    assert refusal("# one\nx = Genotype(\n  normal=?)").startswith("line 3, column 10: '?'")


def test_every_example_of_the_documentation_is_read_as_its_heading_says() -> None:
    text = (Path(__file__).parents[1] / "docs" / "notations.md").read_text(encoding="utf-8")
    found = []
    for section in text.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        for block in section.split("```")[1::2]:
            found.append((heading, read(block.removeprefix("json"))[1]))
    assert found == [(notation, notation) for notation in NOTATIONS]


def test_code_in_a_genotype_is_not_run() -> None:
    marks: list[int] = []
    for text in ("__import__('os').abort()", "Genotype(normal=exec('marks.append(1)'))", "Genotype(**globals())"):
        refusal(text)
    assert marks == []


def test_an_unknown_notation_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'nnabla'"):
        write(V2, "nabla")


def test_a_cell_notation_refuses_an_architecture_of_another_space() -> None:
    other = Architecture("toy", (("width", 3),))
    with pytest.raises(InputError, match="not of 'toy'"):
        write(other, "quark0")
    assert write(other, "json") == '{"space": "toy", "choices": {"width": 3}}'


def test_notations_and_spaces_do_not_import_torch_or_numpy() -> None:
    program = (
        "import sys, dartboard.formats, dartboard.spaces; dartboard.formats.published();"
        "print([name for name in ('torch', 'numpy', 'safetensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
