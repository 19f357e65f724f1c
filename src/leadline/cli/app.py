"""The command that serves the page: `leadline app`."""

import signal
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from leadline.cli.console import Names, Runtime, run_by
from leadline.errors import LeadlineError


def app(
    model: str = "default",
    /,
    *,
    backend: Runtime | None = None,
    host: str = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=1, lte=65535))] = 7860,
    host_name: Names = None,
    static: Path | None = None,
) -> int:
    """Serve a web page that predicts the depth of images, until Ctrl-C; or write one that needs no server.

    Args:
        model: default, the name of a bundled model, the folder of a checkpoint or a run, an .onnx or OpenVINO .xml
            file, or hf:NAME.
        backend: what runs a leadline model: onnxruntime or torch; if not given, what answers soonest
            (docs/models.md).
        host: address to listen on; 0.0.0.0 also accepts other machines.
        port: port to listen on.
        host_name: a name under which the page is reached besides this machine's own, such as a proxy's; requests for
            other names are refused.
        static: folder to write, instead, with a page for any web server or a disk: it predicts in the visitor's
            browser.
    """
    from leadline.serving import served_page, write_static_page

    if static is not None:
        if backend is not None:
            raise LeadlineError("--static leaves the choice of what runs the model to the browser: drop --backend")
        write_static_page(model, static)
        print(f"{static / 'index.html'} is the page; it needs the files beside it")
        return 0

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)  # by which services end; visitors' images are to go then too
    try:
        with served_page(run_by(model, backend), host, port, host_name or ()) as address, suppress(KeyboardInterrupt):
            print(f"{address} shows the page; Ctrl-C ends it", flush=True)
            Event().wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0
