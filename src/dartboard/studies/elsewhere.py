"""The time of the stages of a study on other devices: computed, not measured. Needs no torch.

A step takes as long as the slower of its arithmetic and its traffic, each at a share of what the manufacturer states:

    t = passes * B * max(3 * MACs / (ARITHMETIC * peak), TOUCHES * values * bytes / (TRAFFIC * bandwidth))          (1)

passes: forward with backward, 2 of a first-order step (alpha, weights), 5 of a second-order step, 1 of a path's and of
a training's; a backward pass has twice the multiply-adds of the forward. values: numbers in all maps of an image. B:
images per batch.
"""

from dataclasses import dataclass

from dartboard.methods.explained.record import BOTH_WAYS
from dartboard.scoring.cost import Cost

ARITHMETIC, TRAFFIC = 0.3, 0.5  # shares of peak and bandwidth that small, memory-bound kernels are assumed to reach
TOUCHES = 7  # reads and writes of each map's number in a pass, with shared maps: half of the plain form's 14
NUMBER_BYTES = 4  # float32


@dataclass(frozen=True)
class Device:
    """peak: multiply-adds per second in float32; bandwidth: bytes per second. From the manufacturer's data sheet."""

    name: str
    peak: float
    bandwidth: float


DEVICES = (Device("T4", 4.05e12, 320e9), Device("H100 SXM", 33.5e12, 3350e9))


def step_seconds(cost: Cost, batch_size: int, passes: int, device: Device) -> float:
    """Eq. 1."""
    arithmetic = BOTH_WAYS * cost.macs / (ARITHMETIC * device.peak)
    traffic = TOUCHES * cost.map_values * NUMBER_BYTES / (TRAFFIC * device.bandwidth)
    return passes * batch_size * max(arithmetic, traffic)
