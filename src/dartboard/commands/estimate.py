"""What a study would take here: a few real steps of each kind of stage, times their number."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from dartboard.commands import dryrun, work
from dartboard.config import Setup
from dartboard.spaces import SPACES
from dartboard.studies import elsewhere
from dartboard.studies.protocol import Protocol, Side, stages
from dartboard.studies.study import Study, shared
from dartboard.training.dry_run import Job, Seconds, measure_steps

if TYPE_CHECKING:
    from dartboard.data import Data


def print_estimate(
    protocol: Protocol, search: dict[str, Any], train: dict[str, Any], setup: Setup, data: "dict[Side, Data]"
) -> None:
    """Prints the stages of a study, what each kind takes here, and the sum. Makes no folder that stays."""

    study = Study(Path("dry-run"), protocol, search, train, shared(setup), stages(protocol))
    seconds: dict[tuple[str, Side], float] = {}
    jobs: dict[tuple[str, Side], Job] = {}
    for kind in ("search", "train"):
        for side in data:
            first = next((stage for stage in study.stages if (stage.command, stage.side) == (kind, side)), None)
            if first is None:  # with --proxy nothing is searched on B
                continue
            one = job(study, kind, study.setup_of(first), data[side])
            measured = measure_steps(one, one.config.batch_size)[0]
            seconds[kind, side] = per_epoch(one, measured)
            jobs[kind, side] = one
            print(f"{kind} on {data[side].name}: {measured.step:.3f} s per step, {seconds[kind, side]:.1f} s per epoch")
    for kind in ("search", "train"):
        mine = [stage for stage in study.stages if stage.command == kind]
        total = sum(stage.epochs * seconds.get((kind, stage.side), 0.0) for stage in mine)
        epochs = sum(stage.epochs for stage in mine)
        print(f"{len(mine)} stages of {kind}, {epochs} epochs: about {work.seconds_in_words(total)}")
    whole = sum(stage.epochs * seconds[stage.command, stage.side] for stage in study.stages)
    a_seed = work.seconds_in_words(whole / protocol.seeds)
    print(f"about {work.seconds_in_words(whole)} in all, {a_seed} per seed, by one process on this device")
    for device in elsewhere.DEVICES:
        print(elsewhere_line(study, jobs, device))


def elsewhere_line(study: Study, jobs: dict[tuple[str, Side], Job], device: elsewhere.Device) -> str:
    """Hours a seed on a device that need not be here, searches and trainings apart."""
    hours = {"search": 0.0, "train": 0.0}
    for stage in study.stages:
        one = jobs[stage.command, stage.side]
        each = elsewhere.step_seconds(one.cost, one.config.batch_size, dryrun.num_passes(one), device)
        hours[stage.command] += stage.epochs * -(-one.images // one.config.batch_size) * each / 3600
    search, train = (hours[command] / study.protocol.seeds for command in ("search", "train"))
    text = f"on one {device.name}, computed and not measured: about {search:.1f} h of searches"
    return f"{text} and {train:.1f} h of trainings per seed"


def job(study: Study, kind: str, setup: Setup, data: "Data") -> Job:
    """What a stage of that kind does, as `measure_steps` takes it."""
    first = next(stage for stage in study.stages if stage.command == kind and stage.proxy == "")
    config = study.config_of(first)
    if kind == "search":
        header = {"command": "search", "method": study.protocol.method, "space": study.protocol.space}
        return dryrun.search_job(header, setup, config, data)
    cell = SPACES[study.protocol.space].sample(Random(0))
    return dryrun.training_job({"command": "train"}, setup, config, data, work.build_network(cell, config, data))


def per_epoch(job: Job, seconds: Seconds) -> float:
    """Seconds of an epoch: its steps, its scoring, its checkpoint."""
    steps = -(-job.images // job.config.batch_size)
    score = seconds.score * len(job.scored) / seconds.scored
    return float(steps * seconds.step + score + seconds.save)


def epoch_seconds(protocol: Protocol, setup: Setup, search: dict[str, Any], data: "Data") -> float:
    """Seconds of an epoch of a search on this data, on this machine."""

    study = Study(Path("dry-run"), replace(protocol, proxy=""), search, {}, shared(setup), [])
    first = stages(study.protocol)[0]
    header = {"command": "search", "method": protocol.method, "space": protocol.space}
    dryrun.check_search(header, setup, study.config_of(first), data)
    one = dryrun.search_job(header, setup, study.config_of(first), data)
    return per_epoch(one, measure_steps(one, one.config.batch_size)[0])
