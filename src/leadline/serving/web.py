"""The web page: an image in; its depth to see, to measure in and to download."""

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Event, Thread
from typing import Any

from PIL import Image

from leadline.backends import FEW_IMAGES, Backend
from leadline.errors import LeadlineError, brief
from leadline.geometry import CameraSource
from leadline.io import item_error, require_decodable, write_mesh_glb
from leadline.prediction import FORMATS, Measurement, Point, at_size, open_metric_backend, predict, require_inside
from leadline.serving.guard import MAX_UPLOAD_BYTES, Guard
from leadline.serving.view import ViewState, click, describe, draw_expected_error, draw_points, show

MAX_PIXELS = 12_000_000
"""Larger images are predicted smaller: for each visitor one is kept, with up to 15 bytes a pixel."""
MAX_VISITORS = 16
"""Whose last prediction is kept, to be measured in."""
MAX_PIXELS_IN_FILE = 120_000_000
"""Larger ones are refused before they are decoded: a visitor's image takes half a gigabyte at the most."""
KEPT_S, CLEARED_EVERY_S = 45 * 60, 5 * 60
"""How long visitors' files and predictions are kept, and how often the older ones are looked for: gone within the hour.
"""
HINT = "Click a point in the depth to measure it; click a second one to measure the distance between the two."
EXAMPLES = sorted(Path(__file__).with_name("examples").glob("*.jpg"))
FILE_KINDS = {
    "depth": "depth: 16-bit PNG, millimetres",
    "color": "color: depth as an image to look at",
    "uncertainty": "uncertainty: the expected error as an image",
    "normals": "normals: which way surfaces face, PNG",
    "floor": "floor: plan view for robots (ROS), PNG",
    "npz": "npz: float metres for NumPy, with the camera",
    "colmap": "colmap: depth map for COLMAP",
    "exr": "exr: float metres for compositing",
    "pfm": "pfm: float metres for stereo tools",
    "ply": "ply: coloured points for CloudCompare, MeshLab",
    "points": "points: coloured points, glTF",
    "glb": "glb: textured surface for Blender, game engines",
}
"""What each of `FORMATS` is for, in the words of who chooses."""
ASSUMED = "The focal length is unknown, and metres are in proportion to it: fill it in if you know it."
POINTS_HINT = "320,240 or 320,240 100,80"
FINER = "Finer detail in large images (several times slower)"
HEIGHT_PX = 480
UNKNOWN = "from EXIF, if present"
BUTTONS = ["download", "fullscreen"]  # without the one that sends the image to a hub
PHONE_CSS = """
@media (max-width: 640px) {
  #photo, #photo .image-container { height: 220px !important; min-height: 0 !important; }
}
"""
"""On a phone the depth is seen below the photo without scrolling."""
NAMED_JS = """() => {
  document.documentElement.lang = "en";
  const name = () => {
    for (const image of document.querySelectorAll("img:not([alt]), img[alt='']")) {
      image.alt = image.closest(".block")?.querySelector("label")?.innerText.trim() || "Example photo";
    }
  };
  new MutationObserver(name).observe(document.body, { childList: true, subtree: true });
  name();
}"""
"""Gradio's images have no words for those who do not see them: they get those of their label."""
BACKGROUND = (0.85, 0.85, 0.85, 1.0)
TITLE = "leadline: metric depth from a single image"
GONE = "there is no prediction yet: choose an image and press Predict"

Answer = tuple[ViewState | None, Image.Image | None, Image.Image | None, str | None, str]
"""What a prediction shows: state, depth, expected error, surface, words."""
NOTHING: Answer = (None, None, None, None, "")


