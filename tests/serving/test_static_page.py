"""The page that needs no server: its numbers are those of NumPy, and a browser without a network answers with it."""

import base64
import gzip
import io
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from axe import grave_violations
from chromium import CHROMIUM, Page, browser
from PIL import Image, ImageCms
from PIL.TiffImagePlugin import IFDRational

from leadline import Camera, Prediction, predict
from leadline.cli.main import main
from leadline.errors import LeadlineError
from leadline.geometry import WorkingView, on_surface, point_cloud, resize, resize_depth, sharpen_edges, size_with_area
from leadline.io import read_image, write_depth_png, write_mesh_glb, write_ply
from leadline.io.depth_files import read_depth_png
from leadline.models import bundled_models
from leadline.prediction import WINDOW_PX, depth_at, depth_limits, distance_between
from leadline.prediction.colors import _ticks, colorize
from leadline.serving import static_page
from leadline.serving.static_page import MODULES, NAMES, one_script, write_static_page

OWN = Path(static_page.__file__).parent / "static"
EXAMPLES = Path(__file__).parents[2] / "examples"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="JavaScript runs in Node.js")
RNG = np.random.default_rng(0)

JSON_OF_ARRAYS = "(_, it) => (ArrayBuffer.isView(it) ? Array.from(it) : it)"
"""How JSON is told to write JavaScript's typed arrays."""


