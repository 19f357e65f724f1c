"""The page is asked as a program asks it; how it looks, a person has to see."""

import signal
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from conftest import TINY_MODEL
from leadline import predict
from leadline.cli.main import main
from leadline.errors import LeadlineError
from leadline.export import export
from leadline.io.depth_files import read_depth_png, read_npz
from leadline.models.build import build_model
from leadline.models.model import DepthModel
from leadline.prediction import FORMATS, open_metric_backend
from leadline.prediction.colors import depth_limits, draw_depth
from leadline.serving import web as app
from leadline.serving.web import build_page, served_page

gradio_client = pytest.importorskip("gradio_client", reason="the page needs gradio")


@pytest.fixture(scope="module")
def model() -> DepthModel:
    torch.manual_seed(0)
    return build_model(TINY_MODEL.model_copy(update={"focal_px": 40.0})).eval()


@pytest.fixture(scope="module")
def address(model: DepthModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    page = build_page(open_metric_backend(model), "tiny", tmp_path_factory.mktemp("page"))
    page.launch(prevent_thread_lock=True, quiet=True)
    yield page.local_url
    page.close(verbose=False)


@pytest.fixture
def client(address: str, tmp_path: Path) -> Any:
    return gradio_client.Client(address, verbose=False, download_files=tmp_path / "got")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (72, 96, 3), np.uint8)
    exif = Image.Exif()
    exif[0x8769] = {0xA405: 36}  # a full-frame lens of 36 mm: 36 / 43.27 of the picture's diagonal, 120 px
    Image.fromarray(pixels).save(tmp_path / "desk.png", exif=exif)
    return tmp_path / "desk.png"


def ask(client: Any, picture: Path | None, fov_deg: str = "", focal_px: str = "") -> tuple[Any, ...]:
    given = None if picture is None else gradio_client.handle_file(str(picture))
    answer: tuple[Any, ...] = client.predict(given, fov_deg, focal_px, False, api_name="/predict")
    return answer


def test_a_picture_becomes_depth_surface_and_words(client: Any, picture: Path, model: DepthModel) -> None:
    depth, error, surface, words = ask(client, picture)
    own = predict(picture, model)
    drawn = draw_depth(own.depth_m, own.valid, *depth_limits(own.depth_m, own.valid))
    assert np.array_equal(Image.open(depth), drawn)
    assert error is None  # this network expects none
    assert Path(surface).read_bytes()[:4] == b"glTF"
    assert "focal 100 px (EXIF)" in words


def test_the_camera_can_be_told(client: Any, picture: Path) -> None:
    assert "focal 200 px (given)" in ask(client, picture, focal_px="200")[-1]
    assert "focal 48 px (given)" in ask(client, picture, fov_deg=" 90 ")[-1]
    assert "focal 70 px (given)" in ask(client, picture, focal_px="70,4")[-1]  # a decimal comma


def test_hdr_is_told(client: Any, picture: Path) -> None:
    whole, body = picture.read_bytes(), b"cICP" + bytes([9, 16, 0, 1])  # BT.2020, PQ
    place = whole.index(b"IDAT") - 4
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    hdr = picture.with_name("hdr.png")
    hdr.write_bytes(whole[:place] + chunk + whole[place:])
    said = "The photo's HDR (PQ) is tone-mapped to SDR."
    assert said in ask(client, hdr)[-1] and said not in ask(client, picture)[-1]


def test_points_are_typed_as_pairs() -> None:
    assert app.typed_points("320,240 100.5,80") == [(320, 240), (100.5, 80)]
    for wrong in ("", "320", "1,2 3,4 5,6", "a,b"):
        with pytest.raises(LeadlineError, match="write 320,240"):
            app.typed_points(wrong)


def test_every_format_says_what_it_is_for() -> None:
    assert set(app.FILE_KINDS) == set(FORMATS)


def test_files_are_those_of_the_last_picture(client: Any, picture: Path, model: DepthModel) -> None:
    ask(client, picture, focal_px="50")
    ask(client, picture, focal_px="70")
    depth, npz = (Path(path) for path in client.predict(["depth", "npz"], api_name="/files"))
    own = predict(picture, model, focal_px=70)
    assert (depth.name, npz.name) == ("desk_depth.png", "desk.npz")
    assert np.array_equal(read_npz(npz).depth_m, own.depth_m)
    assert np.allclose(read_depth_png(depth).depth_m, own.depth_m, atol=0.0006)


def test_no_picture_is_no_mistake(client: Any) -> None:
    assert ask(client, None) == (None, None, None, "")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"fov_deg": "200"}, "field of view lies between 0 and 180"),
        ({"fov_deg": "70", "focal_px": "500"}, "not both"),
        ({"focal_px": "wide"}, "are numbers, got 'wide': write 70, say"),
        ({"focal_px": "1_000"}, "are numbers, got '1_000': write 70, say"),
        ({"focal_px": "1" + "x" * 5000}, "got '1x{159}…': write 70, say"),
    ],
)
def test_a_mistake_is_told_in_its_own_words(client: Any, picture: Path, given: dict[str, str], told: str) -> None:
    with pytest.raises(Exception, match=told):
        ask(client, picture, **given)


