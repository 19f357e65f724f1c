"""The command line: arguments in, one workflow call, a printed table out; nothing else."""

import logging
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from leadline import __version__
from leadline.cli_app import app as serve_app
from leadline.cli_bench import bench
from leadline.cli_camera import calibrate, measure
from leadline.cli_cluster import cluster
from leadline.cli_data import USER_MISTAKE, data_app
from leadline.cli_evaluate import compare, evaluate, figure, print_table, report
from leadline.cli_export import export
from leadline.cli_predict import predict
from leadline.errors import UserError, plain

# Workflows are imported inside the commands: `--help` must not wait seconds for torch.

app = App(name="leadline", version=__version__, help="Metric depth from a single picture.")
app.command(data_app)
for command in (predict, cluster, measure, calibrate, evaluate, compare, report, figure, export, bench, serve_app):
    app.command(command)
# By name: its flags are the settings, and building those takes a third of the time of `leadline --help`.
app.command(
    "leadline.cli_train:train",
    name="train",
    help="Train a model by a recipe, any of whose settings can be replaced here.",
)

INTERRUPTED = 130


@app.command
def reproduce(
    *,
    data: Path,
    out: Path,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True, negative=())] = None,
    epochs: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    encoder_weights: dict[str, Path] | None = None,
) -> int:
    """Train the student report's networks one after the other and write its Table 1 beside its numbers.

    Started again with the same --out, it goes on where it was stopped.

    Args:
        data: the data set: a folder with an index.csv, or a public one as its makers ship it (docs/data-sets.md).
        out: folder for report.md, its figures, and each network's run and scores.
        only: cae, unet, xception, densenet; or all of a study: table1 (the default), official (the same networks
            without scenes shared between training and test), ablations.
        epochs: instead of the recipes' own, for a quick try.
        encoder_weights: file of an encoder's weights instead of a download: --encoder-weights.densenet121 FILE.
    """
    from leadline.reproduce import reproduce as run_reproduction

    page = run_reproduction(data, out, only or (), epochs, encoder_weights, sys.stderr.isatty())
    print(page.read_text(encoding="utf-8"))
    print(f"written to {page}")
    return 0


@app.command
def models() -> int:
    """List what can be loaded and what can be trained."""
    from rich.table import Table

    from leadline.checkpoint import DEFAULT, bundled_models, read_config
    from leadline.settings import recipe_names

    table = Table("model", "network", "range in metres", "encoder started from", "trained on", "numbers")
    for name, folder in bundled_models().items():
        config = read_config(folder)
        record, model = config["record"], config["model"]
        tests = [f"{it['protocol']}: δ1 {it['per_image']['delta1']:.3f}" for it in record.get("tests", [])]
        table.add_row(
            f"{name} (default)" if name == DEFAULT else name,
            model["encoder"]["name"],
            f"{model['head']['min_depth_m']:g} to {model['head']['max_depth_m']:g}",
            Path(record["settings"]["model"]["encoder"]["weights"]).name,
            record["data"],
            "\n".join(tests),
        )
    print_table(table)
    print(f"recipes to train: {', '.join(recipe_names())}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: words after the program's name; the process's own if None.

    Returns:
        The exit code: 0, or 2 after a mistake by the user, which is one line on stderr.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        result: Any = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return result if isinstance(result, int) else 0
    except (UserError, CycloptsError, OSError) as error:
        print(f"leadline: {' '.join(str(_in_our_words(error)).split())}", file=sys.stderr)
        return USER_MISTAKE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if type(error).__name__ != "Interrupted":  # its class would import Lightning
            raise
        print(f"leadline: {error}", file=sys.stderr)
        return INTERRUPTED


def _in_our_words(error: Exception) -> Exception:
    """What pydantic or a worker process says, as one line; any other error as it is."""
    from pydantic import ValidationError

    from leadline.settings import first_mistake

    reason = error.__cause__ or error.__context__
    if isinstance(error, CycloptsError) and isinstance(reason, ValidationError):
        return first_mistake(reason, "settings")
    return plain(error)
