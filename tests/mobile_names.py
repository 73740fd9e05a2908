"""Elastic mobile networks as the golden files have them: their plans, and how their tensors are named here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dartboard.networks.mobilenet import Supernet
from dartboard.spaces.mobilenet_plans import BIGNAS, Plan, Stage, once_for_all
from dartboard.testing import tiny

Golden = Mapping[str, Any]


def golden(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """config, and the arrays of a file as tensors."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        config = json.loads(str(file["config"]))
        return config, {key: torch.from_numpy(file[key]) for key in file.files if key != "config"}


def ofa_plan(config: Golden) -> Plan:
    """The plan of a golden file of Once-for-All: images are taken at 48 pixels."""
    plan = once_for_all("golden", "golden", tuple(config["depth_list"]), config["width_mult"])
    return replace(plan, resolutions=(48,))


def bignas_plan(config: Golden) -> Plan:
    """The plan of the golden file of AttentiveNAS."""
    space = config["space"]

    def stage(name: str) -> Stage:
        own = space[name]
        options = [tuple(own[key]) for key in ("c", "d", "k", "t")]
        return Stage(*options, stride=own["s"], activation="swish", squeeze=own["se"])

    stem, head = tuple(space["first_conv"]["c"]), tuple(space["last_conv"]["c"])
    stages = tuple(stage(f"mb{number}") for number in range(1, 8))
    return replace(BIGNAS, name="golden", resolutions=tuple(space["resolutions"]), stem=stem, head=head, stages=stages)


IN_BLOCK = {
    "expand.weight": "inverted_bottleneck.conv.conv.weight",
    "expand_norm": "inverted_bottleneck.bn.bn",
    "depth.weight": "depth_conv.conv.conv.weight",
    "depth_norm": "depth_conv.bn.bn",
    "transforms.5": "depth_conv.conv.7to5_matrix",
    "transforms.3": "depth_conv.conv.5to3_matrix",
    "squeeze.reduce": "depth_conv.se.fc.reduce",
    "squeeze.expand": "depth_conv.se.fc.expand",
    "project.weight": "point_linear.conv.conv.weight",
    "project_norm": "point_linear.bn.bn",
}
STATIC = {"depth.weight": "depth_conv.conv.weight", "depth_norm": "depth_conv.bn",
          "project.weight": "point_linear.conv.weight", "project_norm": "point_linear.bn"}  # fmt: skip
OFA = {"stem.weight": "first_conv.conv.weight", "stem_norm": "first_conv.bn", "last.weight":
       "final_expand_layer.conv.weight", "last_norm": "final_expand_layer.bn", "head.weight":
       "feature_mix_layer.conv.weight", "classifier": "classifier.linear"}  # fmt: skip
ATTENTIVE = {"stem.weight": "first_conv.conv.conv.weight", "stem_norm": "first_conv.bn.bn", "last.weight":
             "last_conv.final_expand_layer.conv.conv.weight", "last_norm": "last_conv.final_expand_layer.bn.bn",
             "head.weight": "last_conv.feature_mix_layer.conv.conv.weight",
             "classifier": "classifier.linear.linear"}  # fmt: skip


def names(net: Supernet, of_ofa: bool) -> Iterator[tuple[str, str]]:
    """Of every tensor its name here and in the file."""
    places = [(stage, number) for stage, own in enumerate(net.cells) for number in range(len(own))]  # type: ignore[arg-type]
    for ours in net.state_dict():
        if ours.endswith("num_batches_tracked"):
            continue
        if not ours.startswith("cells."):
            yield ours, renamed(ours, OFA if of_ofa else ATTENTIVE)
            continue
        _, stage, own_number, inner = ours.split(".", 3)
        number = places.index((int(stage), int(own_number)))
        prefix = f"blocks.{number}."
        if inner == "shortcut.weight":
            yield ours, f"{prefix}shortcut.conv.conv.weight"
        elif of_ofa:
            yield ours, f"{prefix}conv.{renamed(inner, STATIC if number == 0 else IN_BLOCK)}"
        else:
            yield ours, f"{prefix}mobile_inverted_conv.{renamed(inner, IN_BLOCK)}"


def renamed(name: str, table: Mapping[str, str]) -> str:
    first = next(key for key in table if name == key or name.startswith(f"{key}."))
    return table[first] + name.removeprefix(first)


def filled(plan: Plan, tensors: Mapping[str, Tensor], of_ofa: bool) -> Supernet:
    """The supernet of a golden file, in double."""
    with tiny.seeded():
        net = Supernet(plan=plan, channels=plan.stem[-1]).double()
    state = {ours: tensors[f"state/{theirs}"] for ours, theirs in names(net, of_ofa)}
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
    return net
