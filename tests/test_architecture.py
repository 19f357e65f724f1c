"""The rooms of the house and the arrows between them (docs/architecture.md), and the rules that code can check."""

import ast
from pathlib import Path

import pytest

import leadline

SOURCE = Path(__file__).parents[1] / "src" / "leadline"

ARROWS = {
    "geometry": set(),
    "io": {"geometry"},
    "models": {"io", "geometry"},
    "backends": {"models", "io", "geometry"},
    "data": {"io", "geometry"},
    "prediction": {"backends", "io", "geometry"},
    "export": {"models", "backends", "io", "geometry"},
    "serving": {"prediction", "backends", "io", "geometry"},
    "evaluation": {"prediction", "backends", "models", "data", "io", "geometry"},
    "reporting": {"evaluation", "prediction", "data", "io", "geometry"},
    "training": {"reporting", "evaluation", "models", "data", "io", "geometry"},
}
"""What each room may import; `cli` may import all of them, everyone errors and _version, nobody cli."""

PUBLIC = sorted(
    ["load_model", "predict", "predict_files", "measure", "calibrate", "evaluate", "compare", "export", "train"]
    + ["open_dataset", "Camera", "Prediction", "LeadlineError", "__version__"]
)


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def dotted(path: Path) -> str:
    return ".".join(["leadline", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")


def own_imports(path: Path) -> list[tuple[str, str]]:
    """Module and name of each import of leadline's own, wherever in the file; the name is "" where all is imported."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names if alias.name.split(".")[0] == "leadline"]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports are absolute"
            if (node.module or "").split(".")[0] == "leadline":
                found += [(node.module or "", alias.name) for alias in node.names]
    return found


every_module = pytest.mark.parametrize("path", modules(), ids=name_of)


def test_the_tree_has_these_rooms_and_nothing_beside_them() -> None:
    parts = {path.name for path in SOURCE.iterdir() if path.name != "__pycache__"}
    files = {"__init__.py", "__init__.pyi", "__main__.py", "_version.py", "errors.py", "py.typed"}
    assert parts == {*ARROWS, "cli", "bundled", *files}


@every_module
def test_imports_follow_the_arrows(path: Path) -> None:
    room = room_of(path)
    for module, _ in own_imports(path):
        other = (module.split(".") + [""])[1]
        if room in ARROWS and other not in ("errors", "_version", room):
            assert other in ARROWS[room], f"{name_of(path)} imports {module}"
        elif room not in ("cli", "__main__"):
            assert other != "cli" and module != "leadline", f"{name_of(path)} imports {module}"


@every_module
def test_outsiders_import_from_a_package_not_from_its_modules(path: Path) -> None:
    packages = {dotted(each) for each in SOURCE.rglob("__init__.py")}
    for module, name in own_imports(path):
        if module.split(".")[1:2] != [room_of(path)] and module not in ("leadline.errors", "leadline._version"):
            assert module in packages or room_of(path) == "__main__", f"{name_of(path)} imports {name} from {module}"


@every_module
def test_no_private_name_is_imported(path: Path) -> None:
    for module, name in own_imports(path):
        assert not name.startswith("_") or name == "__version__", f"{name_of(path)} imports {name} from {module}"


def test_no_circle_lazy_imports_included() -> None:
    homes = {dotted(path): path for path in modules()}
    stubs = {dotted(path): path for path in SOURCE.rglob("__init__.pyi")}

    def home(module: str, name: str) -> str:
        """The module in which a name is defined, through the faces of packages."""
        if f"{module}.{name}" in homes:
            return f"{module}.{name}"
        for node in ast.parse(stubs[module].read_text(encoding="utf-8")).body if module in stubs else ():
            if isinstance(node, ast.ImportFrom) and any(alias.name == name for alias in node.names):
                target = node.module or ""
                return home(f"{module}.{target}" if node.level else target, name)
        return module

    edges = {start: {home(*each) for each in own_imports(path)} - {start} for start, path in homes.items()}
    state: dict[str, int] = {}

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert state.get(module) != 1, f"import circle: {' -> '.join([*trail, module])}"
        if module in state:
            return
        state[module] = 1
        for target in edges.get(module, ()):
            visit(target, (*trail, module))
        state[module] = 2

    for module in edges:
        visit(module, ())


def test_the_public_names_are_these() -> None:
    assert sorted(leadline.__all__) == PUBLIC
    assert set(PUBLIC) <= set(dir(leadline))
    assert all(getattr(leadline, name) is not None for name in PUBLIC)


def test_packages_hand_on_what_their_stubs_list() -> None:
    for stub in SOURCE.rglob("__init__.pyi"):
        assert "attach_stub(__name__, __file__)" in stub.with_suffix(".py").read_text(encoding="utf-8")


def test_no_module_hides_behind_a_function_of_its_name() -> None:
    for stub in [*SOURCE.rglob("__init__.pyi")]:
        names = {name.asname for node in ast.parse(stub.read_text()).body for name in getattr(node, "names", ())}
        modules_beside = {path.stem for path in stub.parent.iterdir()}
        assert names & modules_beside <= ({"export"} if stub.parent == SOURCE else set()), stub


@every_module
def test_functions_stay_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 80, f"{name_of(path)}: {node.name} has {length} lines"


@every_module
def test_only_the_command_line_prints_or_exits(path: Path) -> None:
    if room_of(path) in ("cli", "__main__"):
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "exit", "quit", "input"), f"{name_of(path)} calls {node.func.id}"


@every_module
def test_heavy_packages_stay_in_their_rooms(path: Path) -> None:
    rooms = {
        "matplotlib": {"reporting"},
        "pytorch_lightning": {"training", "data/loader.py"},
        "torchmetrics": {"training", "data/loader.py"},
    }
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            allowed = rooms.get(name.split(".")[0], {room_of(path)})
            assert {room_of(path), name_of(path)} & allowed, f"{name_of(path)} imports {name}"


@every_module
def test_nothing_unpickles(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for bad in ("import pickle", "weights_only=False", "allow_pickle=True", "torch.load("):
        assert bad not in text, f"{name_of(path)} has {bad!r}"


def test_no_grab_bag_modules() -> None:
    assert not {path.stem for path in modules()} & {"utils", "helpers", "misc", "common"}
