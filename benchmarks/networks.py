"""Size, arithmetic, time and memory of every translating network on 256x256 tiles, as a Markdown table.

    python benchmarks/networks.py table         the networks with their papers' arguments
    python benchmarks/networks.py attention     fused against plain window attention
    python benchmarks/networks.py recompute     training steps with and without engine.checkpoint_activations

Every row is measured in a process of its own, in fp32: minima of the repeats. Seconds are processor seconds of one
thread, which other work on the machine delays but does not add to; memory is the peak resident size less that before
the network was built. A training step is forward, backward and Adam on an L1 loss, batch of one; a method adds its
discriminators to it. Multiply-accumulates count transposed convolutions on their input. Needs `saropt[train]`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

SIDE = 256
TRAINED_SIDE = {"hat": 128}  # its training at 256 takes four times the memory, more than a small machine has
NETWORKS: dict[str, tuple[str, dict]] = {
    "naf_unet (compact)": ("naf_unet", {}),
    "resnet (CycleGAN)": ("resnet", {}),
    "resnet, antialiased (CUT)": ("resnet", {"antialias": True}),
    "unet_256 (pix2pix)": ("unet_256", {}),
    "cran": ("cran", {}),
    "cran_unet": ("cran_unet", {}),
    "cran_cyclegan": ("cran_cyclegan", {}),
    "s2oformer": ("s2oformer", {}),
    "hat": ("hat", {}),
}
ATTENTION = {
    f"{name}, {kind}": (name, {"attention": kind}) for name in ("s2oformer", "hat") for kind in ("fused", "plain")
}


def fastest(action: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return min(times)


def peak() -> float:
    """Peak resident memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def measure(network: str, arguments: dict, what: str, repeats: int) -> dict[str, float]:
    """One row's part: "translate", "train", or "recompute" (train with recomputed blocks), 2 -> 3 bands."""
    import torch
    from torch.nn import functional
    from torch.utils.flop_counter import FlopCounterMode

    from saropt.networks import build_network, network_arguments
    from saropt.training.devices import keep_freed_memory
    from saropt.training.generators import recompute_blocks

    torch.set_num_threads(1)
    torch.manual_seed(0)
    before = peak()
    module = build_network(network, 2, 3, **arguments)
    side = SIDE if what == "translate" else TRAINED_SIDE.get(network, SIDE)
    image = torch.rand(1, 2, side, side) * 2 - 1
    if what == "translate":
        module.eval()
        with torch.inference_mode():
            seconds = fastest(lambda: module(image), repeats + 1)
        memory = peak() - before
        # the counter knows products of matrices, but not every kernel of fused attention
        counted = {**arguments, "attention": "plain"} if "attention" in network_arguments(network) else arguments
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            build_network(network, 2, 3, **counted).eval()(torch.empty(1, 2, SIDE, SIDE))
        parameters = sum(p.numel() for p in module.parameters())
        return {
            "parameters": parameters,
            "gmac": counter.get_total_flops() / 2e9,
            "seconds": seconds,
            "memory": memory,
        }
    keep_freed_memory()  # as the training engine does
    if what == "recompute":
        recompute_blocks(module)
    target = torch.rand(1, 3, side, side) * 2 - 1
    optimizer = torch.optim.Adam(module.parameters())

    def step() -> None:
        optimizer.zero_grad()
        functional.l1_loss(module(image), target).backward()
        optimizer.step()

    return {"seconds": fastest(step, repeats + 1), "memory": peak() - before}


def part(network: str, arguments: dict, what: str, repeats: int) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "one", network, json.dumps(arguments), what, "--repeats", str(repeats)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def recompute(rows: dict[str, tuple[str, dict]], repeats: int) -> None:
    print("| network | train s | MB | recomputed s | MB |", flush=True)
    print("|---|---|---|---|---|", flush=True)
    for title, (network, arguments) in rows.items():
        kept, again = (part(network, arguments, what, repeats) for what in ("train", "recompute"))
        print(
            f"| {title}, {TRAINED_SIDE.get(network, SIDE)} px | {kept['seconds']:.2f} | {kept['memory']:.0f} "
            f"| {again['seconds']:.2f} | {again['memory']:.0f} |",
            flush=True,
        )


def table(rows: dict[str, tuple[str, dict]], repeats: int) -> None:
    print("| network | parameters | GMAC | translate s | MB | train s | MB |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    for title, (network, arguments) in rows.items():
        run, train = (part(network, arguments, what, repeats) for what in ("translate", "train"))
        side = TRAINED_SIDE.get(network)
        note = f" ({side}x{side})" if side else ""
        print(
            f"| {title} | {run['parameters']:,} | {run['gmac']:.1f} | {run['seconds']:.2f} | {run['memory']:.0f} "
            f"| {train['seconds']:.2f}{note} | {train['memory']:.0f}{note} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["table", "attention", "recompute", "one"])
    parser.add_argument("one", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--only", default="", help="rows whose title holds this")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.what == "one":
        network, arguments, what = options.one
        print(json.dumps(measure(network, json.loads(arguments), what, options.repeats)))
        return
    rows = ATTENTION if options.what == "attention" else NETWORKS
    chosen = {title: row for title, row in rows.items() if options.only in title}
    (recompute if options.what == "recompute" else table)(chosen, options.repeats)


if __name__ == "__main__":
    main()
