"""How regularized evolution works."""

from dartboard.methods.explained.record import TRAINING, Equation, Passes, Record, Remark, Step

PAPER = "Real et al., AAAI 2019"
POPULATION = "dartboard.methods.regularized_evolution.Population"
EXPLAINED = Record(
    family="evolution",
    steps=(
        Step(
            "search space",
            "A space is a list of choices; a mutation gives one of them another value.",
            "dartboard.spaces.search_space.SearchSpace.mutate",
        ),
        Step(
            "sample",
            "A few members of the population are drawn, and the best of them has a child.",
            f"{POPULATION}.child",
        ),
        Step(
            "train or share",
            "The child is trained from scratch; a table or shared weights can take the place of the training.",
            "dartboard.search.trials.scoring_of",
        ),
        Step(
            "score",
            "Its accuracy on the validation images is the score.",
            "dartboard.search.trials.at_work",
        ),
        Step(
            "update",
            "The child joins the population, and the oldest member is removed, even if it is the best.",
            f"{POPULATION}.tell",
        ),
        Step("derive", "The best of all trials is the result.", "dartboard.search.trials.finish"),
    ),
    loop=("update", "sample"),
    until="for every trial",
    equations=(
        Equation(
            "parent = argmax f over S members drawn from the population;   child = mutate(parent)",
            "Algorithm 1",
            "A tournament.",
            "tests/test_evolution.py::test_each_child_is_one_change_of_the_best_of_those_that_are_young",
        ),
        Equation(
            "population ← (population ∪ {child}) \\ {oldest}",
            "Algorithm 1",
            "Aging.",
            "tests/test_evolution.py::test_the_oldest_is_removed_even_if_it_is_the_best",
        ),
    ),
    passes=(Passes(1, TRAINING, "every step of a trial's training"),),
    sharing="Nothing is shared: each trial trains weights of its own.",
    gains=(
        Remark("Faster in the beginning than reinforcement learning at equal hardware, and simpler.", PAPER),
        Remark("Aging removes what was lucky once.", PAPER),
    ),
    limits=(Remark("Each child pays for a training: AmoebaNet took 20,000 models.", PAPER),),
)
