"""The relaxed cells over the epochs as an animated GIF: one picture per epoch, each node always in the same place."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageColor, ImageDraw, ImageFont

from dartboard.errors import InputError
from dartboard.report import grids, palette, words
from dartboard.report.chain import swap_index
from dartboard.report.drawing import EdgeLook, relaxed_png
from dartboard.report.epoch_slider import known_inputs, relaxed_cell, thickness_scale
from dartboard.report.facts import Epoch, Facts
from dartboard.report.forms import TITLES, has_form
from dartboard.report.measures import Scale, strongest
from dartboard.runs.atomic_files import replace_file
from dartboard.runs.targets import write_target

FRAME_MS, SWAP_MS, LAST_MS = 420, 1600, 2600  # how long a picture is shown; the last one before a swap; the last one
THINNEST, THICKEST = 1.0, 9.0
HEAD, FOOT, EDGE, BETWEEN = 118, 74, 28, 36  # pixels above and below the cells, at the sides, between the cells
SHADES = 9  # from the paper to each colour, for soft edges


def write_gif(facts: Facts, path: Path, *, named: bool) -> Path:
    """Write the animation of a run, or of a chain of runs as `chain.joined` gives it, and return its path.

    named: whether a person gave the path, so that links are followed and devices written into.
    Raises InputError if no epoch has alpha and cells that can be drawn, or if the file cannot be written.
    """
    history = [epoch for epoch in facts.history if epoch.weights and has_form(epoch.architecture)]
    form, last = facts.form, history[-1].weights if history else {}
    kinds = [kind for kind in form.kinds if form.relaxed(kind, len(last.get(kind, ()))) is not None]
    if not kinds:
        raise InputError(f"{str(facts.folder)!r} has no epoch with alpha; --gif draws searches that have one")
    pictures = [picture(facts, history, index, kinds) for index in range(len(history))]
    swaps = {swap_index(history, swap) - 1 for swap in facts.swaps}
    stay = [SWAP_MS if index in swaps else FRAME_MS for index in range(len(history) - 1)] + [LAST_MS]
    file = BytesIO()
    colours = shared_palette(facts.operations)
    first, *rest = [one.quantize(palette=colours, dither=Image.Dither.NONE) for one in pictures]
    first.save(file, format="GIF", save_all=True, append_images=rest, duration=stay, loop=0)
    (write_target if named else replace_file)(path, file.getvalue())
    return path


def shared_palette(operations: Sequence[str]) -> Image.Image:
    """One palette for all frames: shades from the paper to every colour that is drawn."""
    drawn = [palette.INK, palette.LINE, palette.ADDED, *map(palette.colour, operations)]
    table = [
        round(white + (part - white) * shade / SHADES)
        for colour in drawn
        for shade in range(1, SHADES + 1)
        for white, part in zip(ImageColor.getrgb(palette.PAPER), ImageColor.getrgb(colour), strict=True)
    ]
    image = Image.new("P", (1, 1))
    plain = [part for colour in (palette.PAPER, palette.PANEL) for part in ImageColor.getrgb(colour)]
    image.putpalette([*plain, *table][: 3 * 256])
    return image


def picture(facts: Facts, history: Sequence[Epoch], index: int, kinds: Sequence[str]) -> Image.Image:
    """One frame: the line about the epoch, both cells, its place in the history, and the colours of the operations."""
    epoch = history[index]
    cells = [relaxed_picture(facts, history, epoch, kind) for kind in kinds]
    width = 2 * EDGE + sum(cell.width for cell in cells) + BETWEEN * (len(cells) - 1)
    height = HEAD + max(cell.height for cell in cells) + FOOT
    frame = Image.new("RGB", (width, height), palette.PAPER)
    pen, left = ImageDraw.Draw(frame), EDGE
    for kind, cell in zip(kinds, cells, strict=True):
        pen.text((left, HEAD - 26), TITLES[kind], font=font(15), fill=palette.INK)
        frame.paste(cell, (left, HEAD))
        left += cell.width + BETWEEN
    pen.text((EDGE, 16), epoch_words(epoch), font=font(24), fill=palette.INK)
    progress(pen, facts, history, index, width)
    operations_row(pen, facts.operations[1:] if facts.operations[:1] == ("none",) else facts.operations, height)
    return frame


def relaxed_picture(facts: Facts, history: Sequence[Epoch], epoch: Epoch, kind: str) -> Image.Image:
    one = relaxed_cell(facts, epoch, kind)
    return Image.open(BytesIO(relaxed_png(one, looks(facts, history, epoch, kind))))


def looks(facts: Facts, history: Sequence[Epoch], epoch: Epoch, kind: str) -> list[EdgeLook]:
    """Every edge with its operation in the cell or else its strongest one, as thick as the weight of that operation."""
    table = epoch.weights[kind]
    edges = relaxed_cell(facts, epoch, kind).places
    scale, inputs = thickness_scale(facts, history, kind), known_inputs(facts, epoch, kind, edges)
    derived = {(source, target): name for source, target, name in inputs if name != "none"}
    rows = zip(edges, table, strict=True)
    return [edge_look(edge, row, facts.operations, derived.get(edge), scale) for edge, row in rows]


def edge_look(
    edge: tuple[int, int], row: Sequence[float], operations: Sequence[str], derived: str | None, scale: Scale
) -> EdgeLook:
    best = strongest(row, operations)
    name = derived or next((one for one, weight in zip(operations, row, strict=False) if weight == best), "none")
    weight = row[operations.index(name)]
    thickness = THINNEST + (THICKEST - THINNEST) * (scale.share(weight) if weight == weight else 0.0)
    return EdgeLook(*edge, name, thickness, derived is not None)


def epoch_words(epoch: Epoch) -> str:
    if epoch.epoch < 0:
        return "before the first step"
    accuracy = epoch.get("val_accuracy")
    scored = f"supernet {words.percent(accuracy)}" if accuracy is not None else ""
    parts = [grids.epoch_word(epoch), epoch.place, scored]
    return "  ·  ".join(part for part in parts if part)


def progress(pen: ImageDraw.ImageDraw, facts: Facts, history: Sequence[Epoch], index: int, width: int) -> None:
    """A bar from the first epoch to the last, filled up to this one; a labelled mark at every swap."""
    left, right, y = EDGE, width - EDGE, 62

    def place(at: float) -> float:
        return left + (right - left) * at / max(len(history) - 1, 1)

    pen.rectangle((left, y, right, y + 5), fill=palette.PANEL)
    pen.rectangle((left, y, place(index), y + 5), fill=palette.ADDED)
    for swap in facts.swaps:
        at = place(swap_index(history, swap) - 0.5)
        pen.rectangle((at - 1, y - 8, at + 1, y + 13), fill=palette.INK)
        pen.text((at + 6, y - 19), f"swap → {swap.data}", font=font(12), fill=palette.MUTED)


def operations_row(pen: ImageDraw.ImageDraw, operations: Sequence[str], height: int) -> None:
    """The operations with their colours, below the cells, in two rows."""
    half = -(-len(operations) // 2)
    for number, name in enumerate(operations):
        x, y = EDGE + 150 * (number % half), height - FOOT + 18 + 22 * (number // half)
        pen.rectangle((x, y + 5, x + 22, y + 9), fill=palette.colour(name))
        pen.text((x + 29, y - 1), name, font=font(13), fill=palette.INK)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The font that matplotlib includes, so that every machine that draws has it."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