def test_what_is_no_picture_is_refused_in_words(client: Any, tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_text("no picture")
    with pytest.raises(Exception, match="^no.jpg is no picture that can be read"):
        ask(client, tmp_path / "no.jpg")


def test_visitors_name_no_files_of_this_machine(client: Any, address: str, picture: Path) -> None:
    httpx = pytest.importorskip("httpx")
    for payload in ({"path": str(picture)}, {}, {"path": None, "url": "data:image/png;base64,AAAA"}):
        asked = httpx.post(f"{address}gradio_api/call/predict", json={"data": [payload, "", "", False]})
        answer = httpx.get(f"{address}gradio_api/call/predict/{asked.json()['event_id']}").text
        assert "event: error" in answer and "event: complete" not in answer


def test_long_names_leave_room_for_endings(client: Any, picture: Path, tmp_path: Path) -> None:
    long = picture.rename(tmp_path / f"{'長' * 60}.png")
    ask(client, long)
    names = [Path(path).name for path in client.predict(["depth", "color"], api_name="/files")]
    assert len(set(names)) == 2 and all(name.endswith(("_depth.png", "_color.png")) for name in names)


def test_old_files_of_visitors_go_and_newer_ones_stay(tmp_path: Path) -> None:
    for name in ("gradio/1/a.png", "answer-1/a.glb"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("a")
    app.clear_old(tmp_path, 60)
    assert len(list(tmp_path.rglob("*.*"))) == 2
    app.clear_old(tmp_path, -1)
    assert not list(tmp_path.iterdir())
    assert app.KEPT_S + app.CLEARED_EVERY_S < 3600


def test_what_visitors_leave_is_cleared_while_the_page_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "KEPT_S", -1)
    monkeypatch.setattr(app, "CLEARED_EVERY_S", 0.01)
    (tmp_path / "gradio").mkdir()
    own = [tmp_path / "gradio" / "example.png", tmp_path / "gradio"]
    own[0].write_text("a")
    with app._clearing(tmp_path):
        (tmp_path / "gradio" / "a.png").write_text("a")
        (tmp_path / "answer").mkdir()
        for _ in range(500):
            if len(list(tmp_path.rglob("*"))) == 2:
                break
            time.sleep(0.01)
    assert sorted(tmp_path.rglob("*"), reverse=True) == own


def test_what_nobody_expected_is_told_with_its_kind(
    client: Any, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise AssertionError("of a foreign library")

    monkeypatch.setattr(app, "predict", broken)
    with pytest.raises(Exception, match=r"desk.png: no result \(AssertionError: of a foreign library\)"):
        ask(client, picture)


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (400, 300)).save(tmp_path / "large.png")
    monkeypatch.setattr(app, "MAX_PIXELS_IN_FILE", 1000)
    monkeypatch.setattr(app, "predict", lambda *_, **__: pytest.fail("it was decoded"))
    with pytest.raises(Exception, match="large.png has 400 x 300 pixels, wanted at most"):
        ask(client, tmp_path / "large.png")


def test_files_before_a_picture_are_refused(client: Any) -> None:
    with pytest.raises(Exception, match="choose an image and press Predict"):
        client.predict(["depth"], api_name="/files")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_interrupted_and_leaves_no_picture_behind(
    how: signal.Signals,
    tiny_checkpoint: Path,
    picture: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "set by the command")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def interrupted(self: Event) -> None:
        client = gradio_client.Client(f"http://127.0.0.1:{port}", verbose=False, download_files=tmp_path / "got")
        assert "focal 100 px (EXIF)" in ask(client, picture)[-1]
        assert len(list(tmp_path.glob("leadline-*/**/desk.png"))) == 1
        signal.raise_signal(how)

    monkeypatch.setattr("leadline.cli.app.Event", type("Interrupted", (), {"wait": interrupted}))
    assert main(["app", str(tiny_checkpoint), "--port", str(port)]) == 0
    assert f"http://127.0.0.1:{port}/ shows the page; Ctrl-C ends it" in capsys.readouterr().out
    assert not list(tmp_path.glob("leadline-*"))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.usefixtures("traced_once")
def test_a_file_is_served(tiny_checkpoint: Path, picture: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    model = tmp_path / "tiny.onnx"
    export(tiny_checkpoint, model)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served_page(model, "127.0.0.1", port) as address:
        client = gradio_client.Client(address, verbose=False, download_files=tmp_path / "got")
        depth, *_, words = ask(client, picture, focal_px="50")
        own = predict(picture, str(model), focal_px=50.0)
        drawn = draw_depth(own.depth_m, own.valid, *depth_limits(own.depth_m, own.valid))
        assert np.array_equal(Image.open(depth), drawn)
        assert "focal 50 px (given)" in words


def test_a_port_in_use_is_named(tiny_checkpoint: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            LeadlineError, match=f"cannot listen at 127.0.0.1, port {port} .*: name another --host or --port"
        ):
            served_page(tiny_checkpoint, "127.0.0.1", port).__enter__()


def test_without_gradio_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    with pytest.raises(LeadlineError, match=r'pip install "leadline\[app\]"'):
        served_page("default", "127.0.0.1", 0).__enter__()
