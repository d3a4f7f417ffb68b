"""A figure of a finished suite whose rows are named "METHOD, VALUE UNIT": one line per method over the values.

    python tools/plot_suite.py OUT/SUITE/results.json FIGURE.svg --metric psnr --direction sar2opt

Needs matplotlib (in the extra `train`).
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from pathlib import Path

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot

NAME = re.compile(r"^(?P<method>.+), (?P<value>[\d.]+) (?P<unit>\S+)$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("figure", type=Path)
    parser.add_argument("--metric", nargs="+", default=["psnr"])
    parser.add_argument("--direction", default="sar2opt")
    arguments = parser.parse_args()
    table = json.loads(arguments.results.read_text(encoding="utf-8"))
    figure, axes = pyplot.subplots(1, len(arguments.metric), figsize=(4.6 * len(arguments.metric), 3.4), squeeze=False)
    for axis, metric in zip(axes[0], arguments.metric, strict=True):
        lines: dict[str, list[tuple[float, float]]] = defaultdict(list)
        unit = ""
        for row in table["rows"]:
            found = NAME.match(row["name"])
            cell = row["cells"].get(arguments.direction, {}).get(metric)
            if found and cell:
                unit = found["unit"]
                lines[found["method"]].append((float(found["value"]), cell["mean"]))
            elif row["name"] in ("train_mean", "train_mean, data 1") and cell:
                axis.axhline(cell["mean"], color="grey", linestyle=":", linewidth=1, label="train mean")
        for method, points in lines.items():
            axis.plot(*zip(*sorted(points), strict=True), marker="o", label=method)
        axis.set_xlabel(f"misregistration of the training pairs, {unit}")
        axis.set_ylabel(metric.replace("_", " "))
        axis.grid(alpha=0.3)
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    arguments.figure.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.figure, metadata={"Date": None})


if __name__ == "__main__":
    main()
