"""What runs a network: one file for each runtime, in the order in which "auto" looks at them.

Other packages add a runtime through the entry point group `saropt.runtimes`.
"""

from saropt.inference.runtimes.base import RUNTIMES, Backend, Runtime, chosen_direction, open_backend, runtime_of
from saropt.inference.runtimes.onnx import OnnxBackend
from saropt.inference.runtimes.openvino import OpenVinoBackend
from saropt.inference.runtimes.pytorch import TorchBackend, check_torch_precision, torch_device

__all__ = [
    "RUNTIMES",
    "Backend",
    "OnnxBackend",
    "OpenVinoBackend",
    "Runtime",
    "TorchBackend",
    "check_torch_precision",
    "chosen_direction",
    "open_backend",
    "runtime_of",
    "torch_device",
]
