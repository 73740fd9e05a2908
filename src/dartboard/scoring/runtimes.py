"""What computes the networks that are timed: torch itself, or onnxruntime.

For onnxruntime a module is exported to ONNX for the one map that it is timed on, and computes the same numbers there as
in torch, up to rounding, or it is not timed. The export traces the module (torch.onnx.export, dynamo=False): the other
exporter of torch takes many times as long, which is an hour for the layers of a space.
"""

import importlib.metadata
import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn

from dartboard.errors import InputError
from dartboard.scoring.conditions import Conditions

OPSET = 18
NEAR = 1e-4  # between what both compute, in shares of the largest number
QUIET = 3  # onnxruntime's severity of errors: it warns of every session on a machine with few cores
PACKAGES = ("onnx", "onnxruntime")
HINT = "build the table by --runtime torch"

Call = Callable[[Tensor], object]  # what is timed, with the map that it was made for


@dataclass(frozen=True)
class Session:
    """An exported module in onnxruntime. Maps and result lie in place, so a call is the computation alone."""

    session: Any  # an onnxruntime.InferenceSession
    maps: Sequence[Tensor]  # which lie where the bindings say
    bindings: Mapping[int, Any]  # by where a map lies
    result: Any  # an onnxruntime.OrtValue: what the last call computed

    def __call__(self, x: Tensor) -> object:
        """x: one of the maps that the session was made for."""
        return self.session.run_with_iobinding(self.bindings[x.data_ptr()])


def check_installed(runtime: str) -> None:
    """Raises InputError where the packages of a runtime are missing."""
    if runtime == "onnxruntime" and not all(map(find_spec, PACKAGES)):
        raise InputError('the runtime onnxruntime is not installed; type: pip install "dartboard[onnxruntime]"')


def callable_of(name: str, module: nn.Module, maps: Sequence[Tensor], conditions: Conditions) -> Call:
    """What is timed on maps: the module itself, or the session of its export.

    name: for messages; module: in evaluation mode, on the device of the maps, each (B, C, H, W). Raises InputError if
    it cannot be exported, computes other numbers there, or onnxruntime is not installed.
    """
    if conditions.runtime == "torch":
        return module
    return checked(name, module, maps[-1], session_of(name, module, maps, conditions))


def exported(name: str, module: nn.Module, x: Tensor) -> bytes:
    """The module as ONNX for maps of this size. Raises InputError if torch has no words for it there."""
    file, export = io.BytesIO(), cast(Any, torch.onnx.export)  # its types know paths alone
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's age, and of what does not depend on the numbers of the map
        try:
            export(module, (x,), file, input_names=["x"], output_names=["y"], opset_version=OPSET, dynamo=False)
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            first = str(error).strip().splitlines()[0]
            raise InputError(f"torch {torch.__version__} cannot export {name} to ONNX ({first}); {HINT}") from error
    return file.getvalue()


def session_of(name: str, module: nn.Module, maps: Sequence[Tensor], conditions: Conditions) -> Session:
    """The module in onnxruntime, with as many threads as the conditions say. Raises InputError."""
    check_installed(conditions.runtime)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = conditions.threads, 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = QUIET
    options.add_session_config_entry("session.force_spinning_stop", "1")  # its threads leave the next session alone
    session = onnxruntime.InferenceSession(exported(name, module, maps[0]), options, providers=["CPUExecutionProvider"])
    result = onnxruntime.OrtValue.ortvalue_from_numpy(session.run(["y"], {"x": maps[0].numpy()})[0])
    bindings = {}
    for x in maps:
        binding = bindings[x.data_ptr()] = session.io_binding()
        binding.bind_input("x", "cpu", 0, x.numpy().dtype, tuple(x.shape), x.data_ptr())
        binding.bind_ortvalue_output("y", result)
    return Session(session, maps, bindings, result)


def checked(name: str, module: nn.Module, x: Tensor, session: Session) -> Session:
    """The session. Raises InputError if it computes other numbers than the module."""
    with torch.inference_mode():
        expected = module(x)
    session(x)
    largest = max(float(expected.abs().max()), torch.finfo(expected.dtype).tiny)
    apart = float((torch.from_numpy(session.result.numpy()) - expected).abs().max()) / largest
    if not apart <= NEAR:
        words = f"computes other numbers than torch for {name}, {apart:.2g} of the largest apart"
        raise InputError(f"onnxruntime {version('onnxruntime')} {words}; {HINT}")
    return session


def version(runtime: str) -> str:
    """The version of an installed runtime."""
    return importlib.metadata.version(runtime)
