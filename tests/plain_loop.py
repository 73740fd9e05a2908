"""The smallest loop that uses all of a run: for tests that stop it at every kind of moment."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from dartboard.config import Setup
from dartboard.runs.run import Run

EPOCHS, STEPS = 4, 25


@dataclass(frozen=True)
class Config:
    epochs: int = EPOCHS


def begin(folder: Path, setup: Setup | None = None) -> Run:
    setup = setup or Setup(device="cpu", save_every="0.02s")
    return Run.create(folder, Config(), setup=setup, command="search", method="darts")


def resume(run: Run, pause_s: float = 0.0) -> None:
    """A random walk: its end depends on every step before."""
    place = torch.zeros(3, dtype=torch.float64)
    with run:
        checkpoint = run.load()
        epoch, step = (0, 0) if checkpoint is None else (checkpoint.epoch, checkpoint.step)
        if checkpoint is not None:
            place = checkpoint.tensors["place"]

        def save() -> None:
            run.save({"place": place}, step=step, epoch=epoch)

        with run.guarded():
            while epoch < EPOCHS:
                while step < (epoch + 1) * STEPS:
                    noise = torch.randn(3, dtype=torch.float64, generator=run.generator("noise", step))
                    place = 0.9 * place + noise
                    time.sleep(pause_s)
                    run.log(event="step", step=step, place=place)
                    step += 1
                    run.pulse(save, step)
                run.log(event="epoch", epoch=epoch, place=place)
                epoch += 1
                save()
            run.finish(None, place=place)
