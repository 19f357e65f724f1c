"""The command that exports a model: `leadline export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from leadline.cli.console import OUT, print_table, require_packages

if TYPE_CHECKING:
    from leadline.export import Check

_EXTRAS = {".xml": "openvino"}
"""What brings all that writing a file of that ending needs; of any other, "onnx"."""


def export(
    model: str = "default", /, *, out: Annotated[Path, OUT], precision: Literal["float32", "fp16", "int8"] = "float32"
) -> int:
    """Export a model to ONNX or OpenVINO, for images of any size and focal length, and verify it.

    Args:
        model: default, the name of a bundled model, or the folder of a checkpoint or a run.
        out: FILE.onnx, or FILE.xml for OpenVINO, which writes FILE.bin beside it; docs/guides/export.md describes
            inputs and outputs.
        precision: of the network's weights and products, for .onnx; fp16 halves the file, int8 (bundled
            models) is for processors.
    """
    require_packages("torch", extra=_EXTRAS.get(out.suffix.lower(), "onnx"))
    from leadline.export import export as export_model
    from leadline.io import ensure_overwritable

    files = [out] if out.suffix.lower() != ".xml" else [out, out.with_suffix(".bin")]
    ensure_overwritable(files)
    checks = export_model(model, out, precision)
    print_table(*_rows(checks))
    print(f"written to {out}, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB")
    return 0


def _rows(checks: "list[Check]") -> list[list[str]]:
    """A line for each check, the header first."""
    rows = [["verified with", "focal_px", "largest difference from the model"]]
    for check in checks:
        focal = "" if check.focal_px is None else f"{check.focal_px:.0f}"
        pictures = f"{check.num_pictures} of {check.height}×{check.width}"
        rows.append([pictures, focal, f"{check.difference:.1e} of the depth"])
    return rows
