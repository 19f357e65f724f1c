from typing import Any

import pytest

from leadline.evaluation.metrics import METRICS
from leadline.training.model_card import model_card, stage_record
from leadline.training.settings import RunSettings, merge

SETTINGS: dict[str, Any] = {
    "epochs": 12,
    "data": {"split": "scene", "split_seed": 7},
    "model": {
        "height": 240,
        "width": 320,
        "focal_px": 259.43,
        "encoder": {"name": "densenet169", "weights": "densenet169.tv_in1k"},
        "head": {"kind": "tanh", "min_depth_m": 0.6, "max_depth_m": 7.5},
    },
}


def scores(start: float) -> dict[str, float]:
    """A different number for every metric."""
    return {name: start + index / 100 for index, name in enumerate(METRICS)}


def record(**changes: Any) -> dict[str, Any]:
    """What training records; `model`, if given, replaces some of the model's settings."""
    settings = {**SETTINGS, "model": {**SETTINGS["model"], **changes.pop("model", {})}}
    dumped = RunSettings.model_validate(settings).model_dump()
    return {"recipe": "my-rooms", "data": "nyu-v2-labelled", "settings": dumped, "validation": {}, **changes}


TEST = {
    "model": "runs/a",
    "data": "nyu-v2-labelled",
    "split": "official/test",
    "protocol": "nyu-eigen",
    "num_images": 654,
    "per_image": scores(0.1),
    "pooled": scores(0.5),
}


def cells(card: str, row: str) -> list[str]:
    """The numbers of the table's row of this name."""
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {row} |")]
    return line.strip("| ").split(" | ")[1:]


@pytest.mark.parametrize(
    "words",
    [
        "# my-rooms\n",
        "densenet169 + decoder, tanh head",
        "metres along the optical axis, 0.6–7.5 m",
        "240×320 pixels",
        "focal length of the training pictures there: 259.4 px",
        "Encoder weights started from: densenet169.tv_in1k (licence: BSD-3-Clause).",
        "Trained on: nyu-v2-labelled, split `scene` (seed 7), 12 epochs.",
    ],
)
def test_what_a_card_says(words: str) -> None:
    assert words in model_card(record(encoder_licence="BSD-3-Clause"))


def test_it_is_text_that_ends_with_a_line() -> None:
    card = model_card(record(validation=scores(0), tests=[TEST]))
    assert card.startswith("# ") and card.endswith("\n")


@pytest.mark.parametrize("network", ["cae", "unet"])
def test_a_plain_network_goes_by_its_name(network: str) -> None:
    card = model_card(record(model={"network": network, "encoder": {}}))
    assert f"one picture: {network}, tanh head" in card
    assert "densenet" not in card and "+ decoder" not in card


def test_what_is_not_known_is_said() -> None:
    card = model_card(record(recipe="", model={"focal_px": None, "encoder": {"name": "densenet121"}}))
    assert card.startswith("# depth model\n")
    assert "pictures there: unknown." in card
    assert "started from: none." in card


def test_a_path_of_the_makers_machine_is_not_told() -> None:
    card = model_card(record(model={"encoder": {"weights": "/home/someone/weights/densenet.safetensors"}}))
    assert "densenet.safetensors" in card
    assert "/home/someone" not in card


def test_the_numbers_of_a_test_stand_under_its_protocol() -> None:
    card = model_card(record(tests=[TEST]))
    assert "`nyu-v2-labelled`, `official/test`, protocol `nyu-eigen`, 654 pictures" in card
    assert cells(card, "per image") == [f"{value:.4f}" for value in scores(0.1).values()]
    assert cells(card, "pooled") == [f"{value:.4f}" for value in scores(0.5).values()]
    assert cells(card, "per image")[:2] == ["0.1000", "0.1100"]


def test_validation_is_a_table_of_the_metrics_only() -> None:
    card = model_card(record(validation={"epoch": 3, "train_loss": 0.77, **scores(0.2)}))
    assert "Validation pictures, own size, per image" in card
    assert cells(card, "validation") == [f"{value:.4f}" for value in scores(0.2).values()]
    assert "0.77" not in card


