"""dartboard show: an architecture as text, as a picture, and its exact counts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dartboard import formats
from dartboard.analysis.edit_distance import Comparison, check_compared, compare, share
from dartboard.commands.flags import first_word, given, parse
from dartboard.config import check_ranges
from dartboard.errors import InputError
from dartboard.formats import published
from dartboard.runs.run import Run
from dartboard.spaces import darts
from dartboard.spaces.families import FAMILIES
from dartboard.spaces.search_space import Architecture

SWITCHES = ("--json", "--counts", "--no-counts", "--help", "-h")
PICTURES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class ShowFlags:
    """Show an architecture: its cells as text, as a picture, and the exact counts of its network."""

    arch: str
    """a run folder, a file or text with a genotype, FILE:NAME, -, or a name of `dartboard list architectures`"""
    json: bool = False
    """Print one JSON object instead of text."""
    counts: bool = True
    """Count parameters and multiply-adds; --no-counts is faster."""
    network: str | None = None
    """The network to count, the space's first if not given: of darts cifar (36 channels, 20 cells) or imagenet."""
    channels: int | None = None
    """Channels of its first cell."""
    cells: int | None = None
    """Number of its cells."""
    classes: int | None = None
    """Number of its classes."""
    image_size: int | None = None
    """Height and width of its images."""
    image: str | None = None
    """Draw the cells into this file: .svg, .png or .pdf."""
    epoch: int | None = None
    """For the run of a search: the cell derived at this epoch (epochs count from 0, as on the page)."""
    against: str | None = None
    """Another architecture, given like the first: print the difference, and draw it with --image."""

    def __post_init__(self) -> None:
        check_ranges(self, channels="[1, 4096]", cells="[3, 1000]", classes="[1, 1e6]", image_size="[1, 4096]")
        check_ranges(self, epoch="[0, inf)")
        if self.image is not None and Path(self.image).suffix.lower() not in PICTURES:
            raise InputError(f"--image is {self.image[:100]!r}; give a file that ends in .svg, .png or .pdf")
        if self.json and not self.counts:
            raise InputError("--json prints the counts; leave out --no-counts")


def execute(words: list[str]) -> None:
    """Raises InputError for what is not an architecture, and, with counts, for one that cannot be built."""
    name = first_word(words, SWITCHES)
    if name is not None and given(words, "--epoch") is None:
        formats.resolve(name)  # refused before the flags are parsed
    missing = "name an architecture: dartboard show DARTS_V2, or a run folder, or a file"
    flags = parse(ShowFlags, words, "show", missing)
    architecture, notation, label = chosen(flags)
    flags = replace(flags, network=network_of(architecture, flags.network))
    other = None if flags.against is None else comparable(architecture, flags.against)
    found = counts(architecture, flags) if flags.counts else None
    if flags.image is not None:
        picture(architecture, flags.image, label, other)
    if flags.json:
        print(
            json.dumps({**as_object(architecture, notation, flags, found or {}), **against_object(architecture, other)})
        )
    else:
        print("\n".join([as_text(architecture, notation, label, flags, found), *against_lines(architecture, other)]))


Named = tuple[Architecture, str]  # an architecture and what it is called


def comparable(architecture: Architecture, name: str) -> Named:
    """What --against names. Raises InputError unless both are pairs of cells."""
    check_compared(architecture.space, "--against")
    other, _, label = formats.resolve(name)
    if architecture.space != other.space:
        raise InputError(f"--against {label} is in the space {other.space}; give one in {architecture.space}")
    return other, label


def chosen(flags: ShowFlags) -> tuple[Architecture, str, str]:
    """(architecture, notation, label) of what is to be shown. Raises InputError."""
    if flags.epoch is None:
        return formats.resolve(flags.arch)
    run = Run.open(flags.arch)
    epochs = [line for line in run.metrics() if line.get("event") == "epoch" and "architecture" in line]
    if not epochs:
        raise InputError(f"{run.folder} has no finished epoch of a search; leave out --epoch")
    found = [line["architecture"] for line in epochs if line["epoch"] == flags.epoch]
    if not found:
        first, last = epochs[0]["epoch"], epochs[-1]["epoch"]
        raise InputError(f"{run.folder} has no epoch {flags.epoch}; give {first} to {last}")
    architecture, notation = formats.read(found[0])
    return architecture, notation, f"{run.folder.name}, epoch {flags.epoch}"


def network_of(architecture: Architecture, network: str | None) -> str:
    """The network of that name, or the first of the architecture's family. Raises InputError if it has none such."""
    family = FAMILIES[architecture.space]
    known = family.sizes
    if network is not None and network not in known:
        hint = f"the space {architecture.space} has the network{'s' * (len(known) > 1)} {', '.join(known)}"
        raise InputError(f"--network is {network[:60]}; {hint}")
    return network or family.usual_network(architecture)