@contextmanager
def served_page(model: str | Path, host: str, port: int, host_names: Sequence[str] = ()) -> Iterator[str]:
    """Serve the page as long as the context lasts.

    Args:
        model: what `leadline.predict` takes.
        host: address to listen at: 127.0.0.1 for this machine alone, 0.0.0.0 for all that can reach it.
        port: port to listen at.
        host_names: names besides its own by which visitors know the server, such as a proxy's; see `Guard`.

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
        from starlette.middleware import Middleware
    except ImportError as error:
        raise LeadlineError('the page needs gradio: pip install "leadline[app]"') from error
    _require_free(host, port)
    with TemporaryDirectory(prefix="leadline-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "gradio"))  # visitors' images go with the page
        page = build_page(open_metric_backend(model, FEW_IMAGES), str(model), Path(folder))
        guard = Middleware(Guard, host=host, names=host_names)
        page.launch(
            server_name=host,
            server_port=port,
            prevent_thread_lock=True,
            quiet=True,
            share=False,  # else hosted notebooks open a tunnel for all the world
            state_session_capacity=MAX_VISITORS,
            footer_links=["api"],
            max_file_size=MAX_UPLOAD_BYTES,
            show_error=True,  # with its reason, also to programs
            app_kwargs={"middleware": [guard]},
            css=PHONE_CSS,
            js=NAMED_JS,
            # Other fonts would be fetched.
            theme=gradio.themes.Default(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        )
        try:
            with _clearing(Path(folder)):
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

    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(CLEARED_EVERY_S, KEPT_S)) as page:
        gr.Markdown(f"# leadline\nHow far is what a photo shows, in metres? Choose a photo. The model is `{name}`.")
        shown = gr.State(time_to_live=KEPT_S)
        with gr.Row():
            with gr.Column():
                # Neither converted nor turned: its EXIF block tells the focal length.
                picture = gr.Image(
                    label="Image", type="filepath", image_mode=None, height=HEIGHT_PX, buttons=[], elem_id="photo"
                )
                # Gradio would open it, and call one that it cannot read "Error".
                picture.preprocess = partial(_uploaded, Path(picture.GRADIO_CACHE))
                examples = gr.Examples([[str(path)] for path in EXAMPLES], picture, label="Or try one of these")
            with gr.Column():
                depth = gr.Image(label="Depth", format="png", interactive=False, height=HEIGHT_PX, buttons=BUTTONS)
                words = gr.Markdown()
                with gr.Row():
                    points = gr.Textbox(
                        label="Measure without a mouse: column,row of one or two points of the image, pixels",
                        placeholder=POINTS_HINT,
                        scale=3,
                    )
                    measured = gr.Button("Measure", scale=1)
        with gr.Row():
            fov_deg = gr.Textbox(label="Horizontal field of view, degrees", placeholder=UNKNOWN)
            focal_px = gr.Textbox(label="or focal length, pixels", placeholder=UNKNOWN)
            with gr.Column():
                tiled = gr.Checkbox(label=FINER, visible=backend.working_size is not None)
                button = gr.Button("Predict", variant="primary")
        with gr.Row():
            # Not in a tab, and not from a generator: gradio 6 then leaves it blank.
            surface = gr.Model3D(
                label="Surface: drag to turn it, wheel or pinch to come nearer",
                height=HEIGHT_PX,
                clear_color=BACKGROUND,
            )
            error = gr.Image(label="Expected error", format="png", interactive=False, height=HEIGHT_PX, buttons=BUTTONS)
        with gr.Row():
            with gr.Column():
                kinds = [(FILE_KINDS[name], name) for name in FORMATS]
                formats = gr.CheckboxGroup(kinds, value=["depth", "npz"], label="Files to download")
                write = gr.Button("Download")
            files = gr.Files(label="Files at the size of the image, 12 megapixels at most", interactive=False)

        def measure(shown: ViewState | None, event: gr.SelectData) -> tuple[ViewState, Image.Image, str]:
            return _measure(shown, event.index)

        answer = [shown, depth, error, surface, words]
        asked = partial(_predict, backend, folder), [picture, fov_deg, focal_px, tiled], answer
        # Of another image nothing stays; of the same the last answer does, until there is a better one.
        for chosen in (picture.input, examples.load_input_event.then):
            cleared = chosen(lambda: (*NOTHING, None), outputs=[*answer, files], api_visibility="private", queue=False)
            cleared.then(*asked, api_visibility="private", show_progress_on=depth)
        # Gradio 6 leaves the second surface blank unless the first was taken away.
        emptied = button.click(lambda: None, outputs=surface, api_visibility="private", queue=False)
        emptied.then(*asked, api_name="predict", show_progress_on=depth)
        gr.on(
            [measured.click, points.submit],
            _measure_typed,
            [shown, points],
            [shown, depth, words],
            api_visibility="private",
            show_progress="hidden",
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
        require_decodable(Path(path), MAX_PIXELS_IN_FILE)
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
        write_mesh_glb(surface, it.rgb, it.depth_m, it.valid, it.pinhole)
    except LeadlineError as mistake:  # the rest can be shown all the same
        words.append(f"No surface: {mistake}")
    found = str(surface) if surface.exists() else None
    return shown, shown.drawing, draw_expected_error(prediction), found, "\n\n".join(words)


def _number(text: str | None) -> float | None:
    if not text or not text.strip():
        return None
    try:
        return float(text.replace(",", ".").replace("_", "no number"))  # of Python's 1_000
    except ValueError as error:
        raise LeadlineError(
            f"a field of view and a focal length are numbers, got {brief(text)!r}: write 70, say"
        ) from error


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
        return _told(*click(_still_there(shown), (place[0], place[1])))


def _measure_typed(shown: ViewState | None, text: str) -> tuple[ViewState, Image.Image, str]:
    """Measure at one or two points of the image that are typed as `column,row`."""
    with _mistakes_shown():
        view = _still_there(shown)._replace(points=())
        for place in typed_points(text):
            require_inside(place, view.prediction.valid.shape)
            view, found = click(view, at_size(place, view.prediction.valid.shape, view.size))
        return _told(view, found)


def typed_points(text: str) -> list[Point]:
    """One or two points as a visitor types them.

    Args:
        text: `column,row` of each in pixels, spaces between the two points.

    Raises:
        LeadlineError: unless it is one or two such pairs.
    """
    pairs = [pair.split(",") for pair in text.split()]
    try:
        places = [(float(column), float(row)) for column, row in pairs]
    except ValueError:
        places = []
    if len(places) not in (1, 2):
        raise LeadlineError(f"wanted one or two points as column,row, got {brief(text)!r}: write {POINTS_HINT}")
    return places


def _told(marked: ViewState, found: Measurement) -> tuple[ViewState, Image.Image, str]:
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
    """A new folder within."""
    return Path(mkdtemp(prefix="answer-", dir=folder))


@contextmanager
def _clearing(folder: Path) -> Iterator[None]:
    """As long as the context lasts, remove visitors' files that are too old."""
    over = Event()

    def clear() -> None:
        while not over.wait(CLEARED_EVERY_S):
            clear_old(folder, KEPT_S)

    thread = Thread(target=clear, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def clear_old(folder: Path, age_s: float) -> None:
    """Remove the files below a folder that were made more than `age_s` ago, and the folders that are then empty."""
    for path in sorted(folder.rglob("*"), reverse=True):  # a folder after what is in it
        with suppress(OSError):  # gradio clears its own at the same time
            if time.time() - path.lstat().st_ctime > age_s:
                path.rmdir() if path.is_dir() else path.unlink()


@contextmanager
def _mistakes_shown(path: str = "") -> Iterator[None]:
    """What goes wrong is shown as its one line; what the visitor can mend is no trouble of the server's.

    Args:
        path: the visitor's image, whose place on this machine is not shown.
    """
    import gradio

    try:
        yield
    except LeadlineError as error:
        told = str(error).replace(path, Path(path).name) if path else str(error)
        raise gradio.Error(told, print_exception=False) from error
    except Exception as error:
        raise gradio.Error(item_error(Path(path).name or "the answer", error)) from error
