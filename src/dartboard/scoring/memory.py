"""The memory of a network in evaluation mode at batch 1: float32 weights, and the most that maps take at one time.

The rule. Weights are the parameters and the buffers that hold real numbers, without the auxiliary head. A tensor is
live from the operator that makes it to the last operator that reads it or a view of it, both included; so are the
images. Views, and what is computed in place, are the tensor that they are made of; a view of a weight is a weight. What
an operator needs inside it, whole numbers, and copies that only some memory layouts need are left out. So this is what
a runtime needs that runs torch's operators one by one and releases what nothing reads any more; Python's own variables
hold some maps for longer. One number is 4 bytes, one MB is 10^6 bytes.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import accumulate
from typing import Any

from torch import Tensor, nn

from dartboard.networks.outputs import auxiliary_head
from dartboard.spaces.places import NUMBER_BYTES


class LiveMaps:
    """What of the tensors that a counted network makes is live, operator by operator.

    It holds them all, so that no storage is used twice; their numbers are not there, so this takes no memory.
    """

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.places: dict[int, int] = {}  # by storage, the number of the tensor that it is the first of
        self.lives: list[tuple[int, int]] = []  # of each tensor, the operators that made it and that read it last
        self.operators = 0

    def operator(self, func: Any, read: Any, made: Any) -> None:
        """Notes one operator, what it read and what it made, in lists and tuples of any depth."""
        for tensor in tensors_in(read):
            if (place := self.places.get(storage_of(tensor))) is not None:
                self.lives[place] = (self.lives[place][0], self.operators)
        for tensor in () if is_view(func) else tensors_in(made):
            if tensor.is_floating_point() and (storage := storage_of(tensor)) not in self.places:
                self.places[storage] = len(self.tensors)
                self.tensors.append(tensor)
                self.lives.append((self.operators, self.operators))
        self.operators += 1

    @property
    def peak_bytes(self) -> int:
        """The largest sum of live tensors at any operator."""
        changes = [0] * (self.operators + 1)
        for tensor, (first, last) in zip(self.tensors, self.lives, strict=True):
            changes[first] += NUMBER_BYTES * tensor.numel()
            changes[last + 1] -= NUMBER_BYTES * tensor.numel()
        return max(accumulate(changes))


def weight_bytes(module: nn.Module) -> int:
    """Bytes of parameters and buffers of real numbers, as float32, without those of the auxiliary head."""
    auxiliary = auxiliary_head(module)
    own = sum(map(Tensor.numel, real_numbers(module)))
    return NUMBER_BYTES * (own - (0 if auxiliary is None else sum(map(Tensor.numel, real_numbers(auxiliary)))))


def real_numbers(module: nn.Module) -> Iterator[Tensor]:
    tensors: Iterable[Tensor] = (*module.parameters(), *module.buffers())
    return (tensor for tensor in tensors if tensor.is_floating_point())


@cache
def is_view(func: Any) -> bool:
    """Whether what an operator makes shares the memory of what it reads, unless it writes there."""
    return any(found.alias_info is not None and not found.alias_info.is_write for found in func._schema.returns)


def storage_of(tensor: Tensor) -> int:
    """What tells the memory of tensors apart, as long as they live."""
    return int(tensor.untyped_storage()._cdata)


def tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_in(item)
