"""Prediction of all pictures of a folder or a bucket on the machines of a Ray cluster, or on this one alone.

Each of a pool of workers has the model to itself, fetches some pictures, does with them what `predict_files` does on
one machine, and puts the results back. What is there already is passed over, so that a run which was stopped goes on.
"""

import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from math import nan
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, NamedTuple

from leadline.camera_files import given_camera, read_camera
from leadline.checkpoint import find_checkpoint, load_model, open_model
from leadline.device import pick_device
from leadline.errors import UserError
from leadline.image_files import is_picture_below, natural_order
from leadline.many_pictures import FileResult, distinct_stems, predict_files
from leadline.own_results import refuse_foreign_results
from leadline.predicted import check_formats, output_paths
from leadline.ray_cluster import ray_cluster

BATCH = 16
"""Pictures that a worker fetches at a time."""
TRANSFERS = 8
"""Files that a worker fetches or puts back at a time."""
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"}
"""File systems without folders, in which a file is there once it is whole."""


class Job(NamedTuple):
    """One picture to predict."""

    picture: str  # path below the source
    stem: str  # folder and beginning of its results' names, below the target


class Done(NamedTuple):
    """What became of one picture."""

    picture: str
    near_m: float  # 2nd percentile; NaN if there is no result
    median_m: float
    far_m: float  # 98th percentile
    focal: str  # focal length and where it is from, in words
    error: str  # why there is no result; "" if there is one


def jobs_left(source: str, target: str, formats: Sequence[str]) -> tuple[list[Job], int]:
    """What is still to be predicted.

    Args:
        source: folder or bucket of pictures, as fsspec names it: a path, or s3://…, gs://…, abfs://….
        target: folder or bucket for the results, which mirror the source's folders.
        formats: keys of `FORMATS`.

    Returns:
        The pictures whose results are not all there, in natural order, and how many pictures are done.

    Raises:
        UserError: if a format is unknown, a place cannot be looked into, or there are no pictures.
    """
    check_formats(formats)
    found = [PurePosixPath(path) for path in _files_below(source, wanted=True)]
    pictures = sorted(filter(is_picture_below, found), key=natural_order)
    if not pictures:
        raise UserError(f"no pictures in {source}: name a folder or a bucket that holds some")
    there = set(_files_below(target, wanted=False))
    jobs = [Job(str(path), str(stem)) for path, stem in zip(pictures, distinct_stems(pictures), strict=True)]
    left = [job for job in jobs if not _outputs(job.stem, formats) or not there.issuperset(_outputs(job.stem, formats))]
    return left, len(jobs) - len(left)


