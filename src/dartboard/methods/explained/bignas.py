"""How BigNAS works."""

from dartboard.methods.explained.record import SANDWICH, Equation, Passes, Record, Remark, Step

PAPER = "Yu et al., ECCV 2020"
EXPLAINED = Record(
    family="one-shot",
    steps=(
        Step(
            "search space",
            "One supernet holds the largest network; every other is a slice of its layers.",
            "dartboard.search.paths.begin_as",
        ),
        Step(
            "sample",
            "For every minibatch the largest and the smallest network, and some between them at random.",
            "dartboard.methods.bignas.drawn",
        ),
        Step(
            "train or share",
            "The largest learns from the labels, the others from its answers; their gradients are added up.",
            "dartboard.methods.bignas.descend",
        ),
        Step(
            "score",
            "When training is over, networks within the limit are scored as they are, with statistics of their own.",
            "dartboard.search.paths.on_some_of_val",
        ),
        Step(
            "update",
            "First networks whose choices are all alike, then small changes of the best ones.",
            "dartboard.methods.bignas.candidate_rounds",
        ),
        Step("derive", "The best of all is the result, with the weights that it has.", "dartboard.search.paths.finish"),
    ),
    loop=("update", "score"),
    until="for some rounds; before it, sampling and training for every minibatch",
    equations=(
        Equation(
            "grad = grad_w [L(w, largest; x, y) + sum_a H(softmax(f(x; w, largest)), softmax(f(x; w, a)))]",
            "section 3.2",
            "The sandwich rule with in-place distillation; nothing flows back into the answers of the largest.",
            "tests/test_bignas.py::test_a_step_adds_up_the_gradients_of_its_networks",
        ),
        Equation(
            "lr(t) = max(lr_0 · 0.97^(t / 2.4), ending)",
            "section 3.2",
            "The learning rate falls by a factor, to a constant ending.",
            "tests/test_bignas.py::test_the_learning_rate_falls_by_its_factor_to_a_constant_ending",
        ),
    ),
    passes=(Passes(4, SANDWICH, "the largest network, two at random and the smallest, on the same training images"),),
    sharing="All networks are slices of the largest one's weights: its first channels, the middle of its kernels, its "
    "first blocks. A step trains four of them.",
    gains=(
        Remark("Networks are cut out and used without further training.", PAPER),
        Remark("One supernet answers for every limit.", PAPER),
    ),
    limits=(
        Remark("A step costs as much as its four networks, the largest one among them.", PAPER),
        Remark("Training is sensitive to initialisation and learning rate: blocks begin with scale 0.", PAPER),
    ),
    claims=(Remark("76.5 to 80.9 % on ImageNet from 242 M to 1,040 M multiply-adds.", PAPER),),
)
