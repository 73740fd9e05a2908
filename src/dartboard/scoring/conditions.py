"""Under what latencies are measured, as a plain value."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Conditions:
    """Under what a table was measured. device: cpu or cuda, device_name: its model; threads: of the CPU; batch_size:
    images at once; number_format: of weights and maps; runtime: what computes."""

    device: str
    device_name: str
    threads: int
    batch_size: int = 1
    memory_format: Literal["channels_first", "channels_last"] = "channels_first"
    number_format: str = "float32"
    runtime: Literal["torch", "onnxruntime"] = "torch"

    @property
    def words(self) -> str:
        """What stands behind the layer in a key of the table."""
        runtime = "" if self.runtime == "torch" else f" {self.runtime}"
        return f"batch={self.batch_size} threads={self.threads} {self.memory_format} {self.number_format}{runtime}"
