"""How random search with weight sharing works."""

from dartboard.methods.explained.record import PATH, Equation, Passes, Record, Remark, Step

PAPER = "Li, Talwalkar, UAI 2019"
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
            "An architecture is drawn uniformly for every minibatch.",
            "dartboard.spaces.search_space.SearchSpace.sample",
        ),
        Step(
            "train or share",
            "The weights on its path descend the training loss; all others stand still.",
            "dartboard.search.paths.descend",
        ),
        Step(
            "score",
            "When training is over, new draws are scored by the shared weights, in rounds on the same few batches.",
            "dartboard.methods.random_search_ws.on_few",
        ),
        Step("update", "Nothing is learned about which architectures are good.", None),
        Step(
            "derive",
            "The best of each round are scored on all validation images, and the best of these is the result.",
            "dartboard.methods.random_search_ws.finish",
        ),
    ),
    loop=("train or share", "sample"),
    until="for every minibatch",
    equations=(
        Equation(
            "w ← w − η ∇_w L_train(w, a),   a ~ uniform",
            "section 3.3",
            "Only the weights of the drawn architecture move.",
            "tests/test_paths.py::test_weights_off_the_path_and_their_momentum_do_not_move_by_a_bit",
        ),
        Equation(
            "a* = argmax over finalists of accuracy(w, a; val)",
            "section 3.3",
            "The best by the shared weights.",
            "tests/test_paths.py::test_a_round_is_scored_on_the_same_batches_and_its_best_on_all_of_val",
        ),
    ),
    passes=(Passes(1, PATH, "one drawn path on training images"),),
    sharing="All architectures share one supernet, and every option is trained equally often on average. Afterwards "
    "the same weights judge every candidate.",
    gains=(Remark("As good as methods that learn where to look, with less to tune.", PAPER),),
    limits=(
        Remark("Scores by shared weights order architectures poorly.", "Yu et al., ICLR 2020"),
        Remark("Scores depend on how BatchNorm's statistics are kept.", "Dong, Yang, ICLR 2020"),
    ),
    claims=(Remark("2.85 ± 0.08 % error on CIFAR-10, 4.3 M parameters, 9.7 GPU-days.", PAPER),),
)
