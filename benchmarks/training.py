"""Training steps at 256x256, batch 1, in units of one eager fp32 forward pass of ResNet-9 (3 -> 3) of the same run.

    python benchmarks/training.py [METHOD ...] [--threads 2] [--repeats 5] [--precision 32-true bf16-mixed]
    python benchmarks/training.py [METHOD ...] --compile        compiled generators against eager ones

Each method and precision has a process of its own. It measures the unit with the C library's default allocation, as any
program has it; then as the training engine allocates (`keep_freed_memory`), alternating with the step. Minima of the
repeats. The share outside the convolutions is of self time in one profiled step; the peak of resident memory is that
over the process before the method is built. With paired methods both sides of the batch are one pair.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from saropt.methods import Batch, Method, get_method
from saropt.networks import build_network
from saropt.training.devices import fuse_steps, keep_freed_memory

SIDE = 256
DEFAULT = ("pix2pix", "cyclegan", "cut", "cran", "sgcl")
ARGUMENTS = {"sgcl": {"guidance": "kmeans"}}
CONVOLUTIONS = ("convolution", "conv2d", "mkldnn_convolution", "slow_conv")


def build(name: str) -> tuple[Method, dict]:
    """A method and its optimizers, which step as in the training engine."""
    cls = get_method(name)
    method = cls(cls.config_type(**ARGUMENTS.get(name, {})), {"sar": 3, "optical": 3}).train()
    optimizers = method.optimizers()
    fuse_steps(optimizers.values(), torch.device("cpu"))
    return method, optimizers


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


def peak() -> float:
    """Peak resident MB of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def measure(name: str, precision: str, threads: int, repeats: int) -> str:
    """The table's row."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = build_network("resnet", 3, 3).eval()
    image = torch.rand(1, 3, SIDE, SIDE) * 2 - 1

    def unit() -> float:
        with torch.inference_mode():
            return min(timed(lambda: network(image)) for _ in range(2))

    default = min(unit() for _ in range(repeats))
    keep_freed_memory()
    before = peak()
    method, optimizers = build(name)
    batch = Batch({"sar": image, "optical": torch.rand(1, 3, SIDE, SIDE) * 2 - 1})
    step(method, optimizers, batch, precision)
    units, steps = [], []
    for _ in range(repeats):
        units.append(unit())
        steps.append(timed(partial(step, method, optimizers, batch, precision)))
    memory = peak() - before
    share = outside_convolutions(method, optimizers, batch, precision)
    fastest = min(steps)
    return (
        f"| {name} | {precision} | {fastest / default:.1f} | {fastest / min(units):.1f} | {share:.0%} | {memory:.0f} "
        f"| {default:.3f} |"
    )


def compare_compiled(name: str, precision: str, threads: int, repeats: int) -> str:
    """The row of the other table: steps with compiled and with eager generators, alternating, minima."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    keep_freed_memory()
    method, optimizers = build(name)
    for generator in set(method.generators().values()):
        generator.compile()
    batch = Batch({role: torch.rand(1, 3, SIDE, SIDE) * 2 - 1 for role in ("sar", "optical")})
    act = partial(step, method, optimizers, batch, precision)
    first = timed(act)
    eager, compiled = [], []
    for _ in range(repeats):
        compiled.append(timed(act))
        with torch.compiler.set_stance("force_eager"):
            eager.append(timed(act))
    return f"| {name} | {precision} | {min(eager):.2f} | {min(eager) / min(compiled):.2f} | {first:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=DEFAULT)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--precision", nargs="+", default=["32-true", "bf16-mixed"])
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    if arguments.compile:
        act, columns = compare_compiled, "eager s | times as fast compiled | first step s"
    else:
        act, columns = measure, "units | units, allocated alike | outside convolutions | peak MB | s per unit"
    print(f"| method | precision | {columns} |\n|{'---|' * (columns.count('|') + 3)}", flush=True)
    spawn = multiprocessing.get_context("spawn")
    for name in arguments.methods:
        for precision in arguments.precision:
            with spawn.Pool(1) as process:
                row = process.apply(act, (name, precision, arguments.threads, arguments.repeats))
            print(row, flush=True)


if __name__ == "__main__":
    main()
