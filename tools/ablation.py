"""One table of several runs on val and test, as in docs/benchmarks.md.

python tools/ablation.py DATA RUN [RUN ...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from saropt.evaluation import EvaluationSpec, evaluate
from saropt.inference import Translator


def main() -> None:
    data, *runs = sys.argv[1:]
    models = []
    for run in runs:
        model = Translator.load(run)
        model.card = model.card.model_copy(update={"name": Path(run).name})
        models.append(model)
    for split in ("val", "test"):
        with tempfile.TemporaryDirectory() as folder:
            result = evaluate(EvaluationSpec(data, models, split, html=False, baselines=False), folder)
        for name, directions in result.models.items():
            scores = next(iter(directions.values()))
            figures = " | ".join(f"{scores[key]:.{digits}f}" for key, digits in (("psnr", 2), ("ssim", 3), ("mae", 4)))
            print(f"{split} | {name} | {figures} | {scores['collapse_ratio']:.2f}", flush=True)


if __name__ == "__main__":
    main()
