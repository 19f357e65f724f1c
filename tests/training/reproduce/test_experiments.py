"""The table of experiments: names, recipes and splits fit together."""

import pytest

from leadline.errors import LeadlineError
from leadline.training.reproduce.experiments import EXPERIMENTS, REFERENCE, STUDIES, TABLE_1, choose_experiments
from leadline.training.settings import RunSettings, resolve_settings


def settings_of(name: str) -> RunSettings:
    experiment = EXPERIMENTS[name]
    return resolve_settings(experiment.recipe, experiment.overrides)


def test_no_name_means_table_1_in_its_order() -> None:
    assert [it.name for it in choose_experiments([])] == ["cae", "unet", "xception", "densenet"] == list(TABLE_1)


def test_studies_and_experiments_mix_without_doubles() -> None:
    names = [it.name for it in choose_experiments(["densenet", "table1", "cae-official"])]
    assert names == ["densenet", "cae", "unet", "xception", "cae-official"]


def test_an_unknown_experiment_names_the_nearest() -> None:
    with pytest.raises(LeadlineError, match=r"did you mean 'densenet'\?"):
        choose_experiments(["densnet"])


def test_experiments_have_folders_of_their_own() -> None:
    assert len(EXPERIMENTS) == sum(map(len, STUDIES.values()))


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_is_tested_on_the_split_that_it_trains_by(name: str) -> None:
    assert EXPERIMENTS[name].split == f"{settings_of(name).data.split}/test"


@pytest.mark.parametrize("name", [*TABLE_1, *(f"{name}-official" for name in TABLE_1), REFERENCE])
def test_what_defines_the_report_is_kept(name: str) -> None:
    settings = settings_of(name)
    assert (settings.loss.gradient, settings.loss.ssim, settings.loss.l1) == (1.5, 1.0, 0.2)
    assert (settings.loss.log_l1, settings.loss.silog, settings.loss.log_gradient) == (0, 0, 0)
    head = settings.model.head
    assert (head.kind, head.min_depth_m, head.max_depth_m) == ("tanh", 0.5, 4.0)
    assert not settings.init


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("ablation-seed-1", {"seed"}),
        ("ablation-seed-2", {"seed"}),
        ("ablation-l1", {"loss"}),
        ("ablation-densedepth-loss", {"loss"}),
        ("ablation-no-gradient", {"loss"}),
        ("ablation-no-skips", {"model.decoder"}),
        ("ablation-scratch", {"model.encoder", "optimizer"}),
        ("ablation-range-10", {"model.head"}),
    ],
)
def test_an_ablation_changes_one_thing(name: str, changed: set[str]) -> None:
    reference, ablation = settings_of(REFERENCE).model_dump(), settings_of(name).model_dump()
    found = {key for key in reference if key != "model" and reference[key] != ablation[key]}
    found |= {f"model.{key}" for key in reference["model"] if reference["model"][key] != ablation["model"][key]}
    assert found == changed
