"""How much each method of a comparison may use: trials, gradient steps, or a time. Nothing here imports torch."""

import re
from dataclasses import dataclass

from dartboard.config import parse_duration
from dartboard.errors import InputError
from dartboard.runs.limits import MOST_TRIALS
from dartboard.runs.pace import seconds_in_words
from dartboard.studies.contenders import Unit

COUNTED = re.compile(r"(\d{1,15})\s?(trial|step)s?")
EXAMPLES = "give trials such as 200trials, steps such as 500steps, or a time such as 10m"


@dataclass(frozen=True)
class Budget:
    """The size of one run of a method. amount: trials, gradient steps, or seconds, by the unit."""

    amount: float
    unit: Unit

    def __str__(self) -> str:
        if self.unit == "seconds":
            return seconds_in_words(self.amount)
        return counted(int(self.amount), self.unit.removesuffix("s"))


def parse_size(text: str) -> Budget:
    """The budget in "200trials", "500steps" or "10m". Raises InputError."""
    if found := COUNTED.fullmatch(text):
        number = int(found[1])
        if number < 1 or (found[2] == "trial" and number > MOST_TRIALS):
            most = f", and at most {MOST_TRIALS:,} trials" if found[2] == "trial" else ""
            raise InputError(f"--budget is {text[:40]!r}; give 1{found[2]} or more{most}")
        return Budget(number, "trials" if found[2] == "trial" else "steps")
    try:
        return Budget(parse_duration(text, "--budget"), "seconds")
    except InputError as error:
        raise InputError(f"--budget is {text[:40]!r}; {EXAMPLES}") from error


def counted(number: int, one: str) -> str:
    """1 trial, 2,000 trials."""
    return f"{number:,} {one}{'s' * (number != 1)}"
