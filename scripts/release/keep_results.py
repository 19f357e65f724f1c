r"""Copy what `leadline reproduce` wrote into the repository: tables, curves, settings and rows.

No weights, and no sheets: those show the data set's pictures, which are not ours to pass on.

    python scripts/release/keep_results.py OUT research/results/table1

Of each experiment: settings.toml, metrics.csv and curves.png of each stage and run, cost.json, and metrics.json and
per_image.csv of each protocol.
"""

import argparse
import shutil
from pathlib import Path

from leadline.io.atomic import atomic_folder
from leadline.training.reproduce.page import write_page
from leadline.training.run import Run
from leadline.training.settings import write_settings

RUNS = ("*", "*/stage-*", "*/run-*", "*/stage-*/run-*")
KEPT = (
    *(f"{run}/{name}" for run in RUNS for name in ("metrics.csv", "curves.png")),
    *("*/cost.json", "*/*/metrics.json", "*/*/per_image.csv"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    with atomic_folder(arguments.target) as folder:
        for path in (path for pattern in KEPT for path in arguments.source.glob(pattern)):
            target = folder / path.relative_to(arguments.source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        for run in (Run(path) for pattern in RUNS for path in arguments.source.glob(pattern)):
            if run.has_begun:
                _copy_settings(run, folder / run.settings_file.relative_to(arguments.source))
        write_page(folder)
    print(f"{sum(path.stat().st_size for path in arguments.target.rglob('*') if path.is_file()) / 1e6:.1f} MB")


def _copy_settings(run: Run, target: Path) -> None:
    """Names tell where weights came from; their paths tell nothing to anyone else."""
    settings = run.read_settings()
    encoder = settings.model.encoder.model_copy(update={"weights": Path(settings.model.encoder.weights).name})
    model = settings.model.model_copy(update={"encoder": encoder})
    write_settings(target, settings.model_copy(update={"model": model, "init": Path(settings.init).name}))


if __name__ == "__main__":
    main()
