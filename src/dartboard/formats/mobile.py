"""Notations of mobile networks: those of Once-for-All and AttentiveNAS, and lists of blocks. All are JSON objects.

Once-for-All: {"ks": [...], "e": [...], "d": [...], "r": 224}: kernel and expansion of every place for a block, those
beyond the depths included and ignored; depth of every stage; resolution. AttentiveNAS: {"resolution": 224, "width":
[...], "depth": [...], "kernel_size": [...], "expand_ratio": [...]}: one a stage, widths also of stem and head. A list
of blocks: {"stem": 16, "head": 1280, "blocks": [[kernel, middle, channels, squeeze, activation, stride, shortcut],
..., {"type": "ConvBnAct", "conv": [160, 960, 1, 1, 1], "act": "Hardswish"}]}, as timm's networks can be written.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dartboard.errors import InputError
from dartboard.spaces import mobilenet
from dartboard.spaces.mobilenet_plans import PLANS, Plan
from dartboard.spaces.search_space import Architecture, Value, quote

OFA_KEYS = ("ks", "e", "d")
ATTENTIVE_KEYS = ("width", "depth", "kernel_size", "expand_ratio")
LIST_KEYS = ("stem", "head", "blocks")
ACTIVATIONS = {"ReLU": "relu", "Hardswish": "h_swish", "SiLU": "swish"}

# --- Once-for-All ----------------------------------------------------------------------------------------------------


def is_ofa(record: Mapping[str, Any]) -> bool:
    """Whether its keys are those of Once-for-All's subnets."""
    return {"ks", "e"} <= record.keys() or {"ks", "d"} <= record.keys()


def read_ofa(record: Mapping[str, Any], plan: Plan | None = None) -> Architecture:
    """The architecture of a subnet of Once-for-All. plan: its own; None: the one whose places and resolutions fit.

    Raises InputError that names the entry.
    """
    kernels, expansions, depths = (numbers(record, key) for key in OFA_KEYS)
    resolution = record.get("r")
    if isinstance(resolution, list) and len(resolution) == 1:
        resolution = resolution[0]
    own = by_places(len(depths), len(kernels), resolution) if plan is None else plan
    elastic = [place for place, stage in enumerate(own.stages) if len(stage.depths) > 1 or len(stage.kernels) > 1]
    deepest = own.stages[elastic[0]].depths[-1]
    check_lengths({"ks": kernels, "e": expansions}, len(elastic) * deepest, own.name)
    check_lengths({"d": depths}, len(elastic), own.name)
    values: dict[str, Value] = {"plan": own.name}
    if len(own.resolutions) > 1:
        values["resolution"] = own.resolutions[-1] if resolution is None else resolution
    for number, place in enumerate(elastic):
        depth = depths[number]
        values[f"stage.{place}.depth"] = depth
        for block in range(min(depth, deepest)):
            where = f"stage.{place}.block.{block + 1}"
            values[f"{where}.kernel"] = kernels[number * deepest + block]
            values[f"{where}.expansion"] = expansions[number * deepest + block]
    return mobilenet.within(mobilenet.space(own), values)


def by_places(stages: int, places: int, resolution: object) -> Plan:
    """The plan with so many elastic stages and places for blocks; of several, the first with this resolution."""
    found = []
    for plan in PLANS.values():
        elastic = [stage for stage in plan.stages if len(stage.depths) > 1]
        if plan.by_block and (len(elastic), sum(stage.depths[-1] for stage in elastic)) == (stages, places):
            found.append(plan)
    if not found:
        wanted = "20 entries in ks and e and 5 in d, or 9 and 3 for ofa-32 and ofa-8"
        raise InputError(f"a subnet of Once-for-All has {wanted}; this has {places} in ks and {stages} in d")
    return of_resolution(found, "r", resolution)


def of_resolution(found: Sequence[Plan], key: str, resolution: object) -> Plan:
    """The first of these plans with this resolution. Raises InputError where they differ in resolutions, and this is
    of none, or missing."""
    if own := next((plan for plan in found if resolution in plan.resolutions), None):
        return own
    if len({plan.resolutions for plan in found}) == 1:
        return found[0]
    known = ", ".join(f"{' '.join(map(str, plan.resolutions))} of {plan.name}" for plan in found)
    says = "is missing" if resolution is None else f"is {quote(resolution)}"
    raise InputError(f"{key!r} {says}, which tells these networks apart: {known}")


