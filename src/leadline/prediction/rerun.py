"""Predictions in the rerun viewer: picture, depth, points and camera over time, in a window or a file."""

import os
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leadline.errors import LeadlineError
from leadline.geometry import on_surface, point_cloud
from leadline.io import atomic_file
from leadline.prediction.colors import depth_limits
from leadline.prediction.result import Prediction

RERUN_SUFFIX = ".rrd"
MAX_POINTS = 100_000
"""Points of one picture; a clip of 10 s has 300 pictures."""
JPEG_QUALITY = 90
PICTURES = "picture"
"""The time line of pictures, which counts them; each clip has its own, in seconds."""
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET")
VIEWER_PORT = 9876
CAMERA, RGB, DEPTH, POINTS, NAME = "world/camera", "world/camera/rgb", "depth", "world/points", "name"


class RerunLog:
    """Sends predictions to the rerun viewer, or into a file for it.

    In camera space: x right, y down, z forward, metres. Where the focal length is unknown, there are no points.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Choose where to; the window opens, or the file is begun, with the block.

        Args:
            path: the file, .rrd, which appears whole when the block ends; None for the viewer's window.

        Raises:
            LeadlineError: if rerun is not installed.
        """
        self._rr, self._path, self._num_pictures = _library(), path, 0
        self._stack = ExitStack()

    def __enter__(self) -> "RerunLog":
        """Open the window or begin the file.

        Raises:
            LeadlineError: if the viewer cannot be started.
            OSError: if the file's folder cannot be written.
        """
        self._recording = self._rr.RecordingStream("leadline")
        if self._path is None:
            self._open_window()
        else:
            self._recording.save(self._stack.enter_context(atomic_file(self._path)), default_blueprint=_layout())
        self._recording.log("world", self._rr.ViewCoordinates.RDF, static=True)
        return self

    def __exit__(self, *error: Any) -> None:
        """Finish the file, or let go of the window, which stays."""
        self._recording.disconnect()
        self._stack.__exit__(*error)

    def picture(self, path: Path, prediction: Prediction) -> None:
        """Show the next picture.

        Args:
            path: its file, shown as its name.
            prediction: what was predicted of it.
        """
        self._recording.reset_time()
        self._recording.set_time(PICTURES, sequence=self._num_pictures)
        self._num_pictures += 1
        self._show(path.name, prediction)

    def clip(self, name: str) -> Callable[[Prediction, float], None]:
        """What shows the frames of a clip, given each prediction and its time in seconds.

        Args:
            name: of the clip; its time line is named so.
        """

        def show(prediction: Prediction, now_s: float) -> None:
            self._recording.reset_time()
            self._recording.set_time(name, duration=now_s)
            self._show(name, prediction)

        return show

    def _open_window(self) -> None:
        if not _can_show():
            raise LeadlineError("there is no display to open the rerun viewer on: save with --rerun FILE.rrd")
        # The package brings the viewer along, in a folder that PATH need not hold.
        viewer = shutil.which("rerun", path=Path(sys.executable).parent) or shutil.which("rerun")
        try:
            self._rr.spawn(executable_path=viewer, default_blueprint=_layout(), recording=self._recording)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise LeadlineError(f"the rerun viewer does not start ({reason}): save with --rerun FILE.rrd") from error

    def _show(self, name: str, prediction: Prediction) -> None:
        rr, log = self._rr, self._recording.log
        depth_m = np.where(prediction.valid, prediction.depth_m, np.float32(np.nan))
        near_far_m = depth_limits(prediction.depth_m, prediction.valid)
        log(NAME, rr.TextDocument(name))
        log(RGB, rr.Image(prediction.rgb).compress(jpeg_quality=JPEG_QUALITY))
        log(DEPTH, rr.DepthImage(depth_m, meter=1.0, colormap="magma", depth_range=near_far_m))
        if prediction.camera is None or not prediction.camera.is_pinhole:
            log(CAMERA, rr.Clear(recursive=False))
            log(POINTS, rr.Clear(recursive=False))
            return
        height, width = depth_m.shape
        log(CAMERA, rr.Pinhole(image_from_camera=prediction.pinhole, width=width, height=height))
        cloud = point_cloud(prediction.rgb, prediction.depth_m, _thinned(prediction), prediction.pinhole)
        log(POINTS, rr.Points3D(cloud.points_m, colors=cloud.rgb))


def _thinned(prediction: Prediction) -> NDArray[np.bool_]:
    """Pixels on surfaces, evenly thinned out to `MAX_POINTS`, (H, W)."""
    step = ceil(sqrt(prediction.depth_m.size / MAX_POINTS))
    kept = np.zeros_like(prediction.valid)
    kept[::step, ::step] = on_surface(prediction.depth_m, prediction.valid)[::step, ::step]
    return kept


def _layout() -> Any:
    """Space beside picture above depth."""
    from rerun import blueprint

    return blueprint.Blueprint(
        blueprint.Horizontal(
            blueprint.Spatial3DView(origin="world", name="metres"),
            blueprint.Vertical(
                blueprint.Spatial2DView(origin=CAMERA, name="picture"),
                blueprint.Spatial2DView(origin=DEPTH, name="depth"),
                blueprint.TextDocumentView(origin=NAME, name="name"),
                row_shares=[4, 4, 1],
            ),
            column_shares=[3, 2],
        )
    )


def _can_show() -> bool:
    """Whether there is a display, or a viewer listens already, perhaps at the other end of a tunnel."""
    if sys.platform != "linux" or any(os.environ.get(name) for name in DISPLAYS):
        return True
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", VIEWER_PORT)) == 0


def _library() -> Any:
    try:
        import rerun
    except ImportError as error:
        raise LeadlineError('--rerun needs one more package: pip install "leadline[rerun]"') from error
    return rerun
