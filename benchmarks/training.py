"""Training steps at 256x256, batch 1, in units of one eager fp32 forward pass of ResNet-9 (3 -> 3) of the same run.

    python benchmarks/training.py [METHOD ...] [--threads 2] [--repeats 5] [--precision 32-true bf16-mixed]

Step and forward pass alternate; minima of the repeats. The share outside the convolutions is of self time in one
profiled step. With paired methods both sides of the batch are one pair.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch

from saropt.methods import Batch, Method, get_method
from saropt.networks import build_network

SIDE = 256
DEFAULT = ("pix2pix", "cyclegan", "cut", "sgcl")
ARGUMENTS = {"sgcl": {"guidance": "kmeans"}}
CONVOLUTIONS = ("convolution", "conv2d", "mkldnn_convolution", "slow_conv")


def step(method: Method, optimizers: dict, batch: Batch, precision: str) -> None:
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
        for name, losses in method.updates(batch, 0.0):
            optimizers[name].zero_grad(set_to_none=True)
            with torch.autocast("cpu", enabled=False):
                torch.stack([loss.float() for loss in losses.values()]).sum().backward()
            optimizers[name].step()


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def outside_convolutions(method: Method, optimizers: dict, batch: Batch, precision: str) -> float:
    with torch.profiler.profile() as profile:
        step(method, optimizers, batch, precision)
    events = profile.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    inside = sum(e.self_cpu_time_total for e in events if any(name in e.key for name in CONVOLUTIONS))
    return 1.0 - inside / total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=DEFAULT)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", nargs="+", default=["32-true", "bf16-mixed"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    unit = build_network("resnet", 3, 3).eval()
    image = torch.rand(1, 3, SIDE, SIDE) * 2 - 1
    batch = Batch(image, torch.rand(1, 3, SIDE, SIDE) * 2 - 1)
    print("| method | precision | forward passes per step | outside convolutions | seconds per forward pass |")
    print("|---|---|---|---|---|")
    for name in arguments.methods:
        cls = get_method(name)
        method = cls(cls.config_type(**ARGUMENTS.get(name, {})), 3, 3).train()
        optimizers = method.optimizers()
        for precision in arguments.precision:
            units, steps = [], []
            step(method, optimizers, batch, precision)
            for _ in range(arguments.repeats):
                with torch.inference_mode():
                    units.append(min(timed(lambda: unit(image)) for _ in range(2)))
                steps.append(timed(partial(step, method, optimizers, batch, precision)))
            share = outside_convolutions(method, optimizers, batch, precision)
            ratio = min(steps) / min(units)
            print(f"| {name} | {precision} | {ratio:.1f} | {share:.0%} | {min(units):.3f} |", flush=True)


if __name__ == "__main__":
    main()