def predict_on_cluster(
    jobs: Sequence[Job], source: str, target: str, model: str | Path, formats: Sequence[str], **camera: Any
) -> Iterator[Done]:
    """Predict pictures wherever Ray finds room: a worker for each GPU of the cluster, else for each core.

    The cluster is that of the environment variable RAY_ADDRESS, or this machine alone. Its machines need leadline and
    must reach source and target; the model is sent to them.

    Args:
        jobs: the pictures, see `jobs_left`.
        source: as `jobs_left`.
        target: as `jobs_left`.
        model: what `leadline.load_model` takes.
        formats: keys of `FORMATS`.
        camera: `focal_px`, `fov_deg` or `intrinsics` of every picture, as `predict_files`.

    Yields:
        What became of each picture, in the order in which they are ready.

    Raises:
        UserError: if Ray is not installed, there is no such model, or the camera is impossible.
        OSError: if the cluster fails.
    """
    given_camera(**camera)  # refuses an impossible one here and now
    if isinstance(camera.get("intrinsics"), str | Path):
        camera["intrinsics"] = read_camera(Path(camera["intrinsics"]))  # a file that other machines need not have
    places = _Place(source).url, _Place(target).url  # absolute, for a worker may stand elsewhere
    load_model(model)  # a damaged one is told here
    files = {path.name: path.read_bytes() for path in find_checkpoint(model).iterdir() if path.is_file()}
    with ray_cluster() as cluster:
        data = cluster.ray.data.from_items([job._asdict() for job in jobs], override_num_blocks=-(-len(jobs) // BATCH))
        done = data.map_batches(
            _Worker,
            fn_constructor_args=(files, *places, tuple(formats), camera),
            batch_size=BATCH,
            compute=cluster.ray.data.ActorPoolStrategy(min_size=1, max_size=cluster.num_workers),
            **cluster.share,
        )
        for row in done.iter_rows():
            yield Done(**row)


class _Worker:
    """One model, which takes pictures from the source and puts their results into the target."""

    def __init__(
        self,
        checkpoint: dict[str, bytes],
        source: str,
        target: str,
        formats: Sequence[str],
        camera: dict[str, Any],
    ) -> None:
        with TemporaryDirectory(prefix="leadline-") as folder:
            for name, content in checkpoint.items():
                Path(folder, name).write_bytes(content)
            model = open_model(folder, pick_device())
        self._source, self._target, self._formats = _Place(source), _Place(target), formats
        self._model, self._camera = model, camera

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Rows of `Job` become rows of `Done`, whatever happens: the other batches are still to be done."""
        jobs = [Job(*map(str, row)) for row in zip(batch["picture"], batch["stem"], strict=True)]
        try:
            done = self._work(jobs)
        except Exception as error:
            done = [_failed(job, f"{job.picture} cannot be predicted: {_words(error)}") for job in jobs]
        return {name: [getattr(row, name) for row in done] for name in Done._fields}

    def _work(self, jobs: Sequence[Job]) -> list[Done]:
        with TemporaryDirectory(prefix="leadline-") as folder, ThreadPoolExecutor(TRANSFERS) as pool:
            files = [Path(folder, "in", f"{place}{Path(job.picture).suffix}") for place, job in enumerate(jobs)]
            mistakes = dict(zip(files, pool.map(self._fetch, jobs, files), strict=True))
            fetched = [file for file in files if not mistakes[file]]
            predicted = predict_files(fetched, Path(folder, "out"), self._model, formats=self._formats, **self._camera)
            results = {result.path: result for result in predicted}
            return list(pool.map(partial(self._finish, results, mistakes), jobs, files))

    def _fetch(self, job: Job, file: Path) -> str:
        """Bring a picture here; why that cannot be, if it cannot."""
        try:
            for name in _outputs(job.stem, self._formats):
                self._refuse_foreign(name, file.with_name(f"{file.stem}.there") / PurePosixPath(name).name)
            self._source.fetch(job.picture, file)
        except UserError as error:
            return f"{job.picture}: {error}"
        except OSError as error:
            return f"{job.picture} cannot be fetched: {error}"
        return ""

    def _refuse_foreign(self, name: str, file: Path) -> None:
        if self._target.holds(name):
            self._target.fetch(name, file)
            try:
                refuse_foreign_results([file])
            except UserError as error:
                raise UserError(str(error).replace(str(file), self._target.whole(name))) from error

    def _finish(self, results: dict[Path, FileResult], mistakes: dict[Path, str], job: Job, file: Path) -> Done:
        result = results.get(file)
        if result is None or result.summary is None:
            return _failed(job, mistakes[file] if result is None else result.error.replace(str(file), job.picture))
        try:
            for written, name in zip(result.written, _outputs(job.stem, self._formats), strict=True):
                self._target.put(written, name)
        except OSError as error:  # which may be over for the next one
            return _failed(job, f"{job.picture}: its results cannot be written: {error}")
        return Done(job.picture, *result.summary, result.focal, "")


def _failed(job: Job, error: str) -> Done:
    return Done(job.picture, nan, nan, nan, "", error)


class _Place:
    """A folder or a bucket, and files by their paths below it."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs
        from fsspec.implementations.local import LocalFileSystem

        try:
            self._system, root = url_to_fs(url)
        except (ImportError, ValueError) as error:  # a package for it is missing, or no such protocol
            raise UserError(f"{url} cannot be reached: {error}") from error
        self._local = isinstance(self._system, LocalFileSystem)
        self._root = root.rstrip("/")
        # What other machines find it by, wherever their processes stand.
        self.url: str = self._system.unstrip_protocol(root) if self._local and "::" not in url else url
        protocols = self._system.protocol
        self._whole_or_not = not OBJECT_STORES.isdisjoint([protocols] if isinstance(protocols, str) else protocols)
        # A file system that waits for each answer has one connection, which no two threads may use at a time.
        self._turn: AbstractContextManager[Any] = nullcontext() if self._local or self._system.async_impl else Lock()

    def whole(self, name: str) -> str:
        return f"{self._root}/{name}"

    def files(self, wanted: bool) -> list[str]:
        """Paths of all files; none if there is no such place, unless it is wanted."""
        root = self._root or "/"
        with self._reached(root):
            if not self._system.exists(root):
                if wanted:
                    raise UserError(f"{root} does not exist: check the path")
                return []
            # Of the others few leave out what may not be looked into, and fewer take the word.
            found = self._system.find(root, **({"on_error": "raise"} if self._local else {}))
        if found == [root]:
            raise UserError(f"{root} is a file: name the folder or the bucket that it is in")
        return [path.removeprefix(f"{self._root}/") for path in found]

    def holds(self, name: str) -> bool:
        with self._reached(self.whole(name)):
            found: bool = self._system.exists(self.whole(name))
        return found

    def fetch(self, name: str, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._reached(self.whole(name)):
            self._system.get_file(self.whole(name), str(file))

    def put(self, file: Path, name: str) -> None:
        path = self.whole(name)
        with self._reached(path):
            if self._whole_or_not:
                self._system.put_file(str(file), path)
            else:
                self._put_under_another_name_first(file, path)

    def _put_under_another_name_first(self, file: Path, path: str) -> None:
        folder = path.rpartition("/")[0]
        temporary = f"{folder}/.{uuid.uuid4().hex}{file.suffix}"
        self._system.makedirs(folder, exist_ok=True)
        try:
            self._system.put_file(str(file), temporary)
            self._system.mv(temporary, path)
        except BaseException:
            if self._system.exists(temporary):
                self._system.rm(temporary)
            raise

    @contextmanager
    def _reached(self, path: str) -> Iterator[None]:
        """Take turns where need be; what goes wrong, of as many kinds as file systems have makers, is an OSError."""
        try:
            with self._turn:
                yield
        except UserError:
            raise
        except Exception as error:
            raise OSError(f"{path} ({_words(error)})") from error


def _words(error: Exception) -> str:
    """The kind of an error and what it says."""
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(f"{type(error).__name__}: {said}".split())


def _files_below(url: str, wanted: bool) -> list[str]:
    try:
        return _Place(url).files(wanted)
    except OSError as error:
        raise UserError(f"{url} cannot be looked into: {error}") from error


def _outputs(stem: str, formats: Sequence[str]) -> list[str]:
    return [path.as_posix() for path in output_paths(Path(stem), formats)]
