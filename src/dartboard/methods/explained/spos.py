"""How SPOS works."""

from dartboard.methods.explained.record import PATH, Equation, Passes, Record, Remark, Step

PAPER = "Guo et al., ECCV 2020"
EXPLAINED = Record(
    family="one-shot",
    steps=(
        Step(
            "search space",
            "One supernet holds the weights of every option of every choice.",
            "dartboard.search.paths.begin",
        ),
        Step(
            "sample",
            "A path is drawn uniformly for every minibatch, on wish within a band of multiply-adds.",
            "dartboard.methods.spos.path",
        ),
        Step(
            "train or share",
            "The weights on the path descend the training loss; all others stand still.",
            "dartboard.search.paths.descend",
        ),
        Step(
            "score",
            "When training is over, candidates are scored by the shared weights, with statistics collected for each.",
            "dartboard.methods.spos.scorer",
        ),
        Step(
            "update",
            "The best candidates have children by mutation and crossover, none of them over the limit.",
            "dartboard.methods.spos.children",
        ),
        Step("derive", "The best of all candidates is the result.", "dartboard.methods.spos.finish"),
    ),
    loop=("update", "score"),
    until="for every generation; before it, sampling and training for every minibatch",
    equations=(
        Equation(
            "W = argmin_W E_{a ~ uniform}[L_train(a, W(a))]",
            "section 3",
            "The weights are trained for all paths alike.",
            "tests/test_spos.py::test_every_path_trains_equally_often",
        ),
        Equation(
            "a* = argmax_a accuracy_val(a, W(a)),   cost(a) ≤ limit",
            "section 3",
            "The best path by the weights within the limit.",
            "tests/test_spos.py::test_no_candidate_is_over_the_limit_none_is_scored_twice_and_random_draws_are_as_many",
        ),
    ),
    passes=(Passes(1, PATH, "one drawn path on training images"),),
    sharing="All architectures share one supernet, and every path is drawn equally often. Training and search are "
    "separate: the weights are fixed when the evolution begins.",
    gains=(
        Remark("A step has the memory of one path, and one supernet serves several limits.", PAPER),
        Remark("No architecture parameters are trained beside the weights.", PAPER),
    ),
    limits=(
        Remark("Scores by shared weights order architectures poorly.", "Yu et al., ICLR 2020"),
        Remark("Without new BatchNorm statistics for each candidate the order is noise.", PAPER),
    ),
    claims=(Remark("74.7 % on ImageNet with blocks and channels searched, at 328 M multiply-adds.", PAPER),),
)
