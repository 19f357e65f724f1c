"""The page that needs no server: a folder of files with which a browser predicts depth by itself."""

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from importlib.resources import files
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

from leadline.backends import WholeGraph, bundled_name, find_kind, whole_graph
from leadline.errors import LeadlineError
from leadline.io import atomic_folder, require_only, require_target
from leadline.prediction import MAGMA_REVERSED
from leadline.serving.look import DESCRIPTION, TITLE

RUNTIME, RUNTIME_VERSION = "onnxruntime-web", "1.30.0"
RUNTIME_SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of npm's archive of that version, in base64."""
RUNTIMES = {
    "cpu": {"cpu.mjs": "ort.wasm.bundle.min.mjs", "cpu.wasm": "ort-wasm-simd-threaded.wasm"},
    "gpu": {"gpu.mjs": "ort.webgpu.bundle.min.mjs", "gpu.wasm": "ort-wasm-simd-threaded.asyncify.wasm"},
}
"""Scripts beside the page: what the page asks each for, and what that is in the runtime's archive."""
MODULES = ("maps", "edges", "camera", "measure", "network", "surface", "files", "page")
"""The page's own code, each after those that it imports from."""
NAMES = ("index.html", "page.css", "page.js", "model.js", *(f"{name}.js" for name in RUNTIMES))
POLICY = (
    "default-src 'none'; script-src 'self' blob: 'wasm-unsafe-eval'; worker-src blob:; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src data: blob:"
)
"""What the browser lets the page do (Content Security Policy): nothing of it reaches another address."""


def write_static_page(model: str | Path, folder: Path) -> None:
    """Write a folder with which a browser predicts depth: from any web server, or from a disk.

    A page from a disk may load scripts and nothing else, so that what is no script is packed into some.

    Args:
        model: "default", the name of a bundled model, a checkpoint's folder, or a run's (its best epoch).
        folder: what is written; a page that is there is replaced.

    Raises:
        LeadlineError: if there is no such model or it has no graph, the folder holds something else, onnx or npm is
            missing, or the runtime cannot be fetched.
        OSError: if the folder cannot be written.
    """
    require_target(folder, folder=True)
    require_only(folder, NAMES)
    kind, name = find_kind(model)
    if kind not in ("leadline", "onnxruntime"):
        raise LeadlineError(f"a page that needs no server runs leadline's own models, got {model}: name one of them")
    graph = whole_graph(name)
    with TemporaryDirectory(prefix="leadline-") as temporary:
        runtime = fetch_package(RUNTIME, RUNTIME_VERSION, RUNTIME_SHA512, Path(temporary)) / "dist"
        with atomic_folder(folder) as page:
            _write_own(page, _settings(graph, bundled_name(name) or Path(name).name))
            (page / "model.js").write_text(_packed({"model.onnx": graph.network}), encoding="ascii")
            for script, members in RUNTIMES.items():
                contents = {key: (runtime / member).read_bytes() for key, member in members.items()}
                head = f"// {RUNTIME} {RUNTIME_VERSION}, Microsoft, MIT licence\n"
                (page / f"{script}.js").write_text(head + _packed(contents), encoding="ascii")


def _write_own(page: Path, settings: dict[str, Any]) -> None:
    """The page itself, in which no `<` of the settings may begin a tag."""
    own = files("leadline.serving") / "static"
    html = Template((own / "index.html").read_text(encoding="utf-8"))
    told = json.dumps(settings).replace("<", "\\u003c")
    filled = html.substitute(policy=POLICY, settings=told, title=TITLE, description=DESCRIPTION)
    (page / "index.html").write_text(filled, encoding="utf-8")
    (page / "page.css").write_bytes((own / "page.css").read_bytes())
    sources = [(own / f"{name}.mjs").read_text(encoding="utf-8") for name in MODULES]
    (page / "page.js").write_text(one_script(sources), encoding="utf-8")


def one_script(modules: list[str]) -> str:
    """Modules of JavaScript as one script, since a page from a disk may not load modules.

    Args:
        modules: their sources, each after those that it imports from; imports are of one line, names of one meaning.
    """
    bare = (re.sub(r"^(import .*\n|export )", "", source, flags=re.MULTILINE) for source in modules)
    return '(() => {\n"use strict";\n' + "\n".join(bare) + "})();\n"


def _settings(graph: WholeGraph, name: str) -> dict[str, Any]:
    """What the page must know of its model and how it draws."""
    head = graph.settings.head
    return {
        "name": name,
        "view": graph.settings.view._asdict(),
        "edge_radius_px": graph.settings.edge_radius_px,
        "min_depth_m": head.min_depth_m,
        "max_depth_m": head.max_depth_m,
        "scale": graph.scale,
        "colors": MAGMA_REVERSED.hex(),
    }


def _packed(contents: dict[str, bytes]) -> str:
    """A script that brings bytes by name."""
    coded = {name: base64.b64encode(gzip.compress(each, 6, mtime=0)).decode() for name, each in contents.items()}
    return "".join(f'leadlinePacked["{name}"] = "{text}";\n' for name, text in coded.items())


def fetch_package(name: str, version: str, sha512: str, folder: Path) -> Path:
    """Fetch what runs in a browser by npm, which keeps a copy for the next time.

    Args:
        name: the package.
        version: which of it.
        sha512: of npm's archive of that version, in base64.
        folder: where it is written.

    Returns:
        Where its files are.

    Raises:
        LeadlineError: if there is no npm, it cannot fetch that, or fetches something else.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise LeadlineError(f"the page needs {name}, which npm fetches, and there is no npm: install Node.js")
    package = f"{name}@{version}"
    options = ["--ignore-scripts", "--prefer-offline", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run([npm, "pack", package, *options], capture_output=True, text=True, check=False)
    archive = folder / f"{name}-{version}.tgz"
    if done.returncode or not archive.is_file():
        raise LeadlineError(f"npm cannot fetch {package}: try `npm pack {package}`, which says why")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != sha512:
        raise LeadlineError(f"npm fetched another {package} than the one known here: check where it fetches from")
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")
    return folder / "package"
