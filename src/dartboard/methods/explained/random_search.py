"""How random search works."""

from dartboard.methods.explained.record import TRAINING, Equation, Passes, Record, Remark, Step

EXPLAINED = Record(
    family="random",
    steps=(
        Step(
            "search space",
            "A space is a list of choices, each with its options.",
            "dartboard.spaces.search_space.SearchSpace",
        ),
        Step(
            "sample",
            "Every choice is drawn uniformly, independently of all that was drawn before.",
            "dartboard.spaces.search_space.SearchSpace.sample",
        ),
        Step(
            "train or share",
            "The architecture is trained from scratch; a table or shared weights can take the place of the training.",
            "dartboard.search.trials.scoring_of",
        ),
        Step(
            "score",
            "Its accuracy on the validation images is the score.",
            "dartboard.search.trials.at_work",
        ),
        Step("update", "Nothing is learned from a score.", None),
        Step("derive", "The architecture with the best score is the result.", "dartboard.search.trials.finish"),
    ),
    loop=("score", "sample"),
    until="for every trial",
    equations=(
        Equation(
            "a* = argmax_i f(a_i),   a_1 … a_n ~ uniform",
            "no number",
            "The best of n independent draws.",
            "tests/test_random_search.py::test_the_planted_best_of_64_cells_is_found",
        ),
        Equation(
            "p(a) = Π over choices of 1 / (number of options)",
            "no number",
            "Each choice is uniform.",
            "tests/test_random_search.py::test_every_cell_is_drawn_equally_often",
        ),
    ),
    passes=(Passes(1, TRAINING, "every step of a trial's training"),),
    sharing="Nothing is shared: each trial trains weights of its own.",
    gains=(
        Remark("No setting but the number of trials, and trials run side by side.", "Bergstra, Bengio, JMLR 2012"),
        Remark("Hard to beat at equal cost in narrow spaces.", "Li, Talwalkar, UAI 2019"),
    ),
    limits=(Remark("Each trial pays for a training and teaches nothing about the next.", "Zoph, Le, ICLR 2017"),),
    claims=(Remark("3.29 ± 0.15 % error on CIFAR-10 in DARTS cells, by the best of 24.", "Liu et al., ICLR 2019"),),
)
