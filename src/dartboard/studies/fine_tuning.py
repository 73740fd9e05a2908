"""A network that was cut out of a supernet, trained further on train with its labels; val only shows what came of it.

No search and no front does this: it is for the network that a person takes.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import nn

from dartboard.config import build, field_names
from dartboard.runs.run import CONFIG, Run
from dartboard.spaces.search_space import Architecture
from dartboard.studies.specialise import Trained
from dartboard.training import from_scratch

FOLDER = "fine-tuned"  # in the run of the search
COMMAND = "fine-tuning"  # of the run of such a training: not to be resumed by itself
LR_SHARE = 0.1  # of the first learning rate of the search (ours; papers that tune name no rule)
OWN = ("lr_min", "lr_schedule")  # of the search, and not for what follows it


def config_of(run: Run, epochs: int) -> from_scratch.Config:
    """The settings of the search as far as a training has them, with a tenth of its learning rate, falling as a cosine
    to 0, and nothing dropped."""
    names = set(field_names(from_scratch.Config)) - set(OWN)
    shared = {name: value for name, value in run.settings.items() if name in names}
    own = {"epochs": epochs, "lr": LR_SHARE * run.settings["lr"], "drop_path": 0.0, "auxiliary": False}
    return build(from_scratch.Config, {**shared, **own})


def tuner(one: Trained, architecture: Architecture, epochs: int, seed: int) -> Callable[[nn.Module], None]:
    """What trains a network of this architecture for so many epochs, starting at the weights that it has.

    A training that was stopped lies beside the search, and is resumed by the same call. What is returned raises
    InterruptedRunError, CannotContinueError if the loss is not finite.
    """
    config = config_of(one.run, epochs)

    def tune(network: nn.Module) -> None:
        with opened(one, config, architecture, seed) as run:
            from_scratch.fit(config, network, one.data, run, learn_on="train", score_on="val", first_weights="given")

    return tune


@contextmanager
def opened(one: Trained, config: from_scratch.Config, architecture: Architecture, seed: int) -> Iterator[Run]:
    """The run of the training, new or resumed."""
    key = hashlib.sha256(f"{one.step}/{config.epochs}/{seed}/{architecture}".encode()).hexdigest()[:12]
    folder, search = one.run.folder / FOLDER / key, one.run
    if (folder / CONFIG).exists():
        run = Run.open(folder, write=True)
    else:
        setup = replace(search.setup, seed=seed, budget=None, until=None, threads=torch.get_num_threads())
        run = Run.create(
            folder, config, setup=setup, command=COMMAND, space=search.space, parent=search, architecture=architecture
        )
    run.label, run.resumed_by = "fine-tuning", search.folder
    with run:
        yield run
