"""What a method says of itself, as plain values: `dartboard explain` prints and draws it. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

FAMILIES = ("reinforcement learning", "gradient", "one-shot", "evolution", "random")
STAGES = ("search space", "sample", "train or share", "score", "update", "derive")
# What a pass goes through: the supernet with all operations mixed, with one operation drawn an edge, along one path, or
# along the largest path, the smallest and drawn ones; or the network of an architecture that is trained from scratch.
MIXTURE, DRAWN, PATH, SANDWICH, TRAINING = "mixture", "drawn", "path", "sandwich", "training"
BOTH_WAYS = 3  # times the multiply-adds of a pass forward are those of one forward and backward: two gradients more
THROUGH = {
    MIXTURE: "the supernet, every edge computing every operation",
    DRAWN: "the supernet, one operation drawn an edge",
    PATH: "one path of the supernet",
    SANDWICH: "the largest path of the supernet, the smallest, and drawn ones",
    TRAINING: "the network of one architecture, trained from scratch",
}


@dataclass(frozen=True)
class Step:
    """stage: of STAGES; says: what happens, a sentence, or why the method has no such step; function: the dotted name
    of what does it, None where there is no such step."""

    stage: str
    says: str
    function: str | None


@dataclass(frozen=True)
class Equation:
    """text: in plain letters; number: where the paper has it; says: what it means; test: FILE::NAME of its test."""

    text: str
    number: str
    says: str
    test: str


@dataclass(frozen=True)
class Passes:
    """What a step computes. name: of the variant, empty if there is one; count: how often a batch goes forward and
    backward; through: a key of THROUGH; says: what each pass is for; where: the settings that choose this variant;
    phase: of search.shrinking, whose networks alone are drawn, empty: all of the space."""

    count: int
    through: str
    says: str
    name: str = ""
    where: Mapping[str, object] = field(default_factory=dict)
    phase: str = ""


@dataclass(frozen=True)
class Remark:
    """A gain, a limit or a claim, with its source."""

    says: str
    source: str


@dataclass(frozen=True)
class Record:
    """family: of FAMILIES; steps: one for each of STAGES, in their order; loop: what is repeated, from a stage back to
    an earlier one; sharing: how weights are shared."""

    family: str
    steps: tuple[Step, ...]
    loop: tuple[str, str]
    until: str
    equations: tuple[Equation, ...]
    passes: tuple[Passes, ...]
    sharing: str
    gains: tuple[Remark, ...]
    limits: tuple[Remark, ...]
    claims: tuple[Remark, ...] = ()
