"""Texts of other tools that hold no cells which could be read: each is named as what it is."""

import re

ALPHAS = "these are bare alpha values (architecture weights), no genotype; give the Genotype(...) that was printed"
KINDS = (
    (
        re.compile(rb"(?i)nasbench301|NetworkSelectorDatasetInfo:darts"),
        "this is a configuration of NAS-Bench-301; give its Genotype(...)",
    ),
    (re.compile(rb"Genotype\(\s*rnn|recurrent\s*="), "recurrent cells are not supported yet, only pairs of cells"),
    (re.compile(rb"(?:tensor|array|Parameter containing:\s*tensor)\(\s*\[+\s*-?\d*\.\d"), ALPHAS),
    (re.compile(rb"(?i)\b_?(?:arch_?)?alphas?(?:_\w+)?\b[^\n]{0,80}\n?[^\n]{0,20}\[+\s*-?\d*\.\d"), ALPHAS),
    (re.compile(rb"\A\s*\[\[+\s*-?\d*\.\d"), ALPHAS),
    (re.compile(rb"(?i)\A\s*(?:<!doctype|<html|<\?xml)"), "this is a web page (HTML), not the text of a genotype"),
    (re.compile(rb"\Aversion https://git-lfs"), "this is a Git LFS pointer, not the file itself; run git lfs pull"),
)


def what_else(data: bytes) -> str | None:
    """What a text without any genotype is, in one line; None if nothing is known."""
    start = data[:200_000]
    return next((text for pattern, text in KINDS if pattern.search(start)), None)