def sizes(architecture: Architecture, flags: ShowFlags) -> dict[str, int]:
    """The sizes of the network whose counts are printed."""
    usual = FAMILIES[architecture.space].sizes_of(architecture, str(flags.network))
    given = {name: getattr(flags, name) for name in ("channels", "cells", "image_size")}
    given["num_classes"] = flags.classes
    return {name: size if given[name] is None else given[name] for name, size in usual.items()}


def counts(architecture: Architecture, flags: ShowFlags) -> dict[str, float]:
    """params, params_with_auxiliary, macs, memory_mb (10^6 bytes): from the table of published cells if it has them
    all, else counted; bitops, where some layer has fewer bits than others."""
    own = sizes(architecture, flags)
    if flags.network == "cifar" and own == FAMILIES[architecture.space].sizes["cifar"]:
        for entry in published().values():
            names = [f"cifar10_{what}" for what in ("params", "params_with_aux", "macs", "memory_bytes")]
            if entry.architecture == architecture and all(name in entry.counts for name in names):
                params, with_auxiliary, macs, memory = (entry.counts[name] for name in names)
                found = {"params": params, "params_with_auxiliary": with_auxiliary, "macs": macs}
                return {**found, "memory_mb": memory / 10**6}
    from dartboard.scoring.cost import count

    cost = count(architecture, flags.network, **own)
    return {"params_with_auxiliary": cost.params_with_auxiliary, **cost.numbers}


def as_object(architecture: Architecture, notation: str, flags: ShowFlags, found: dict[str, float]) -> dict[str, Any]:
    """What --json prints."""
    header = {"space": architecture.space, "notation": notation, "genotype": architecture.to_json()}
    own = sizes(architecture, flags)
    sizes_of = {"channels": own["channels"], "cells": own["cells"], "classes": own["num_classes"]}
    return {**header, **found, "network": flags.network, **sizes_of, "image_size": own["image_size"]}


def as_text(
    architecture: Architecture, notation: str, label: str, flags: ShowFlags, found: dict[str, float] | None
) -> str:
    """The cells line by line, and the counts."""
    lines = [f"{label}  (space {architecture.space}, notation {notation})"]
    if label in published() and notation == "published":
        entry = published()[label]
        lines += [f"source: {entry.source}"] + ([f"published: {entry.published}"] if entry.published else [])
    lines += FAMILIES[architecture.space].lines(architecture)
    if found is not None:
        lines += ["", counts_line(found, architecture, flags)]
    if flags.image is not None:
        lines += ["", f"picture: {flags.image}"]
    return "\n".join(lines)


def counts_line(found: dict[str, float], architecture: Architecture, flags: ShowFlags) -> str:
    own = sizes(architecture, flags)
    cells = f"{own['cells']} {FAMILIES[architecture.space].counted}"
    where = f"{flags.network} network, {own['channels']} channels, {cells}, {own['num_classes']} classes"
    params, with_auxiliary, macs = found["params"], found["params_with_auxiliary"], found["macs"]
    head = f" ({with_auxiliary:,} with the auxiliary head)" if with_auxiliary != params else ""
    where += f", {own['image_size']}x{own['image_size']}"
    bitops = f", {found['bitops']:,} bit operations" if "bitops" in found else ""
    memory = f", {found['memory_mb']:.2f} MB of weights and maps"
    return f"{where}: {params:,} parameters{head}, {macs:,} multiply-adds{bitops}{memory}"


def against_object(architecture: Architecture, other: Named | None) -> dict[str, Any]:
    """What --json says of the other architecture, by kind of cell and in total."""
    if other is None:
        return {}
    kinds = {}
    for kind, found in comparisons(architecture, other[0]):
        kinds[kind] = {
            name: getattr(found, name) for name in ("edits", "inputs", "edges", "operations", "concat", "of")
        }
    return {"against": {"genotype": other[0].to_json(), "share": share(architecture, other[0]), **kinds}}


def comparisons(one: Architecture, other: Architecture) -> list[tuple[str, Comparison]]:
    return [(kind, compare(darts.cell(one, kind), darts.cell(other, kind))) for kind in darts.CELLS]


def against_lines(architecture: Architecture, other: Named | None) -> list[str]:
    """The difference in words: a line for each kind of cell."""
    if other is None:
        return []
    lines = ["", f"against {other[1]}, with nodes at their best match:"]
    for kind, found in comparisons(architecture, other[0]):
        text = f"{found.inputs} of {found.of} inputs differ, {found.operations} of them only in the operation"
        joined = f"; {found.concat} nodes joined by one only" if found.concat else ""
        lines.append(f"  {kind} cell: {text}{joined}" if found.edits else f"  {kind} cell: the same")
    return lines


def picture(architecture: Architecture, path: str, label: str, other: Named | None) -> None:
    """Draws the cells, or their difference to the other's, into a file. Raises InputError."""
    from dartboard.report.drawing import draw
    from dartboard.report.drawn_difference import draw_difference

    if other is None:
        draw(architecture, path, title=label)
    else:
        draw_difference(architecture, other[0], path, title=f"{label} → {other[1]}")