def in_node(script: str, **given: Any) -> Any:
    """What a script returns, with all that the page's modules export but the page's own, and what it is given."""
    assert NODE is not None
    imports = "".join(f'import * as {name} from "{(OWN / name).as_uri()}.mjs";\n' for name in MODULES[:-1])
    names = f"const {{ {', '.join(given)} }} = {json.dumps(given)};\n"
    body = f"const answer = await (async () => {{ {script} }})();\n"
    written = f"process.stdout.write(JSON.stringify(answer, {JSON_OF_ARRAYS}) ?? 'null');"
    command = [NODE, "--input-type=module", "--no-warnings"]
    done = subprocess.run(command, input=imports + names + body + written, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def as_map(values: np.ndarray) -> dict[str, Any]:
    return {"height": values.shape[0], "width": values.shape[1], "values": values.astype(float).ravel().tolist()}


TO_MAP = "const map = (it) => ({ ...it, values: Float32Array.from(it.values) });"


def from_map(found: dict[str, Any]) -> np.ndarray:
    return np.array(found["values"], np.float32).reshape(found["height"], found["width"])


def scene(height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A slanted floor with a box on it whose depth slides over some pixels, and the image, where its edge is sharp."""
    depth_m = np.linspace(4, 2, height, dtype=np.float32)[:, None].repeat(width, 1)
    depth_m[30:90, 50:110] = 1.2
    soft = resize(resize(depth_m, height // 6, width // 6), height, width)
    image = np.full((height, width, 3), 0.8, np.float32)
    image[30:90, 50:110] = (0.3, 0.2, 0.1)
    return soft, image


@needs_node
@pytest.mark.parametrize("size", [(7, 5), (40, 60), (23, 90), (19, 31)])
def test_resizing_is_that_of_numpy(size: tuple[int, int]) -> None:
    values = RNG.random((23, 31), np.float32)
    script = (
        TO_MAP + "return [maps.resize(map(values), size[1], size[0]), maps.resizeDepth(map(values), size[1], size[0])];"
    )
    averaged, between = in_node(script, values=as_map(values), size=size)
    np.testing.assert_allclose(from_map(averaged), resize(values, *size), atol=1e-6)
    np.testing.assert_allclose(from_map(between), resize_depth(values, *size), atol=1e-6)


@needs_node
def test_sizes_and_focal_lengths_are_those_of_numpy() -> None:
    view = WorkingView(196, 266, 14, 215.65, 0.1, 0.2)
    pictures = [(480, 640), (4032, 3024), (100, 3000), (33, 33)]
    focals = [None, 90.0, 520.0, 3000.0, 40000.0]
    script = """return pictures.map(([height, width]) => {
      const size = { width, height };
      const seen = focals.map((focalPx) => camera.viewSize(view, focalPx, size));
      return [maps.sizeWithArea(size, 1228800, 1, 1), camera.assumedFocalPx(view, size), seen];
    });"""
    for (height, width), (area, assumed_px, views) in zip(
        pictures, in_node(script, view=view._asdict(), pictures=pictures, focals=focals), strict=True
    ):
        assert (area["height"], area["width"]) == size_with_area(height, width, 1228800, smallest=1)
        assert assumed_px == pytest.approx(view.assumed_focal_px(height, width), rel=1e-9)
        for focal_px, found in zip(focals, views, strict=True):
            wanted = view.view_size(float("nan") if focal_px is None else focal_px, height, width)
            assert (found["height"], found["width"]) == wanted[:2]
            assert found["scale"] == pytest.approx(wanted.scale, rel=1e-9)


@needs_node
def test_a_typed_field_of_view_may_have_a_comma() -> None:
    script = """return ["70", " 70,5 ", "", "0", "wide", "180", "1.1"].map((text) => {
      try { return camera.typedFovDeg(text); } catch (error) { return error.message; }
    });"""
    *good, zero, wide, half, radians = in_node(script)
    assert "looks like radians, which is 63.0" in radians
    assert good == [70, 70.5, None]
    assert wide == 'a field of view lies between 0 and 180 degrees, got "wide": write 70, say'
    assert 'got "0"' in zero and 'got "180"' in half


@needs_node
@pytest.mark.parametrize("radius_px", [4.0, 20.0])
def test_edges_are_those_of_numpy(radius_px: float) -> None:
    depth_m, image = scene()
    sharp = sharpen_edges(depth_m, image, radius_px)
    script = TO_MAP + "return edges.sharpenEdges(map(depth), map(brightness), radius);"
    found = in_node(script, depth=as_map(depth_m), brightness=as_map(image.sum(-1)), radius=radius_px)
    assert (np.abs(sharp / depth_m - 1) > 0.05).mean() > 0.01  # there are some
    np.testing.assert_allclose(from_map(found), sharp, rtol=1e-5)


EXIF = {
    "35 mm": {0xA405: 28},
    "the sensor": {0x920A: IFDRational(425, 100), 0xA20E: IFDRational(8000, 1), 0xA210: 3, 0xA002: 640, 0xA003: 480},
    "the sensor in inches of a larger image": {0x920A: 4.25, 0xA20E: 20000.0, 0xA210: 2, 0xA002: 1280, 0xA003: 960},
    "digital zoom": {0x920A: 4.25, 0xA20E: 8000.0, 0xA210: 3, 0xA404: 2.0},
    "35 mm of a larger image that was cut": {0xA405: 28, 0xA002: 320, 0xA003: 320},
    "a phone's own focal length": {0xA405: 4, 0x920A: 4.25, 0xA20E: 8000.0, 0xA210: 3},
    "a camera behind a named lens": {0x920A: 24.0, 0xA20E: 320 / 17.3, 0xA210: 4, 0xA434: "LUMIX G 25/F1.7"},
}
NO_EXIF = {
    "no lens": {0xA405: 60000},
    "a lens before a sensor that nobody makes": {0x920A: 24.0, 0xA20E: 5184 / 22.3, 0xA210: 4, 0xA434: "EF24mm"},
    "cut and resized": {0xA405: 28, 0xA002: 640, 0xA003: 640},
    "a panorama": {0xA405: 28, 0xA002: 3200, 0xA003: 240},
    "nothing": {},
}


@needs_node
@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize("tags", [*EXIF.values(), *NO_EXIF.values()], ids=[*EXIF, *NO_EXIF])
def test_exif_is_read_as_python_reads_it(tmp_path: Path, ending: str, tags: dict[int, float]) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker of cameras"
    exif.get_ifd(0x8769).update(tags)
    path = tmp_path / f"photo.{ending}"
    Image.new("RGB", (320, 240)).save(path, exif=exif)
    assert_exif_is_read_alike(path, known=tags in EXIF.values())


@needs_node
@pytest.mark.parametrize("angle", [0, -4.5, 12])
@pytest.mark.parametrize("size", [(320, 240), (240, 320)])
def test_adobe_s_crops_are_read_as_python_reads_them(tmp_path: Path, size: tuple[int, int], angle: float) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0xA405: 28, 0xA002: size[0], 0xA003: size[1]})
    xmp = b"""<rdf:Description xmlns:crs="a" crs:HasCrop="True" crs:AlreadyApplied="True" crs:CropLeft="0.25"
        crs:CropTop="0" crs:CropRight="0.75" crs:CropBottom="0.6" crs:CropAngle="%g"/>"""
    Image.new("RGB", size).save(tmp_path / "photo.jpg", exif=exif, xmp=xmp % angle)
    assert assert_exif_is_read_alike(tmp_path / "photo.jpg", known=True) > 28 / 43.27 * 400 * 1.5


def assert_exif_is_read_alike(path: Path, known: bool) -> float:
    script = """const file = new Uint8Array(Buffer.from(bytes, "base64")).buffer;
    return camera.focalPxFromExif(file, { width, height });"""
    height, width = read_image(path).full_size
    found = in_node(script, bytes=base64.b64encode(path.read_bytes()).decode(), width=width, height=height)
    wanted = read_image(path).focal_px
    assert found == (wanted if wanted is None else pytest.approx(wanted, rel=1e-6))
    assert (wanted is not None) is known
    return wanted or 0.0


@needs_node
def test_a_damaged_exif_block_says_nothing() -> None:
    whole = io.BytesIO()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA405] = 28
    Image.new("RGB", (320, 240)).save(whole, "jpeg", exif=exif)
    cuts = [base64.b64encode(whole.getvalue()[:length]).decode() for length in (2, 30, 45, 60)]
    script = """return cuts.map((cut) => {
      return camera.focalPxFromExif(new Uint8Array(Buffer.from(cut, "base64")).buffer, { width: 320, height: 240 });
    });"""
    assert in_node(script, cuts=cuts) == [None] * 4


@pytest.fixture
def prediction() -> Prediction:
    depth_m, image = scene()
    rgb = np.rint(image * 255).astype(np.uint8)
    error_m = depth_m * np.linspace(0.05, 0.1, 160, dtype=np.float32)
    return Prediction(rgb, depth_m, np.isfinite(depth_m), Camera.from_focal_px(140, 160, 120), error_m)


def given(prediction: Prediction) -> dict[str, Any]:
    """A prediction as the page has it."""
    height, width = prediction.depth_m.shape
    rgba = np.dstack([prediction.rgb, np.full((height, width), 255)]).ravel().tolist()
    assert prediction.uncertainty_m is not None
    return {
        "depth": as_map(prediction.depth_m),
        "relativeError": as_map(prediction.uncertainty_m / prediction.depth_m),
        "camera": {"focalPx": 140, "cx": 79.5, "cy": 59.5},
        "image": {"width": width, "height": height, "rgba": rgba},
    }


SEEN = TO_MAP + "const seen = { ...it, depth: map(it.depth), relativeError: map(it.relativeError) };"


@needs_node
def test_measurements_colours_and_scale_are_those_of_python(prediction: Prediction) -> None:
    ends = [[80.0, 60.0], [3.5, 118.0]]
    script = (
        SEEN
        + """
      const limits = measure.depthLimits(seen.depth.values);
      return {
        limits, ticks: measure.ticks(...limits, 0.4),
        colors: measure.colorize(seen.depth.values, limits, Uint8Array.from(palette)),
        measured: [measure.depthAt(seen, ends[1]), measure.distanceBetween(seen, ...ends)],
        words: measure.words(measure.depthAt(seen, ends[1])),
      };"""
    )
    palette = list(static_page.MAGMA_REVERSED)
    found = in_node(script, it=given(prediction), ends=ends, palette=palette)
    limits_m = depth_limits(prediction.depth_m, prediction.valid)
    assert found["limits"] == pytest.approx(limits_m)
    assert found["ticks"] == pytest.approx(_ticks(*limits_m, 0.4))
    colors = np.array(found["colors"]).reshape(120, 160, 4)[..., :3]
    wanted_colors = colorize(prediction.depth_m, prediction.valid, *limits_m)
    assert (np.abs(colors - wanted_colors).max(-1) > 0).mean() < 0.001  # where float32 is half a colour away
    depth, distance = depth_at(prediction, (3.5, 118.0)), distance_between(prediction, (80.0, 60.0), (3.5, 118.0))
    for wanted, one in zip((depth, distance), found["measured"], strict=True):
        assert one["metres"] == pytest.approx(wanted.metres, rel=1e-5)
        assert one["uncertaintyM"] == pytest.approx(wanted.uncertainty_m, rel=1e-5)
    assert found["words"] == str(depth) and WINDOW_PX == 5


FILES = """
  globalThis.OffscreenCanvas = class {
    getContext() { return { drawImage() {} }; }
    convertToBlob() { return new Blob([Buffer.from(texture, "base64")]); }
  };
  const written = await Promise.all([files.depthPng(seen), files.pointsPly(seen), files.surfaceGlb(seen)]);
  return Promise.all(written.map(async (blob) => Buffer.from(await blob.arrayBuffer()).toString("base64")));"""


@needs_node
def test_files_are_those_of_python(prediction: Prediction, tmp_path: Path) -> None:
    texture = io.BytesIO()
    Image.fromarray(prediction.rgb).save(texture, "jpeg")
    coded = base64.b64encode(texture.getvalue()).decode()
    for name, text in zip(
        ("png", "ply", "glb"), in_node(SEEN + FILES, it=given(prediction), texture=coded), strict=True
    ):
        (tmp_path / f"page.{name}").write_bytes(base64.b64decode(text))
    it = prediction
    write_depth_png(tmp_path / "own.png", it.depth_m, it.valid)
    found, wanted = (read_depth_png(tmp_path / f"{name}.png") for name in ("page", "own"))
    np.testing.assert_allclose(found.depth_m, wanted.depth_m, atol=0.0011)  # a millimetre where it is half a one away
    assert Image.open(tmp_path / "page.png").info["unit"] == "millimetre"

    write_ply(tmp_path / "own.ply", point_cloud(it.rgb, it.depth_m, it.valid, it.intrinsics))
    clouds: list[Any] = [trimesh.load(tmp_path / f"{name}.ply") for name in ("page", "own")]
    np.testing.assert_allclose(clouds[0].vertices, clouds[1].vertices, atol=1e-5)
    np.testing.assert_array_equal(clouds[0].colors, clouds[1].colors)

    write_mesh_glb(tmp_path / "own.glb", it.rgb, it.depth_m, it.valid, it.intrinsics)
    meshes: list[Any] = [trimesh.load(tmp_path / f"{name}.glb", force="mesh") for name in ("page", "own")]
    corners = [np.hstack([mesh.triangles.reshape(-1, 9), mesh.visual.uv[mesh.faces].reshape(-1, 6)]) for mesh in meshes]
    assert len(corners[0]) > 10_000
    rows = [each[np.lexsort(np.round(each, 3).T)] for each in corners]
    np.testing.assert_allclose(*rows, atol=1e-5)
    assert meshes[0].visual.material.baseColorTexture.size == (160, 120)


@needs_node
def test_a_picture_that_is_larger_than_a_surface_may_be_becomes_a_coarser_one(prediction: Prediction) -> None:
    script = (
        SEEN + "const mesh = surface.meshOf(seen, 1000); return [mesh.positions.length / 3, mesh.uvs, mesh.indices];"
    )
    count, uvs, indices = in_node(script, it=given(prediction))
    # 19,200 pixels, every fifth each way: 24 rows of 32.
    kept = on_surface(prediction.depth_m, prediction.valid, 0.1)[::5, ::5]
    assert 600 < count <= kept.sum() and max(indices) == count - 1
    assert min(uvs) == pytest.approx(0.5 / 160) and max(uvs) < 1


def test_modules_become_one_script() -> None:
    first = 'import { b } from "./b.mjs";\n\nexport const a = b + 1; // import or export\n'
    assert one_script(["export function b() {}\n", first]) == (
        '(() => {\n"use strict";\nfunction b() {}\n\n\nconst a = b + 1; // import or export\n})();\n'
    )


def test_the_page_names_no_other_address() -> None:
    for path in OWN.iterdir():
        assert not re.search(r"https?:|//[a-z]+\.[a-z]", path.read_text(encoding="utf-8")), path.name
    assert {path.name for path in OWN.iterdir()} == {"index.html", "page.css", *(f"{name}.mjs" for name in MODULES)}


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that npm need not fetch."""

    def fetched(*_: str, folder: Path) -> Path:
        (folder / "dist").mkdir()
        for members in static_page.RUNTIMES.values():
            for member in members.values():
                (folder / "dist" / member).write_bytes(member.encode())
        return folder

    monkeypatch.setattr(static_page, "fetch_package", lambda *package: fetched(*package[:-1], folder=package[-1]))


def test_the_folder_holds_all_that_a_browser_needs(runtime: None, tmp_path: Path) -> None:
    copy = tmp_path / "mine" / "fast"  # whose place on this machine is not told
    shutil.copytree(bundled_models()["fast"], copy)
    for _ in range(2):  # an older page is replaced
        write_static_page(copy, tmp_path / "page")
    assert {path.name for path in (tmp_path / "page").iterdir()} == set(NAMES)
    html = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    found = re.search(r'id="settings">(.*?)</script>', html)
    assert found is not None and "$" not in html and str(tmp_path) not in html
    assert "<title>leadline: metric" in html and '"og:title" content="leadline' in html
    settings = json.loads(found[1])
    assert settings["name"] == "fast" and settings["view"]["width"] == 266 and len(settings["colors"]) == 6 * 256
    assert "connect-src data: blob:" in html and "default-src 'none'" in html
    script = (tmp_path / "page" / "cpu.js").read_text(encoding="ascii")
    packed = dict(re.findall(r'leadlinePacked\["(.*?)"\] = "(.*?)";', script))
    assert gzip.decompress(base64.b64decode(packed["cpu.wasm"])) == b"ort-wasm-simd-threaded.wasm"
    assert re.search(r"^// onnxruntime-web .*MIT", script)


def test_the_command_writes_the_folder(runtime: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["app", "fast", "--static", str(tmp_path / "page")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'page' / 'index.html'} is the page; it needs the files beside it\n"
    assert (tmp_path / "page" / "model.js").stat().st_size > 20_000_000
    assert main(["app", "fast", "--static", str(tmp_path / "other"), "--backend", "torch"]) == 2
    assert "drop --backend" in capsys.readouterr().err


def test_what_cannot_be_done_is_told_before_any_work(runtime: None, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(LeadlineError, match=r"holds 'notes\.txt', which would be lost"):
        write_static_page("fast", tmp_path)
    with pytest.raises(LeadlineError, match=r"runs leadline's own models, got hf:some/model"):
        write_static_page("hf:some/model", tmp_path / "page")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_npm_fetches_is_what_is_known_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(LeadlineError, match="there is no npm: install Node.js"):
        write_static_page("fast", tmp_path / "page")

    def fetches(command: list[Any], **_: Any) -> "subprocess.CompletedProcess[str]":
        Path(command[-1], f"{static_page.RUNTIME}-{static_page.RUNTIME_VERSION}.tgz").write_bytes(b"another")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", fetches)
    with pytest.raises(LeadlineError, match="another onnxruntime-web@.* than the one known here"):
        write_static_page("fast", tmp_path / "page")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    with pytest.raises(LeadlineError, match="npm cannot fetch onnxruntime-web@.*which says why"):
        write_static_page("fast", tmp_path / "page")
    assert not (tmp_path / "page").exists()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of `fast`, with what npm fetches."""
    folder = tmp_path_factory.mktemp("site") / "page"
    try:
        write_static_page("fast", folder)
    except LeadlineError as error:
        if "npm" in str(error):
            pytest.skip(str(error))
        raise
    return folder


@contextmanager
def opened(site: Path, folder: Path, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """The page from the disk, without a network, in a window of that size."""
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with browser(folder) as page:
        page.call(
            "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )
        page.open((site / "index.html").as_uri(), width, height)
        yield page


def give(page: Page, photo: Path) -> None:
    page.run("document.getElementById('problem').textContent = ''")
    page.choose_file("#file", photo)
    page.wait("document.body.matches('.answered:not(.busy)') || document.getElementById('problem').textContent")


def text(page: Page, part: str) -> str:
    return str(page.run(f"document.getElementById('{part}').textContent"))


def lengths(words: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.\d+", words)]


def wait_for(path: Path, seconds: float = 30) -> None:
    """Wait until a download is whole: until then it has another name."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path.name} is not there after {seconds} s"
        time.sleep(0.1)


def odd_profile() -> bytes:
    """A colour profile in which red and green change places, which nobody overlooks who applies it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    (red, green) = (profile.index(name, 128) + 4 for name in (b"rXYZ", b"gXYZ"))
    profile[red : red + 8], profile[green : green + 8] = profile[green : green + 8], profile[red : red + 8]
    return bytes(profile)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A photo that was taken with the camera on its side, by a lens that EXIF tells, its profile not to be applied."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 26
    picture = Image.open(EXAMPLES / "room_1.jpg").transpose(Image.Transpose.ROTATE_90)
    picture.save(tmp_path / "photo.png", exif=exif, icc_profile=odd_profile())
    return tmp_path / "photo.png"


@pytest.mark.parametrize("window", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_a_browser_without_a_network_answers_as_predict(
    site: Path, photo: Path, tmp_path: Path, window: tuple[int, int]
) -> None:
    wanted = predict(photo, "fast")
    with opened(site, tmp_path, *window) as page:
        give(page, photo)
        assert text(page, "problem") == ""
        assert text(page, "focal") == f"focal length {wanted.focal_px:.0f} px (EXIF)"
        assert lengths(text(page, "summary")) == pytest.approx([round(each, 2) for each in wanted.summary], abs=0.011)

        points = [(0.3, 0.5), (0.7, 0.8)]
        places = [(x * 640 - 0.5, y * 480 - 0.5) for x, y in points]
        page.click("#points", *points[0])
        assert lengths(text(page, "result"))[0] == pytest.approx(depth_at(wanted, places[0]).metres, abs=0.03)
        page.click("#points", *points[1])
        apart = distance_between(wanted, *places)
        assert lengths(text(page, "result"))[0] == pytest.approx(apart.metres, abs=0.05)
        page.click("#surface", 0.5, 0.5, (0.6, 0.5))
        for kind in ("png", "ply", "glb"):
            page.click(f"[data-file={kind}]")
            page.wait("!document.body.matches('.busy')")
        for name in ("photo_depth.png", "photo.ply", "photo.glb"):
            wait_for(tmp_path / "downloads" / name)
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        assert [each for each in page.trouble() if '"error"' in each or "exception" in each] == []
        assert all(url.startswith("file:") for url in page.requested())

    depth_m = read_depth_png(tmp_path / "downloads" / "photo_depth.png").depth_m
    change = np.abs(depth_m / wanted.depth_m - 1)
    assert change.mean() < 0.001 and np.quantile(change, 0.999) < 0.005
    cloud: Any = trimesh.load(tmp_path / "downloads" / "photo.ply")
    assert cloud.vertices[:, 2].min() == pytest.approx(wanted.depth_m.min(), rel=0.05)
    surface: Any = trimesh.load(tmp_path / "downloads" / "photo.glb", force="mesh")
    assert surface.bounds[0][2] == pytest.approx(-cloud.vertices[:, 2].max(), rel=0.01)


def test_what_the_visitor_gives_is_taken_and_what_is_wrong_is_told(site: Path, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with opened(site, tmp_path) as page:
        page.choose_file("#file", tmp_path / "broken.jpg")
        page.wait("document.getElementById('problem').textContent")
        assert text(page, "problem") == "this browser cannot read broken.jpg: save it as JPEG or PNG"
        give(page, photo)
        page.run("document.getElementById('fov').value = '90'")
        page.click("#camera button")
        page.wait("document.body.matches('.answered:not(.busy)')")
        assert text(page, "focal") == "focal length 320 px (given)"  # half of 640 px, seen under 45 degrees
        wanted = predict(photo, "fast", fov_deg=90)
        assert lengths(text(page, "summary")) == pytest.approx([round(each, 2) for each in wanted.summary], abs=0.011)
        before = page.run("document.getElementById('picture').toDataURL()")
        page.click(".views label:last-child")
        assert page.run("document.getElementById('picture').toDataURL()") != before


PRESSED = """(() => {
  const surface = document.getElementById("surface");
  surface.dispatchEvent(new KeyboardEvent("keydown", { key: "%s" }));
  return surface.toDataURL();
})()"""
"""What the surface shows at once after a key."""


@pytest.mark.parametrize("window", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_everyone_can_read_the_page_and_measure_by_keys(
    site: Path, photo: Path, tmp_path: Path, window: tuple[int, int]
) -> None:
    with opened(site, tmp_path, *window) as page:
        assert grave_violations(page) == []
        give(page, photo)
        assert page.run("document.getElementById('picture').ariaLabel") == f"Depth in colours: {text(page, 'summary')}"
        page.press("Tab", "Tab")  # the choice of a photo, the depth
        assert text(page, "result").startswith("Arrow keys move the cross")
        page.press("Enter")
        wanted = predict(photo, "fast")
        middle = (320.0, 240.0)
        assert lengths(text(page, "result"))[0] == pytest.approx(depth_at(wanted, middle).metres, abs=0.03)
        page.press(*["ArrowLeft"] * 20, "ArrowDown")  # steps of 640 / 100 px, upwards rounded
        page.press("ArrowDown", shift=True)
        page.press("Enter")
        apart = distance_between(wanted, middle, (320.0 - 20 * 7, 240.0 + 7 + 1))
        assert lengths(text(page, "result"))[0] == pytest.approx(apart.metres, abs=0.03)
        assert grave_violations(page) == []

        turned = [page.run(PRESSED % key) for key in ("Home", "ArrowRight", "+", "Home")]
        assert turned[0] == turned[3] and len(set(turned)) == 3


def test_a_mistake_takes_nothing_away(site: Path, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with opened(site, tmp_path) as page:
        give(page, photo)
        page.click("#points", 0.3, 0.5)
        seen = [text(page, "summary"), text(page, "result"), page.run("document.getElementById('picture').toDataURL()")]
        page.run("document.getElementById('fov').value = 'wide'")
        page.click("#camera button")
        page.wait("document.getElementById('problem').textContent")
        assert text(page, "problem").endswith('got "wide": write 70, say') and grave_violations(page) == []
        give(page, tmp_path / "notes.txt")
        assert text(page, "problem") == "this browser cannot read notes.txt: save it as JPEG or PNG"
        assert seen == [
            text(page, "summary"),
            text(page, "result"),
            page.run("document.getElementById('picture').toDataURL()"),
        ]
        for typed, told in (("60,5", "(given)"), ("", "(EXIF)")):
            page.run(f"document.getElementById('fov').value = {typed!r}")
            page.click("#camera button")
            page.wait(f"document.getElementById('focal').textContent.includes({told!r})")
            assert text(page, "problem") == ""
