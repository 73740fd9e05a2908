"""The part of the page that tells a search: what it found, and how that came about."""

from dartboard.analysis.edit_distance import COMPARED
from dartboard.methods import METHODS
from dartboard.paths import quoted
from dartboard.report import next_training, words
from dartboard.report.blocks import command, section, tiles, unbroken
from dartboard.report.cells import cells, collapse_box
from dartboard.report.change_page import change_section
from dartboard.report.close_page import close_section
from dartboard.report.facts import Facts
from dartboard.report.markup import Html, join, tag
from dartboard.report.measures import last_change
from dartboard.report.plots import line, plot, step_line
from dartboard.report.stability import settled
from dartboard.report.stopping import stopping_section
from dartboard.report.timing import time_spent
from dartboard.report.walk import story_section


def order_word(facts: Facts) -> str:
    """ "first-order DARTS", "second-order DARTS", or the method's name."""
    known = METHODS.get(facts.method or "")
    name = (known.spoken if known else "") or facts.method or "a search"
    order = facts.config.get("second_order")
    return name if order is None else f"{'second' if order else 'first'}-order {name}"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def lede(facts: Facts) -> str:
    """The search in two sentences."""
    data, epochs = facts.data, len(facts.epochs)
    train, val = words.count(data.get("train")), words.count(data.get("val"))
    images = f"{train} images for the weights and {val} for the architecture"
    verb = "searched" if facts.done else "has searched"
    first = f"{capital(order_word(facts))} {verb} for {words.plural(epochs, 'epoch')}"
    first += f" on {images}" if data else ""
    changed = last_change(facts.history)
    second = (
        "The cell it would give never changed after the start."
        if changed is None
        else (f"The cell it would give last changed at epoch {changed} (epochs count from 0).")
    )
    return f"{first}. {second}"


def answer_tiles(facts: Facts) -> list[tuple[str, str, object]]:
    images = facts.data.get("val")
    return [
        (
            "supernet, validation",
            words.percent(facts.number("val_accuracy"), images),
            f"all operations mixed{words.chance_words(facts.chance)}",
        ),
        (
            words.CUT_OUT,
            words.percent(facts.number("derived_val_accuracy"), images),
            f"with the supernet's weights{words.chance_words(facts.chance)}",
        ),
        ("search", words.duration(facts.number("elapsed_s")), device_word(facts)),
    ]


def alarm(facts: Facts) -> Html | None:
    """A collapsed cell is told at the top, where nobody can miss it."""
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
            train if facts.done else command(resume, "Go on with it, exactly where it stopped:"),
            command(f"dartboard why {quoted(facts.folder)}", "Ask why it performs so:")
            if facts.done and facts.architecture is not None and facts.architecture.space in COMPARED
            else None,
        ]
    )


def train_block(facts: Facts, purpose: str) -> Html:
    """The command that trains what a search found; below it the recipe, where that takes long."""
    line = command(next_training.command(facts.folder, facts.config), purpose)
    remark = next_training.remark(facts.folder, facts.config)
    return join([line, tag("p", unbroken(f"This trains {remark}"), class_="small") if remark else None])


def story(facts: Facts) -> Html:
    """How the search came about: the slider with the relaxed cells, whether the cell changes, and the curves.

    facts: of a run, or of a chain of runs as `chain.joined` gives them.
    """
    return join(
        [
            story_section(facts),
            change_section(facts),
            close_section(facts),
            section(
                "curves",
                "The search in curves",
                tag("div", *search_curves(facts), class_="trio"),
                gap_words(facts),
                time_spent(facts),
            ),
            stopping_section(facts),
            section("stability", "Did it settle, did it collapse?", collapse_box(facts), *settled(facts)),
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
        plot(facts, "Learning rate", rate, "Of the weights; that of alpha is constant."),
    ]
    return [one for one in found if one is not None]


def gap_words(facts: Facts) -> Html | None:
    """The gap between the supernet and the cell cut out of it, in words."""
    whole, cut = facts.number("val_accuracy"), facts.number("derived_val_accuracy")
    if whole is None or cut is None:
        return None
    when = "At the end" if facts.done else f"After epoch {facts.epochs[-1].epoch}"
    chance = f" Guessing gives {100 * facts.chance:.3g} %." if facts.chance is not None else ""
    return tag(
        "p",
        f"{when} the supernet is right on {words.percent(whole)} of the validation images, the cell cut out of it, "
        f"with the same weights, on {words.percent(cut)}: a gap of {100 * (whole - cut):.1f} points.{chance} Neither "
        "number says how good the cell becomes when it is trained from scratch; that is what the training is for.",
        class_="prose",
    )
