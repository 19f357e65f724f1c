"""The web page: an image in; its depth to see, to measure in and to download."""

import logging
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

from PIL import Image

from leadline.backends import FEW_IMAGES, Backend
from leadline.errors import LeadlineError
from leadline.geometry import CameraSource
from leadline.io import write_mesh_glb
from leadline.prediction import FORMATS, open_metric_backend, predict
from leadline.serving.view import ViewState, click, describe, draw_expected_error, draw_points, show

SURFACE_VERTICES = 250_000
"""Of the surface on the page: what a browser turns smoothly and loads in a moment."""
MAX_PIXELS = 12_000_000
"""Larger images are predicted smaller: for each visitor one is kept, with up to 15 bytes a pixel."""
MAX_VISITORS = 16
"""Whose last prediction is kept, to be measured in."""
HOUR_S = 3600
HINT = "Click a point in the depth to measure it; click a second one to measure the distance between the two."
ASSUMED = "The focal length is unknown, and metres are in proportion to it: fill it in if you know it."
FINER = "Finer detail in large images (several times slower)"
HEIGHT_PX = 480
UNKNOWN = "from EXIF, if present"
BUTTONS = ["download", "fullscreen"]  # without the one that sends the image to a hub
BACKGROUND = (0.85, 0.85, 0.85, 1.0)
GONE = "there is no prediction yet: choose an image and press Predict"

Answer = tuple[ViewState | None, Image.Image | None, Image.Image | None, str | None, str]
"""What a prediction shows: state, depth, expected error, surface, words."""
NOTHING: Answer = (None, None, None, None, "")


