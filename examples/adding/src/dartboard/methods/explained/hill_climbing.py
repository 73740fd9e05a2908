"""How hill climbing works."""

from dartboard.methods.explained.record import TRAINING, Equation, Passes, Record, Remark, Step

EXPLAINED = Record(
    family="evolution",
    steps=(
        Step(
            "search space",
            "Two architectures are neighbours where one choice has another value.",
            "dartboard.spaces.search_space.SearchSpace.mutate",
        ),
        Step("sample", "A neighbour of where the climb stands.", "dartboard.methods.hill_climbing.Climb.ask"),
        Step("train or share", "It is trained from scratch.", "dartboard.search.trials.scoring_of"),
        Step("score", "Its accuracy on the validation images is the score.", "dartboard.search.trials.at_work"),
        Step("update", "The climb goes to what is better.", "dartboard.methods.hill_climbing.Climb.tell"),
        Step("derive", "The best of all trials is the result.", "dartboard.search.trials.finish"),
    ),
    loop=("update", "sample"),
    until="for every trial",
    equations=(
        Equation(
            "a ← b if f(b) > f(a)",
            "no number",
            "The first better neighbour.",
            "src/dartboard/testing/methods.py::test_a_search_finds_a_planted_architecture_that_random_draws_do_not",
        ),
    ),
    passes=(Passes(1, TRAINING, "every step of a trial's training"),),
    sharing="Nothing is shared: each trial trains weights of its own.",
    gains=(Remark("It has nothing to tune.", "White et al., UAI 2021"),),
    limits=(Remark("It stays where no neighbour is better.", "Russell, Norvig, section 4.1"),),
)
