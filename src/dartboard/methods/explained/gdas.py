"""How GDAS works."""

from dartboard.methods.explained.record import DRAWN, Equation, Passes, Record, Remark, Step

PAPER = "Dong, Yang, CVPR 2019"
EXPLAINED = Record(
    family="gradient",
    steps=(
        Step(
            "search space",
            "Every edge of a cell has numbers alpha, whose softmax says how likely each operation is drawn.",
            "dartboard.methods.gdas.begin",
        ),
        Step(
            "sample",
            "One operation an edge is drawn with Gumbel noise, hard forward and soft backward.",
            "dartboard.methods.gdas.hard_sample",
        ),
        Step(
            "train or share",
            "The weights of the operations that were drawn descend the training loss.",
            "dartboard.methods.gdas.update_weights",
        ),
        Step(
            "score",
            "Another draw is scored by its loss on a batch of validation images.",
            "dartboard.methods.gdas.drawn",
        ),
        Step(
            "update",
            "Alpha descends that loss, straight through the draw.",
            "dartboard.methods.gdas.update_alpha",
        ),
        Step(
            "derive",
            "Each node keeps its two strongest edges, each with its likeliest operation other than none.",
            "dartboard.search.relaxation.derived",
        ),
    ),
    loop=("update", "sample"),
    until="for every pair of a training and a validation batch, while tau falls",
    equations=(
        Equation(
            "soft = softmax((log softmax(α) − log E) / τ),   E ~ Exp(1)",
            "section 3.2",
            "The relaxed draw; its largest entry is each operation as often as softmax(α) says.",
            "tests/test_gdas.py::test_an_operation_is_drawn_as_often_as_the_softmax_of_alpha_says",
        ),
        Equation(
            "h = onehot(argmax soft) − stop(soft) + soft",
            "section 3.2",
            "Forward one operation; backward the gradient of the relaxed draw.",
            "tests/test_gdas.py::test_a_draw_has_the_value_one_and_the_gradient_of_its_relaxation",
        ),
        Equation(
            "τ = τ_max − (τ_max − τ_min) · epoch / (epochs − 1)",
            "section 4",
            "The temperature falls from 10 to 0.1.",
            "tests/test_gdas.py::test_the_temperature_falls_linearly_and_goes_on_where_a_schedule_goes_on",
        ),
    ),
    passes=(Passes(2, DRAWN, "one draw on training images for w, another on validation images for alpha"),),
    sharing="All architectures share one supernet: an operation of an edge has one set of weights. At a step only the "
    "drawn operations move, and likely ones more often.",
    gains=(Remark("A step computes one operation an edge: time and memory of a single architecture.", PAPER),),
    limits=(
        Remark(
            "The gradient through the hard draw is biased, the more the higher the temperature.",
            "Jang, Gu, Poole, ICLR 2017",
        ),
        Remark("What is unlikely early is trained rarely, and stays unlikely.", "Li, Talwalkar, UAI 2019"),
    ),
    claims=(Remark("2.93 % error on CIFAR-10, 3.4 M parameters, 0.21 GPU-days.", PAPER),),
)
