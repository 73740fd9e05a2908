"""What changes the settings of a supernet (search.supernets.Settings), for cases of methods."""

from dartboard.testing.cases import Setting

CHANGES: dict[str, Setting] = {
    "channels": (4, {}),
    "cells": (4, {}),
    "epochs": (2, {}),
    "batch_size": (12, {}),
    "lr": (0.1, {}),
    "lr_min": (0.0, {"epochs": 2}),
    "schedule_epochs": (4, {"epochs": 2}),
    "momentum": (0.0, {}),
    "weight_decay": (0.1, {}),
    "grad_clip": (0.01, {}),
    "crop_padding": (0, {}),
    "flip": (True, {}),
    "cutout": (4, {}),
    "channels_last": (False, {}),
}
# Of searches that weigh operations (search.relaxation.Settings).
OF_ALPHA: dict[str, Setting] = {
    "alpha_lr": (0.1, {}),
    "alpha_beta1": (0.9, {}),
    "alpha_beta2": (0.5, {}),
    "alpha_weight_decay": (1.0, {}),
    "alpha_init": (0.1, {}),
    "stop": ("stable:1", {"epochs": 3}),
    "stop_mode": ("report", {"epochs": 3, "stop": "stable:1", "alpha_lr": 1e-6}),
    "limit": ("macs<=22k", {}),
    "cost_weight": (1.0, {}),
}
ALPHA_ELSEWHERE = {
    "latency": "test_latency_of_cells.py::test_a_search_derives_within_a_latency_and_says_what_the_table_predicts"
}
# Of searches by single paths: the form of the supernet shows only where there is a compiler.
FORM_OF_PATHS = {"supernet": "test_fast_path.py::test_the_form_of_a_supernet_is_a_setting_of_every_search_by_paths"}
