"""The page is asked in ways that it is not for: by foreign names, at length, and for what stands elsewhere."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from leadline.errors import LeadlineError
from leadline.serving import guard
from leadline.serving.guard import Guard, refuse_addresses
from leadline.serving.web import served_page

pytest.importorskip("gradio", reason="the page needs gradio")


@pytest.fixture
def address(tiny_checkpoint: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served_page(tiny_checkpoint, "127.0.0.1", port, ["depth.example"]) as url:
        yield urlsplit(url).netloc


def ask(address: str, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
    connection = HTTPConnection(address, timeout=20)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_it_answers_only_to_names_that_it_is_served_under(address: str) -> None:
    for host in ("localhost:7860", "[::1]:80", "Depth.Example."):
        assert ask(address, "GET", "/config", host=host)[0] == 200, host
    for host in ("evil.example", "127.0.0.1.evil.example:7860", ""):
        status, told = ask(address, "GET", "/config", host=host)
        assert status == 421 and "--host-name NAME" in json.loads(told)["detail"], host


def test_where_it_listens_everywhere_numbers_and_the_machines_own_name_are_its_own() -> None:
    anywhere = Guard(lambda *_: None, "0.0.0.0")  # type: ignore[arg-type, return-value]
    for host in ("192.168.1.7:7860", "[fe80::1]:7860", socket.gethostname(), "localhost"):
        assert anywhere.is_own(host), host
    assert not anywhere.is_own("evil.example:7860")
    assert not Guard(lambda *_: None, "127.0.0.1").is_own("192.168.1.7")  # type: ignore[arg-type, return-value]


FORM = "multipart/form-data; boundary=b"
BEFORE = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'


def test_an_upload_beyond_the_limit_is_refused_by_its_length_and_while_it_comes(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "MAX_UPLOAD_BYTES", 100_000)
    whole = BEFORE + b"0" * 50_000 + b"\r\n--b--\r\n"
    assert ask(address, "POST", "/gradio_api/upload", whole, content_type=FORM)[0] == 200
    long = BEFORE + b"0" * 150_000 + b"\r\n--b--\r\n"
    status, told = ask(address, "POST", "/gradio_api/upload", long, content_type=FORM)
    assert status == 413 and "at most" in json.loads(told)["detail"]
    try:
        status = ask(address, "POST", "/gradio_api/upload", iter([long]), content_type=FORM)[0]
    except OSError:  # it hung up
        status = 0
    assert status != 200


def test_a_call_beyond_the_limit_is_refused(address: str) -> None:
    body = json.dumps({"data": ["0" * guard.MAX_BODY_BYTES]}).encode()
    for sent in (body, iter([body])):
        assert ask(address, "POST", "/gradio_api/call/predict", sent, content_type="application/json")[0] == 413


def test_it_fetches_nothing_by_address(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        elsewhere.settimeout(0.3)
        url = f"http://127.0.0.1:{elsewhere.getsockname()[1]}/a.png"
        file = {"path": url, "meta": {"_type": "gradio.FileData"}}
        for values in ([file, "", "", False], [None, file, "", False]):
            body = json.dumps({"data": values}).replace("http:", "\\u0068ttp:")  # as escaped as it may be
            status, told = ask(address, "POST", "/gradio_api/call/predict", body, content_type="application/json")
            assert status == 400 and "fetches nothing by its address" in told
        with pytest.raises(TimeoutError):
            elsewhere.accept()


def test_a_body_that_is_no_json_or_nested_too_deep() -> None:
    refuse_addresses(b"")
    refuse_addresses(b"no JSON")
    refuse_addresses(b'{"data": [{"path": "upload/a.png"}, 3, null]}')
    with pytest.raises(LeadlineError, match="nested too deep"):
        refuse_addresses(b"[" * 100_000)


def test_a_mistake_has_a_reason_in_the_api(address: str) -> None:
    values = [{"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}, "", "", False]
    body = json.dumps({"data": values})
    asked = ask(address, "POST", "/gradio_api/call/predict", body, content_type="application/json")
    answer = ask(address, "GET", f"/gradio_api/call/predict/{json.loads(asked[1])['event_id']}")[1]
    assert "event: error" in answer
    assert "hostname" in answer.partition("data:")[2]


def test_a_call_of_a_name_that_is_none_has_a_reason_too(address: str) -> None:
    status, told = ask(address, "POST", "/gradio_api/call/nothing", '{"data": []}', content_type="application/json")
    assert status == 500 and "API name: nothing" in json.loads(told)["error"]
