"""How Once-for-All works."""

from dartboard.methods.explained.record import PATH, Equation, Passes, Record, Remark, Step

PAPER = "Cai et al., ICLR 2020"
EXPLAINED = Record(
    family="one-shot",
    steps=(
        Step(
            "search space",
            "One supernet holds the largest network; every other is a part of its layers.",
            "dartboard.search.paths.begin_as",
        ),
        Step(
            "sample",
            "For every minibatch a resolution, and some networks among those that are elastic by now.",
            "dartboard.methods.ofa.drawn",
        ),
        Step(
            "train or share",
            "The networks learn from labels and from a frozen copy of the largest one; their gradients are added up.",
            "dartboard.methods.ofa.descend",
        ),
        Step(
            "score",
            "When training is over, networks within the limit are scored as they are, with statistics of their own.",
            "dartboard.search.paths.on_some_of_val",
        ),
        Step(
            "update",
            "Phase by phase kernels, depths and widths become elastic; channels are sorted before widths do.",
            "dartboard.methods.ofa.enter",
        ),
        Step("derive", "The best of all is the result, with the weights that it has.", "dartboard.search.paths.finish"),
    ),
    loop=("update", "sample"),
    until="for each of six phases; scoring follows the last",
    equations=(
        Equation(
            "L(w, a) = CE(y, f(x; w, a)) + kappa · H(softmax(f(x; teacher)), softmax(f(x; w, a)))",
            "section 3.3",
            "What a network of a later phase learns; the gradients of the networks of a step are added up.",
            "tests/test_ofa.py::test_a_step_has_the_losses_and_summed_gradients_of_the_authors_code",
        ),
        Equation(
            "w5 = M75 · vec(centre(w7)),   w3 = M53 · vec(centre(w5))",
            "section 3.3",
            "A smaller kernel is the middle of the next larger one, times a matrix that is learned.",
            "tests/test_mobilenet.py::test_logits_in_training_are_those_of_the_authors_code",
        ),
    ),
    passes=(
        Passes(1, PATH, "the full network", "full", phase="full"),
        Passes(1, PATH, "one of elastic kernels; the teacher's forward pass is left out", "kernel", phase="kernel"),
        Passes(2, PATH, "two of elastic depth; the teacher's forward pass is left out", "depth", phase="depth 2"),
        Passes(4, PATH, "four of elastic width; the teacher's forward pass is left out", "width", phase="width 2"),
    ),
    sharing="All networks are parts of the largest one's weights: its first channels in the order of their importance, "
    "transforms of the middle of its kernels, its first blocks.",
    gains=(
        Remark("One training serves every device and every limit.", PAPER),
        Remark("Large networks are trained before small ones disturb them.", PAPER),
    ),
    limits=(
        Remark("Training is long: 605 epochs in six phases, each with settings of its own.", PAPER),
        Remark("Networks are only as good as their phase: what became elastic late was trained least.", PAPER),
    ),
    claims=(Remark("76.0 % on ImageNet at 230 M multiply-adds without tuning, 80.0 % at 595 M.", PAPER),),
)