def to_ofa(architecture: Architecture) -> dict[str, Any]:
    """The subnet as Once-for-All writes it; places beyond a depth have the smallest kernel and expansion.

    Raises InputError for an architecture of a plan that has no kernels and expansions of blocks.
    """
    plan = mobilenet.plan_of(architecture)
    if not plan.by_block:
        raise InputError(f"Once-for-All's notation holds no networks of {plan.name}; give attentivenas or json")
    values, found = dict(architecture.choices), {"ks": list[int](), "e": list[int](), "d": list[int]()}
    for place, stage in enumerate(plan.stages):
        if len(stage.depths) == 1:
            continue
        found["d"].append(values[f"stage.{place}.depth"])
        for block in range(1, stage.depths[-1] + 1):
            where = f"stage.{place}.block.{block}"
            found["ks"].append(values.get(f"{where}.kernel", stage.kernels[0]))
            found["e"].append(values.get(f"{where}.expansion", stage.expansions[0]))
    return {**found, "r": values["resolution"]}


# --- AttentiveNAS ----------------------------------------------------------------------------------------------------


def is_attentive(record: Mapping[str, Any]) -> bool:
    """Whether its keys are those of AttentiveNAS' subnets."""
    return {"width", "depth"} <= record.keys() and bool({"kernel_size", "expand_ratio"} & record.keys())


def read_attentive(record: Mapping[str, Any], plan: Plan | None = None) -> Architecture:
    """The architecture of a subnet of AttentiveNAS. plan: its own; None: the one whose stages and resolutions fit.

    Raises InputError that names the entry.
    """
    widths, depths, kernels, expansions = (numbers(record, key) for key in ATTENTIVE_KEYS)
    resolution = record.get("resolution")
    own = by_stages(len(depths), resolution) if plan is None else plan
    count = len(own.stages)
    check_lengths({"width": widths}, count + 2, own.name)
    check_lengths({"depth": depths, "kernel_size": kernels, "expand_ratio": expansions}, count, own.name)
    values: dict[str, Value] = {"plan": own.name}
    values |= chosen("resolution", own.resolutions, own.resolutions[-1] if resolution is None else resolution)
    values |= chosen("stem.width", own.stem, widths[0])
    for place, stage in enumerate(own.stages):
        name = f"stage.{place}"
        values |= chosen(f"{name}.width", stage.widths, widths[place + 1])
        values |= chosen(f"{name}.depth", stage.depths, depths[place])
        values |= chosen(f"{name}.kernel", stage.kernels, kernels[place])
        values |= chosen(f"{name}.expansion", stage.expansions, expansions[place])
    values |= chosen("head.width", own.head, widths[-1])
    return mobilenet.within(mobilenet.space(own), values)


def chosen(name: str, options: Sequence[int], value: int) -> dict[str, Value]:
    """The value of a choice; nothing if it has only one option, which must be the value. Raises InputError."""
    if len(options) > 1:
        return {name: value}
    if value != options[0]:
        raise InputError(f"{name} is {quote(value)}; it is {options[0]} in all these networks")
    return {}


def by_stages(stages: int, resolution: object) -> Plan:
    """The plan with so many stages; of several, the first with this resolution."""
    found = [plan for plan in PLANS.values() if not plan.by_block and len(plan.stages) == stages]
    if not found:
        raise InputError(f"a subnet of AttentiveNAS has 7 entries in depth, or 4 for small images; this has {stages}")
    return of_resolution(found, "resolution", resolution)


