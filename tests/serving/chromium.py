"""A browser without a window, driven by the DevTools protocol through a pipe: no port, no package."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_FLAGS = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"]
_QUIET = ["--disable-background-networking", "--disable-component-update", "--enable-unsafe-swiftshader"]
TROUBLE = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
"""Events of which a page without faults has none."""
_KEY_CODES = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
_BOX = """(part) => {
  part.scrollIntoView({ block: "center" });
  const box = part.getBoundingClientRect();
  return [box.x, box.y, box.width, box.height];
}"""


class Page:
    """One page of the browser."""

    def __init__(self, process: "subprocess.Popen[bytes]", to: int, answers: int) -> None:
        self._process, self._to, self._answers = process, to, answers
        self._buffer, self._number, self._session = b"", 0, ""
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> Any:
        """Ask the browser for something, and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session and not method.startswith("Browser."):
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            read = os.read(self._answers, 1 << 20)
            assert read, "the browser has ended"
            self._buffer += read
        message, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(message))

    def open(self, url: str, width: int, height: int) -> None:
        """Load a page in a window of that size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if width < 600 else 1,
            mobile=width < 600,
        )
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """The value of an expression in the page, awaited."""
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, condition: str, seconds: float = 240) -> None:
        """Wait until an expression in the page is true; on a busy machine it may take minutes."""
        end = time.monotonic() + seconds
        while not self.run(f"Boolean({condition})"):
            assert time.monotonic() < end, f"{condition} is not so after {seconds} s: {self.trouble()}"
            time.sleep(0.1)

    def choose_file(self, selector: str, path: Path) -> None:
        """Give a file to an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def click(
        self, selector: str, across: float = 0.5, down: float = 0.5, to: tuple[float, float] | None = None
    ) -> None:
        """Press the mouse in a part of the page, in shares of its size, and let go there or elsewhere in it."""
        x, y, width, height = self.run(f"({_BOX})(document.querySelector({selector!r}))")
        end = to or (across, down)
        for kind, (right, below) in (("Pressed", (across, down)), ("Moved", end), ("Released", end)):
            self.call(
                "Input.dispatchMouseEvent",
                type=f"mouse{kind}",
                x=x + right * width,
                y=y + below * height,
                button="left",
                buttons=int(kind != "Released"),
                clickCount=1,
            )

    def press(self, *keys: str, shift: bool = False) -> None:
        """Press keys, by the names that JavaScript gives them, wherever the focus is."""
        for key in keys:
            for kind in ("rawKeyDown", "keyUp"):
                code = _KEY_CODES.get(key, 0)
                self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, modifiers=8 * shift)

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """Write what is seen as PNG."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def trouble(self) -> list[str]:
        """What the console has been told."""
        return [json.dumps(event["params"])[:600] for event in self.events if event["method"] in TROUBLE]

    def requested(self) -> list[str]:
        """Addresses that the page has asked for, but those within itself."""
        urls = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "blob:"))]


def _give_pipe(reads: int, writes: int) -> None:
    """The browser reads what it is asked from file 3 and answers to file 4."""
    high = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, 10) for file in (reads, writes)]
    for file, number in zip(high, (3, 4), strict=True):
        os.dup2(file, number)


@contextmanager
def browser(folder: Path, *flags: str) -> Iterator[Page]:
    """Start a browser with its files in a folder, its downloads in `folder`/downloads."""
    assert CHROMIUM is not None
    (reads, to), (answers, writes) = os.pipe(), os.pipe()
    command = [CHROMIUM, *_FLAGS, *_QUIET, *flags, f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, close_fds=False, preexec_fn=partial(_give_pipe, reads, writes)
        )
    os.close(reads)
    os.close(writes)
    try:
        page = Page(process, to, answers)
        page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder / "downloads"))
        yield page
        page.call("Browser.close")
    finally:
        process.kill()
        process.wait()
        os.close(to)
        os.close(answers)
