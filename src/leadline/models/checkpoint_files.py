"""The files of a checkpoint and where checkpoints are. Free of torch, so that they can be listed at once."""

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leadline.errors import LeadlineError, brief, unknown_name
from leadline.io import as_record, format_json, or_nearest, read_json, require_only, restore_folder
from leadline.models.settings import ModelSettings

BUNDLE = Path(__file__).parents[1] / "bundled"
DEFAULT = "base"

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"
BEST = Path("checkpoints", "best")
"""Where a run keeps its best checkpoint."""
GRAPH = "network.onnx"
"""The network without its weights, for onnxruntime; a checkpoint need not have it."""
INT8_GRAPH, INT8_SITES = "network.int8.onnx", "network.int8.safetensors"
"""The same with 8-bit products, and how the weights become theirs; a checkpoint need not have them."""
TRANSPOSED = ".T"
"""Behind a weight's name in the graph: the rows and columns of the checkpoint's change places."""
FILES = (WEIGHTS, CONFIG, CARD, GRAPH, INT8_GRAPH, INT8_SITES)
"""All that a checkpoint can hold."""
MAX_WEIGHT = 1e9
"""No weight or running variance of a network that works comes near: a flipped bit of an exponent goes beyond."""
SCALE_SUFFIX = ".int8_scale"
"""Behind a tensor's name: the scales of its integers, see `leadline.models.quantization.quantize`."""
GROUP = 32
"""Weights that share a scale. Rows of a transformer hold single weights a hundred times as large as the rest, beside
which a scale for the whole row would round the others away: depth of `fast` became 6 % larger, on the average."""
FORMAT = 1


def read_config(folder: Path) -> dict[str, Any]:
    """Read a checkpoint's `config.json`.

    Raises:
        LeadlineError: if it is missing, no JSON or not what `save_checkpoint` writes.
    """
    try:
        config = read_json(folder / CONFIG)
    except (FileNotFoundError, NotADirectoryError) as error:
        inside = [str(run.parents[1]) for run in sorted(folder.glob("*/checkpoints/best"))]
        remedy = f"; did you mean {inside[0]!r}?" if inside else ""
        if (folder / "metrics.json").is_file():
            remedy = "; it holds scores, which compare takes: name the model itself here"
        raise LeadlineError(
            f"no checkpoint at {folder}: wanted a folder with {WEIGHTS} and {CONFIG}{remedy}"
        ) from error
    if not isinstance(config, dict) or config.get("format") != FORMAT or "model" not in config:
        raise LeadlineError(f"{folder / CONFIG} is not a leadline checkpoint of format {FORMAT}")
    return config


class GraphInfo(BaseModel):
    """What `config.json` says of the graph beside it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_depth_m: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """Nearest depth that the head could answer when the graph was made; a calibrated copy has another now."""
    weights: list[str]
    """Names of the weights that it wants, with `TRANSPOSED` behind them where rows and columns change places."""


def read_graph_info(folder: Path) -> GraphInfo:
    """Read what a checkpoint says of its graph.

    Raises:
        LeadlineError: as `read_config`, or if it has none.
    """
    graph = read_config(folder).get("graph")
    if not (folder / GRAPH).is_file() or not isinstance(graph, dict):
        raise LeadlineError(f"{folder} has no {GRAPH}, which onnxruntime needs: take --backend torch")
    return as_record(GraphInfo, graph, f"{folder / CONFIG}, graph")


def read_settings(folder: Path) -> ModelSettings:
    """Read what rebuilds a checkpoint's model.

    Raises:
        LeadlineError: as `read_config`, or if they are none of this version.
    """
    config = read_config(folder)
    try:
        return ModelSettings.model_validate(config["model"])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "model"
        told = f"{brief(where)}: {brief(first['msg'])}"
        raise LeadlineError(f"{folder / CONFIG} describes no model of this version: {told}") from error
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise LeadlineError(f"{folder / CONFIG} describes no model: {brief(error)}") from error


def require_scales(name: str, shape: Sequence[int], num_scales: int) -> None:
    """Refuse integers without their scales, which would answer all the same.

    Args:
        name: of the weights, for the message.
        shape: theirs.
        num_scales: how many there are: one for every `GROUP` weights, or for each row where it has no whole number of
            groups, as older checkpoints have for all rows.

    Raises:
        LeadlineError: if it is another number.
    """
    wanted = shape[0] if prod(shape[1:]) % GROUP else prod(shape) // GROUP
    if num_scales not in (shape[0], wanted):
        raise LeadlineError(f"{name}: whole numbers with {num_scales} scales, wanted {wanted}; copy the folder again")


def read_record(folder: Path) -> dict[str, Any]:
    """What a checkpoint records of how it came about; empty where it records nothing.

    Raises:
        LeadlineError: as `read_config`.
    """
    return table_in(read_config(folder), "record")


def table_in(values: Any, *keys: str) -> dict[str, Any]:
    """A table within nested tables of a file; empty where there is none, or something else in its place.

    Args:
        values: what the file holds.
        keys: the way to the table.
    """
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def bundled_models() -> dict[str, Path]:
    """Checkpoints that come with leadline, by name."""
    return {path.parent.name: path.parent for path in sorted(BUNDLE.glob(f"*/{CONFIG}"))}


def find_checkpoint(model: str | Path) -> Path:
    """The folder of a model.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).

    Raises:
        LeadlineError: if there is none.
    """
    bundled = bundled_models()
    name = DEFAULT if model == "default" else str(model)
    if name in bundled:
        return bundled[name]
    folder = Path(model)
    for killed in (folder, folder / BEST):
        restore_folder(killed)
    if (folder / BEST).is_dir():
        return folder / BEST
    if name.startswith("files:"):
        raise LeadlineError(
            f"{name} are predictions made elsewhere, which can only be scored: give them to evaluate, compare, report "
            "or figure, and name a model here"
        )
    if folder.is_file():
        raise LeadlineError(f"unknown model {name!r}: it is a file, wanted a folder{_or_folder_of(folder)}")
    if not folder.is_dir():
        beside = or_nearest(folder) if folder.parent != Path() else ""
        raise LeadlineError(f"{unknown_name('model', name, ['default', *bundled])}{beside}")
    return folder


def _or_folder_of(file: Path) -> str:
    """Which folder is likely meant by a file that lies in a checkpoint or a run, for a message."""
    above = [file.parent, file.parent / ".."] if file.parent == Path() else list(file.parents)[:2]
    meant = [folder for folder in above if (folder / CONFIG).is_file() or (folder / BEST).is_dir()]
    return f"; did you mean {str(meant[0])!r}?" if meant else ""


def ensure_checkpoint_overwritable(folder: Path, source: Path) -> None:
    """Refuse to write a checkpoint where something else is, or onto the one it is made from.

    Args:
        folder: where a checkpoint is to be written.
        source: what it is made from.

    Raises:
        LeadlineError: if the folder holds anything but another checkpoint's files, or is a file.
    """
    if folder.resolve() == source.resolve():
        raise LeadlineError(f"{folder} is the model itself, which is kept as it is: name another folder")
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not _is_checkpoint(folder)):
        raise LeadlineError(f"{folder} holds something else than a checkpoint: name a new or an empty folder")
    require_only(folder, FILES)


def _is_checkpoint(folder: Path) -> bool:
    try:
        read_config(folder)
    except LeadlineError:
        return False
    return True


def write_json(path: Path, config: dict[str, Any]) -> None:
    """Write what a checkpoint's `config.json` holds."""
    path.write_text(format_json(config), encoding="utf-8")
