"""The scores of trials: one after another in this process, or their trainings by the run's workers.

Workers end in any order, and the trials are given in the order of their numbers, so that a run is the same with any
workers, or none. A training that is over and not yet recorded when the run stops is found in its folder by the next.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from dartboard.errors import InputError
from dartboard.runs import workers
from dartboard.runs.checkpoint import newest_name
from dartboard.runs.run import CHECKPOINTS, Run
from dartboard.scoring.scorers import Score, Scorer
from dartboard.search.proposals import Trial
from dartboard.spaces.search_space import Architecture
from dartboard.training.by_training import BY_WORKER, folder_of

Left = Iterator[tuple[int, Architecture]]  # the number of each trial, and what is scored


def scored(run: Run, scorer: Scorer, left: Left, crew: workers.Crew | None) -> Generator[Trial, None, None]:
    """The trials in the order of their numbers, scored one after another in this process, or by workers."""
    if crew is None:
        yield from (Trial(number, one, scorer(one, number)) for number, one in left)
        return
    sent: list[tuple[int, Architecture]] = []
    results: dict[int, Mapping[str, Any]] = {}
    following = 0
    with closing(sent_out(run, left, sent, crew)) as found:
        for index, result in found:
            results[index] = result
            while following in results:
                yield Trial(*sent[following], Score(**results.pop(following)))
                following += 1


def sent_out(
    run: Run, left: Left, sent: list[tuple[int, Architecture]], crew: workers.Crew
) -> Generator[tuple[int, Any], None, None]:
    """The results of workers, as they end, by their positions in `sent`, to which each trial that goes out is added."""
    folder = str(run.folder if workers.on_this_machine(str(run.workers)) else run.folder.absolute())

    def pieces() -> Iterator[dict[str, Any]]:
        for number, architecture in left:
            sent.append((number, architecture))
            yield {"folder": folder, "number": number, "architecture": architecture.to_json()}

    return workers.done(
        BY_WORKER,
        pieces(),
        crew,
        threads_of(run),
        limits=run.limits,
        label=lambda index: f"trial {sent[index][0] + 1}",
        progress=lambda piece: newest_name(folder_of(run, piece["number"]) / CHECKPOINTS),
        resume=lambda: run.resume_command,
        sees=str(run.folder.absolute()),
    )


@contextmanager
def crew_of(run: Run, trains: bool) -> Iterator[workers.Crew | None]:
    """The run's workers, for all of its batches; None for this process. Raises InputError if nothing is trained."""
    if run.workers is None:
        yield None
        return
    if not trains:
        raise InputError("only trainings go out to workers; leave them out where something else scores")
    with workers.hired(run.workers, threads_of(run), run.device.type == "cuda") as crew:
        yield crew


def threads_of(run: Run) -> int:
    """The CPU threads that the run began with."""
    return int(run.setup.threads or run.environment["threads"])
