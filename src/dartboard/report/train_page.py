"""The part of the page about a training from scratch: what it reached, and its curves."""

import math
from pathlib import Path

from dartboard.paths import link_to
from dartboard.report import words
from dartboard.report.blocks import section, tiles
from dartboard.report.cells import cells
from dartboard.report.facts import Facts, parent_of
from dartboard.report.markup import Html, join, tag
from dartboard.report.plots import line, plot
from dartboard.report.search_page import device_word
from dartboard.report.timing import time_spent
from dartboard.spaces.families import FAMILIES


def lede(facts: Facts) -> str:
    data = facts.data
    train, val = data.get("train"), data.get("val")
    seen = f" on {words.count(train + val)} images" if isinstance(train, int) and isinstance(val, int) else ""
    counted = FAMILIES[facts.architecture.space].counted if facts.architecture is not None else "cells"
    number, channels = (facts.config.get(name, words.UNKNOWN) for name in ("cells", "channels"))
    size = f"{number} {counted} of {channels} channels"
    epochs = words.plural(len(facts.epochs), "epoch")
    return (
        f"A network of {size} was trained from scratch for {epochs}{seen}, then scored "
        f"on {words.count(data.get('test'))} test images that neither the search nor the training had used. The result "
        "is that of the last epoch."
    )


def answer_tiles(facts: Facts) -> list[tuple[str, str, object]]:
    images = facts.data.get("test")
    macs = facts.result.get("macs")
    found: list[tuple[str, str, object]] = [
        ("test accuracy", words.percent(facts.number("test_accuracy"), images), sampling_words(facts)),
        (
            "parameters",
            words.short_count(facts.result.get("params")),
            exact(facts.result.get("params"), "auxiliary head aside"),
        ),
    ]
    if macs is not None:
        found.append(("multiply-adds", words.short_count(macs), exact(macs, "per image; one is two FLOPs")))
    return [*found, ("training", words.duration(facts.number("elapsed_s")), device_word(facts))]


def exact(value: object, remark: str) -> str:
    return f"{words.count(value)}, {remark}" if value is not None else "not recorded before the end"


def sampling_words(facts: Facts) -> str:
    """The sampling error of a share over this number of images: one binomial standard error."""
    share, images = facts.number("test_accuracy"), facts.data.get("test")
    if share is None or not isinstance(images, int) or images < 1:
        return f"on the test images{words.chance_words(facts.chance)}"
    error = math.sqrt(share * (1 - share) / images)
    return f"of {images:,} images; sampling error ±{100 * error:.1f} points{words.chance_words(facts.chance)}"


def answer(facts: Facts) -> Html:
    return join([tiles(answer_tiles(facts)), cells(facts.architecture, facts.name)])


def sections(facts: Facts, page_folder: Path) -> Html:
    """Curves, and the search that the architecture comes from; `page_folder`: the folder of the page."""
    return section(
        "training",
        "The training",
        tag("div", *training_curves(facts), class_="trio"),
        time_spent(facts),
        parent_words(facts, page_folder),
        lead="Trained from new random weights on the training and validation images together; the test images are only "
        "used to draw a curve.",
    )


def training_curves(facts: Facts) -> list[Html]:
    loss = line(facts, "train_loss", "training", "--one") + line(facts, "test_loss", "test", "--three", dashed=True)
    accuracy = line(facts, "train_accuracy", "training", "--one")
    accuracy += line(facts, "test_accuracy", "test", "--three", dashed=True)
    dashed = "Dashed: test images, which are only drawn and decide nothing."
    found = [
        plot(facts, "Training accuracy", accuracy, dashed, percent=True, chance=True),
        plot(facts, "Training loss", loss, f"Cross entropy. {dashed}"),
        plot(facts, "Training learning rate", line(facts, "lr", "learning rate", "--four"), "Of the weights."),
    ]
    if any(value > 0 for epoch in facts.epochs if (value := epoch.get("drop_path")) is not None):
        path = line(facts, "drop_path", "drop path", "--four")
        found.append(plot(facts, "Drop path", path, "Chance that a path is dropped.", percent=True))
    return [one for one in found if one is not None]


def parent_words(facts: Facts, page_folder: Path) -> Html | None:
    named = facts.environment.get("parent")
    if not named:
        return None
    parent = parent_of(facts)
    page = parent / "report.html" if parent is not None else None
    if page is not None and page.is_file() and page.resolve() != (page_folder / "report.html").resolve():
        target = link_to(page.resolve(), page_folder.resolve())
        return tag(
            "p", "The architecture comes from the search ", tag("a", str(named), href=target), ".", class_="prose"
        )
    return tag("p", "The architecture comes from the search ", tag("code", str(named)), ".", class_="prose")
