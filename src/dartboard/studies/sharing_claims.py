"""What the literature claims of shared weights, judged by runs: each by a rule that stands beside it. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from dartboard.analysis.statistics import mean_interval
from dartboard.methods.explained import record_of
from dartboard.methods.explained.record import MIXTURE, TRAINING
from dartboard.studies.sharing import Group, Searched

AGREES, DISAGREES, NOT_SHOWN, NOT_MEASURED = "agrees", "does not", "not shown", "not measured"
WEAK_TAU = 0.1  # of a hundred pairs, 55 in their order
POINT = 0.01  # of accuracy
FEWEST = 10  # architectures of a ranking: intervals of fewer, by resampling, cover far too little
FEWEST_RUNS = 3  # by which losses are judged


@dataclass(frozen=True)
class Claim:
    """What the literature says; rule: when runs agree with it; judged: (verdict, in numbers) by the rule; method: whose
    runs alone it is about, empty: all of them."""

    says: str
    source: str
    rule: str
    judged: Callable[[Sequence[Group]], tuple[str, str]]
    method: str = ""


def claims_of(groups: Sequence[Group]) -> list[Claim]:
    """The claims that are about the methods of these runs."""
    return [claim for claim in CLAIMS if not claim.method or claim.method in {group.method for group in groups}]


def runs_of(groups: Sequence[Group], method: str) -> list[Searched]:
    """The runs of a method."""
    return [one for group in groups if group.method == method for one in group.runs]


def larger_spaces(groups: Sequence[Group]) -> tuple[str, str]:
    """Whether the order by shared weights is better than none, in most of the runs that were ranked."""
    runs = [one for group in groups for one in group.runs if one.tau is not None and one.ranked >= FEWEST]
    known = [one.tau[1:] for one in runs if one.tau is not None]
    ends = [(low, high) for low, high in known if low is not None and high is not None]
    few = sum(0 < one.ranked < FEWEST for group in groups for one in group.runs)
    if not ends:
        less = f"{few} ranked fewer than {FEWEST} architectures"
        return (NOT_SHOWN, less) if few else (NOT_MEASURED, "no run has a ranking with an interval")
    above, weak = sum(low > 0 for low, _ in ends), sum(high < WEAK_TAU for _, high in ends)
    said = f"the interval is above 0 in {above} of {len(ends)} runs, below {WEAK_TAU} in {weak}"
    return AGREES if 2 * above > len(ends) else DISAGREES if 2 * weak > len(ends) else NOT_SHOWN, said


def memory_of_a_path(groups: Sequence[Group]) -> tuple[str, str]:
    """Whether what computes one operation an edge or one path took less than what mixes all."""
    mixed: list[float] = []
    single: list[float] = []
    for group in groups:
        if group.peak_memory_mb is not None:
            through = {passes.through for passes in record_of(group.method).passes} - {TRAINING}
            (mixed if MIXTURE in through else single).append(group.peak_memory_mb)
    if not mixed or not single:
        return NOT_MEASURED, "peak memory of both kinds is needed; searches by `dartboard search` and `compare` note it"
    said = f"at most {max(single):,.0f} MB against at least {min(mixed):,.0f} MB"
    return AGREES if max(single) < min(mixed) else DISAGREES, said


def sensitivity(groups: Sequence[Group]) -> tuple[str, str]:
    """Whether the largest spread over seeds is as large as the distance between the best and the worst method."""
    spreads = [group.spread for group in groups if group.spread is not None]
    if len(groups) < 2 or not spreads:
        return NOT_MEASURED, "two methods or settings, one of them with two seeds, are needed"
    apart = max(group.accuracy for group in groups) - min(group.accuracy for group in groups)
    said = f"spread up to {100 * max(spreads):.2f} points, means {100 * apart:.2f} points apart"
    return AGREES if max(spreads) >= apart else DISAGREES, said


def as_they_are(method: str, groups: Sequence[Group]) -> tuple[str, str]:
    """Whether fine-tuning brings the networks that are cut out of a method's supernets less than a point."""
    gains = [gain for one in runs_of(groups, method) for gain in one.gains]
    if len(gains) < 2:
        return NOT_MEASURED, "two networks that were fine-tuned are needed: dartboard specialise RUN --fine-tune 5"
    found = mean_interval(gains, 0)
    low, high = (end if end is not None else found.estimate for end in (found.low, found.high))
    said = f"{len(gains)} networks gained {100 * found.estimate:.2f} points, 95 % interval {100 * low:.2f} to "
    said += f"{100 * high:.2f}"
    return AGREES if high < POINT else DISAGREES if low > POINT else NOT_SHOWN, said


def sandwich_bounds(groups: Sequence[Group]) -> tuple[str, str]:
    """Whether the loss of random networks ended between those of the largest and of the smallest, in most runs."""
    known = [one.losses for one in runs_of(groups, "bignas") if one.losses is not None]
    if not known:
        return NOT_MEASURED, "no run has the losses of all three; --sampled 1 or more is needed"
    if len(known) < FEWEST_RUNS:
        return NOT_SHOWN, f"{len(known)} of the {FEWEST_RUNS} runs that are needed"
    between = sum(largest <= random <= smallest for largest, random, smallest in known)
    return AGREES if 2 * between > len(known) else DISAGREES, f"it did in {between} of {len(known)} runs"


TUNED_RULE = (
    "Agrees if the 95 % interval of what fine-tuning brings on val lies below one point, does not if it lies above; "
    "otherwise nothing is shown. Fine-tuning on the data of the search is what could be gained at little cost."
)
CLAIMS = (
    Claim(
        "Shared weights open larger spaces: one training judges all architectures, without one for each.",
        "Pham et al., ICML 2018; Guo et al., ECCV 2020",
        "Agrees if in most ranked runs the 95 % interval of tau lies above 0: the weights order architectures of a "
        "space of this size better than chance. Does not if in most it lies below 0.1; otherwise, and by "
        "rankings of fewer than ten architectures, nothing is shown.",
        larger_spaces,
    ),
    Claim(
        "One path, or one operation an edge, needs less memory than all operations mixed.",
        "Cai, Zhu, Han, ICLR 2019; Dong, Yang, CVPR 2019; Guo et al., ECCV 2020",
        "Agrees if the highest peak memory of the former is below the lowest of the latter.",
        memory_of_a_path,
    ),
    Claim(
        "Results depend on the seed and the settings as much as on the method.",
        "Li, Talwalkar, UAI 2019; Yu et al., ICLR 2020",
        "Agrees if the largest standard deviation over seeds is at least the distance between the best and the worst "
        "mean.",
        sensitivity,
    ),
    Claim(
        "Networks are cut out of the supernet and used without retraining.",
        "Cai et al., ICLR 2020",
        TUNED_RULE,
        partial(as_they_are, "ofa"),
        method="ofa",
    ),
    Claim(
        "Networks are cut out of the supernet and used without any post-processing.",
        "Yu et al., ECCV 2020",
        TUNED_RULE,
        partial(as_they_are, "bignas"),
        method="bignas",
    ),
    Claim(
        "The smallest and the largest network bound all others: where both are good, those between them are.",
        "Yu, Huang, ICCV 2019; Yu et al., ECCV 2020",
        "Agrees if in most runs the training loss of random networks ended between those of the largest and of the "
        "smallest; fewer than three runs show nothing.",
        sandwich_bounds,
        method="bignas",
    ),
)
