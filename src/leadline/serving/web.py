"""The web page: an image in; its depth to see, to measure in and to download."""

import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

from PIL import Image

from leadline.backends import FEW_IMAGES, Backend
from leadline.errors import LeadlineError, brief
from leadline.geometry import CameraSource
from leadline.io import item_error, read_image, require_decodable, write_mesh_glb
from leadline.prediction import FORMATS, Measurement, Point, at_size, open_metric_backend, predict, require_inside
from leadline.serving.guard import MAX_UPLOAD_BYTES, Guard
from leadline.serving.look import CSS, SCRIPT, TITLE, LinkPreview, theme
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
UNREADABLE = 'class="unreadable"'
TRIED = """(number) => {
  const examples = window.gradio_config.components.find((part) => part.type === "dataset");
  return examples.props.samples[number][0];
}"""
"""The example of that number, as the photo. Asked of the server, two chosen at once would come in any order."""
EMPTIED = f"(told, photo) => (told ?? '').includes('{UNREADABLE}') ? null : photo"
"""Takes away a file that is no image, of which the browser would show its broken sign.

Done there: a component that the server has answered is made anew, without the `preprocess` given to it.
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
BACKGROUND = (0.85, 0.85, 0.85, 1.0)
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
        from starlette.middleware import Middleware

        colors = theme()
    except ImportError as error:
        raise LeadlineError('the page needs gradio: pip install "leadline[app]"') from error
    _require_free(host, port)
    with TemporaryDirectory(prefix="leadline-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder, "gradio"))  # visitors' images go with the page
        page = build_page(open_metric_backend(model, FEW_IMAGES), str(model), Path(folder))
        before = [Middleware(Guard, host=host, names=host_names), Middleware(LinkPreview)]
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
            app_kwargs={"middleware": before},
            css=CSS,
            js=SCRIPT,
            theme=colors,
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

    drawn = partial(gr.Image, format="png", interactive=False, height=HEIGHT_PX, buttons=BUTTONS)
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(CLEARED_EVERY_S, KEPT_S)) as page:
        gr.Markdown(f"# leadline\nHow far is what a photo shows, in metres? Choose a photo. The model is `{name}`.")
        it = SimpleNamespace(shown=gr.State(time_to_live=KEPT_S), made=gr.State(time_to_live=KEPT_S))
        with gr.Row():
            with gr.Column():
                # Neither converted nor turned: its EXIF block tells the focal length.
                it.picture = gr.Image(
                    label="Image", type="filepath", image_mode=None, height=HEIGHT_PX, buttons=[], elem_id="photo"
                )
                # Gradio would open it, and call one that it cannot read "Error".
                it.picture.preprocess = partial(_uploaded, Path(it.picture.GRADIO_CACHE))
                # Not Examples: they put another component in the place of this one.
                it.examples = gr.Dataset(
                    components=[it.picture], samples=[[str(path)] for path in EXAMPLES], label="Or try one of these"
                )
            with gr.Column():
                it.problem = gr.HTML(elem_id="problem")
                it.depth = drawn(label="Depth", elem_id="depth")
                it.words = gr.Markdown(elem_id="words")
                with gr.Row():
                    it.points = gr.Textbox(
                        label="Measure without a mouse: column,row of one or two points of the image, pixels",
                        placeholder=POINTS_HINT,
                        scale=3,
                    )
                    it.measure = gr.Button("Measure", scale=1)
        with gr.Row():
            it.fov_deg = gr.Textbox(label="Horizontal field of view, degrees", placeholder=UNKNOWN)
            it.focal_px = gr.Textbox(label="or focal length, pixels", placeholder=UNKNOWN)
            with gr.Column():
                it.tiled = gr.Checkbox(label=FINER, visible=backend.working_size is not None)
                it.predict = gr.Button("Predict", variant="primary")
        with gr.Row():
            # Not in a tab, and not from a generator: gradio 6 then leaves it blank.
            it.surface = gr.Model3D(
                label="Surface: drag or pinch to look around",
                height=HEIGHT_PX,
                clear_color=BACKGROUND,
                elem_id="surface",
            )
            it.error = drawn(label="Expected error", elem_id="error")
        with gr.Row():
            with gr.Column():
                kinds = [(FILE_KINDS[name], name) for name in FORMATS]
                it.formats = gr.CheckboxGroup(kinds, value=["depth", "npz"], label="Files to download")
                it.write = gr.Button("Download")
            it.files = gr.Files(
                label="Files at the size of the image, 12 megapixels at most", interactive=False, elem_id="files"
            )
        _connect(it, partial(_predict, backend, folder), partial(_write, folder))
    return page


def _connect(it: SimpleNamespace, ask: Callable[..., Answer], write: Callable[..., list[str]]) -> None:
    """What the parts of the page do: for programs with errors, for people so that a mistake takes nothing away.

    Args:
        it: the parts by name.
        ask: answers an image, two fields and a choice.
        write: writes files of what is shown.
    """
    import gradio as gr

    one_by_one = {"concurrency_limit": 1, "concurrency_id": "model"}  # whoever asks
    asked = [it.picture, it.fov_deg, it.focal_px, it.tiled]
    gr.on([], ask, asked, [it.shown, it.depth, it.error, it.surface, it.words], api_name="predict", **one_by_one)
    gr.on([], write, [it.shown, it.formats], it.files, api_name="files")

    def look(shown: ViewState | None, path: str | None, *given: Any) -> tuple[Any, ...]:
        *answered, told = _or_kept(lambda: _surface_apart(ask(_chosen(path), *given)), shown, 7)
        return (*answered, told if path is None or _is_readable(path) else f"<div {UNREADABLE}>{told}</div>")

    def measure(shown: ViewState | None, event: gr.SelectData) -> tuple[Any, ...]:
        return _or_kept(lambda: _measure(shown, event.index), shown, 3)

    def measure_typed(shown: ViewState | None, text: str) -> tuple[Any, ...]:
        return _or_kept(lambda: _measure_typed(shown, text), shown, 3)

    def download(shown: ViewState | None, formats: list[str]) -> tuple[Any, ...]:
        return _or_kept(lambda: (write(shown, formats),), shown, 1)

    answer = [it.shown, it.depth, it.error, it.words, it.files, it.surface, it.made, it.problem]
    at_last = {"api_visibility": "private", "trigger_mode": "always_last"}  # else a choice made too soon is passed over
    tried = it.examples.click(None, it.examples, it.picture, js=TRIED, api_visibility="private")
    for start in (it.picture.input, tried.then, it.predict.click, it.fov_deg.submit, it.focal_px.submit):
        looked = start(look, [it.shown, *asked], answer, show_progress_on=it.depth, **one_by_one, **at_last)
        looked.then(lambda made: made or gr.skip(), it.made, it.surface, api_visibility="private", queue=False)
        looked.then(None, [it.problem, it.picture], it.picture, js=EMPTIED, api_visibility="private")
    measured = [it.shown, it.depth, it.words, it.problem]
    quietly = {"api_visibility": "private", "show_progress": "hidden"}
    it.depth.select(measure, it.shown, measured, **quietly)
    gr.on([it.measure.click, it.points.submit], measure_typed, [it.shown, it.points], measured, **quietly)
    it.write.click(download, [it.shown, it.formats], [it.files, it.problem], api_visibility="private")


def _chosen(path: str | None) -> str:
    with _mistakes_shown():
        if path is None:
            raise LeadlineError("there is no photo: choose one")
        return path


def _is_readable(path: str) -> bool:
    """Whether a file's head is that of an image that the page takes."""
    try:
        require_decodable(Path(path), MAX_PIXELS_IN_FILE)
    except LeadlineError:
        return False
    return True


