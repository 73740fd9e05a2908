"""How PPO works."""

from dartboard.methods.explained.record import TRAINING, Equation, Passes, Record, Remark, Step

PAPER = "Schulman et al., arXiv 1707.06347"
NASNET = "Zoph et al., CVPR 2018"
TESTS = "tests/test_ppo.py"
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
            "The controller draws a batch of architectures, and their probabilities are remembered.",
            "dartboard.methods.ppo.SideBySide.ask",
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
            "The batch is used several times; what has moved beyond the clip counts no more.",
            "dartboard.methods.ppo.SideBySide.tell",
        ),
        Step("derive", "The best of all trials is the result.", "dartboard.search.trials.finish"),
    ),
    loop=("update", "sample"),
    until="until there are enough trials",
    equations=(
        Equation(
            "L(θ) = mean of min(r A, clip(r, 1 − ε, 1 + ε) A),   r = p(a; θ) / p_old(a)",
            "Eq. 7",
            "The surrogate that is climbed.",
            f"{TESTS}::test_the_gradient_is_the_numeric_one_of_the_surrogate",
        ),
        Equation(
            "∇_θ L = mean of A ∇_θ log p(a; θ)   where r = 1",
            "section 2",
            "In the first use of a batch it is REINFORCE's gradient.",
            f"{TESTS}::test_with_ratio_1_the_gradient_is_that_of_reinforce",
        ),
    ),
    passes=(Passes(1, TRAINING, "every step of a trial's training"),),
    sharing="Nothing is shared: each trial trains weights of its own.",
    gains=(Remark("A batch of costly rewards is used several times, in steps that the clip keeps small.", PAPER),),
    limits=(Remark("Each trial pays for a training: 20,000 networks of 20 epochs on 500 GPUs for four days.", NASNET),),
    claims=(Remark("2.65 % error on CIFAR-10 with cutout, 3.3 M parameters.", NASNET),),
)
