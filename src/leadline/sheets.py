"""The report's sheets: best, median and worst pictures of a test set, and an even sample of it."""

from pathlib import Path

from leadline.checkpoint import load_model
from leadline.data import open_dataset
from leadline.data.sample import collate
from leadline.device import pick_device
from leadline.errors import UserError
from leadline.evaluation import evaluate, predict_batch
from leadline.figures import ScoredPicture, depth_sheet
from leadline.protocols import get_protocol


def draw_sheets(
    model: str | Path,
    data: Path,
    split: str,
    protocol: str,
    out: Path,
    num_rows: int = 4,
    show_progress: bool = False,
) -> list[Path]:
    """Evaluate a model and draw its best, median and worst pictures by relative error, and an even sample.

    Args:
        model: as `evaluate`.
        data: as `evaluate`.
        split: as `evaluate`.
        protocol: as `evaluate`.
        out: folder for the sheets, `metrics.json` and `per_image.csv`.
        num_rows: pictures on a sheet.
        show_progress: draw a progress bar.

    Returns:
        The sheets.

    Raises:
        UserError: as `evaluate`, and if `num_rows` is not positive.
    """
    if num_rows < 1:
        raise UserError(f"a sheet needs at least one row, got {num_rows}")
    report = evaluate(model, data=data, split=split, protocol=protocol, show_progress=show_progress)
    report.save(out)
    abs_rel = [row["abs_rel"] for row in report.rows()]
    ranked = sorted(
        (place for place in range(len(abs_rel)) if abs_rel[place] == abs_rel[place]), key=abs_rel.__getitem__
    )
    middle = max(0, (len(ranked) - num_rows) // 2)
    choices = {
        "best": ranked[:num_rows],
        "median": ranked[middle : middle + num_rows],
        "worst": ranked[-num_rows:][::-1],
        "sample": list(range(0, len(abs_rel), max(1, len(abs_rel) // num_rows)))[:num_rows],
    }
    dataset, rules = open_dataset(data), get_protocol(protocol)
    network = load_model(model).to(pick_device())
    paths = []
    for name, places in choices.items():
        rows = []
        for place in places:
            batch = collate([dataset[report.indices[place]]])
            pred_m = predict_batch(network, batch, rules)
            title = f"{batch.id[0]}: abs_rel {abs_rel[place]:.3f}"
            rows.append(ScoredPicture(title, batch.image[0], batch.depth_m[0], batch.valid[0], pred_m[0]))
        paths.append(out / f"{name}.png")
        depth_sheet(paths[-1], rows)
    return paths