def test_every_row_of_a_table_has_the_headers_cells() -> None:
    card = model_card(record(validation=scores(0.2), tests=[TEST, {**TEST, "protocol": "report"}]))
    tables = [line for line in card.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {len(METRICS) + 2}
    assert tables[0] == "| | " + " | ".join(info.label for info in METRICS.values()) + " |"
    assert card.index("Validation") < card.index("`nyu-eigen`") < card.index("`report`")


def test_without_numbers_there_is_no_table() -> None:
    assert "|" not in model_card(record())


def test_it_says_what_was_taught_and_changed_last() -> None:
    plain = model_card(record())
    assert "12 epochs.\n" in plain and "Errors are expected" not in plain and "factor of depth" not in plain
    assert "power" not in plain
    later = record(error_factor=1.33, scale_gain=0.4, focal_gain=0.06)
    later["settings"]["uncertainty_only"] = True
    card = model_card(later)
    assert "12 epochs, of the expected error alone.\n" in card
    later["settings"] = {**later["settings"], "uncertainty_only": False, "freeze_network": True}
    later["settings"]["model"] = merge(later["settings"]["model"], {"head": {"scale_field": True, "uncertainty": True}})
    assert "12 epochs, of the factor of depth and the expected error alone.\n" in model_card(later)
    later["settings"] = merge(later["settings"], {"data": {"rendered": 40}})
    assert "the expected error alone, beside 40 rendered pictures.\n" in model_card(later)
    assert "- Errors are expected 1.33 times as large as it learnt on its training pictures.\n" in card
    assert "- A large factor of depth has up to 40% more in its mean logarithm than it learnt.\n" in card
    assert "- Metres follow the focal length to the power of 1.06.\n" in card


def test_a_card_says_that_the_encoder_went_back() -> None:
    restored = record()
    restored["settings"]["restore_encoder"] = 0.6
    line = "- Before training its encoder went 60% of the way back to the weights it started from.\n"
    assert line in model_card(restored)
    assert "way back" not in model_card(record())


def test_a_card_says_that_edges_are_made_sharp() -> None:
    card = model_card(record(model={"edge_radius_px": 2.5}))
    assert "- Edges are made sharp by the picture's shades, within 2.5 px of 640×480.\n" in card
    assert "Edges" not in model_card(record())


TRAINED = {"epoch": 2, "num_epochs": 3, "step": 16, "num_steps": 24}


@pytest.mark.parametrize(
    ("max_steps", "words"),
    [
        (-1, "(seed 7), kept after step 16 of 24 in epoch 2 of 3.\n"),
        (24, "(seed 7), kept after step 16 of 24 in epoch 2 of 3 (--max-steps 24).\n"),
        (999, "(seed 7), kept after step 16 of 24 in epoch 2 of 3.\n"),  # which ended nothing
    ],
)
def test_a_card_says_what_was_done_not_what_was_planned(max_steps: int, words: str) -> None:
    ran = record(trained=TRAINED)
    ran["settings"]["max_steps"] = max_steps
    card = model_card(ran)
    assert words in card and "12 epochs" not in card


def stage(**changes: Any) -> dict[str, Any]:
    return stage_record(RunSettings.model_validate({**SETTINGS, **changes}))


ALONE = {
    "freeze_network": True,
    "data": {"beside": ["captures/desk*4"], "rendered": 40},
    "model": merge(SETTINGS["model"], {"head": {"uncertainty": True}}),
}


def test_a_card_of_stages_says_every_one_of_them() -> None:
    ran = record(
        trained={"epoch": 1, "num_epochs": 1, "step": 3, "num_steps": 9},
        remark="Run by hand.",
        stages=[stage(), stage(epochs=1, max_steps=5, runs=2, restore_encoder=0.6), stage(**ALONE)],
    )
    ran["settings"] |= {"init": "stage-2", "restore_encoder": 0.5, "runs": 2}  # the last one's, told with it
    lines = model_card(ran).splitlines()
    first = next(number for number, line in enumerate(lines) if "Trained on" in line)
    assert lines[first : first + 8] == [
        "- Trained on: nyu-v2-labelled, split `scene` (seed 7), in 3 stages, each from the weights of the one before:",
        "",
        "  1. 12 epochs at 240×320",
        "  2. 1 epoch at 240×320, of at most 5 steps, the encoder first 60% of the way back to the weights it started "
        "from; the mean of the weights of 2 runs",
        "  3. 12 epochs at 240×320, of the expected error alone, beside desk*4 and 40 rendered pictures",
        "",
        "- The last stage's weights were kept after step 3 of 9 in epoch 1 of 1.",
        "- Run by hand.",
    ]
    assert "went on from" not in model_card(ran) and "Mean of" not in model_card(ran)
