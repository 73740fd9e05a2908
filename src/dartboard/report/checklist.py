"""A checklist of good practice in architecture search, answered from the files of run folders.

The questions follow M. Lindauer and F. Hutter, "Best Practices for Scientific Research on Neural Architecture Search",
JMLR 21 (2020), in dartboard's own words. If the files do not say, the answer is "no" or "unknown", never "yes".
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dartboard.report import words
from dartboard.report.facts import Facts

# Fields that may differ between two runs of one protocol.
NOT_PROTOCOL = ("seed", "save_every", "budget", "until", "data_dir", "download", "threads", "device")


@dataclass(frozen=True)
class Item:
    question: str
    answer: Literal["yes", "no", "partly", "unknown"]
    evidence: str


def checklist(runs: Sequence[Facts]) -> list[Item]:
    """The questions with their answers for these runs together."""
    searches = [facts for facts in runs if facts.command == "search"]
    trainings = [facts for facts in runs if facts.command == "train"]
    return [
        code(runs),
        settings(runs),
        seeds(runs),
        repeated(searches, trainings),
        *([untouched(searches)] if searches else []),
        *([last_epoch(trainings)] if trainings else [no_training()]),
        data(runs),
        *([protocol(trainings)] if len(trainings) > 1 else []),
        hardware(runs),
        time(searches, trainings),
        over_time(runs),
        against_random(trainings),
        Item(
            "Is it stated how the hyper-parameters were chosen, and at what cost?",
            "no",
            "A run folder does not contain this; state it in the publication.",
        ),
        Item("Is there an ablation of the method's parts?", "no", "These runs do not contain one."),
    ]


def code(runs: Sequence[Facts]) -> Item:
    commits = named(facts.environment.get("commit") for facts in runs)
    versions = named(facts.environment.get("dartboard") for facts in runs)
    text = f"dartboard {listed(versions)}, commit {listed(short(commit) for commit in commits)}."
    if any(commit.endswith("+changes") for commit in commits):
        return Item("Is the code known that made this?", "partly", f"{text} Its files differed from that commit.")
    complete = len(commits) == 1 and all(facts.environment.get("commit") for facts in runs)
    return Item("Is the code known that made this?", "yes" if complete else "partly" if versions else "no", text)


def short(commit: str) -> str:
    return commit[:10] + ("+changes" if commit.endswith("+changes") else "")


def settings(runs: Sequence[Facts]) -> Item:
    numbers = ", ".join(f"{facts.name}: {len(facts.config)}" for facts in runs[:6])
    return Item(
        "Are all settings recorded?", "yes", f"Every field with its value, defaults included ({numbers}); listed above."
    )


def seeds(runs: Sequence[Facts]) -> Item:
    known = named(facts.config.get("seed") for facts in runs)
    missing = any("seed" not in facts.config for facts in runs)
    return Item("Are the seeds reported?", "partly" if missing else "yes", f"Seed {listed(known)}.")


def repeated(searches: Sequence[Facts], trainings: Sequence[Facts]) -> Item:
    """Whether search and training were done several times with different seeds."""
    counts, enough = [], True
    for name, runs in (("search", searches), ("training", trainings)):
        if runs:
            number = max(len(group) for group in by_protocol(runs))
            counts.append(f"{name}: {words.plural(number, 'seed')}")
            enough = enough and number > 1
    text = f"Same settings, {'; '.join(counts)}."
    return Item("Is it more than one run, with its spread?", "yes" if enough else "no", text)


def against_random(trainings: Sequence[Facts]) -> Item:
    """Whether some of the trained cells were drawn at random, and trained with the settings of the others."""
    question = "Is the cell compared with random cells, trained the same way?"
    random = [facts for facts in trainings if "drawn" in facts.environment]
    others = [facts for facts in trainings if "drawn" not in facts.environment]
    if not random or not others:
        text = "No run here has an architecture that was drawn at random; a transfer study trains such cells."
        return Item(question, "no", text)
    settings_ = {str(protocol_of(facts.config)) for facts in others}
    same = [facts for facts in random if str(protocol_of(facts.config)) in settings_]
    text = f"{words.plural(len(random), 'cell')} drawn at random, {len(same)} of them with the settings of the others."
    return Item(question, "yes" if len(same) == len(random) else "partly", text)


def by_protocol(runs: Sequence[Facts]) -> list[set[Any]]:
    """The seeds of each group of runs whose settings are otherwise the same."""
    groups: dict[str, set[Any]] = {}
    for facts in runs:
        groups.setdefault(str(protocol_of(facts.config)), set()).add(facts.config.get("seed"))
    return list(groups.values())


def protocol_of(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted((key, value) for key, value in config.items() if key not in NOT_PROTOCOL)


def untouched(searches: Sequence[Facts]) -> Item:
    used = [facts.name for facts in searches if any(epoch.get("test_accuracy") is not None for epoch in facts.epochs)]
    question = "Did the search leave the test images unused?"
    if used:
        return Item(question, "no", f"metrics.jsonl of {listed(used)} has test accuracies.")
    if all("truth" in facts.environment for facts in searches):
        text = "Architectures were scored by a table: the search saw one column, and the result reports another."
        return Item(question, "yes", text)
    images = ", ".join(words.count(facts.data.get("test")) for facts in searches[:3])
    aside = f"{images} test images were set aside, and the log has no score on them."
    text = f"Everything was chosen on train and val. {aside}"
    return Item(question, "yes", text)


def last_epoch(trainings: Sequence[Facts]) -> Item:
    question = "Is the result the last epoch's, not the best one on the test images?"
    known = [(facts, facts.result.get("test_accuracy")) for facts in trainings if facts.done and facts.epochs]
    if not known:
        return Item(question, "unknown", "No training here has finished.")
    wrong = [facts.name for facts, value in known if value != facts.epochs[-1].get("test_accuracy")]
    if wrong:
        return Item(question, "no", f"The result of {listed(wrong)} is not that of its last epoch.")
    return Item(question, "yes", "The accuracy reported equals the last line of the log.")


def no_training() -> Item:
    text = "This page has no training from scratch; the accuracies of the search do not measure the quality of a cell."
    return Item("Is the architecture trained from scratch and scored on test images?", "no", text)


def data(runs: Sequence[Facts]) -> Item:
    prints = named(facts.data.get("fingerprint") for facts in runs)
    names = named(facts.data.get("name") for facts in runs)
    complete = all(facts.data.get("fingerprint") for facts in runs)
    text = f"{listed(names)}; fingerprint of images, labels and split: {listed(each[:12] for each in prints)}."
    return Item("Are data and split recorded?", "yes" if complete else "no", text)


def protocol(trainings: Sequence[Facts]) -> Item:
    question = "Were all networks trained by the same protocol?"
    keys = sorted({key for facts in trainings for key, _ in protocol_of(facts.config)})
    different = [key for key in keys if len({str(facts.config.get(key)) for facts in trainings}) > 1]
    if different:
        return Item(question, "no", f"Trainings here differ in {listed(different)}.")
    return Item(question, "yes", "All settings are the same, seeds and paths aside.")


def hardware(runs: Sequence[Facts]) -> Item:
    devices = named(facts.environment.get("device_name") for facts in runs)
    versions = named(facts.environment.get("torch") for facts in runs)
    threads = named(facts.environment.get("threads") for facts in runs)
    text = f"{listed(devices)}; {listed(threads)} thread(s); torch {listed(versions)}."
    if not devices:
        return Item("Are hardware and libraries stated, and the same for all?", "no", "No device is recorded.")
    same = len(devices) == len(versions) == len(threads) == 1
    return Item("Are hardware and libraries stated, and the same for all?", "yes" if same else "partly", text)


def time(searches: Sequence[Facts], trainings: Sequence[Facts]) -> Item:
    def total(runs: Sequence[Facts]) -> float:
        return sum(facts.number("elapsed_s") or 0 for facts in runs)

    text = f"Search {words.duration(total(searches))}, training {words.duration(total(trainings))} in total."
    complete = bool(searches and trainings)
    return Item("Is the total time reported, not only that of the search?", "yes" if complete else "partly", text)


def over_time(runs: Sequence[Facts]) -> Item:
    text = "Each line of the log, of an epoch or a trial, has its seconds; the curves are above."
    lines = [facts.trials or facts.epochs for facts in runs]
    logged = all(line and line[-1].get("elapsed_s") is not None for line in lines)
    return Item("Is there performance over time?", "yes" if logged else "no", text)


def named(values: Iterable[object]) -> list[str]:
    """Different known values as text, in the order of their first appearance."""
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def listed(values: Iterable[str]) -> str:
    found = list(values)
    return ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "") if found else "not recorded"
