"""When a search would better have ended: rules that read the lines its epochs left in metrics.jsonl. No torch.

| rule             | fires when                                                     | selects the cell of         |
|------------------|----------------------------------------------------------------|-----------------------------|
| skips:2          | the normal cell reaches this number of skip connections        | the epoch before            |
| stable:10        | the order of the learnable operations was the same that long   | that epoch                  |
| eigenvalue:1.3:2 | the eigenvalue, read every 2 epochs, has grown 1.3 times       | the epoch it has grown from |
| held-out:0.05:0  | the best score on a part of train (0.05) is that old in epochs | the epoch of the best score |
|                  | (0: never)                                                     |                             |

A rule that never fires selects the last epoch, held-out the best. docs/early-stopping.md has sources and departures.
Each rule is a function of the lines alone; a resumed search cuts these to its checkpoint, so it decides alike.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

from dartboard import formats
from dartboard.config import in_words, inside
from dartboard.errors import InputError, unknown
from dartboard.spaces.families import FAMILIES, Family, Mixed, family_of
from dartboard.spaces.search_space import SearchSpace

Line = Mapping[str, Any]
WINDOW = 5  # readings of the eigenvalue in an average, which is credited to the middle one
DISTANCE = 4  # readings between the two averages that are compared
FIRST_EPOCH = 10  # the earliest epoch that the eigenvalue rule may keep


@dataclass(frozen=True)
class Rule:
    """name: a key of RULES; numbers: its parameters, all of them."""

    name: str
    numbers: tuple[float, ...]

    @property
    def text(self) -> str:
        """As it is written on the command line, in full: "skips:2"."""
        return ":".join([self.name, *(f"{number:g}" for number in self.numbers)])

    @property
    def file_name(self) -> str:
        """Of its cell, in the run's folder `stopped`."""
        return f"{self.text.replace(':', '-')}.json"


@dataclass(frozen=True)
class Stopped:
    """What a rule says of a search. epoch: after which it fired, None if it has not; kept: the epoch of its cell.

    architecture: that cell, as the line of the epoch has it; why: in a few words.
    """

    epoch: int | None
    kept: int
    architecture: str
    why: str


def parse(text: str) -> tuple[Rule, ...]:
    """The rules of "skips:2,held-out". Raises InputError."""
    rules = tuple(rule_of(part.strip()) for part in text.split(",")) if text.strip() else ()
    for rule in rules:
        alike = [other for other in rules if other.name == rule.name]
        if len(alike) > 1 and (rule.name in ONCE or len(set(alike)) < len(alike)):
            raise InputError(f"--stop has {rule.name!r} more than once; give it once")
    return rules


def rule_of(text: str) -> Rule:
    """One rule, with the defaults of what is left out. Raises InputError."""
    name, *given = text.split(":")
    if name not in RULES:
        raise unknown("rule of --stop", name, RULES)
    parameters, _ = RULES[name]
    if len(given) > len(parameters):
        most = f"{len(parameters)} number{'s' * (len(parameters) > 1)}"
        raise InputError(f"--stop {text[:40]}: {name} takes {most} at most, as in {Rule(name, defaults(name)).text}")
    numbers = list(defaults(name))
    for position, written in enumerate(given):
        numbers[position] = number_of(text, written, parameters[position])
    return Rule(name, tuple(numbers))


def number_of(text: str, written: str, parameter: tuple[float, str, bool]) -> float:
    _, interval, whole = parameter
    try:
        number = float(written)
    except ValueError:
        number = math.nan
    if not inside(number, interval) or (whole and number != int(number)):
        raise InputError(f"--stop {text[:40]}: give {'a whole number, ' * whole}{in_words(interval)}")
    return number


def defaults(name: str) -> tuple[float, ...]:
    return tuple(default for default, _, _ in RULES[name][0])


def check_space(rules: Sequence[Rule], space: SearchSpace) -> None:
    """Raises InputError for a rule that has nothing to go by in this space."""
    family = FAMILIES[space.family]
    most = max(len(learnable(row, family)) for rows in family.mixed(space).values() for row in rows)
    if any(rule.name == "stable" for rule in rules) and most < (2 if family.rivals is None else 1):
        raise InputError(f"--stop stable compares the order of convolutions, and {space.name} has none; leave it out")


