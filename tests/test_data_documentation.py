"""docs/data.md: its Python runs and prints what it says; its numbers are those of the code."""

import re
from pathlib import Path

import numpy as np
import pytest

from dartboard.data import NAMES, class_folders, decoding, folders, load_data, pickles, split_names, splits

TEXT = (Path(__file__).parent.parent / "docs" / "data.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_the_python_in_the_documentation_prints_what_it_says(block, capsys):
    state = np.random.get_state()
    random = "rand(" in block and "import torch" in block
    code = block.replace("torch.rand(", "torch.ones(") if random else block
    exec(compile(code, "data.md", "exec"), {})
    np.random.set_state(state)
    assert capsys.readouterr().out.strip() == block.rsplit("# ", 1)[1].strip()


def test_the_documentation_names_every_data_set_and_the_limits_of_the_code():
    assert len(BLOCKS) == 2 and all(f"`{name}`" in TEXT for name in NAMES)
    assert f"more than {folders.MAX_BROKEN_SHARE * 100:.0f} %" in TEXT
    assert f"{decoding.MAX_PIXELS // 1_000_000} million pixels" in TEXT
    assert "seven names" in TEXT and len(pickles.NAMES) + 1 == 7
    data = load_data("digits")
    assert f"{len(data.train_and_val()):,} + {len(data.test)}" in TEXT


def test_the_documentation_names_every_word_of_a_split_and_every_ending():
    for split, words in split_names.WORDS.items():
        assert f"| {split} | {' '.join(f'`{word}`' for word in words)} |" in TEXT
    endings = (*class_folders.SUFFIXES, *class_folders.OTHER_SUFFIXES)
    assert " ".join(f"`{ending}`" for ending in endings) in TEXT
    assert f"below {splits.NEARLY_NOTHING:.0%}".replace("%", " %") in TEXT
