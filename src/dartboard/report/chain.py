"""Searches that continue one another, read as one: the page of the last one covers all and marks each swap."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from dartboard.report.facts import Epoch, Facts, Swap, parent_of, read_facts
from dartboard.report.words import short_data

LONGEST = 100  # runs in a chain


def chain_of(facts: Facts) -> tuple[Facts, ...]:
    """The searches that this one continues, the first one first, and itself at the end.

    Followed by `parent` of environment.json as long as the folder is there, is a search over cells of the same form and
    has an epoch. Raises InputError if a file of such a run cannot be read.
    """
    found = [facts]
    seen = {facts.folder.resolve()}
    while facts.command == "search" and len(found) < LONGEST and (folder := parent_of(found[0])) is not None:
        if folder.resolve() in seen:
            break
        seen.add(folder.resolve())
        before = read_facts(folder)
        if before.command != "search" or not before.epochs or form(before) != form(found[0]):
            break
        found.insert(0, before)
    return tuple(found)


def form(facts: Facts) -> dict[str, tuple[int, int]]:
    """Rows and columns of alpha, by kind of cell."""
    history = facts.history
    return {kind: (len(table), len(table[0])) for kind, table in history[-1].weights.items()} if history else {}


def joined(chain: Sequence[Facts]) -> Facts:
    """The last run with the history of all: epochs and steps counted through, a swap at the start of each later run.

    The alpha at the start of a run is an epoch of its own only if it differs from the last one of the run before.
    Settings, result and architecture are those of the last run. One run alone is returned as it is.
    """
    if len(chain) == 1:
        return chain[0]
    epochs, steps, swaps = list(chain[0].epochs), steps_to_last_epoch(chain[0]), []
    epochs = [replace(epoch, place=place_of(chain[0], epoch)) for epoch in epochs]
    for before, facts in pairwise(chain):
        number, step = epochs[-1].epoch + 1, epochs[-1].step
        swaps.append(
            Swap(number, facts.name, short_data(facts.data.get("name") or facts.config.get("data") or "other data"))
        )
        if facts.start is not None and facts.start.alpha != before.history[-1].alpha:
            epochs.append(replace(facts.start, epoch=number - 1, step=step, place=f"start of {facts.name}"))
        epochs += [with_offset(epoch, number, step, place_of(facts, epoch)) for epoch in facts.epochs]
        steps += [with_offset(event, number, step, "") for event in steps_to_last_epoch(facts)]
    first, last = chain[0], chain[-1]
    return replace(last, start=first.start, epochs=tuple(epochs), steps=tuple(steps), swaps=tuple(swaps))


def with_offset(event: Epoch, epochs: int, steps: int, place: str) -> Epoch:
    return replace(event, epoch=event.epoch + epochs, step=event.step + steps, place=place)


def place_of(facts: Facts, epoch: Epoch) -> str:
    return f"epoch {epoch.epoch} of {facts.name}"


def steps_to_last_epoch(facts: Facts) -> list[Epoch]:
    """The steps up to the last complete epoch."""
    last = facts.epochs[-1].step if facts.epochs else 0
    return [event for event in facts.steps if event.step <= last]


def swap_index(history: Sequence[Epoch], swap: Swap) -> int:
    """Index in the history of the first epoch after the swap; the length of the history if there is none yet."""
    started = (epoch.epoch >= swap.epoch or epoch.place == f"start of {swap.run}" for epoch in history)
    return next((index for index, after in enumerate(started) if after), len(history))
