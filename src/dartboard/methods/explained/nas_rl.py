"""How NAS with RL works."""

from dartboard.methods.explained.record import TRAINING, Equation, Passes, Record, Remark, Step

PAPER = "Zoph, Le, ICLR 2017"
TESTS = "tests/test_nas_rl_method.py"
EXPLAINED = Record(
    family="reinforcement learning",
    steps=(
        Step(
            "search space",
            "Filters and strides of each layer, and from which earlier layers it takes its input.",
            "dartboard.spaces.nas_rl.at_depth",
        ),
        Step(
            "sample",
            "An LSTM writes networks down, layer by layer; the later ones of a search are deeper.",
            "dartboard.methods.nas_rl.SideBySide.ask",
        ),
        Step(
            "train or share",
            "Each child is trained from scratch, by as many workers as there are.",
            "dartboard.training.by_training.by_training",
        ),
        Step(
            "score",
            "Its best validation accuracy of the last epochs, cubed, is the reward.",
            "dartboard.methods.nas_rl.reward",
        ),
        Step(
            "update",
            "REINFORCE with a moving average as baseline moves the LSTM once a batch.",
            "dartboard.methods.nas_rl.SideBySide.tell",
        ),
        Step("derive", "The best of all children is the result.", "dartboard.search.trials.finish"),
    ),
    loop=("update", "sample"),
    until="until there are enough children",
    equations=(
        Equation(
            "∇_θ J = 1/m Σ_k Σ_t ∇_θ log p(a_t | a_1 … a_t−1; θ) (R_k − b)",
            "section 3.2",
            "The gradient that is climbed, over the m children of a batch; anchors are decisions as well.",
            f"{TESTS}::test_the_step_goes_up_the_numeric_gradient_of_the_objective",
        ),
        Equation(
            "P(layer j is an input of layer i) = sigmoid(v · tanh(W_prev h_j + W_curr h_i))",
            "section 3.3",
            "An anchor, by the states of the LSTM at the anchor points of both layers.",
            f"{TESTS}::test_an_anchor_is_the_sigmoid_of_both_states",
        ),
        Equation(
            "R = (best validation accuracy of the last 5 epochs)³",
            "section 4.1",
            "The reward of a child.",
            f"{TESTS}::test_the_reward_is_the_cube_of_the_best_accuracy_of_the_last_epochs",
        ),
    ),
    passes=(Passes(1, TRAINING, "every step of a child's training"),),
    sharing="Nothing is shared: each child trains weights of its own.",
    gains=(
        Remark("Any network that can be written down decision by decision can be searched, skips included.", PAPER),
    ),
    limits=(Remark("12,800 children of 50 epochs, 800 at a time on as many GPUs.", PAPER),),
    claims=(Remark("3.65 % error on CIFAR-10 with 39 layers and more filters, 37.4 M parameters.", PAPER),),
)
