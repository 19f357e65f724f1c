"""The command that hands a model on: `leadline export`."""

from pathlib import Path
from typing import TYPE_CHECKING

from leadline.cli.console import print_table

if TYPE_CHECKING:
    from rich.table import Table

    from leadline.export import Check


def export(model: str = "default", /, *, out: Path) -> int:
    """Write a model as a file for pictures of any size and focal length, verified against the model.

    Args:
        model: default, the name of a bundled model, a checkpoint's folder, or a run's.
        out: the file: FILE.onnx, or FILE.xml for OpenVINO, with FILE.bin beside it; what it takes and answers is
            written in it, and in docs/guides/export.md.
    """
    from leadline.export import export_model
    from leadline.io import ensure_overwritable

    files = [out] if out.suffix.lower() != ".xml" else [out, out.with_suffix(".bin")]
    ensure_overwritable(files)
    checks = export_model(model, out)
    print_table(_table(checks))
    print(f"written to {out}, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB")
    return 0


def _table(checks: "list[Check]") -> "Table":
    from rich.table import Table

    table = Table("verified with", "focal_px", "largest difference from the model")
    for check in checks:
        focal = "" if check.focal_px is None else f"{check.focal_px:.0f}"
        pictures = f"{check.num_pictures} of {check.height}×{check.width}"
        table.add_row(pictures, focal, f"{check.difference:.1e} of the depth")
    return table
