"""Prediction of all images of a folder or a bucket on the machines of a Ray cluster, or on this one alone.

Each of a pool of workers has the model to itself, fetches some images, predicts them as `predict_files` does on one
machine, and puts the results back. Images whose results exist are skipped, which resumes an interrupted run.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import nan
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from leadline.backends import PackedModel, open_packed, pack_model
from leadline.errors import LeadlineError
from leadline.io import (
    GivenCamera,
    RemoteFolder,
    camera_from_options,
    describe_error,
    ensure_overwritable,
    files_below,
    is_picture_below,
    natural_order,
)
from leadline.prediction import (
    FileResult,
    check_formats,
    distinct_stems,
    open_metric_backend,
    output_paths,
    predict_files,
    ray_cluster,
)

BATCH = 16
"""Images that a worker fetches at a time."""
TRANSFERS = 8
"""Files that a worker fetches or puts back at a time."""


class Job(NamedTuple):
    """One image to predict."""

    picture: str  # path below the source
    stem: str  # folder and beginning of its results' names, below the target


class Done(NamedTuple):
    """What became of one image."""

    picture: str
    near_m: float  # 2nd percentile; NaN if there is no result
    median_m: float
    far_m: float  # 98th percentile
    focal: str  # focal length and where it is from, in words
    error: str  # why there is no result; "" if there is one


def jobs_left(source: str, target: str, formats: Sequence[str]) -> tuple[list[Job], int]:
    """What is still to be predicted.

    Args:
        source: folder or bucket of images, as fsspec names it: a path, or s3://…, gs://…, abfs://….
        target: folder or bucket for the results, which mirror the source's folders.
        formats: keys of `FORMATS`.

    Returns:
        The images whose results are not all there, in natural order, and how many images are done.

    Raises:
        LeadlineError: if a format is unknown, a place cannot be looked into, or there are no images.
    """
    check_formats(formats)
    found = [PurePosixPath(path) for path in files_below(source, wanted=True)]
    pictures = sorted(filter(is_picture_below, found), key=natural_order)
    if not pictures:
        raise LeadlineError(f"no images in {source}: name a folder or a bucket that holds some")
    there = set(files_below(target, wanted=False, only_filled=True))
    jobs = [Job(str(path), str(stem)) for path, stem in zip(pictures, distinct_stems(pictures), strict=True)]
    left = [job for job in jobs if not _outputs(job.stem, formats) or not there.issuperset(_outputs(job.stem, formats))]
    return left, len(jobs) - len(left)


def predict_on_cluster(
    jobs: Sequence[Job], source: str, target: str, model: str | Path, formats: Sequence[str], **camera: Any
) -> Iterator[Done]:
    """Predict images wherever Ray finds room: a worker for each GPU of the cluster, else for each core.

    The cluster is that of the environment variable RAY_ADDRESS, or this machine alone. Its machines need leadline and
    must reach source and target; the model is sent to them.

    Args:
        jobs: the images, see `jobs_left`.
        source: as `jobs_left`.
        target: as `jobs_left`.
        model: a name or a path, as `leadline.predict` takes it.
        formats: keys of `FORMATS`.
        camera: what `camera_from_options` takes, of every image.

    Yields:
        What became of each image, in the order in which they are ready.

    Raises:
        LeadlineError: if Ray is not installed, there is no such model, it does not answer metres, or the camera is
            impossible.
        OSError: if the cluster fails.
    """
    # An impossible camera is refused here and now, and its file read, which other machines need not have.
    given = camera_from_options(**camera)
    places = RemoteFolder(source).url, RemoteFolder(target).url  # absolute, for a worker may stand elsewhere
    open_metric_backend(model)  # a damaged one is told here
    packed = pack_model(model)
    with ray_cluster() as cluster:
        data = cluster.ray.data.from_items([job._asdict() for job in jobs], override_num_blocks=-(-len(jobs) // BATCH))
        done = data.map_batches(
            _Worker,
            fn_constructor_args=(packed, *places, tuple(formats), given),
            batch_size=BATCH,
            compute=cluster.ray.data.ActorPoolStrategy(min_size=1, max_size=cluster.num_workers),
            **cluster.share,
        )
        for row in done.iter_rows():
            yield Done(**row)


class _Worker:
    """One model, which takes images from the source and puts their results into the target."""

    def __init__(
        self,
        packed: PackedModel,
        source: str,
        target: str,
        formats: Sequence[str],
        given: GivenCamera | None,
    ) -> None:
        self._source, self._target, self._formats = RemoteFolder(source), RemoteFolder(target), formats
        self._model, self._given = open_packed(packed), given

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Rows of `Job` become rows of `Done`, whatever happens: the other batches are still to be done.

        Where not one image but the batch fails, as where this machine's disk is full, its images are tried one by one.
        """
        jobs = [Job(*map(str, row)) for row in zip(batch["picture"], batch["stem"], strict=True)]
        try:
            done = self._work(jobs)
        except Exception:
            done = [self._alone(job) for job in jobs]
        return {name: [getattr(row, name) for row in done] for name in Done._fields}

    def _alone(self, job: Job) -> Done:
        try:
            return self._work([job])[0]
        except Exception as error:
            return _failed(job, f"{job.picture} cannot be predicted: {describe_error(error)}")

    def _work(self, jobs: Sequence[Job]) -> list[Done]:
        with TemporaryDirectory(prefix="leadline-") as folder, ThreadPoolExecutor(TRANSFERS) as pool:
            # Named after their results, for a floor plan's YAML names its PNG.
            names = [PurePosixPath(job.stem).name + PurePosixPath(job.picture).suffix for job in jobs]
            files = [Path(folder, "in", str(place), name) for place, name in enumerate(names)]
            mistakes = dict(zip(files, pool.map(self._fetch, jobs, files), strict=True))
            fetched = [file for file in files if not mistakes[file]]
            predicted = predict_files(
                fetched, Path(folder, "out"), self._model, formats=self._formats, camera=self._given
            )
            results = {result.path: result for result in predicted}
            return list(pool.map(partial(self._finish, results, mistakes), jobs, files))

    def _fetch(self, job: Job, file: Path) -> str:
        """Bring an image here; why that cannot be, if it cannot."""
        try:
            for name in _outputs(job.stem, self._formats):
                self._refuse_foreign(name, file.with_name(f"{file.stem}.there") / PurePosixPath(name).name)
            self._source.fetch(job.picture, file)
        except LeadlineError as error:
            return f"{job.picture}: {error}"
        except Exception as error:
            return f"{job.picture} cannot be fetched: {error if isinstance(error, OSError) else describe_error(error)}"
        return ""

    def _refuse_foreign(self, name: str, file: Path) -> None:
        if self._target.holds(name):
            self._target.fetch(name, file)
            try:
                ensure_overwritable([file])
            except LeadlineError as error:
                raise LeadlineError(str(error).replace(str(file), self._target.whole(name))) from error

    def _finish(self, results: dict[Path, FileResult], mistakes: dict[Path, str], job: Job, file: Path) -> Done:
        result = results.get(file)
        if result is None or result.summary is None:
            return _failed(job, mistakes[file] if result is None else result.error.replace(str(file), job.picture))
        try:
            for written, name in zip(result.written, _outputs(job.stem, self._formats), strict=True):
                self._target.put(written, name)
        except Exception as error:  # which may be over for the next one
            told = error if isinstance(error, OSError) else describe_error(error)
            return _failed(job, f"{job.picture}: its results cannot be written: {told}")
        return Done(job.picture, *result.summary, result.focal, "")


def _failed(job: Job, error: str) -> Done:
    return Done(job.picture, nan, nan, nan, "", error)


def _outputs(stem: str, formats: Sequence[str]) -> list[str]:
    return [path.as_posix() for path in output_paths(Path(stem), formats)]
