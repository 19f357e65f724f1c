"""Model cards: what a checkpoint is, in words, from what was recorded when it was trained."""

from itertools import count
from pathlib import Path
from typing import Any

from leadline.evaluation import METRICS
from leadline.models import NO_WEIGHTS
from leadline.training.progress import Place
from leadline.training.settings import RunSettings


def model_card(record: dict[str, Any]) -> str:
    """Markdown that says what a checkpoint started from, saw and scored.

    Args:
        record: recipe, data, settings, validation row; "averaged", where it is the mean of several; "encoder_licence",
            where it is known; "trained", the `Place` at which it was kept, where it is known; "error_factor", where its
            expected errors were multiplied; "scale_gain", where its factor of depth was enlarged; "focal_gain",
            where metres follow the focal length more than in proportion; "stages", see `stage_record`, where there were
            several; "remark", what else is to be known of how it was made; and, where it was tested, "tests": a list of
            `metrics.json` contents.
    """
    settings = record["settings"]
    model, data = settings["model"], settings["data"]
    head = model["head"]
    network = model["encoder"]["name"] + " + decoder" if model["network"] == "encoder-decoder" else model["network"]
    focal = f"{model['focal_px']:.1f} px" if model["focal_px"] else "unknown"
    radius_px = model.get("edge_radius_px", 0)
    edges = f"- Edges are made sharp by the picture's shades, within {radius_px:g} px of 640×480."
    factor = record.get("error_factor", 1.0)
    errors = f"- Errors are expected {factor:g} times as large as it learnt on its training pictures."
    gain = record.get("scale_gain", 0.0)
    larger = f"- A large factor of depth has up to {gain:.0%} more in its mean logarithm than it learnt."
    lens = record.get("focal_gain", 0.0)
    power = f"- Metres follow the focal length to the power of {1 + lens:g}."
    lines = [
        f"# {record['recipe'] or 'depth model'}",
        "",
        f"Metric depth from one picture: {network}, {head['kind']} head.",
        "",
        f"- Answers metres along the optical axis, {head['min_depth_m']}–{head['max_depth_m']} m.",
        f"- Works at {model['height']}×{model['width']} pixels; focal length of the training pictures there: {focal}.",
        *([edges] if radius_px else []),
        f"- Encoder weights started from: {_encoder_origin(record)}.",
        f"- Trained on: {record['data']}, split `{data['split']}` (seed {data['split_seed']}), "
        + (_in_stages(record) if record.get("stages") else _at_a_stretch(record)),
        *([f"- {record['remark']}"] if record.get("remark") else []),
        *([errors] if factor != 1 else []),
        *([larger] if gain else []),
        *([power] if lens else []),
        "- Fails where pictures are unlike these: other kinds of place, depths outside the range, mirrors and glass, "
        "and cameras of another focal length unless it is given.",
        "",
    ]
    if record.get("validation"):
        lines += _table("Validation pictures, own size, per image", [("validation", record["validation"])])
    for test in record.get("tests", []):
        title = f"`{test['data']}`, `{test['split']}`, protocol `{test['protocol']}`, {test['num_images']} pictures"
        lines += _table(title, [("per image", test["per_image"]), ("pooled", test["pooled"])])
    return "\n".join(lines) + "\n"


def stage_record(settings: RunSettings) -> dict[str, Any]:
    """What the card of a run of several stages says of one of them."""
    own = settings.model_dump(include={"epochs", "max_steps", "runs", "restore_encoder"})
    seen = {"beside": list(settings.data.beside), "rendered": settings.data.rendered}
    own |= {"taught_alone": _taught_alone(settings.model_dump()), **seen}
    return {**own, "height": settings.model.height, "width": settings.model.width}


def _in_stages(record: dict[str, Any]) -> str:
    """Every stage, first to last, and when the last one's weights were kept."""
    stages = record["stages"]
    lines = [f"in {len(stages)} stages, each from the weights of the one before:", "", *map(_stage, count(1), stages)]
    kept = [f"- The last stage's weights were {_trained(record)}."] if record.get("trained") else []
    return "\n".join([*lines, "", *kept]).rstrip()


def _stage(number: int, stage: dict[str, Any]) -> str:
    epochs = "1 epoch" if stage["epochs"] == 1 else f"{stage['epochs']} epochs"
    size = f" at {stage['height']}×{stage['width']}"
    limit = f", of at most {stage['max_steps']} steps" if stage["max_steps"] > 0 else ""
    alone = f", of {stage['taught_alone']} alone" if stage["taught_alone"] else ""
    beside = _beside(stage)
    back = f", the encoder first {stage['restore_encoder']:.0%} of the way back to the weights it started from"
    mean = f"; the mean of the weights of {stage['runs']} runs"
    return (
        f"  {number}. {epochs}{size}{limit}{alone}{beside}"
        f"{back if stage['restore_encoder'] else ''}{mean if stage['runs'] > 1 else ''}"
    )


def _at_a_stretch(record: dict[str, Any]) -> str:
    """What was done, where it started, and what became of it."""
    settings = record["settings"]
    share = settings.get("restore_encoder", 0)
    restored = f"- Before training its encoder went {share:.0%} of the way back to the weights it started from."
    alone = _taught_alone(settings)
    beside = _beside(settings["data"])
    lines = [
        f"{_trained(record)}{f', of {alone} alone' if alone else ''}{beside}.",
        *([f"- Training went on from the weights of {settings['init']}."] if settings.get("init") else []),
        *([f"- Mean of the weights of {settings['runs']} runs from one start."] if settings.get("runs", 1) > 1 else []),
        *([f"- Mean of the weights of {', '.join(record['averaged'])}."] if record.get("averaged") else []),
        *([restored] if share else []),
    ]
    return "\n".join(lines)


def _beside(data: dict[str, Any]) -> str:
    """What was trained on beside the data set, folders by their names; older records lack one or the other."""
    folders = [Path(text).name for text in data.get("beside", ())]
    rendered = [f"{data['rendered']} rendered pictures"] if data.get("rendered") else []
    return f", beside {' and '.join([*folders, *rendered])}" if folders or rendered else ""


def _taught_alone(settings: dict[str, Any]) -> str:
    """What was taught, where it was not the whole model; an older record can name the expected error only."""
    if settings.get("uncertainty_only"):
        return "the expected error"
    head = settings["model"]["head"] if settings.get("freeze_network") else {}
    taught = {"scale_field": "the factor of depth", "uncertainty": "the expected error"}
    return " and ".join(words for layer, words in taught.items() if head.get(layer))


def _trained(record: dict[str, Any]) -> str:
    """What was done until these weights were kept; of an older record, only what was to be done is known."""
    settings, trained = record["settings"], record.get("trained")
    if not trained:
        return f"{settings['epochs']} epochs"
    place = Place(**trained)
    limit = f" (--max-steps {place.num_steps})" if place.num_steps == settings["max_steps"] else ""
    return f"kept after {place}{limit}"


def _encoder_origin(record: dict[str, Any]) -> str:
    weights = Path(record["settings"]["model"]["encoder"]["weights"]).name
    return (
        weights if weights == NO_WEIGHTS else f"{weights} (licence: {record.get('encoder_licence', 'see its makers')})"
    )


def _table(title: str, rows: list[tuple[str, dict[str, float]]]) -> list[str]:
    header = f"| | {' | '.join(info.label for info in METRICS.values())} |"
    body = [f"| {name} | " + " | ".join(f"{values[key]:.4f}" for key in METRICS) + " |" for name, values in rows]
    return [title, "", header, "|---" * (len(METRICS) + 1) + "|", *body, ""]
