"""The family shufflenetv2: SPOS' code's numbers, exact counts, slices, notations, and what is refused."""

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import tiny
from conftest import reference_file
from dartboard import formats
from dartboard.cli import main
from dartboard.errors import InputError
from dartboard.networks import shufflenetv2 as networks
from dartboard.scoring.cost import count
from dartboard.scoring.evaluate import recalibrate
from dartboard.spaces import SPACES
from dartboard.spaces import shufflenetv2 as own
from dartboard.spaces.search_space import Architecture