@contextmanager
def served_page(model: str | Path, host: str, port: int) -> Iterator[str]:
    """Serve the page as long as the context lasts.

    Args:
        model: what `leadline.predict` takes.
        host: address to listen at: 127.0.0.1 for this machine alone, 0.0.0.0 for all that can reach it.
        port: port to listen at.

    Yields:
        The page's address.

    Raises:
        LeadlineError: if gradio is not installed, there is no such model, it does not answer metres, or the address
            cannot be listened at.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio asks its own server whether it is up
    _pass_no_proxy(host)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio would tell its makers of each start
    try:
        import gradio
    except ImportError as error:
        raise LeadlineError('the page needs gradio: pip install "leadline[app]"') from error
    _require_free(host, port)
    with TemporaryDirectory(prefix="leadline-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "gradio"))  # visitors' images go with the page
        page = build_page(open_metric_backend(model, FEW_IMAGES), str(model), Path(folder))
        page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,  # else hosted notebooks open a tunnel for all the world
            state_session_capacity=MAX_VISITORS,
            footer_links=["api"],
            # Other fonts would be fetched.
            theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        )
        try:
            yield page.local_url
        finally:
            page.close(verbose=False)


def _pass_no_proxy(host: str) -> None:
    """Gradio asks its own server whether it is up, which a proxy would look for elsewhere."""
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost", "127.0.0.1", host]))


def _require_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise LeadlineError(
            f"cannot listen at {host}, port {port} ({error.strerror or error}): name another --host or --port"
        ) from error


def build_page(backend: Backend, name: str, folder: Path) -> Any:
    """Lay the page out.

    Args:
        backend: what answers metres.
        name: what it is called.
        folder: where files are written that gradio then copies.
    """
    import gradio as gr

    with gr.Blocks(title="leadline", analytics_enabled=False, delete_cache=(HOUR_S, 24 * HOUR_S)) as page:
        gr.Markdown(f"# leadline\nMetric depth from a single image. The model is `{name}`.")
        shown = gr.State()
        with gr.Row():
            with gr.Column():
                # Neither converted nor turned: its EXIF block tells the focal length.
                picture = gr.Image(label="Image", type="filepath", image_mode=None, height=HEIGHT_PX, buttons=[])
                # Gradio would open it, and call one that it cannot read "Error".
                picture.preprocess = partial(_uploaded, Path(picture.GRADIO_CACHE))
                with gr.Row():
                    fov_deg = gr.Textbox(label="Horizontal field of view, degrees", placeholder=UNKNOWN)
                    focal_px = gr.Textbox(label="or focal length, pixels", placeholder=UNKNOWN)
                tiled = gr.Checkbox(label=FINER, visible=backend.working_size is not None)
                button = gr.Button("Predict", variant="primary")
            with gr.Column():
                depth = gr.Image(label="Depth", format="png", interactive=False, height=HEIGHT_PX, buttons=BUTTONS)
                words = gr.Markdown()
        with gr.Row():
            # Not in a tab, and not from a generator: gradio 6 then leaves it blank.
            surface = gr.Model3D(label="Surface", height=HEIGHT_PX, clear_color=BACKGROUND)
            error = gr.Image(label="Expected error", format="png", interactive=False, height=HEIGHT_PX, buttons=BUTTONS)
        with gr.Row():
            with gr.Column():
                formats = gr.CheckboxGroup(list(FORMATS), value=["depth", "npz"], label="Formats")
                write = gr.Button("Download")
            files = gr.Files(label="Files at the size of the image, 12 megapixels at most", interactive=False)

        def measure(shown: ViewState | None, event: gr.SelectData) -> tuple[ViewState, Image.Image, str]:
            return _measure(shown, event.index)

        answer = [shown, depth, error, surface, words]
        cleared = gr.on(
            [picture.input, button.click],
            lambda: (*NOTHING, None),
            outputs=[*answer, files],
            api_visibility="private",
            queue=False,
        )
        cleared.then(
            partial(_predict, backend, folder),
            [picture, fov_deg, focal_px, tiled],
            answer,
            api_name="predict",
            show_progress_on=depth,
        )
        depth.select(measure, shown, [shown, depth, words], api_visibility="private", show_progress="hidden")
        write.click(partial(_write, folder), [shown, formats], files, api_name="files")
    return page


def _predict(
    backend: Backend,
    folder: Path,
    path: str | None,
    fov_deg: str,
    focal_px: str,
    tiled: bool,
) -> Answer:
    if path is None:
        return NOTHING
    with _mistakes_shown(path):
        prediction = predict(
            path,
            backend,
            fov_deg=_number(fov_deg),
            focal_px=_number(focal_px),
            max_pixels=MAX_PIXELS,
            tiled=tiled,
        )
    shown = show(_short(Path(path).stem), prediction)
    words = [describe(prediction), HINT]
    if prediction.camera is None or prediction.camera.source is CameraSource.ASSUMED:
        words.insert(1, ASSUMED)
    surface = _empty_folder(folder) / f"{shown.name}.glb"
    try:
        it = prediction
        write_mesh_glb(surface, it.rgb, it.depth_m, it.valid, it.intrinsics, SURFACE_VERTICES)
    except LeadlineError as mistake:  # the rest can be shown all the same
        words.append(f"No surface: {mistake}")
    found = str(surface) if surface.exists() else None
    return shown, shown.drawing, draw_expected_error(prediction), found, "\n\n".join(words)


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text and text.strip() else None
    except ValueError as error:
        raise LeadlineError(f"a field of view and a focal length are numbers, got {text!r}: write 70, say") from error


def _short(stem: str) -> str:
    """A name to which endings can be added: gradio cuts long ones, endings and all."""
    return stem.encode()[:60].decode(errors="ignore")


def _uploaded(uploads: Path, payload: Any) -> str | None:
    """The file of an image that the visitor has sent: no other file of this machine is for visitors to name."""
    if payload is None:
        return None
    with _mistakes_shown():
        if not payload.path or not Path(payload.path).resolve().is_relative_to(uploads.resolve()):
            raise LeadlineError("an image must be uploaded to this page, got something else: choose or drop an image")
    return str(payload.path)


def _measure(shown: ViewState | None, place: list[int]) -> tuple[ViewState, Image.Image, str]:
    with _mistakes_shown():
        marked, found = click(_still_there(shown), (place[0], place[1]))
    what = "from point to point" if len(marked.points) == 2 else "along the optical axis"
    return marked, draw_points(marked, str(found)), f"{describe(marked.prediction)}\n\n**{found}** {what}\n\n{HINT}"


def _write(folder: Path, shown: ViewState | None, formats: list[str]) -> list[str]:
    with _mistakes_shown():
        it = _still_there(shown)
        return [str(path) for path in it.prediction.save(_empty_folder(folder) / it.name, formats)]


def _still_there(shown: ViewState | None) -> ViewState:
    if shown is None:
        raise LeadlineError(GONE)
    return shown


def _empty_folder(folder: Path) -> Path:
    """A new folder within; those of an hour ago, of whose files gradio has had its copies, go."""
    for old in folder.glob("answer-*"):
        with suppress(FileNotFoundError):  # another visitor's answer may be sweeping too
            if time.time() - old.stat().st_mtime > HOUR_S:
                shutil.rmtree(old, ignore_errors=True)
    return Path(mkdtemp(prefix="answer-", dir=folder))


@contextmanager
def _mistakes_shown(path: str = "") -> Iterator[None]:
    """What the visitor can mend is shown as its one line, and is no trouble of the server's.

    Args:
        path: the visitor's image, whose place on this machine is not shown.
    """
    import gradio

    try:
        yield
    except LeadlineError as error:
        told = str(error).replace(path, Path(path).name) if path else str(error)
        raise gradio.Error(told, print_exception=False) from error
