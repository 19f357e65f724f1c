"""What `leadline reproduce` trains: the report's table, the same without shared scenes, and ablations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from leadline.errors import unknown_name

TABLE_1: dict[str, dict[str, float]] = {
    name: dict(zip(("delta1", "delta2", "delta3", "abs_rel", "rms", "log10"), values, strict=True))
    for name, values in {
        "cae": (0.501, 0.787, 0.923, 0.299, 1.106, 0.123),
        "unet": (0.478, 0.767, 0.911, 0.338, 1.123, 0.129),
        "xception": (0.674, 0.898, 0.975, 0.203, 0.870, 0.085),
        "densenet": (0.714, 0.918, 0.981, 0.180, 0.847, 0.0769),
    }.items()
}
"""The report's Table 1, by experiment."""

TITLES = {
    "cae": "Convolutional autoencoder",
    "unet": "U-Net",
    "xception": "Xception + decoder",
    "densenet": "DenseNet + decoder",
}


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One training and its scoring."""

    name: str
    """Its folder."""
    title: str
    recipe: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Nested settings that replace the recipe's."""
    split: str = "report/test"
    """The pictures it is scored on."""
    protocols: tuple[str, ...] = ("report", "report-in-range")


REFERENCE = "ablation"
"""The ablation that the others are compared with; its seeds give the spread."""

STUDIES: dict[str, tuple[Experiment, ...]] = {
    "table1": tuple(Experiment(name=name, title=TITLES[name], recipe=f"report-{name}") for name in TABLE_1),
    "official": tuple(
        Experiment(
            name=f"{name}-official",
            title=TITLES[name],
            recipe=f"report-{name}",
            overrides={"data": {"split": "official"}},
            split="official/test",
            protocols=("report", "report-in-range", "nyu-eigen"),
        )
        for name in TABLE_1
    ),
    "ablations": (
        *(
            Experiment(name=name, title=title, recipe=REFERENCE, overrides={"seed": seed})
            for seed, (name, title) in enumerate(
                {
                    REFERENCE: "the report's: 1.5 gradient + SSIM + 0.2 L1, skips, pretrained, [0.5, 4] m",
                    "ablation-seed-1": "the same, seed 1",
                    "ablation-seed-2": "the same, seed 2",
                }.items()
            )
        ),
        *(
            Experiment(name=recipe, title=title, recipe=recipe)
            for recipe, title in {
                "ablation-l1": "loss: L1 alone",
                "ablation-densedepth-loss": "loss: DenseDepth's weights, gradient + SSIM + 0.1 L1",
                "ablation-no-gradient": "loss: without the gradient term, SSIM + 0.2 L1",
                "ablation-no-skips": "no skips",
                "ablation-scratch": "encoder from scratch",
                "ablation-range-10": "range [0.5, 10] m",
            }.items()
        ),
    ),
}
EXPERIMENTS = {experiment.name: experiment for study in STUDIES.values() for experiment in study}


def choose_experiments(only: Sequence[str]) -> list[Experiment]:
    """Look up experiments.

    Args:
        only: names of experiments or of whole studies; none means Table 1.

    Returns:
        The experiments, each once.

    Raises:
        LeadlineError: if a name is neither.
    """
    chosen: dict[str, Experiment] = {}
    for name in only or ["table1"]:
        if name not in STUDIES and name not in EXPERIMENTS:
            raise unknown_name("experiment", name, [*STUDIES, *EXPERIMENTS])
        for experiment in STUDIES.get(name) or (EXPERIMENTS[name],):
            chosen[experiment.name] = experiment
    return list(chosen.values())
