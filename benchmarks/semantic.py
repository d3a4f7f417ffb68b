"""The semantic contrastive loss against the plain quadratic form: peak memory and time, forward and backward.

    python benchmarks/semantic.py [--positions 4096] [--batch 2] [--width 256] [--repeats 3]

Every measurement runs in a process of its own; memory is the peak over that of the same process before the loss.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

import torch
from torch.nn import functional

from saropt.losses import class_weights, semantic_nce

TAU = 0.07
CLASSES = 6


def plain(queries: torch.Tensor, keys: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Eq. 2 of SGCL as it is written: the whole matrix of similarities."""
    similar = (queries @ keys.transpose(1, 2) / TAU).exp()
    positive = similar * (classes[:, :, None] == classes[:, None, :])
    return -(positive.sum(dim=2) / similar.sum(dim=2)).log().mean()


def ours(queries: torch.Tensor, keys: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    return semantic_nce(queries, keys, class_weights(classes, classes), TAU)


def measure(form: str, positions: int, batch: int, width: int, repeats: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(0)
    queries, keys = (
        functional.normalize(torch.randn(batch, positions, width, generator=generator), dim=2) for _ in range(2)
    )
    classes = torch.randint(CLASSES, (batch, positions), generator=generator)
    loss_of = {"plain": plain, "ours": ours}[form]
    (torch.zeros(8, 8, requires_grad=True) @ torch.zeros(8, 8)).sum().backward()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times, value = [], 0.0
    for _ in range(repeats):
        leaf = queries.clone().requires_grad_()
        start = time.perf_counter()
        loss = loss_of(leaf, keys, classes)
        loss.backward()
        times.append(time.perf_counter() - start)
        value = loss.item()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": min(times), "megabytes": (after - before) / 1024, "loss": value}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--positions", type=int, default=4096)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--form", choices=("plain", "ours"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = (arguments.positions, arguments.batch, arguments.width, arguments.repeats)
    if arguments.form:
        print(json.dumps(measure(arguments.form, *sizes)))
        return
    found = {}
    for form in ("plain", "ours"):
        command = [sys.executable, __file__, *sys.argv[1:], "--form", form]
        found[form] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    print(f"{arguments.positions} queries and keys, batch {arguments.batch}, {arguments.width} wide")
    for form, figures in found.items():
        print(f"{form:6} {figures['seconds']:6.2f} s {figures['megabytes']:8.0f} MB  loss {figures['loss']:.6f}")
    memory = found["plain"]["megabytes"] / max(found["ours"]["megabytes"], 1e-9)
    print(f"plain / ours: time {found['plain']['seconds'] / found['ours']['seconds']:.2f}, memory {memory:.1f}")


if __name__ == "__main__":
    main()