def to_attentive(architecture: Architecture) -> dict[str, Any]:
    """The subnet as AttentiveNAS writes it. Raises InputError for one whose blocks differ within a stage."""
    plan = mobilenet.plan_of(architecture)
    if plan.by_block:
        raise InputError(f"AttentiveNAS' notation holds no networks of {plan.name}; give ofa or json")
    values = dict(architecture.choices)

    def each(what: str, options: str) -> list[int]:
        stages = enumerate(plan.stages)
        return [values.get(f"stage.{place}.{what}", getattr(stage, options)[-1]) for place, stage in stages]

    ends = [values.get(f"{name}.width", own[-1]) for name, own in (("stem", plan.stem), ("head", plan.head))]
    return {
        "resolution": values["resolution"],
        "width": [ends[0], *each("width", "widths"), ends[1]],
        "depth": each("depth", "depths"),
        "kernel_size": each("kernel", "kernels"),
        "expand_ratio": each("expansion", "expansions"),
    }


# --- Lists of blocks -------------------------------------------------------------------------------------------------


def is_list(record: Mapping[str, Any]) -> bool:
    """Whether its keys are those of a list of blocks."""
    return set(LIST_KEYS) <= record.keys()


def read_list(record: Mapping[str, Any]) -> Architecture:
    """The network of a list of blocks. The stem has stride 2, and the activation of the end. Raises InputError."""
    if not isinstance(record["blocks"], list):
        raise InputError(f"blocks is {quote(record['blocks'])}; give a list of blocks, each {mobilenet.FIELDS}")
    blocks, head = list(record["blocks"]), record["head"]
    end: tuple[Any, str, Any] = (head, "relu", 0)
    if blocks and isinstance(blocks[-1], Mapping):
        last = blocks.pop()
        if not isinstance(last.get("conv"), list) or len(last["conv"]) < 2:
            raise InputError('the last entry of blocks is {"type": "ConvBnAct", "conv": [inputs, channels, 1, 1, 1]}')
        end = (last["conv"][1], activation(last.get("act"), "the last convolution"), head)
    rows = []
    for number, block in enumerate(blocks, 1):
        if not isinstance(block, list) or len(block) != 7:
            raise InputError(f"block {number} is {quote(block)}; give {mobilenet.FIELDS}")
        rows.append((*block[:4], activation(block[4], f"block {number}"), *block[5:]))
    return mobilenet.published((record["stem"], 2, end[1]), rows, end)


def activation(word: object, where: str) -> str:
    """The activation in our words. Raises InputError for an unknown one."""
    found = ACTIVATIONS.get(str(word), str(word))
    if found not in mobilenet.ACTIVATIONS:
        known = ", ".join([*ACTIVATIONS, *mobilenet.ACTIVATIONS])
        raise InputError(f"{where} has the activation {quote(word)}; known: {known}")
    return found


# --- All of them -----------------------------------------------------------------------------------------------------


def read(record: Mapping[str, Any]) -> tuple[Architecture, str] | None:
    """The architecture of an object in one of these notations, and which; None if its keys are those of none."""
    if is_ofa(record):
        return read_ofa(record), "ofa"
    if is_attentive(record):
        return read_attentive(record), "attentivenas"
    return (read_list(record), "blocks") if is_list(record) else None


def write_ofa(architecture: Architecture) -> str:
    """One line of JSON as Once-for-All has it. Raises InputError."""
    return json.dumps(to_ofa(architecture))


def write_attentive(architecture: Architecture) -> str:
    """One line of JSON as AttentiveNAS has it. Raises InputError."""
    return json.dumps(to_attentive(architecture))


def numbers(record: Mapping[str, Any], key: str) -> list[int]:
    """The whole numbers of an entry. Raises InputError."""
    found = record.get(key)
    if not isinstance(found, list | tuple) or not found:
        raise InputError(f"{key!r} is {quote(found)}; give a list of whole numbers")
    for place, number in enumerate(found, 1):
        if isinstance(number, bool) or not isinstance(number, int):
            raise InputError(f"entry {place} of {key!r} is {quote(number)}; give whole numbers")
    return list(found)


def check_lengths(lists: Mapping[str, Sequence[int]], wanted: int, name: str) -> None:
    """Raises InputError for a list of another length."""
    for key, found in lists.items():
        if len(found) != wanted:
            raise InputError(f"{key!r} has {len(found)} entries; a network of {name} has {wanted}")
