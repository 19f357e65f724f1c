import hashlib
import re
import shutil
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from leadline.data.download import NYU_FILES, RemoteFile, download_nyu, fetch
from leadline.errors import LeadlineError

CONTENT = bytes(range(256)) * 12_000  # 3 MB: several blocks
NAME = "nyu.mat"
REAL_SPLITS = Path(__file__).parents[2] / ".." / "shared" / "data" / "nyu-v2-labelled" / "splits.mat"


class Server(ThreadingHTTPServer):
    """Serves `content` at any path but /gone, with byte ranges, and remembers what was asked for."""

    content = CONTENT
    knows_ranges = True
    tells_length = True
    breaks_off_after: int | None = None
    talks_http = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []

    def remote(self, name=NAME, content=CONTENT):
        """What the table of files says, which the server may or may not keep to."""
        return RemoteFile(
            name,
            f"http://127.0.0.1:{self.server_port}/{name}",
            len(content),
            hashlib.md5(content).hexdigest(),
            hashlib.sha256(content).hexdigest(),
        )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers["Range"])
        if not server.talks_http:
            self.wfile.write(b"SSH-2.0\r\n\r\n")
            return
        if self.path == "/gone":
            self.send_error(404)
            return
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(asked[1]) if asked and server.knows_ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if server.tells_length:
            self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        self.wfile.write(server.content[start:][: server.breaks_off_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def one_line(caught):
    text = str(caught.value)
    assert "\n" not in text
    return text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_fresh_download_of_every_file_in_order(server, tmp_path):
    out = tmp_path / "new" / "folder"
    paths = download_nyu(out, [server.remote("b.mat"), server.remote("a.mat")])
    assert paths == [out / "b.mat", out / "a.mat"]
    assert all(path.read_bytes() == CONTENT for path in paths)
    assert names(out) == ["a.mat", "b.mat"]
    assert server.ranges == [None, None]


def test_a_cut_file_is_resumed_where_it_stopped(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1_234_567])
    assert fetch(server.remote(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1234567-"]
    assert names(tmp_path) == [NAME]


def test_a_broken_connection_keeps_what_came_and_the_next_call_goes_on(server, tmp_path):
    server.breaks_off_after = 1_500_000
    with pytest.raises(LeadlineError, match="broke off at 1,500,000 of 3,072,000 bytes; try again") as caught:
        fetch(server.remote(), tmp_path)
    assert server.remote().address in one_line(caught)
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:1_500_000]
    assert names(tmp_path) == [f"{NAME}.part"]
    server.breaks_off_after = None
    assert fetch(server.remote(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1500000-"]


def test_a_whole_partial_file_is_only_checked(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert fetch(server.remote(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == []


def test_a_partial_file_longer_than_the_whole_is_fetched_anew(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT + b"more")
    assert fetch(server.remote(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    server.knows_ranges = False
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    assert fetch(server.remote(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-"]


def test_a_server_that_does_not_tell_the_length(server, tmp_path):
    server.tells_length = False
    assert fetch(server.remote(), tmp_path).read_bytes() == CONTENT


def test_the_right_file_is_not_asked_for_again(server, tmp_path):
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch(server.remote(), tmp_path) == tmp_path / NAME
    assert server.ranges == []


@pytest.mark.parametrize("wrong", [b"cut short", CONTENT[:-1] + b"?"])
def test_a_wrong_file_is_replaced_by_the_right_one(server, tmp_path, wrong):
    (tmp_path / NAME).write_bytes(wrong)
    assert fetch(server.remote(), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_checksum_removes_the_partial_file_and_spares_the_old_one(server, tmp_path, algorithm):
    (tmp_path / NAME).write_bytes(b"old")
    file = server.remote()._replace(**{algorithm: "0" * 32})
    with pytest.raises(LeadlineError, match=f"sent has the {algorithm} [0-9a-f]+, wanted 0000") as caught:
        fetch(file, tmp_path)
    text = one_line(caught)
    assert file.address in text and "try again" in text and str(tmp_path / NAME) in text
    assert names(tmp_path) == [NAME]
    assert (tmp_path / NAME).read_bytes() == b"old"


def test_more_bytes_than_wanted_are_refused(server, tmp_path):
    server.tells_length = False
    server.content = CONTENT + b"more"
    with pytest.raises(LeadlineError, match="has 3,072,004 bytes, wanted 3,072,000"):
        fetch(server.remote(), tmp_path)
    assert names(tmp_path) == []


def test_another_file_at_the_address_does_not_touch_the_partial_one(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    server.knows_ranges = False
    server.content = b"<html>Please log in"
    with pytest.raises(LeadlineError, match=r"offers 19 bytes, wanted 3,072,000 \(a login page\?\)"):
        fetch(server.remote(), tmp_path)
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:1000]


def test_no_network_names_the_address_and_the_remedy(tmp_path, server):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = server.remote()._replace(address=f"http://127.0.0.1:{port}/{NAME}")
    with pytest.raises(LeadlineError, match="[Cc]onnection refused") as caught:
        fetch(file, tmp_path)
    text = one_line(caught)
    assert text.startswith(f"could not fetch {file.address}: ")
    assert text.endswith(f"or download it by hand and put it at {tmp_path / NAME}")


def test_a_missing_address_says_its_status(server, tmp_path):
    with pytest.raises(LeadlineError, match="HTTP Error 404: Not Found; try again"):
        fetch(server.remote("gone"), tmp_path)


def test_a_server_that_speaks_no_http(server, tmp_path):
    server.talks_http = False
    with pytest.raises(LeadlineError, match="could not fetch .*SSH-2.0") as caught:
        fetch(server.remote(), tmp_path)
    one_line(caught)


def test_a_file_in_place_of_the_folder(server, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(LeadlineError, match="could not fetch .*[Ee]xists"):
        fetch(server.remote(), tmp_path / "out")


def test_the_table_holds_the_two_official_files():
    assert [file.name for file in NYU_FILES] == ["nyu_depth_v2_labeled.mat", "splits.mat"]
    assert NYU_FILES[0].num_bytes == 2_972_037_809
    assert all(len(file.md5) == 32 and len(file.sha256) == 64 for file in NYU_FILES)


@pytest.mark.skipif(not REAL_SPLITS.is_file(), reason="needs the real splits.mat in ../shared")
def test_the_real_split_file_is_recognised(tmp_path):
    shutil.copyfile(REAL_SPLITS, tmp_path / "splits.mat")
    nowhere = NYU_FILES[1]._replace(address="http://127.0.0.1:9/splits.mat")
    assert fetch(nowhere, tmp_path) == tmp_path / "splits.mat"
