"""ENAS."""

import path_settings
import planted
import trial_settings
import weight_settings
from cases import MethodCase, Planted, Way
from dartboard.spaces import nasbench201

SMALL = nasbench201.space("two operations", "made up", ("none", "nor_conv_3x3"))  # 64 cells
BEST = nasbench201.architecture(["nor_conv_3x3"] * 6)
CONTROLLER = {"controller_units": 4, "controller_steps": 2, "controller_samples": 2}

CASE = MethodCase(
    settings={**path_settings.BASE, **CONTROLLER, "derive": 3},
    ways=(
        # stopped among the steps of the controller, in two epochs, and then among candidates
        Way("batch statistics", {"lr_period": 1, "controller_clip": 0.1, "limit": "macs<=1G"}, stops=((3, 4, 3),)),
    ),
    planted=(
        Planted(
            "controller", SMALL, BEST, trial_settings.matches, places=6, at_least=6,
            settings={**path_settings.PLANTED, "dropout": 0.0, "lr_period": 0, "controller_steps": 10,
                      "controller_samples": 5, "controller_lr": 0.05, "tanh": 2.5, "controller_units": 8, "epochs": 8},
            more=lambda: {"supernet": planted.PlantedPaths(SMALL, BEST)},
            score=path_settings.score, data=planted.noisy_images, draws=20,
        ),
    ),
    golden_loss=2.3358891190157474,
    changes={
        **weight_settings.CHANGES,
        "schedule_epochs": (4, {"epochs": 2, "lr_period": 0}),
        "lr_period": (1, {"epochs": 2}),
        "lr_period_factor": (1, {"epochs": 3, "lr_period": 1}),
        "momentum": (0.5, {}),  # at 0 nesterov has no part
        "nesterov": (False, {}),
        "dropout": (0.5, {}),
        "controller_units": (5, {}),
        "controller_layers": (2, {}),
        "controller_init": (0.5, {}),
        "tanh": (2.0, {}),
        "temperature": (3.0, {}),
        "controller_steps": (3, {}),
        "controller_samples": (3, {}),
        "controller_lr": (0.1, {}),
        "controller_beta1": (0.9, {}),
        "controller_beta2": (0.5, {}),
        "controller_eps": (1.0, {}),
        "controller_clip": (1e-4, {}),
        "baseline_decay": (0.5, {}),
        "entropy_weight": (0.1, {}),
        "entropy": ("taken", {}),
        "statistics": ("running", {}),
        "derive": (2, {}),
        "val_images": (20, {}),
        "limit": ("macs<=31k", {}),
    },
    elsewhere={
        **weight_settings.FORM_OF_PATHS,
        "latency": "test_latency_limits.py::test_the_first_network_of_each_method_is_within_a_latency",
        "operation_tanh": "test_enas.py::test_settings_of_one_space_change_its_controller",
        "operation_bias": "test_enas.py::test_settings_of_one_space_change_its_controller",
        "operation_pattern": "test_enas.py::test_settings_of_one_space_change_its_controller",
        "skip_target": "test_enas.py::test_settings_of_one_space_change_its_controller",
        "skip_weight": "test_enas.py::test_settings_of_one_space_change_its_controller",
    },
)  # fmt: skip
