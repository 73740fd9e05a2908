"""How DARTS works."""

from dartboard.methods.explained.record import MIXTURE, Equation, Passes, Record, Remark, Step

PAPER = "Liu, Simonyan, Yang, ICLR 2019"
GRADIENT = "dartboard.methods.darts"
EXPLAINED = Record(
    family="gradient",
    steps=(
        Step(
            "search space",
            "Every edge of a cell gets all operations at once, weighed by a softmax over its own numbers alpha.",
            f"{GRADIENT}.begin",
        ),
        Step("sample", "Nothing is drawn: the mixture contains every architecture.", None),
        Step(
            "train or share",
            "The weights w of all operations descend the training loss of the mixture, one batch a step.",
            f"{GRADIENT}.update_weights",
        ),
        Step("score", "The mixture's loss on a batch of validation images is the score.", f"{GRADIENT}.loss_of"),
        Step(
            "update",
            "Alpha descends the validation loss, before each step of w; second order also follows how w would move.",
            f"{GRADIENT}.update_alpha",
        ),
        Step(
            "derive",
            "Each node keeps its two strongest edges, each with its strongest operation other than none.",
            "dartboard.search.relaxation.derived",
        ),
    ),
    loop=("update", "train or share"),
    until="for every pair of a training and a validation batch",
    equations=(
        Equation(
            "o(x) = Σ_o softmax(α)_o · o(x)",
            "Eq. 2",
            "An edge mixes its operations.",
            "tests/test_darts_equations.py::test_the_mixture_is_a_softmax_over_each_edge",
        ),
        Equation(
            "min_α L_val(w*(α), α)   with   w*(α) = argmin_w L_train(w, α)",
            "Eqs. 3, 4",
            "Alpha is chosen for the weights that training would find for it.",
            "tests/test_darts_equations.py::test_second_order_reaches_the_bilevel_optimum_and_first_order_does_not",
        ),
        Equation(
            "∇_α L_val(w − ξ ∇_w L_train(w, α), α)",
            "Eqs. 5, 6",
            "One step stands for the whole training; with ξ = 0 this is the first order.",
            "tests/test_darts_equations.py::test_the_first_order_gradient_is_autograds_and_second_order_with_xi_zero",
        ),
        Equation(
            "∇_α L_val(w′, α) − ξ ∇²_{α,w} L_train(w, α) · ∇_{w′} L_val(w′, α)",
            "Eq. 7",
            "The second order, by the chain rule.",
            "tests/test_darts_equations.py::test_the_quadratic_toy_has_the_closed_form_of_equation_7",
        ),
        Equation(
            "∇²_{α,w} L_train · v ≈ (∇_α L_train(w⁺, α) − ∇_α L_train(w⁻, α)) / 2R,   w± = w ± R v,   R = 0.01 / ‖v‖",
            "Eq. 8",
            "The product with v by two more gradients.",
            "tests/test_darts_equations.py::"
            "test_the_finite_difference_converges_to_the_exact_gradient_as_epsilon_squared",
        ),
    ),
    passes=(
        Passes(2, MIXTURE, "one on validation images for alpha, one on training images for w", "first order"),
        Passes(
            5,
            MIXTURE,
            "one to look ahead, one on validation images, two for the finite difference, one for w",
            "second order",
            {"second_order": True},
        ),
    ),
    sharing="All architectures share one supernet: an operation of an edge has one set of weights, whatever it is "
    "mixed with. All of them are trained at every step, in proportion to alpha.",
    gains=(Remark("Days of one GPU in place of thousands: alpha is learned together with the weights.", PAPER),),
    limits=(
        Remark("Every operation of every edge is computed and held in memory.", "Cai, Zhu, Han, ICLR 2019"),
        Remark("Long searches can end in cells of skip connections.", "Zela et al., ICLR 2020"),
        Remark("The mixture is not the cell that is derived from it.", "Dong, Yang, ICLR 2020"),
    ),
    claims=(Remark("2.76 ± 0.09 % error on CIFAR-10 by the second order, 3.3 M parameters.", PAPER),),
)
