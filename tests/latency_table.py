"""A table of latencies for tests, made by formula: a network takes 0.25 ms and 2 ns for each of its multiply-adds."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from dartboard import networks
from dartboard.devices import processor
from dartboard.networks import family_of
from dartboard.scoring.cost import count_module
from dartboard.scoring.latency import Conditions, LatencyTable, Line, as_record, key_of, timed_of
from dartboard.scoring.stopwatch import Clock
from dartboard.spaces import SPACES
from dartboard.studies.latency_tables import Plan, build

CONSTANT_MS, MS_OF_MAC = 0.25, 2e-6
DIGITS = {"num_classes": 10, "in_channels": 3, "image_size": 8}


def clock_of_macs() -> Clock:
    """A clock whose seconds are in proportion to multiply-adds; a network takes a constant besides."""
    known: dict[tuple[nn.Module, int], int] = {}

    def clock(module: nn.Module, maps: Sequence[Tensor], calls: int) -> float:
        x = maps[0]
        if (module, x.shape[-1]) not in known:
            with torch.inference_mode(False):
                known[module, x.shape[-1]] = count_module(module, x.shape[-1], x.shape[1]).macs
        more = CONSTANT_MS if family_of(module) is not None else 0.0
        return (MS_OF_MAC * known[module, x.shape[-1]] + more) / 1000 + 1e-12

    return clock


def for_digits(space: str, channels: int, cells: int, out: Path) -> Path:
    """The table's file, of networks for the digits on this device with one thread."""
    conditions = Conditions("cpu", processor(), threads=1)
    sizes = {"channels": channels, "cells": cells, **DIGITS}
    build(Plan(SPACES[space], sizes, conditions, rounds=3, fitted=4, checked=20), out, clock_of_macs())
    return out


def by_formula(space: str, sizes: Mapping[str, int], out: Path) -> Path:
    """The same table, of which nothing is timed: the times of its layers are counted, and its line is exact."""
    timed, conditions = timed_of(SPACES[space]), Conditions("cpu", processor(), threads=1)
    make = networks.module(SPACES[space].family).timed_layer
    layers = {}
    with torch.random.fork_rng(devices=[]):
        for one in timed.of_space(SPACES[space], sizes):
            layers[key_of(one, conditions)] = MS_OF_MAC * count_module(make(one), one.side, one.channels).macs
    table = LatencyTable(str(out), space, sizes, conditions, layers, Line(CONSTANT_MS, 1.0))
    times = {key: {"median_ms": ms, "spread_ms": 0.0} for key, ms in layers.items()}
    out.write_text(json.dumps({**as_record(table), "layers": times}))
    return out
