"""The part of the page about a search: what it found, and how the result developed."""

from dartboard.analysis.edit_distance import COMPARED
from dartboard.methods import METHODS, Method
from dartboard.paths import quoted
from dartboard.report import latency_words, next_training, words
from dartboard.report.blocks import command, section, tiles, unbroken
from dartboard.report.cells import cells, collapse_box
from dartboard.report.change_page import change_section
from dartboard.report.epoch_slider import slider_section
from dartboard.report.facts import Facts
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import last_change
from dartboard.report.plots import line, plot, step_line
from dartboard.report.sensitivity_page import sensitivity_section
from dartboard.report.stability import settled
from dartboard.report.stopping import stopping_section
from dartboard.report.timing import time_spent


def order_word(facts: Facts) -> str:
    """ "first-order DARTS", "second-order DARTS", or the method's name."""
    known = METHODS.get(facts.method or "")
    name = (known.spoken if known else "") or facts.method or "a search"
    order = facts.config.get("second_order")
    return name if order is None else f"{'second' if order else 'first'}-order {name}"


def lede(facts: Facts) -> str:
    """The search in two sentences."""
    data, epochs = facts.data, len(facts.epochs)
    train, val = words.count(data.get("train")), words.count(data.get("val"))
    images = f"{train} images for the weights and {val} for the architecture"
    verb = "searched" if facts.done else "has searched"
    first = f"{words.capital(order_word(facts))} {verb} for {words.plural(epochs, 'epoch')}"
    first += f" on {images}" if data else ""
    changed = last_change(facts.history)
    second = (
        "The derived cell did not change after the start."
        if changed is None
        else (f"The derived cell last changed at epoch {changed} (epochs count from 0).")
    )
    return f"{first}. {second}"


def scored_by(facts: Facts) -> str:
    """What the supernet computes where its validation accuracy is measured, in words."""
    known = METHODS.get(facts.method or "")
    return known.scored_by if known else Method.scored_by


def answer_tiles(facts: Facts) -> list[tuple[str, str, object]]:
    images = facts.data.get("val")
    return [
        (
            "supernet, validation",
            words.percent(facts.number("val_accuracy"), images),
            f"{scored_by(facts)}{words.chance_words(facts.chance)}",
        ),
        (
            words.CUT_OUT,
            words.percent(facts.number("derived_val_accuracy"), images),
            f"with the supernet's weights{words.chance_words(facts.chance)}",
        ),
        ("search", words.duration(facts.number("elapsed_s")), device_word(facts)),
    ]


def alarm(facts: Facts) -> Html | None:
    """A warning at the top of the page if the cell has collapsed."""
    found = collapse_box(facts)
    if found is None or "box-warning" not in found:
        return None
    title = facts.form.family.main
    link = tag("a", "Read why, and what to do", href="#stability")
    return tag(
        "p",
        tag("strong", f"The {title} has collapsed into skip connections and pools. "),
        link,
        class_="box-warning",
    )


def device_word(facts: Facts) -> str:
    name, threads = facts.environment.get("device_name"), facts.environment.get("threads")
    known = str(name or facts.environment.get("device") or "device not recorded")
    return f"{known}, {words.plural(threads, 'thread')}" if isinstance(threads, int) else known


def answer(facts: Facts) -> Html:
    """Key figures, the cells, and the command that trains them."""
    resume = f"dartboard resume {quoted(facts.folder)}"
    train = train_block(facts, "Train this architecture from scratch, and score it on the test images:")
    return join(
        [
            tiles(answer_tiles(facts)),
            alarm(facts),
            cells(facts.architecture, facts.name),
            latency_words.block(facts.folder),
            train if facts.done else command(resume, "Resume it exactly where it stopped:"),
            command(f"dartboard why {quoted(facts.folder)}", "Study why it performs as it does:")
            if facts.done and facts.architecture is not None and facts.architecture.space in COMPARED
            else None,
        ]
    )


def train_block(facts: Facts, purpose: str) -> Html:
    """The command that trains what a search found; below it the recipe, if that takes long."""
    line = command(next_training.command(facts.folder, facts.config), purpose)
    remark = next_training.remark(facts.folder, facts.config)
    return join([line, tag("p", unbroken(f"This trains {remark}"), class_="small") if remark else None])


def sections(facts: Facts) -> Html:
    """The course of the search: the epoch slider with the relaxed cells, whether the cell changes, and the curves.

    facts: of a run, or of a chain of runs as `chain.joined` gives them.
    """
    return join(
        [
            slider_section(facts),
            change_section(facts),
            sensitivity_section(facts),
            section(
                "curves",
                "The search in curves",
                tag("div", *search_curves(facts), class_="trio"),
                gap_words(facts),
                time_spent(facts),
            ),
            stopping_section(facts),
            section("stability", "Did the search converge or collapse?", collapse_box(facts), *settled(facts)),
        ]
    )


def search_curves(facts: Facts) -> list[Html]:
    loss = line(facts, "train_loss", "training", "--one") + line(facts, "val_loss", "validation", "--two")
    steps = step_line(facts, "train_loss", "--one")
    loss, thin = loss + steps, "; thin: single steps" if steps else ""
    accuracy = line(facts, "train_accuracy", "training", "--one") + line(facts, "val_accuracy", "validation", "--two")
    gap = line(facts, "val_accuracy", "supernet", "--two") + line(
        facts, "derived_val_accuracy", words.CUT_OUT, "--three"
    )
    rate = line(facts, "lr", "of the weights", "--four")
    temperature = line(facts, "tau", "tau", "--five")
    found = [
        plot(
            facts,
            "Loss",
            loss,
            f"Cross entropy of the supernet{thin}.",
        ),
        plot(
            facts,
            "Accuracy",
            accuracy,
            "Of the supernet: images that train the weights, images that train alpha.",
            percent=True,
            chance=True,
        ),
        plot(
            facts,
            "Supernet and cell cut out",
            gap,
            "On validation images, with the supernet's weights.",
            percent=True,
            gap=True,
            chance=True,
        ),
        plot(facts, "Learning rate", rate, "Learning rate of the weights; that of alpha is constant."),
        plot(facts, "Temperature", temperature, "Of the relaxation of the draws; the lower, the harder."),
        plot(
            facts,
            "Expected cost",
            line(facts, "expected_macs", "multiply-adds", "--one"),
            "Multiply-adds of an image that softmax(alpha) expects; a part of alpha's loss.",
        ),
        plot(
            facts,
            "Latency",
            line(facts, "latency_ms", "milliseconds", "--one"),
            "Of the architecture that is derived, by the table of latencies.",
        ),
    ]
    return [one for one in found if one is not None]


def gap_words(facts: Facts) -> Html | None:
    """The gap between the supernet and the cell cut out of it, in words."""
    mixed, cut = facts.number("val_accuracy"), facts.number("derived_val_accuracy")
    if mixed is None or cut is None:
        return None
    when = "At the end" if facts.done else f"After epoch {facts.epochs[-1].epoch}"
    chance = f" Chance level is {100 * facts.chance:.3g} %." if facts.chance is not None else ""
    return tag(
        "p",
        f"{when} the supernet classifies {words.percent(mixed)} of the validation images correctly, and the cell cut "
        f"out of it, with the same weights, {words.percent(cut)}: a gap of {100 * (mixed - cut):.1f} points.{chance} "
        "Neither number says how good the cell is after training from scratch; only the training measures that.",
        class_="prose",
    )
