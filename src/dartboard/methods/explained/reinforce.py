"""How REINFORCE works."""

from dartboard.methods.explained.record import TRAINING, Equation, Passes, Record, Remark, Step

PAPER = "Zoph, Le, ICLR 2017"
EXPLAINED = Record(
    family="reinforcement learning",
    steps=(
        Step(
            "search space",
            "A controller walks the choices of a space and has a distribution for each.",
            "dartboard.search.learners.controller_of",
        ),
        Step(
            "sample",
            "The controller draws a batch of architectures.",
            "dartboard.methods.reinforce.SideBySide.ask",
        ),
        Step(
            "train or share",
            "Each is trained from scratch; a table or shared weights can take the place of the training.",
            "dartboard.search.trials.scoring_of",
        ),
        Step(
            "score",
            "Its accuracy on the validation images is the reward.",
            "dartboard.search.trials.at_work",
        ),
        Step(
            "update",
            "What is better than a moving average of rewards becomes more likely.",
            "dartboard.methods.reinforce.SideBySide.tell",
        ),
        Step("derive", "The best of all trials is the result.", "dartboard.search.trials.finish"),
    ),
    loop=("update", "sample"),
    until="until there are enough trials",
    equations=(
        Equation(
            "∇_θ E[R(a)] = E[(R(a) − b) ∇_θ log p(a; θ)]",
            "section 3.2",
            "The gradient of the expected reward, by samples.",
            "tests/test_controllers.py::test_the_estimator_of_reinforce_is_the_exact_gradient_by_monte_carlo",
        ),
        Equation(
            "b ← decay · b + (1 − decay) · R,   divided by the sum of its weights",
            "section 3.2",
            "The baseline.",
            "tests/test_controllers.py::test_the_baseline_is_the_mean_with_weights_that_fall_with_age",
        ),
    ),
    passes=(Passes(1, TRAINING, "every step of a trial's training"),),
    sharing="Nothing is shared: each trial trains weights of its own.",
    gains=(Remark("Learns which choices go together, whatever the reward is: no gradient of it is needed.", PAPER),),
    limits=(
        Remark("Each trial pays for a training: the paper trained 12,800 networks on 800 GPUs.", PAPER),
        Remark("Gradients by samples are noisy.", "Williams, Machine Learning 1992"),
    ),
    claims=(Remark("3.65 % error on CIFAR-10, 37.4 M parameters.", PAPER),),
)