def _surface_apart(answer: Answer) -> tuple[Any, ...]:
    """An answer without its surface, no files, and the surface by itself: one that is there is to be taken away first.

    Gradio 6 leaves the second one blank otherwise.
    """
    shown, depth, error, surface, words = answer
    return shown, depth, error, words, None, None, surface


def _or_kept(work: Callable[[], tuple[Any, ...]], shown: ViewState | None, num_outputs: int) -> tuple[Any, ...]:
    """What some work answers, and no problem; after a mistake what is shown is left, and the problem is told."""
    import gradio

    try:
        return (*work(), "")
    except gradio.Error as mistake:
        if mistake.print_exception:
            traceback.print_exception(mistake)
        still = "" if shown is None else f"What is shown is still the depth of {shown.name}."
        told = f'<p role="alert" data-at="{time.monotonic_ns()}">{escape(mistake.message)}. {escape(still)}</p>'
        return (*[gradio.skip()] * num_outputs, told)


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
        picture = read_image(Path(path), MAX_PIXELS)
        prediction = predict(picture, backend, fov_deg=_number(fov_deg), focal_px=_number(focal_px), tiled=tiled)
    shown = show(_short(Path(path).stem), prediction)
    words = [describe(prediction), HINT]
    if prediction.camera is None or prediction.camera.source is CameraSource.ASSUMED:
        words.insert(1, ASSUMED)
    if picture.hdr:
        words.append(f"The photo's HDR ({picture.hdr}) is tone-mapped to SDR.")
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
    """As long as the context lasts, remove visitors' files that are too old; what is there by now is the page's own."""
    over, own = Event(), frozenset(folder.rglob("*"))

    def clear() -> None:
        while not over.wait(CLEARED_EVERY_S):
            clear_old(folder, KEPT_S, own)

    thread = Thread(target=clear, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def clear_old(folder: Path, age_s: float, own: Collection[Path] = ()) -> None:
    """Remove the files below a folder that were made more than `age_s` ago, and the folders that are then empty.

    Args:
        folder: where to look.
        age_s: how old a file must be.
        own: files and folders that stay: the examples that every visitor is shown.
    """
    for path in sorted(set(folder.rglob("*")) - set(own), reverse=True):  # a folder after what is in it
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
