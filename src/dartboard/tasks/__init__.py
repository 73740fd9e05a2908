"""Tasks: what the data of a search or a training mean. A file for each kind; a plain table of kind of data -> task."""

from collections.abc import Callable, Mapping
from typing import Any

from dartboard.data.splits import Data
from dartboard.tasks import images
from dartboard.tasks.task import Task

TASKS: Mapping[type, Callable[..., Task]] = {Data: images.of}


def task_of(config: Any, data: Any, learn_on: str | None = None) -> Task:
    """The task of some data, with what a config says of its batches.

    learn_on: what a training from scratch learns on, "train and val" or "train": the task's split "training".
    """
    return TASKS[type(data)](config, data, learn_on)
