"""Hypothesis strategies: the text of an architecture as logs, shells, pages and other libraries leave it."""

import codecs
import re
from collections.abc import Callable

from hypothesis import strategies as st

from dartboard.formats import write
from dartboard.spaces.search_space import Architecture

Change = Callable[[str], str]
STEP = "03/20 10:35:11 PM train 000 2.310584e+00 10.937500 50.000000\n"
GENOTYPES = "Genotype = namedtuple('Genotype', 'normal normal_concat reduce reduce_concat')\nPRIMITIVES = ['none']\n"


def wrapped(text: str) -> str:
    """Lines cut after 80 letters, in the middle of words."""
    return "\n".join(text[start : start + 80] for start in range(0, len(text), 80))


def coloured(text: str) -> str:
    """As a console paints it."""
    return re.sub(r"('[^']*'|\b\d+\b)", "\x1b[32m\\1\x1b[0m", text)


def array_of_concat(text: str) -> str:
    return re.sub(r"_concat=(\[[^\]]*\])", r"_concat=array(\1, dtype=int64)", text)


def numbered(kind: str) -> Change:
    """Every predecessor as another library prints it."""
    return lambda text: re.sub(r"', (\d+)\)", rf"', {kind}(\1))", text)


# What changes the words of a Genotype(...) and not its meaning.
VALUES: list[Change] = [
    numbered("np.int64"),
    numbered("tensor"),
    array_of_concat,
    lambda text: re.sub(r"(range\([^)]*\))", r"list(\1)", text),
    lambda text: re.sub(r"range\((\d+), (\d+)\)", r"np.arange(\1, \2, 1)", text),
    lambda text: text.replace("Genotype(", "genotypes.Genotype("),
    lambda text: re.sub(r"\)$", ", connectN=None, connects=None)", text),
    lambda text: re.sub(r"\)$", ", note='it is mine')", text),
    lambda text: re.sub(r"(normal|normal_concat|reduce|reduce_concat)=", "", text),
    lambda text: text.replace("Genotype(", "dict("),
    lambda text: re.sub(r"(\w+)=", r"'\1': ", "{" + text.removeprefix("Genotype(")[:-1] + "}"),
]
# What goes on with any text.
LETTERS: list[Change] = [
    lambda text: text.replace("'", "\u2019"),
    lambda text: text.replace("'", '"'),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: text.replace(",", "\uff0c"),
    lambda text: text.replace("_", "\\_"),
    lambda text: text.replace("'", "&#39;"),
    coloured,
    wrapped,
    lambda text: text.replace(", ", ",\n      "),
    lambda text: "".join(f"> {line}\n" for line in text.replace("], ", "],\n").splitlines()),
    lambda text: text.replace("], ", "],\n... "),
]
AROUND: list[Change] = [
    lambda text: f"03/20 10:30:11 PM genotype = {text}\n{STEP}",
    lambda text: f"{STEP * 3}INFO:root:genotype = {text}\n{STEP * 2}",
    lambda text: f"```python\n{text}\n```",
    lambda text: f">>> {text}",
    lambda text: f'"{text}"',
    lambda text: f"`{text}`",
    lambda text: f"[{text}]",
    lambda text: f"{text},",
    lambda text: f"{text};\n",
    lambda text: f"MINE: Genotype = {text}\n\nDARTS = MINE\n",
    lambda text: f"{GENOTYPES}\nMINE = {text}\n",
    lambda text: f"The cell is Genotype(...):\n\n    {text}\n\nIt was found in an hour.",
    lambda text: f'{{"epoch": 3, "genotype": "{text}", "accuracy": 0.5}}\n{{"epoch": 4}}\n',
]
ENCODINGS: list[Callable[[str], bytes]] = [
    str.encode,
    lambda text: text.replace("\n", "\r\n").encode(),
    lambda text: codecs.BOM_UTF8 + text.encode(),
    lambda text: text.encode("utf-16"),
    lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    lambda text: text.encode("utf-16-le"),
    lambda text: "é".encode("latin-1") + b"\n" + text.encode(),
]


@st.composite
def texts(draw: st.DrawFn, architecture: Architecture, notation: str) -> bytes:
    """The architecture in the notation, with up to four things done to it."""
    text = write(architecture, notation)
    if notation in ("quark0", "nested") and draw(st.booleans()):
        text = draw(st.sampled_from(VALUES))(text)
    for changes in (LETTERS, AROUND):
        if draw(st.booleans()):
            text = draw(st.sampled_from(changes))(text)
    return draw(st.sampled_from(ENCODINGS))(text)
