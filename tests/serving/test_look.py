"""The served page as a browser shows it: mistakes take nothing away, and everyone can read it."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe import grave_violations
from chromium import CHROMIUM, Page, browser

from leadline.serving import web
from leadline.serving.look import with_preview
from leadline.serving.web import EXAMPLES, served_page

pytest.importorskip("gradio", reason="needs the extra app")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")
httpx = pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served_page("fast", "127.0.0.1", port) as found:
        yield found


@contextmanager
def opened(address: str, folder: Path, width: int, height: int) -> Iterator[Page]:
    if CHROMIUM is None:
        pytest.skip("needs chromium")
    with browser(folder) as page:
        page.open(address, width, height)
        page.wait("document.querySelector('#photo input[type=file]') && document.querySelector('.empty[role=img]')")
        yield page


def type_into(page: Page, label: str, text: str) -> None:
    page.run(f"""(() => {{
      const labels = [...document.querySelectorAll("label")];
      const field = labels.find((each) => each.innerText.includes({label!r})).querySelector("input, textarea");
      field.value = {text!r};
      field.dispatchEvent(new Event("input", {{ bubbles: true }}));
    }})()""")


def press(page: Page, name: str) -> None:
    page.run(f"[...document.querySelectorAll('button')].find((each) => each.innerText.trim() === {name!r}).click()")


def wait_for_answer(page: Page, focal: str) -> None:
    page.wait(f"document.querySelector('#words').innerText.includes({focal!r}) && document.querySelector('#depth img')")
    page.wait("document.querySelector('#surface canvas') && !document.querySelector('#problem p')")


def seen(page: Page) -> tuple[str, str]:
    """What is shown as depth, and its words; nothing may lie over it."""
    assert page.run("[...document.querySelectorAll('.error')].map((each) => each.innerText)") == []
    return page.run("document.querySelector('#depth img').src"), page.run("document.querySelector('#words').innerText")


def wait_for_problem(page: Page, words: str) -> None:
    page.wait(f"document.querySelector('#problem [role=alert]')?.innerText.includes({words!r})")


@pytest.mark.parametrize("window", [(1280, 900), (390, 844)], ids=["desk", "phone"])
def test_a_mistake_takes_nothing_away_and_everyone_can_read_the_page(
    address: str, tmp_path: Path, window: tuple[int, int]
) -> None:
    (tmp_path / "no.jpg").write_text("no picture")
    with opened(address, tmp_path, *window) as page:
        assert grave_violations(page) == []
        page.choose_file("#photo input[type=file]", EXAMPLES[1])
        wait_for_answer(page, "(assumed)")
        assert grave_violations(page) == []
        first = seen(page)
        assert first[1].split("\n")[0] in page.run("document.querySelector('#depth img').alt")

        type_into(page, "field of view", "wide")
        press(page, "Predict")
        wait_for_problem(page, "got 'wide': write 70, say. What is shown is still the depth of room_1.")
        assert seen(page) == first and grave_violations(page) == []
        page.run("document.querySelector('#problem p').remove()")
        page.run("document.querySelector('.gallery-item').click()")  # another image to try
        wait_for_problem(page, "got 'wide'")
        assert seen(page) == first

        type_into(page, "field of view", "70,5")
        press(page, "Predict")
        wait_for_answer(page, "(given)")
        second = seen(page)
        assert second[0] != first[0]
        type_into(page, "Measure without", "10,20,30")
        press(page, "Measure")
        wait_for_problem(page, "got '10,20,30'")
        page.run("document.querySelector('#photo [aria-label*=Remove], #photo [aria-label=Clear]').click()")
        page.wait("document.querySelector('#photo input[type=file]')")
        page.choose_file("#photo input[type=file]", tmp_path / "no.jpg")
        wait_for_problem(page, "no.jpg is no picture that can be read")
        page.wait("document.querySelector('#photo input[type=file]') && !document.querySelector('#photo img')")
        assert seen(page) == second and grave_violations(page) == []
        assert page.run("document.documentElement.scrollWidth <= innerWidth")


def test_a_link_to_the_page_says_what_it_is(address: str) -> None:
    page = httpx.get(address).text
    assert "<title>leadline: metric depth from a single image</title>" in page
    for name in ("title", "description"):
        found = re.findall(rf'<meta (?:property="og|name="twitter):{name}" content="(.*?)"', page, re.DOTALL)
        assert len(found) == 1 and re.search("leadline|metres", found[0])
    assert not re.search(r'<meta [^>]*content="[^"]*gradio', page, re.IGNORECASE)
    assert page.index('charset="utf-8"') < 1024  # where browsers look for it


def test_the_examples_can_be_tried_long_after_the_page_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")  # as it was, for the page above, at the end
    monkeypatch.setattr(web, "KEPT_S", -1)
    monkeypatch.setattr(web, "CLEARED_EVERY_S", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with web.served_page("fast", "127.0.0.1", port) as address:
        time.sleep(0.2)
        parts = httpx.get(f"{address}config").json()["components"]
        (examples,) = [part["props"]["samples"] for part in parts if part["type"] == "dataset"]
        assert len(examples) == len(EXAMPLES)
        for (example,), path in zip(examples, EXAMPLES, strict=True):
            assert httpx.get(f"{address}gradio_api/file={example['path']}").content == path.read_bytes()


def test_only_the_preview_is_another() -> None:
    page = b'<html><head>\n<meta\n property="og:title"\n content="x" /><meta name="viewport" content="y"></head></html>'
    found = with_preview(page)
    assert found.count(b"og:title") == 1 and found.endswith(b'<meta name="viewport" content="y"></head></html>')


def test_of_photos_chosen_one_after_the_other_the_last_is_answered(address: str, tmp_path: Path) -> None:
    with opened(address, tmp_path, 1280, 900) as page:
        page.run("[...document.querySelectorAll('.gallery-item')].slice(1).forEach((each) => each.click())")
        page.wait("document.querySelector('#photo img')?.src.endsWith('room_3.jpg')")
        wait_for_answer(page, "(assumed)")
        type_into(page, "Measure without", "a")  # which says whose depth it is
        page.wait("!document.querySelector('#depth .progress-text, #depth .meta-text')")
        press(page, "Measure")
        wait_for_problem(page, "still the depth of room_3.")
