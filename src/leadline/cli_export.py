"""The command that hands a model on: `leadline export`."""

from pathlib import Path
from typing import TYPE_CHECKING

from leadline.cli_evaluate import print_table

if TYPE_CHECKING:
    from rich.table import Table

    from leadline.export import Check


def export(model: str = "default", /, *, out: Path) -> int:
    """Write a model as an ONNX file for pictures of any size and focal length, verified against the model.

    Args:
        model: default, the name of a bundled model, a checkpoint's folder, or a run's.
        out: the file, FILE.onnx; what it takes and answers is written in it, and in docs/export.md.
    """
    from leadline.export import export_onnx
    from leadline.own_results import refuse_foreign_results

    refuse_foreign_results([out])
    checks = export_onnx(model, out)
    print_table(_table(checks))
    print(f"written to {out}, {out.stat().st_size / 1e6:.0f} MB")
    return 0


def _table(checks: "list[Check]") -> "Table":
    from rich.table import Table

    table = Table("verified with", "focal_px", "largest difference from the model")
    for check in checks:
        focal = "" if check.focal_px is None else f"{check.focal_px:.0f}"
        pictures = f"{check.num_pictures} of {check.height}×{check.width}"
        table.add_row(pictures, focal, f"{check.difference:.1e} of the depth")
    return table
