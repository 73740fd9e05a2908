"""Runs in groups of equal settings: what may be averaged, and how one group differs from the others. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from dartboard.errors import InputError
from dartboard.report import words
from dartboard.report.checklist import protocol_of
from dartboard.report.facts import Facts, parent_of, read_facts

FIRST, LAST = ("command", "method", "space", "data"), ("state",)  # in the order in which settings are named
NAMED = 3  # settings that a label names; the table has all of them
Settings = Mapping[str, object]


@dataclass(frozen=True)
class Group:
    """Runs that repeat each other: equal settings, data and progress, apart from seeds and paths.

    settings: all in which groups differ, such as "second_order = true, epochs = 50"; empty if there is only one group.
    label: how this group differs from most, shortened, and different from the labels of all others.
    """

    runs: tuple[Facts, ...]
    settings: str = ""
    label: str = ""


def groups_of(runs: Sequence[Facts]) -> list[Group]:
    """The runs in groups, in the order of each group's first run."""
    found = alike(runs)
    names = differing(found)
    shared = [name for name in names if all(name in settings for settings, _ in found)]
    texts = [settings_in_words(settings, shared) for settings, _ in found]
    if len(set(texts)) < len(texts):  # groups that differ in what only some of them have at all
        shared = names
        texts = [settings_in_words(settings, shared) for settings, _ in found]
    unusual_of = [(settings, unusual(settings, shared, found)) for settings, _ in found]
    labels = numbered([settings_in_words(settings, own, NAMED) for settings, own in unusual_of])
    return [Group(tuple(own), text, label) for (_, own), text, label in zip(found, texts, labels, strict=True)]


def unusual(settings: Settings, names: Sequence[str], groups: Sequence[tuple[Settings, Sequence[Facts]]]) -> list[str]:
    """The settings that differ from those of more than half of the groups; all settings if there are none."""

    def usual(name: str) -> bool:
        own = repr(settings.get(name))
        return 2 * sum(repr(other.get(name)) == own for other, _ in groups) > len(groups)

    return [name for name in names if not usual(name)] or list(names)


def differing(groups: Sequence[tuple[Settings, Sequence[Facts]]]) -> list[str]:
    """The settings in which groups differ, the most decisive first."""
    known = dict.fromkeys(name for settings, _ in groups for name in settings)
    found = [name for name in known if len({repr(settings.get(name)) for settings, _ in groups}) > 1]
    first, last = ([name for name in order if name in found] for order in (FIRST, LAST))
    return [*first, *(name for name in found if name not in (*first, *last)), *last]


def differences_of(runs: Sequence[Facts]) -> list[str]:
    """The settings in which these runs differ, apart from seeds and paths."""
    return differing(alike(runs))


def alike(runs: Sequence[Facts]) -> list[tuple[Settings, list[Facts]]]:
    """Runs grouped by equal settings. If one seed has used two data sets, runs are also grouped by fingerprint."""
    groups: dict[str, tuple[Settings, list[Facts]]] = {}
    for facts in runs:
        settings = settings_of(facts)
        groups.setdefault(repr(settings), (settings, []))[1].append(facts)
    found: list[tuple[Settings, list[Facts]]] = []
    for settings, own in groups.values():
        prints = {(facts.config.get("seed"), facts.data.get("fingerprint")) for facts in own}
        if len({seed for seed, _ in prints}) == len(prints):
            found.append((settings, own))
            continue
        apart: dict[str, list[Facts]] = {}
        for facts in own:
            apart.setdefault(str(facts.data.get("fingerprint")), []).append(facts)
        found += [({**settings, "fingerprint": mark[:12]}, one) for mark, one in apart.items()]
    return found


def settings_of(facts: Facts, seen: frozenset[Path] = frozenset()) -> Settings:
    """All that decides a run's numbers except its seed: its config, the sizes of its data, and its progress.

    seen: folders of the runs that continue this one.
    """
    data = facts.data
    sizes = tuple(data.get(name) for name in ("train", "val", "test"))
    return {
        **dict(protocol_of(facts.config)),
        "images (train, val, test)": sizes,
        "classes": data.get("class_names", data.get("num_classes")),
        "from": origin(facts, seen | {facts.folder.resolve()}),
        "state": state(facts),
    }


def origin(facts: Facts, seen: frozenset[Path]) -> object:
    """The run that a search continues: its settings, so that one of another seed is equal; otherwise its path."""
    named = facts.config.get("from")
    parent = parent_of(facts) if named else None
    if parent is None or parent.resolve() in seen:
        return named or "none"
    try:
        return settings_of(read_facts(parent), seen)
    except InputError:
        return named


def state(facts: Facts) -> str:
    if facts.done:
        return "finished"
    unit = "trial" if facts.trials else "epoch"
    return f"stopped after {words.plural(len(facts.trials or facts.epochs), unit)}"


def settings_in_words(settings: Settings, names: Sequence[str], most: int | None = None) -> str:
    """ "second_order = true, epochs = 50 and 2 more"."""
    found = ", ".join(
        setting_words(name, settings[name]) if name in settings else f"{name} not recorded" for name in names[:most]
    )
    rest = 0 if most is None else len(names) - most
    return f"{found} and {rest} more" if rest > 0 else found


def setting_words(name: str, value: object) -> str:
    if name == "state":
        return str(value)
    if isinstance(value, Mapping):
        value = f"{value.get('method', value.get('command'))} on {value.get('data')}"
    if isinstance(value, list | tuple):
        value = "/".join(str(item) for item in value)
    if isinstance(value, bool):
        value = str(value).lower()
    return f"{name} = {'none' if value in ('', None) else value}"


def numbered(labels: Sequence[str]) -> list[str]:
    """The labels, with a number after each that was used before."""
    found: list[str] = []
    for label in labels:
        tries = (f"{label} ({number})" for number in count(2))
        found.append(label if label not in found else next(one for one in tries if one not in (*labels, *found)))
    return found
