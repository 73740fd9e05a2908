"""The names and the sentences on the page of a transfer study."""

from collections.abc import Mapping, Sequence

from dartboard.report import words
from dartboard.report.words import percent
from dartboard.studies.comparisons import Contrast, Move, Rank
from dartboard.studies.matrix import Entry, group_words
from dartboard.studies.protocol import SIDES, Side

QUESTIONS = {
    "transfer": "the cell found on the other data set − the one found on this",
    "swap": "swapped to this data set − stayed on it",
    "gain": "after continuing on this data set − before",
    "fresh": "swapped to this data set − searched on it alone, one phase",
    "whole": "swapped to this data set − searched on it alone, with the budget of both phases",
    "found": "found on this data set − drawn at random",
    "proxy": "searched on a part of A − on all of it",
    "carry": "swapped − stayed, compared with the same for another choice of what is carried over",
}
NAMES = {
    "transfer": "other's cell − own",
    "swap": "swap − stay",
    "gain": "after − before swap",
    "fresh": "swap − alone",
    "whole": "swap − alone, both budgets",
    "found": "found − random",
}


SAME = "All values are equal, so the interval has no width and says nothing about other seeds."


def sentence(one: Contrast, names: Mapping[Side, str]) -> str:
    """One difference in words, with what it can and cannot say."""
    first, second = (group_words(group, dict(names)) for group in (one.first, one.second))
    how = {"swap": f"swapped ({first}) against stayed ({second})", "found": f"found on {first} against random cells"}
    how["carry"] = f"swapped − stayed with {carried_words(one.first)}, against {carried_words(one.second)}"
    what = how.get(one.key, f"found on {first} against found on {second}")
    found = f"Trained on {names[one.side]}, {what}: {100 * one.interval.estimate:+.2f} points"
    if not one.has_interval:
        return f"{found} (n = {size_words(one)}, no interval)."
    kind = f"n = {size_words(one)} pairs" if one.paired else f"n = {size_words(one)}"
    found += f" (95 % interval {interval(one)}, {one.interval.how}, {kind}). "
    if one.interval.low == one.interval.high == 0.0:
        return found + "No difference at all."
    if one.interval.has_no_width:
        return found + SAME
    return found + (
        "The interval does not contain zero."
        if one.interval.excludes_zero
        else "The interval contains zero: no difference is shown."
    )


def size_words(one: Contrast) -> str:
    """Pairs, or cells of each group."""
    return str(one.sizes[0]) if one.paired else f"{one.sizes[0]} and {one.sizes[1]} cells"


def interval(one: Contrast) -> str:
    low, high = one.interval.low, one.interval.high
    return words.UNKNOWN if low is None or high is None else f"{100 * low:+.2f} to {100 * high:+.2f}"


def how_words(contrasts: Sequence[Contrast]) -> str:
    """How the intervals were computed: "Student's t, and Welch's t for unpaired differences"."""
    paired, other = (
        " or ".join(dict.fromkeys(one.interval.how for one in contrasts if one.has_interval and one.paired is pairs))
        for pairs in (True, False)
    )
    made = f"{paired}, and {other} for unpaired differences" if paired and other else paired or other
    return made.replace("bootstrap", "the bootstrap")


def entry_words(entry: Entry | None) -> str:
    if entry is None or entry.mean is None:
        return words.UNKNOWN
    return percent(entry.mean) if entry.spread is None else f"{100 * entry.mean:.1f} ± {100 * entry.spread:.1f} %"


def carried(one: Contrast) -> str:
    """What a row compares, if the question does not say it."""
    if one.key == "carry":
        return f" ({carried_words(one.first)} − {carried_words(one.second)})"
    if part_of(one.first):
        return f" ({carried_words(one.first)})"
    return f" ({one.first})" if one.key in ("proxy", "found") and one.first not in SIDES else ""


def part_of(group: str) -> str:
    """The part that a group of phase 2 took over, such as weights; empty if it took everything, and of other groups."""
    stem, _, part = group.partition("-")
    return part if stem in ("aa", "ab", "ba", "bb") else ""


def carried_words(group: str) -> str:
    """What a group of phase 2 took over: "everything", "weights only"."""
    return f"{part} only" if (part := part_of(group)) else "everything"


