"""A run's folder: where its files are, and how far it has come by what is there."""

from pathlib import Path

import pytest

from leadline.data.catalog import open_dataset
from leadline.errors import LeadlineError
from leadline.training.run import Plan, Run, Status
from leadline.training.settings import RunSettings

IDS = {"train": ["00003", "00001"], "val": ["00002"], "test": []}


def begin(run: Run) -> None:
    run.begin(RunSettings(epochs=7), Path("rooms"), "mine", IDS)


def finish(run: Run) -> None:
    run.best.mkdir(parents=True)
    run.finish()


def save_state(run: Run) -> None:
    run.state_file.parent.mkdir(parents=True, exist_ok=True)
    run.state_file.touch()


def test_a_run_comes_from_new_to_done(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    statuses = [run.status]
    for step in (begin, save_state, finish):
        step(run)
        statuses.append(run.status)
    assert statuses == [Status.NEW, Status.BEGUN, Status.INTERRUPTED, Status.DONE]


def test_a_finished_run_without_its_model_is_not_done(tmp_path: Path) -> None:
    run = Run(tmp_path)
    begin(run)
    save_state(run)
    finish(run)
    run.best.rmdir()
    assert run.status is Status.INTERRUPTED


def test_a_run_that_is_begun_again_is_not_done(tmp_path: Path) -> None:
    run = Run(tmp_path)
    begin(run)
    finish(run)
    begin(run)
    assert run.status is Status.BEGUN


@pytest.mark.parametrize("part", ["stage-1", "stage-1/run-1", "run-1"])
def test_what_has_an_earlier_part_can_be_resumed(tmp_path: Path, part: str) -> None:
    begin(Run(tmp_path / part))
    assert Run(tmp_path).status is Status.INTERRUPTED
    finish(Run(tmp_path / part))
    assert Run(tmp_path).status is Status.INTERRUPTED


def test_the_last_stage_decides_whether_all_is_done(tmp_path: Path) -> None:
    run = Run(tmp_path)
    first, last = run.plan_stages(2)
    assert last == run
    for stage in (first, last):
        begin(stage)
    assert run.status is Status.BEGUN
    finish(last)
    assert run.status is Status.DONE


def test_a_plan_alone_is_no_run(tmp_path: Path) -> None:
    run, plan = Run(tmp_path), Plan("mine", tmp_path / "rooms", [RunSettings(epochs=2), RunSettings(epochs=1)])
    assert run.read_plan() is None
    run.write_plan(plan)
    assert (run.status, run.read_plan()) == (Status.NEW, plan)
    run.forget_plan()
    assert run.read_plan() is None


def test_stages_and_repeats_are_found_in_their_order(tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert (run.stages, run.trained) == ([run], [run])
    for number in range(1, 12):
        (tmp_path / f"stage-{number}").mkdir()
    for repeat in run.plan_repeats(2):
        repeat.folder.mkdir()
    assert [stage.folder.name for stage in run.stages[:-1]] == [f"stage-{number}" for number in range(1, 12)]
    assert [repeat.folder.name for repeat in run.trained] == ["run-1", "run-2"]
    assert run.plan_repeats(1) == []


def test_what_decides_a_run_comes_back(tmp_path: Path, rooms: Path) -> None:
    run = Run(tmp_path)
    assert run.read_record() == {} and run.read_rows() == []
    run.begin(RunSettings(epochs=7), rooms, "mine", IDS)
    assert run.read_settings() == RunSettings(epochs=7)
    record = run.read_record()
    assert (record["recipe"], record["data"], record["encoder_weights"]) == ("mine", str(rooms.resolve()), "none")
    assert run.read_splits(open_dataset(rooms)) == {"train": [0, 2], "val": [1], "test": []}
    run.metrics_file.write_text("epoch,rms\n0,0.5\n1,0.25\n")
    assert run.read_rows() == [{"epoch": 0.0, "rms": 0.5}, {"epoch": 1.0, "rms": 0.25}]


def test_settings_of_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LeadlineError, match="no run at .*: wanted a folder that 'leadline train' wrote"):
        Run(tmp_path).read_settings()


@pytest.mark.parametrize("record", [None, "[]", "{}", '{"data": null}'])
def test_a_record_that_names_no_data_set_is_one_line(tmp_path: Path, record: str | None) -> None:
    if record is not None:
        (tmp_path / "run.json").write_text(record)
    with pytest.raises(LeadlineError, match=r"run\.json is gone or does not name the data set: put it back"):
        Run(tmp_path).read_data()
    assert Run(tmp_path).read_record() in ({}, {"data": None})


def test_a_data_set_that_was_moved_is_told_with_the_file_that_names_it(tmp_path: Path, rooms: Path) -> None:
    run = Run(tmp_path / "run")
    run.begin(RunSettings(), rooms, "mine", IDS)
    assert run.read_data() == rooms.resolve()
    run.record_file.write_text('{"data": "/nowhere/rooms"}')
    with pytest.raises(
        LeadlineError, match=r"nowhere.rooms, the data set that .*run\.json names, is gone: put it back"
    ):
        run.read_data()
