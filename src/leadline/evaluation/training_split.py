"""Which part of a data set a model was trained on."""

from pathlib import Path
from typing import Any

from leadline.data import DepthDataset, ids_digest
from leadline.errors import LeadlineError
from leadline.evaluation.prediction_files import is_folder_of_maps


def trained_division(model: str | Path, data: Path, dataset: DepthDataset, selection: str) -> dict[str, Any]:
    """How a data set was divided when a model was trained on it: another way, its test would hold what it has seen.

    Args:
        model: anything that can be scored.
        data: path of the data set.
        dataset: the data set.
        selection: as `leadline.data.splits.select`.

    Returns:
        Seed and validation share, as `select` takes them; nothing if the model tells of no training on this data by
        this rule.

    Raises:
        LeadlineError: if the data set has other pictures now, which are divided another way.
    """
    if is_folder_of_maps(model):  # which spares importing the networks
        return {}
    from leadline.models import find_checkpoint, read_record, table_in

    try:
        record = read_record(find_checkpoint(model))
    except LeadlineError:  # no leadline model; or none at all, as whatever opens it will say
        return {}
    settings, (rule, _, part) = table_in(record, "settings", "data"), selection.partition("/")
    if settings.get("split") != rule or selection == "official/test":  # which is the makers' to divide
        return {}
    has_name, trained_ids = record.get("data") == data.resolve().name, record.get("data_ids")
    if trained_ids == ids_digest(dataset) or (has_name and trained_ids is None):
        division = {"seed": settings.get("split_seed"), "validation": settings.get("validation")}
        return division if all(isinstance(value, int | float) for value in division.values()) else {}
    if has_name:
        raise LeadlineError(
            f"{data} has other pictures than when {model} was trained on it, so that {selection} may hold some that it "
            f"has seen: give the list that its run kept, --split RUN/splits/{part}.txt"
        )
    return {}