def verdict(rule: Rule, lines: Sequence[Line], mixed: Mixed) -> Stopped | None:
    """What the rule says at the first epoch at which it fires; None if it never does.

    lines: of metrics.jsonl, of which those of epochs count; mixed: what each edge mixes, the columns of alpha.
    """
    return RULES[rule.name][1](rule, epochs_of(lines), mixed)


def outcome(rule: Rule, lines: Sequence[Line], mixed: Mixed) -> Stopped | None:
    """The verdict or, if the rule never fires, the cell that it selects at the end; None before the first epoch."""
    found, epochs = verdict(rule, lines, mixed), epochs_of(lines)
    if found is not None or not epochs:
        return found
    if rule.name == "held-out" and (best := best_scored(epochs)) is not None:
        return replace(stopped_with(best, f"best score: {score_words(best)}"), epoch=None)
    return replace(stopped_with(epochs[-1], "never fired; the last epoch"), epoch=None)


def first(rules: Sequence[Rule], lines: Sequence[Line], mixed: Mixed) -> tuple[Rule, Stopped] | None:
    """The rule that fired first, of those that did; of several at one epoch the one named first."""
    fired = [(rule, found) for rule in rules if (found := verdict(rule, lines, mixed)) is not None]
    return min(fired, key=lambda pair: pair[1].epoch or 0, default=None)


def epochs_of(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.get("event") == "epoch" and "architecture" in line]


def stopped_with(line: Line, why: str, fired: Line | None = None) -> Stopped:
    """The cell of an epoch's line; the rule fired at another one's, or at the same."""
    return Stopped((fired or line)["epoch"], line["epoch"], line["architecture"], why)


# --- The rules -------------------------------------------------------------------------------------------------------


def skips(rule: Rule, epochs: Sequence[Line], mixed: Mixed) -> Stopped | None:
    """DARTS+ (Liang et al., arXiv 1909.06035), criterion 1: this number of skip connections in one normal cell.

    It fires where their number rises to the limit, so that there is a cell before: one that has them from the noise of
    the first epochs on has not collapsed into them.
    """
    limit = int(rule.numbers[0])
    for before, now in pairwise(epochs):
        if num_skips(before) < limit <= num_skips(now):
            return stopped_with(before, f"{num_skips(now)} skip connections in the {family_of(mixed).main}", now)
    return None


def num_skips(line: Line) -> int:
    return skips_of(line["architecture"])


@lru_cache(maxsize=4096)
def skips_of(text: str) -> int:
    """Skip connections of the cell that does not change the size of maps."""
    architecture = formats.read(text)[0]
    return FAMILIES[architecture.space].num_skips(architecture)


def stable(rule: Rule, epochs: Sequence[Line], mixed: Mixed) -> Stopped | None:
    """DARTS+, criterion 2: the order of alpha among learnable operations has not changed for this number of epochs."""
    orders, same = [order(line, mixed) for line in epochs], 0
    for number in range(1, len(epochs)):
        same = same + 1 if orders[number] == orders[number - 1] else 0
        if same == int(rule.numbers[0]):
            return stopped_with(epochs[number], f"the same order of operations for {counted(same)}")
    return None


def order(line: Line, mixed: Mixed) -> tuple[tuple[int, ...], ...]:
    """On every edge its learnable operations, by alpha; if no edge has two, at every node its edges by theirs."""
    family = family_of(mixed)
    tables = {kind: [softmax(row) for row in line[f"alpha_{kind}"]] for kind in mixed}
    columns = {kind: [learnable(row, family) for row in rows] for kind, rows in mixed.items()}
    if family.rivals is None or any(len(found) > 1 for rows in columns.values() for found in rows):
        edges = ((row, found) for kind in mixed for row, found in zip(tables[kind], columns[kind], strict=True))
        return tuple(descending({column: row[column] for column in found}) for row, found in edges)
    nodes: dict[tuple[str, int], dict[int, float]] = {}
    for kind, rows in tables.items():
        for (source, target), row, found in zip(family.rivals(len(rows)), rows, columns[kind], strict=True):
            if found:
                nodes.setdefault((kind, target), {})[source] = row[found[0]]
    return tuple(descending(edges) for edges in nodes.values())


