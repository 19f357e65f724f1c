"""The floors of the house: an import goes down, never up or in a circle; and the house rules that code can check."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "leadline"

FLOORS = (
    {"__main__"},
    {"cli"},
    {
        "cli_app",
        "cli_bench",
        "cli_camera",
        "cli_cluster",
        "cli_data",
        "cli_evaluate",
        "cli_export",
        "cli_predict",
        "cli_train",
    },
    {"reproduce", "report", "app", "cluster"},
    {"reproduce_page", "sheets", "comparison_figure", "calibration", "streams", "shown"},
    {"comparison", "video", "many_pictures", "measurement", "benchmark", "stream_sources", "staged_training"},
    {"own_results"},
    {"training", "evaluation", "prediction", "clips", "rerun_log", "export"},
    {"trainer"},
    {"onnx_graph"},
    {"run", "averaging", "scoring", "predicted", "optimizer", "stages"},
    {"predictors"},
    {"studies"},
    {"report_html"},
    {"report_style", "reliability"},
    {"report_figures"},
    {"card", "figures", "writers", "checkpoint", "settings", "space", "timings"},
    {"breakdown", "boundaries", "protocol_words", "running_metrics"},
    {"protocols", "metrics", "losses", "models", "data", "colors", "camera_files", "known_distances", "tiling"},
    {
        "alignment",
        "camera",
        "depth",
        "device",
        "image",
        "image_files",
        "resizing",
        "exr",
        "png",
        "ray_cluster",
        "storage",
        "temporal",
        "toml_files",
        "workers",
    },
    {"errors", "files", "__init__"},
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}


def modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_names(path: Path) -> set[str]:
    """Dotted names of leadline's own modules that a file imports, wherever in the file."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.split(".")[0] == "leadline"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "leadline":
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_parts(path: Path) -> set[str]:
    parts = set()
    for name in imported_names(path):
        second = name.split(".")[1] if "." in name else "__init__"
        parts.add("__init__" if second.startswith("_") and second != "__main__" else second)
    return parts


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_down(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":  # names its public functions' homes, and imports them when asked
        return
    assert part in FLOOR_OF, f"{part} stands on no floor: give it one in FLOORS"
    for other in imported_parts(path):
        assert other in FLOOR_OF, f"{path.name} imports {other}, which stands on no floor"
        assert FLOOR_OF[other] > FLOOR_OF[part] or other == part or _side_by_side(part, other), (
            f"{path.name} (floor {FLOOR_OF[part]}) imports {other} (floor {FLOOR_OF[other]})"
        )


def _side_by_side(part: str, other: str) -> bool:
    """Parts of one floor may lean on each other in one direction only; these do."""
    allowed = {
        ("writers", "colors"), ("figures", "colors"), ("checkpoint", "models"), ("card", "metrics"),
        ("data", "image"), ("image", "camera"), ("files", "errors"), ("alignment", "depth"),
        ("cli_bench", "cli_evaluate"), ("cli_export", "cli_evaluate"), ("cli_predict", "cli_data"),
        ("cli_cluster", "cli_predict"), ("cli_cluster", "cli_data"),
    }  # fmt: skip
    return (part, other) in allowed


def test_no_two_modules_import_each_other() -> None:
    graph = {}
    for path in modules():
        dotted = ".".join(["leadline", *path.relative_to(SOURCE).with_suffix("").parts])
        graph[dotted.removesuffix(".__init__")] = path
    edges = {name: graph.keys() & _runtime_imports(path) for name, path in graph.items()}
    state: dict[str, int] = {}

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import circle: {' -> '.join([*trail, name])}"
        if name in state:
            return
        state[name] = 1
        for target in edges[name]:
            visit(target, (*trail, name))
        state[name] = 2

    for name in edges:
        visit(name, ())


def _runtime_imports(path: Path) -> set[str]:
    """Modules imported at the top of a file (not inside functions or for type checking alone)."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("leadline"):
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_stay_short_enough_to_be_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_functions_stay_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= 80, f"{path.name}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_only_the_command_line_prints_or_exits(path: Path) -> None:
    if part_of(path) in FLOORS[0] | FLOORS[1] | FLOORS[2]:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("print", "exit", "quit", "input"), f"{path.name} calls {node.func.id}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_nothing_unpickles(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for bad in ("import pickle", "weights_only=False", "allow_pickle=True", "torch.load("):
        assert bad not in text, f"{path.name} has {bad!r}"


@pytest.mark.parametrize("path", sorted((SOURCE / "models").glob("*.py")), ids=lambda path: path.name)
def test_models_know_no_data_loss_or_training(path: Path) -> None:
    forbidden = {"data", "losses", "metrics", "protocols", "training", "evaluation"}
    assert not imported_parts(path) & forbidden


def test_no_grab_bag_modules() -> None:
    assert not {path.stem for path in modules()} & {"utils", "helpers", "misc", "common"}
