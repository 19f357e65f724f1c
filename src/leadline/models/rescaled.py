"""Copies of checkpoints that answer their metres times a scale. Free of torch, as no weight is touched."""

import shutil
from pathlib import Path
from typing import Any

from leadline.io import atomic_folder
from leadline.models.checkpoint_files import CARD, CONFIG, GRAPH, WEIGHTS, read_config, read_settings, write_json


def save_rescaled(source: Path, folder: Path, scale: float, how: dict[str, Any], note: str) -> None:
    """Write a copy of a checkpoint that answers its metres times a scale.

    The answer of every head is proportional to the two ends of its range (`leadline.models.heads.CURVES`), so that
    the scale goes there and the weights stay: whatever loads the copy has the scale in it.

    Args:
        source: a checkpoint.
        folder: where to; see `ensure_checkpoint_overwritable`.
        scale: positive.
        how: how the scale came about; JSON values.
        note: the same in words, below the model card.

    Raises:
        LeadlineError: if the source is no whole checkpoint.
        OSError: if the folder cannot be written.
    """
    config, settings = read_config(source), read_settings(source)
    head = settings.head
    ends_m = {"min_depth_m": head.min_depth_m * scale, "max_depth_m": head.max_depth_m * scale}
    config["model"] = settings.model_copy(update={"head": head.model_copy(update=ends_m)}).model_dump()
    record = config.get("record", {})
    config["record"] = {**record, "calibrations": [*record.get("calibrations", []), how]}
    card = (source / CARD).read_text(encoding="utf-8") if (source / CARD).is_file() else ""
    with atomic_folder(folder) as temporary:
        for name in (WEIGHTS, GRAPH):
            if (source / name).is_file():
                shutil.copyfile(source / name, temporary / name)
        write_json(temporary / CONFIG, config)
        (temporary / CARD).write_text(f"{card}\n{note}\n", encoding="utf-8")