def learnable(operations: Sequence[str], family: Family) -> list[int]:
    """Columns of the operations with weights that a stride does not add: convolutions."""
    return [column for column, name in enumerate(operations) if family.is_learnable(name)]


def descending(weights: Mapping[int, float]) -> tuple[int, ...]:
    return tuple(sorted(weights, key=lambda index: -weights[index]))


def softmax(logits: Sequence[float]) -> list[float]:
    powers = [math.exp(logit - max(logits)) for logit in logits]
    return [power / sum(powers) for power in powers]


def eigenvalue(rule: Rule, epochs: Sequence[Line], mixed: Mixed) -> Stopped | None:
    """RobustDARTS-ES (Zela et al., ICLR 2020, arXiv 1909.09656; automl/RobustDARTS, src/search/train_search.py).

    At each reading the average around the reading two before (5 readings: the last one it can have) is compared with
    that around the reading four before that one. It selects the cell of the earlier one: 12 epochs before now.
    """
    ratio, every = rule.numbers[0], int(rule.numbers[1])
    values = {line["epoch"]: line["eigenvalue"] for line in epochs if line.get("eigenvalue") is not None}
    lines = {line["epoch"]: line for line in epochs}
    for now in values:
        middle = now - WINDOW // 2 * every
        earlier = middle - DISTANCE * every
        later, before = average(values, middle, every), average(values, earlier, every)
        if earlier >= FIRST_EPOCH and later is not None and before is not None and later > ratio * before > 0:
            why = f"the eigenvalue grew from {before:.3g} to {later:.3g}, {later / before:.2f} times"
            return stopped_with(lines[earlier], why, lines[now])
    return None


def average(values: Mapping[int, float], middle: int, every: int) -> float | None:
    """Of the readings around one, fewer only before the search's first; None if one of them is missing."""
    around = [middle + every * offset for offset in range(-(WINDOW // 2), WINDOW // 2 + 1)]
    found = [values.get(epoch) for epoch in around if epoch >= 0]
    known = [value for value in found if value is not None]
    return sum(known) / len(known) if known and len(known) == len(found) else None


def held_out(rule: Rule, epochs: Sequence[Line], mixed: Mixed) -> Stopped | None:
    """HiNAS (Zhang et al., arXiv 1909.08228; hkzhang91/HiNAS): the best score on a further part."""
    patience = int(rule.numbers[1])
    for number, now in enumerate(epochs):
        best = best_scored(epochs[: number + 1])
        if patience and best is not None and now["epoch"] - best["epoch"] >= patience:
            return stopped_with(best, f"no better score for {counted(patience)} than {score_words(best)}", now)
    return None


def best_scored(epochs: Sequence[Line]) -> Line | None:
    """The epoch of the highest accuracy on the held-out part; of equal ones that of the lowest loss, then the first."""
    known = [line for line in epochs if line.get("held_out_accuracy") is not None]
    return max(known, key=lambda line: (line["held_out_accuracy"], -(line["held_out_loss"] or 0.0)), default=None)


def counted(number: int) -> str:
    return f"{number} epoch{'s' * (number != 1)}"


def score_words(line: Line) -> str:
    return f"{100 * line['held_out_accuracy']:.1f} % of the held-out images"


Judge = Callable[[Rule, Sequence[Line], Mixed], Stopped | None]
# name -> parameters (default, where it may lie, whether it is a whole number), and the rule
RULES: dict[str, tuple[tuple[tuple[float, str, bool], ...], Judge]] = {
    "skips": (((2, "[1, 100]", True),), skips),
    "stable": (((10, "[1, 10000]", True),), stable),
    "eigenvalue": (((1.3, "(0, 1000]", False), (2, "[1, 1000]", True)), eigenvalue),
    "held-out": (((0.05, "(0, 0.5]", False), (0, "[0, 10000]", True)), held_out),
}
ONCE = ("eigenvalue", "held-out")  # what a search measures for them is one thing
