"""How ENAS works."""

from dartboard.methods.explained.record import PATH, Equation, Passes, Record, Remark, Step

PAPER = "Pham et al., ICML 2018"
EXPLAINED = Record(
    family="reinforcement learning",
    steps=(
        Step(
            "search space",
            "One supernet holds the weights of every option of every choice; a controller, an LSTM, walks the choices.",
            "dartboard.methods.enas.state_of",
        ),
        Step(
            "sample",
            "The controller draws an architecture for every minibatch.",
            "dartboard.search.enas_learning.draw",
        ),
        Step(
            "train or share",
            "The weights of the drawn architecture descend the training loss; all others stand still.",
            "dartboard.search.paths.descend",
        ),
        Step(
            "score",
            "After an epoch, other draws are scored by the shared weights, each on one batch of validation images.",
            "dartboard.methods.enas.measured",
        ),
        Step(
            "update",
            "What is better than a moving average of rewards becomes more likely.",
            "dartboard.search.enas_learning.update",
        ),
        Step(
            "derive",
            "The controller draws a few architectures, and the best of them by the shared weights is the result.",
            "dartboard.methods.enas.candidates",
        ),
    ),
    loop=("update", "sample"),
    until="for every epoch: the weights on all minibatches, then the controller for some steps",
    equations=(
        Equation(
            "∇_w E_{a ~ p(θ)}[L_train(a, w)] ≈ ∇_w L_train(a, w)   for one drawn a",
            "Eq. 1",
            "The gradient of the shared weights by one draw.",
            "tests/test_enas.py::test_weights_that_were_not_drawn_stand_still_bit_for_bit_and_their_momenta_too",
        ),
        Equation(
            "∇_θ E[R(a)] = E[(R(a) − b) ∇_θ log p(a; θ)],   R = accuracy_val(a, w) + β H(a)",
            "section 2.2",
            "The controller learns by REINFORCE, with the entropy H in the reward.",
            "tests/test_enas_controllers.py::test_the_gradient_of_the_expected_reward_is_that_of_log_p_times_reward",
        ),
        Equation(
            "bounded = c · tanh(logits / temperature)",
            "section 3",
            "Bounded logits keep chances away from 0 and 1.",
            "tests/test_enas_controllers.py::"
            "test_golden_arcs_have_the_log_probabilities_entropies_and_penalties_of_the_authors_code",
        ),
    ),
    passes=(Passes(1, PATH, "one drawn path on training images; the controller's draws go forward only"),),
    sharing="All architectures share one supernet. What the controller finds likely is trained more often, and the "
    "controller learns from scores by weights that it has itself chosen to train.",
    gains=(
        Remark("A thousandth of the GPU hours of a search that trains each architecture.", PAPER),
        Remark("Works for rewards without a gradient.", PAPER),
    ),
    limits=(
        Remark("The order of architectures by shared weights is unlike that of trainings.", "Yu et al., ICLR 2020"),
        Remark("On NAS-Bench-201 it finds cells far below the best.", "Dong, Yang, ICLR 2020"),
    ),
    claims=(Remark("2.89 % error on CIFAR-10 with cutout, 4.6 M parameters, about half a GPU-day.", PAPER),),
)
