"""How good the shared weights of a search are as a judge: scores of random architectures, beside what is true of them.

A score is that of a search by shared weights: accuracy on val, by the statistics of each batch or by running statistics
of its own, collected on training images. It does not depend on what was scored before. The test images are not read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from torch import nn

from dartboard.data import Data
from dartboard.errors import InputError, InterruptedRunError
from dartboard.runs.checkpoint import Checkpoint, checkpoints, read_checkpoint
from dartboard.runs.limits import Limits, catching_signals
from dartboard.runs.run import CHECKPOINTS, Run
from dartboard.scoring.cost import count
from dartboard.scoring.scorers import Scorer, by_shared_weights
from dartboard.search import supernets, trials
from dartboard.spaces.search_space import SearchSpace
from dartboard.studies.countdown import Countdown
from dartboard.studies.pieces import Pieces
from dartboard.studies.rank_folder import Ranking, State, resume_command
from dartboard.studies.rank_results import RECALIBRATED, score_key, ways_of
from dartboard.training import loop


@dataclass
class Work:
    """A ranking at work. parent: the search that is judged; pieces: what is done; limits: the record of a signal."""

    folder: Path
    ranking: Ranking
    parent: Run
    space: SearchSpace
    data: Data
    pieces: Pieces
    limits: Limits

    @property
    def ways(self) -> tuple[str, ...]:
        return ways_of(self.ranking)

    def check_limits(self) -> None:
        """Raises InterruptedRunError after a signal or at a time limit."""
        if reason := self.limits.reason():
            text = f"stopped by {reason[0]}, saved; resume with: {resume_command(self.folder)}"
            raise InterruptedRunError(text, reason[1])


def states_of(parent: Run, space: SearchSpace) -> tuple[State, ...]:
    """The states of a search whose supernet is there, the newest first: its checkpoints, and what --keep-every kept.

    Raises InputError if there is none.
    """
    trials.check_parent(parent, space, named="the run")
    folders = [parent.folder / name for name in (CHECKPOINTS, supernets.KEPT)]
    read = [read_checkpoint(path) for folder in folders for path in checkpoints(folder)]
    found = [checkpoint for checkpoint in read if checkpoint is not None and has_supernet(checkpoint)]
    by_step = {checkpoint.step: checkpoint for checkpoint in found}  # of equal steps what stays, or was saved later
    newest_first = sorted(by_step.values(), key=lambda one: one.step, reverse=True)
    return tuple(State(name_of(one, parent), one.step, one.epoch) for one in newest_first)


def has_supernet(checkpoint: Checkpoint) -> bool:
    return any(name.startswith(supernets.OF_SUPERNET) for name in checkpoint.tensors)


def name_of(checkpoint: Checkpoint, parent: Run) -> str:
    """Where it lies in the folder of the search."""
    assert checkpoint.place is not None  # it was read from there
    return checkpoint.place.relative_to(parent.folder).as_posix()


# --- The work --------------------------------------------------------------------------------------------------------


def work_on(one: Work) -> None:
    """Counts and scores what is not done yet. Raises InputError, and InterruptedRunError after a signal or a limit."""
    with catching_signals(one.limits):
        count_costs(one)
        score_states(one)


def count_costs(one: Work) -> None:
    """Parameters and multiply-adds at the sizes that papers report, where the truth does not have them."""
    missing = [
        (f"cost/{number}", row.architecture)
        for number, row in enumerate(one.ranking.rows)
        if row.params is None and f"cost/{number}" not in one.pieces
    ]
    countdown = Countdown(len(missing), "counts")
    for key, architecture in missing:
        one.check_limits()
        found = count(architecture)
        one.pieces.add(key, params=found.params, macs=found.macs)
        one.limits.note_step()
        countdown.advance(f"{found.macs:,} multiply-adds")


def missing_scores(one: Work, state: State) -> dict[str, list[int]]:
    """The numbers of the architectures that a state has not scored yet, by way; only ways with any."""
    numbers = range(len(one.ranking.rows))
    left = {way: [n for n in numbers if score_key(state, way, n) not in one.pieces] for way in one.ways}
    return {way: some for way, some in left.items() if some}


def score_states(one: Work) -> None:
    """Scores all architectures by all states of the search."""
    left = {state: missing_scores(one, state) for state in one.ranking.states}
    total = sum(len(some) for ways in left.values() for some in ways.values())
    if not total:
        return
    countdown = Countdown(total, "scores")
    supernet = trials.supernet_like(one.parent, one.space, one.data)
    device, dtype = loop.prepare(one.parent)
    data = one.data.to(device)
    place = partial(loop.place_module, device=device, dtype=dtype, channels_last=one.parent.settings["channels_last"])
    for state, ways in left.items():
        if ways:
            trials.load_shared(supernet, one.parent, checkpoint_of(one, state).tensors, one.space)
            scorers = scorers_of(one, place(supernet), data)
            for way, numbers in ways.items():
                score_all(one, state, way, numbers, scorers[way], countdown)


def checkpoint_of(one: Work, state: State) -> Checkpoint:
    """Raises InputError if it is no longer there, as when the search has gone on."""
    found = read_checkpoint(one.parent.folder / state.name)
    if found is None:
        gone = f"{one.parent.folder / state.name} is gone or damaged"
        raise InputError(f"{gone}; rank its newer ones in another folder, with --out")
    return found


def scorers_of(one: Work, supernet: nn.Module, data: Data) -> Mapping[str, Scorer]:
    """What scores by the weights of a supernet, by way."""
    score = partial(by_shared_weights, supernet, data, one.parent.settings["batch_size"])
    return {way: score(recalibrate=one.ranking.recalibrate if way == RECALIBRATED else None) for way in one.ways}


def score_all(
    one: Work, state: State, way: str, numbers: list[int], scorer: Scorer, countdown: Countdown
) -> None:  # fmt: skip
    """Scores these architectures, each a piece."""
    for number in numbers:
        one.check_limits()
        score = scorer(one.ranking.rows[number].architecture, number)
        one.pieces.add(score_key(state, way, number), score=score.value, seconds=score.seconds)
        one.limits.note_step()
        countdown.advance(f"{score.value:.3f}")
