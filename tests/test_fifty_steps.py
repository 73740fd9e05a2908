"""Fifty steps of a search on real CIFAR-10 images, in double: every form of the supernet finds the same alpha."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dartboard import kernels, load_data
from dartboard.config import Setup
from dartboard.methods import darts
from dartboard.runs.run import Run
from dartboard.spaces.darts import SPACE

STEPS = 50


@pytest.fixture(scope="module")
def cifar10(reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (reference / "data" / "unpack.py").is_file():
        pytest.skip("needs the CIFAR-10 images of the reference folder")
    folder = tmp_path_factory.mktemp("cifar10")
    subprocess.run([sys.executable, str(reference / "data" / "unpack.py"), "cifar10", str(folder)], check=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("second_order", [False, True], ids=["first order", "second order"])
def test_fifty_steps_on_cifar10_give_the_same_alpha_and_cell_in_every_form(cifar10, tmp_path, second_order):
    data = load_data("cifar10", data_dir=cifar10, max_images=800)
    sizes = {"channels": 4, "cells": 3, "batch_size": 8, "epochs": 1, "second_order": second_order, "alpha_lr": 0.01}
    found = {}
    for form, switch in (("plain", "0"), ("fast", "0"), *([("fast", "1")] if kernels.available() else [])):
        config = darts.Config(supernet=form, channels_last=form == "fast", **sizes)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(kernels.SWITCH, switch)
            run = Run.create(tmp_path / f"{form}-{switch}", config, setup=Setup(precision="float64"))
            found[form, switch] = darts.search(config, SPACE, data, run)
            assert [line["step"] for line in run.metrics() if line["event"] == "epoch"] == [STEPS]
    plain = found.pop(("plain", "0"))
    for result in found.values():
        assert result.architecture == plain.architecture
        for kind, alpha in plain.alpha.items():
            torch.testing.assert_close(result.alpha[kind], alpha, rtol=1e-8, atol=1e-8)
