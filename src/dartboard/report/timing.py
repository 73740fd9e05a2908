"""The time of a run by kind of work, as a bar and in words, from the times in the lines of its epochs."""

from collections.abc import Sequence

from dartboard.report import words
from dartboard.report.blocks import picture
from dartboard.report.facts import Facts
from dartboard.report.markup import Html, join, tag

# Parts of an epoch in the order of the bar: field of metrics.jsonl, words, colour of the page, opacity.
WHOLE_STEPS = (("alpha_s", "steps of alpha", "--one", 1.0), ("weights_s", "steps of the weights", "--one", 0.6))
INSIDE_STEPS = (
    ("forward_s", "forward", "--one", 1.0),
    ("backward_s", "backward", "--one", 0.6),
    ("optimizers_s", "optimizers", "--one", 0.3),
)
BEFORE = (("data_s", "data", "--two", 1.0),)
AFTER = (
    ("scoring_s", "scoring", "--three", 1.0),
    ("stopping_s", "stopping rules", "--four", 1.0),
    ("save_s", "saving", "--three", 0.5),
)
WIDTH, HEIGHT = 640, 26

Part = tuple[str, float, str, float]  # words, seconds, colour, opacity


def time_spent(facts: Facts) -> Html | None:
    """The bar with its legend and the images per second; None for a run that did not log its times."""
    parts = parts_of(facts)
    if not parts:
        return None
    all_s = sum(seconds for _, seconds, _, _ in parts)
    shares = ", ".join(f"{name} {words.percent(seconds / all_s)}" for name, seconds, _, _ in parts)
    bar = tag("div", drawn(parts, all_s, f"Time by kind of work: {shares}"), legend(parts, all_s))
    return picture(bar, caption(facts, all_s), f"{facts.name}-time", title="Time by kind of work")


def total(facts: Facts, field: str) -> float:
    return sum(epoch.get(field) or 0.0 for epoch in facts.epochs)


def parts_of(facts: Facts) -> list[Part]:
    """The time of all epochs by part, and at the end the time that belongs to no part."""
    inside = bool(facts.epochs) and all(epoch.get("forward_s") is not None for epoch in facts.epochs)
    fields = (*BEFORE, *(INSIDE_STEPS if inside else WHOLE_STEPS), *AFTER)
    found = [(name, total(facts, field), colour, opacity) for field, name, colour, opacity in fields]
    known = sum(seconds for _, seconds, _, _ in found)
    if known <= 0.0:
        return []
    rest = max(0.0, total(facts, "epoch_s") - known)
    return [part for part in (*found, ("the rest", rest, "--four", 0.5)) if part[1] > 0.0]


def drawn(parts: Sequence[Part], all_s: float, label: str) -> Html:
    boxes, left = [], 0.0
    for name, seconds, colour, opacity in parts:
        width = WIDTH * seconds / all_s
        title = tag("title", f"{name}: {words.duration(seconds)}")
        style = f"fill:var({colour});fill-opacity:{opacity}"
        boxes.append(tag("rect", title, x=f"{left:.2f}", y=0, width=f"{width:.2f}", height=HEIGHT, style=style))
        left += width
    size = {"viewBox": f"0 0 {WIDTH} {HEIGHT}", "preserveAspectRatio": "none", "style": "width:100%;height:26px"}
    return tag("svg", *boxes, role="img", aria_label=label, **size)


def legend(parts: Sequence[Part], all_s: float) -> Html:
    items = []
    for name, seconds, colour, opacity in parts:
        box = tag("rect", width=12, height=12, style=f"fill:var({colour});fill-opacity:{opacity}")
        swatch = tag("svg", box, viewBox="0 0 12 12", width=12, height=12, aria_hidden="true")
        items.append(tag("li", swatch, f"{name} {words.duration(seconds)}, {words.percent(seconds / all_s)}"))
    return tag("ul", *items, class_="legend")


def caption(facts: Facts, all_s: float) -> Html:
    rates = sorted(rate for epoch in facts.epochs if (rate := epoch.get("images_per_s")) is not None)
    middle = rates[len(rates) // 2] if rates else None
    speed = f" {words.count(middle)} training images per second in the median epoch." if middle is not None else ""
    return join([f"All epochs together: {words.duration(all_s)}.{speed}"])