def forest_name(one: Contrast, names: Mapping[Side, str]) -> str:
    if one.key == "carry":
        left, right = (part_of(group) or "everything" for group in (one.first, one.second))
        return f"{names[one.side]}: {left} − {right}"
    name = NAMES.get(one.key, f"{one.first} − all of A")
    if one.key == "found" and one.first not in SIDES:
        name = f"{one.first} − random"
    suffix = f" ({part})" if (part := part_of(one.first)) else ""
    return f"{names[one.side]}: {name}{suffix}"


def move_words(moves: Sequence[Move]) -> tuple[object, ...]:
    numbers = [move.changed for move in moves]
    return f"{sum(numbers) / len(numbers):.1f}", min(numbers), max(numbers), moves[0].of, len(numbers)


WITHIN = {"": "all cells", "search": "cells of the same kind of search", "seed": "cells of one seed"}


def rank_words(one: Rank, names: Mapping[Side, str]) -> str:
    if one.what == "sides":
        return f"trained on {names['a']}, trained on {names['b']}"
    side: Side = "a" if one.what.endswith("a") else "b"
    return f"cut out of the supernet and not trained, trained; on {names[side]}"


def tau_words(one: Rank) -> tuple[object, ...]:
    if one.tau is None:
        return WITHIN[one.within], "not defined", words.UNKNOWN, one.n
    return WITHIN[one.within], f"{one.tau:+.2f}", f"{one.p:.2g}" if one.p is not None else words.UNKNOWN, one.n


def carry_verdict(contrasts: Sequence[Contrast], side: Side, names: Mapping[Side, str]) -> str:
    """Which of what is carried over makes the difference between swap and stay, as far as the intervals show.

    Empty unless every way to carry over was taken and has an interval.
    """
    swaps = {one.first[2:]: one for one in contrasts if one.key == "swap" and one.side == side}
    between = {(one.first[2:], one.second[2:]): one for one in contrasts if one.key == "carry" and one.side == side}
    if len(swaps) < 3 or not all(one.has_interval for one in swaps.values()):
        return ""
    effects = "; ".join(
        f"{carried_words(one.first)} {100 * one.interval.estimate:+.2f} ({interval(one)})" for one in swaps.values()
    )
    if any(one.interval.has_no_width and one.interval.low != 0.0 for one in swaps.values()):
        return f"Trained on {names[side]}, swapped − stayed in points: {effects}. In one of them: {SAME.lower()}"
    shown = {suffix.removeprefix("-"): one.interval.excludes_zero for suffix, one in swaps.items()}
    first, second = (suffix for suffix in swaps if suffix)
    apart = between[first, second].interval.excludes_zero
    return f"Trained on {names[side]}, swapped − stayed in points: {effects}. {who_carries(shown, apart)}"


def who_carries(shown: Mapping[str, bool], apart: bool) -> str:
    """shown: whether the interval of the effect excludes zero, by the part that was carried over, "" for everything;
    apart: whether that of the difference of the two parts does."""
    one, two = (part for part in shown if part)
    if not any(shown.values()):
        return f"Every interval contains zero: there is no effect that {one} or {two} could carry."
    if shown[one] and shown[two]:
        return "Either alone shows an effect" + (
            "; they differ." if apart else "; no difference between the two is shown."
        )
    if not (shown[one] or shown[two]):
        return "An effect appears only if both are carried over."
    which, other = (one, two) if shown[one] else (two, one)
    if apart:
        alone = f"it appears with them alone and not with the {other} alone, and the two differ"
        return f"The {which} carry the effect: {alone}."
    return (
        f"The effect appears with the {which} alone and not with the {other} alone, but the interval of their "
        "difference contains zero, so the effect cannot be attributed to one of the two."
    )


def path_name(group: str) -> str:
    if group.endswith("-whole"):
        return "alone, both budgets"
    stem = group[:2]
    only = f" ({part} only)" if (part := part_of(group)) else ""
    if stem in ("ab", "ba"):
        return f"swap{only}"
    if stem in ("aa", "bb"):
        return f"stay{only}"
    return "phase 1, and alone" if group in SIDES else group


def short(name: str) -> str:
    return words.short_data(name)
