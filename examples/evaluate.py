"""Score two models on the same images under one protocol, and say which is better on each.

python examples/evaluate.py [DATA] [SPLIT] [PROTOCOL]
"""

import sys
from pathlib import Path

import leadline

EXAMPLE = Path(__file__).parent / "motorcycle"
MODELS = ("base", "fast")


def main(data: Path, split: str = "all", protocol: str = "median") -> None:
    scores = {name: leadline.evaluate(name, data=data, split=split, protocol=protocol) for name in MODELS}
    for name, evaluation in scores.items():
        means = evaluation.per_image
        print(f"{name}: abs_rel {means['abs_rel']:.3f}, delta1 {means['delta1']:.3f}, rms {means['rms']:.3f} m")

    rows = zip(scores[MODELS[0]].ids, *(evaluation.rows() for evaluation in scores.values()), strict=True)
    for image, first, second in rows:
        better = MODELS[0] if first["abs_rel"] < second["abs_rel"] else MODELS[1]
        print(f"{image}: {better} is better")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE, *sys.argv[2:])
