"""An architecture in a table of the page."""

import json
from random import Random

from dartboard.report.architecture_cell import SHORT, architecture_cell
from dartboard.spaces import SPACES


def test_a_long_architecture_is_folded_behind_its_choices_and_a_short_one_stands_as_it_is() -> None:
    found = SPACES["bignas-8"].sample(Random(3))
    text = json.dumps(found.to_json())
    folded = str(architecture_cell(text))
    depths = " ".join(str(value) for name, value in found.choices if name.endswith("depth"))
    assert f"depth {depths}, " in folded and f"resolution {found['resolution']}" in folded
    assert folded.startswith("<details") and '<code>{"space"' in folded.replace("&quot;", '"')
    assert "the command" in str(architecture_cell(text, "the command"))
    short = str(architecture_cell("0121"))
    assert short.startswith("<code") and "min-width:4ch" in short


def test_a_text_of_another_form_is_cut_short() -> None:
    others = json.dumps({"choices": {"a": [1] * 40}}), json.dumps({"choices": "y" * 90})
    for text in ("x" * (SHORT + 1), "[" * 100, *others):
        assert "<summary" in str(architecture_cell(text)) and " …</summary>" in str(architecture_cell(text))
