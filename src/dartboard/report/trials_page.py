"""The part of the page about a search by trials: the best score so far, and accuracy against cost."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from dartboard.paths import quoted
from dartboard.report import latency_words, next_training, words
from dartboard.report.architecture_cell import architecture_cell
from dartboard.report.blocks import command, picture, section, table, tiles
from dartboard.report.cells import cells
from dartboard.report.facts import Facts, finite, to_architecture
from dartboard.report.figures import Series, curves
from dartboard.report.markup import Html, join, tag
from dartboard.report.plots import line, plot, step_line
from dartboard.report.search_page import device_word
from dartboard.report.space_section import space_section
from dartboard.report.timing import time_spent
from dartboard.runs.limits import MOST_TRIALS
from dartboard.scoring.pareto import front
from dartboard.spaces.search_space import Architecture

Line = Mapping[str, Any]
UNITS = ((1e9, "billion "), (1e6, "million "), (1e3, "thousand "), (1.0, ""))
COSTS = {"macs": "multiply-adds", "params": "parameters"}


def scored(facts: Facts) -> list[Line]:
    """The trials that have a finite score, in order."""
    return [line for line in facts.trials if finite(line.get("score")) is not None]


def best_line(facts: Facts) -> Line | None:
    """The line of the result or, until there is one, the trial with the highest score; of equal ones the first."""
    if finite(facts.result.get("score")) is not None and "trial" in facts.result:
        return facts.result
    return max(scored(facts), key=lambda line: float(line["score"]), default=None)


def architecture_of(facts: Facts) -> Architecture | None:
    """What the search found; while it is unfinished, the best so far."""
    best = best_line(facts)
    return facts.final or (to_architecture(best.get("architecture")) if best is not None else None)


def table_name(facts: Facts) -> str:
    """The file of the table that scored."""
    truth = facts.environment.get("truth")
    return Path(str(truth.get("file", "a table"))).name if isinstance(truth, dict) else "a table"


def score_words(facts: Facts, line: Line | None) -> str:
    """The score in percent; with two decimals if a table has them."""
    value = finite(line.get("score")) if line is not None else None
    return words.percent(value, 5000 if "truth" in facts.config else facts.data.get("val"))


def title(facts: Facts) -> str:
    if not facts.trials:
        return f"A supernet of single paths, after {words.plural(len(facts.epochs), 'epoch')}"
    number = words.plural(len(facts.trials), "architecture")
    return f"The best of {number}: {score_words(facts, best_line(facts))}"


def lede(facts: Facts) -> str:
    """The search in two sentences."""
    best = best_line(facts)
    source = str(scored(facts)[0].get("source", "")) if scored(facts) else ""
    first = f"{words.plural(len(facts.trials), 'architecture')} were scored one by one ({source})."
    if facts.epochs and "lr" in facts.epochs[-1].numbers:
        epochs = words.plural(len(facts.epochs), "epoch")
        trained = f"A supernet was trained for {epochs}, by networks drawn for every minibatch."
        first = f"{trained} {first}" if facts.trials else f"{trained} No architecture was scored yet."
    if best is None:
        return first
    return f"{first} The best one is that of trial {int(best['trial']) + 1}."


def answer(facts: Facts) -> Html:
    """Key figures, the best architecture, and what to do next."""
    found = architecture_of(facts)
    resume = command(f"dartboard resume {quoted(facts.folder)}", "Resume it exactly where it stopped:")
    train = command(
        next_training.command(facts.folder, facts.config),
        "Train this architecture from scratch, and score it on the test images:",
    )
    next_ = resume if not facts.done else train if "truth" not in facts.config else None
    return join([tiles(answer_tiles(facts)), cells(found, facts.name), latency_words.block(facts.folder), next_])


def source_words(best: Line | None) -> str:
    """What the best score is from; of shared weights also with which statistics of BatchNorm, if the run says so."""
    if best is None:
        return ""
    statistics = f"; statistics {best['statistics']}" if "statistics" in best else ""
    return f"{best.get('source', '')}{statistics}"


def answer_tiles(facts: Facts) -> list[tuple[str, str, object]]:
    best, planned = best_line(facts), facts.config.get("trials", facts.config.get("candidates"))
    of = f"of {words.count(planned)}" if isinstance(planned, int) and planned != MOST_TRIALS else ""
    found: list[tuple[str, str, object]] = [
        ("best score", score_words(facts, best), source_words(best)),
        ("trials", words.count(len(facts.trials)), of),
        ("search", words.duration(facts.number("elapsed_s")), device_word(facts)),
    ]
    if (random := finite(facts.result.get("random_score"))) is not None:
        remark = f"of {words.count(facts.result.get('random_scorings'))} paths, by the same weights"
        found.insert(1, ("best of random draws", words.percent(random, facts.data.get("val")), remark))
    if (shown := finite(facts.result.get("shown"))) is not None:
        remark = f"{facts.result.get('shown_by', '')}, which the search did not see"
        found.insert(1, ("the result by another column", words.percent(shown, 5000), remark))
    return found


def sections(facts: Facts) -> Html:
    """The best score so far over trials and seconds, and accuracy against cost."""
    lines = scored(facts)
    if not lines:
        return join([supernet_section(facts), space_section(facts)])
    pictures = [over_trials(facts, lines), over_seconds(facts, lines), *(against(facts, lines, name) for name in COSTS)]
    drawn = [one for one in pictures if one is not None]
    said = "The line is the best score so far, which is the result if the search stops there."
    again = " The best of these were scored again on more images, and the best of them is the result."
    lead = f"Each trial is one architecture. {said}{again if facts.finalists else ''}"
    tables = finalists_table(facts), front_table(facts, lines)
    trials = section("trials", "The trials", tag("div", *drawn, class_="trio"), *tables, lead=lead)
    return join([trials, supernet_section(facts), space_section(facts)])


def supernet_section(facts: Facts) -> Html:
    """How the weights that scored were trained; nothing if the run trained none."""
    loss = line(facts, "train_loss", "training", "--one") + line(facts, "val_loss", "one path, validation", "--two")
    accuracy = line(facts, "train_accuracy", "training", "--one")
    accuracy += line(facts, "val_accuracy", "one path, validation", "--two")
    rewards = line(facts, "reward", "mean reward", "--one") + line(facts, "baseline", "baseline", "--two")
    sizes = line(facts, "largest_loss", "largest", "--one") + line(facts, "random_loss", "at random", "--two")
    sizes += line(facts, "smallest_loss", "smallest", "--three")
    entropy = line(facts, "entropy", "mean entropy", "--three")
    trained = "the largest network" if sizes else "the paths that were drawn"
    same = f"Training: of {trained}; validation: of one path, the same in every epoch."
    found = [
        plot(facts, "Loss", loss + step_line(facts, "train_loss", "--one"), f"Cross entropy. {same}"),
        plot(facts, "Accuracy", accuracy, same, percent=True, chance=True),
        plot(facts, "Loss by size", sizes, "Training loss with the labels, of the networks that learn in a step."),
        plot(facts, "Learning rate", line(facts, "lr", "of the weights", "--four"), "Learning rate of the weights."),
        plot(facts, "Rewards of the controller", rewards, "Of what it drew, by shared weights.", percent=True),
        plot(facts, "Entropy of the controller", entropy, "In nats, of the decisions met on the way to a draw."),
    ]
    drawn = [one for one in found if one is not None]
    if not drawn:
        return Html("")
    return section("supernet", "The supernet", tag("div", *drawn, class_="trio"), time_spent(facts))


def finalists_table(facts: Facts) -> Html | None:
    """The architectures that were scored again, on more images; the best first."""
    before = {trial.get("trial"): trial for trial in facts.trials}
    again = [one for one in facts.finalists if finite(one.get("score")) is not None and one.get("trial") in before]
    if not again:
        return None
    rows = [
        (int(one["trial"]) + 1, score_words(facts, before[one["trial"]]), score_words(facts, one),
         architecture_cell(str(one.get("architecture", ""))))
        for one in sorted(again, key=lambda one: -float(one["score"]))
    ]  # fmt: skip
    head = ("trial", str(facts.trials[0].get("source", "")), str(again[0].get("source", "")), "architecture")
    return table(head, rows, caption="Scored again: the best of each round, by which the result was selected")


def best_so_far(lines: Sequence[Line]) -> list[float]:
    return list(accumulate((float(line["score"]) for line in lines), max))


def over_trials(facts: Facts, lines: Sequence[Line]) -> Html:
    numbers = [int(line["trial"]) + 1 for line in lines]
    single = Series("each trial", numbers, [float(line["score"]) for line in lines], "--muted", points=True)
    return best_picture(facts, lines, [single, *beside(facts)], numbers, "trial", "Best so far over trials")


def beside(facts: Facts) -> list[Series]:
    """The best so far of the random draws beside the trials, if there are any."""
    drawn = [one for one in facts.random if finite(one.get("score")) is not None]
    if not drawn:
        return []
    numbers = [int(one["trial"]) + 1 for one in drawn]
    return [Series("best of random draws", numbers, best_so_far(drawn), "--two", steps=True)]


def over_seconds(facts: Facts, lines: Sequence[Line]) -> Html | None:
    """None if a line has no time."""
    seconds = [finite(line.get("elapsed_s")) for line in lines]
    known = [value for value in seconds if value is not None]
    if len(known) < len(lines):
        return None
    return best_picture(facts, lines, [], known, "seconds", "Best so far over time")


def best_picture(
    facts: Facts, lines: Sequence[Line], more: Sequence[Series], x: Sequence[float], x_label: str, title: str
) -> Html:
    best = best_so_far(lines)
    label = f"{title}: from {words.percent(best[0])} to {words.percent(best[-1])} in {words.plural(len(best), 'trial')}"
    svg = curves([Series("best so far", x, best, steps=True), *more], label, percent=True, x_label=x_label)
    return picture(svg, f"Score, {lines[0].get('source', '')}.", file_name(facts, title), title=title)


def against(facts: Facts, lines: Sequence[Line], name: str) -> Html | None:
    """Score against a cost, with the Pareto front; None if a trial has no such count, or all have the same."""
    costs = [finite(line.get(name)) for line in lines]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(lines) or len(set(known)) < 2:
        return None
    size, unit = next((size, unit) for size, unit in UNITS if max(known) >= 10 * size or size == 1.0)
    x, y = [cost / size for cost in known], [float(line["score"]) for line in lines]
    places = front(x, y)
    edge = [x[place] for place in places], [y[place] for place in places]
    title = f"Score against {COSTS[name]}"
    label = f"{title} of {words.plural(len(lines), 'trial')}; {len(places)} on the Pareto front"
    parts = [Series("trials", x, y, "--muted", points=True), Series("Pareto front", *edge, "--two")]
    svg = curves(parts, label, percent=True, x_label=f"{unit}{COSTS[name]}")
    caption = "Pareto front: no other trial has a higher score at no higher cost."
    return picture(svg, caption, file_name(facts, title), title=title)


def file_name(facts: Facts, title: str) -> str:
    return f"{facts.name}-{title.lower().replace(' ', '-')}"


def front_table(facts: Facts, lines: Sequence[Line]) -> Html | None:
    """The trials on the Pareto front of score against multiply-adds, the cheapest first."""
    costs = [finite(line.get("macs")) for line in lines]
    known = [cost for cost in costs if cost is not None]
    if len(known) < len(lines):
        return None
    chosen = [lines[place] for place in front(known, [float(line["score"]) for line in lines])]
    rows = [
        (int(line["trial"]) + 1, score_words(facts, line), words.short_count(line.get("macs")),
         words.short_count(line.get("params")), architecture_cell(str(line.get("architecture", ""))))
        for line in chosen
    ]  # fmt: skip
    head = ("trial", "score", "multiply-adds", "parameters", "architecture")
    return table(head, rows, caption="Pareto front: no other trial has a higher score at no higher cost")
