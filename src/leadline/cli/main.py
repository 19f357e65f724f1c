"""The command line: arguments in, one workflow call, a printed table out; nothing else."""

import logging
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from cyclopts import App, CycloptsError

from leadline._version import __version__
from leadline.cli.app import app as serve_app
from leadline.cli.bench import bench
from leadline.cli.camera import calibrate, measure
from leadline.cli.cluster import cluster
from leadline.cli.console import EXIT_USAGE
from leadline.cli.data import data_app
from leadline.cli.evaluate import compare, evaluate, figure, report
from leadline.cli.export import export
from leadline.cli.models import models
from leadline.cli.predict import predict
from leadline.cli.reproduce import reproduce
from leadline.errors import Interrupted, LeadlineError

# Workflows are imported inside the commands: `--help` must not wait seconds for torch.

app = App(name="leadline", version=__version__, help="Metric depth from a single image.")
app.command(data_app)
COMMANDS = (predict, cluster, measure, calibrate, evaluate, compare, report, figure, export, bench, serve_app)
for command in (*COMMANDS, reproduce, models):
    app.command(command)
# By name: its flags are the settings, and building those takes a third of the time of `leadline --help`.
app.command(
    "leadline.cli.train:train",
    name="train",
    help="Train a model by a recipe; any of its settings can be overridden here.",
)

INTERRUPTED = 130
TORCH_EXTRA = {"torch", "torchvision", "timm", "pytorch_lightning", "torchmetrics", "tensorboard"}
TORCH_EXTRA |= {"tomli_w", "h5py", "matplotlib", "pooch", "tqdm"}
"""What the extra "torch" brings: commands import it before they begin."""


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
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[StderrHandler()])
    try:
        result: Any = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return result if isinstance(result, int) else 0
    except (LeadlineError, CycloptsError, OSError) as error:
        print(f"leadline: {' '.join(str(to_user_error(error)).split())}", file=sys.stderr)
        return EXIT_USAGE
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in TORCH_EXTRA:
            raise
        print(f'leadline: this needs {package}, which is not installed: pip install "leadline[torch]"', file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Interrupted as error:
        print(f"leadline: {error}", file=sys.stderr)
        return INTERRUPTED


class StderrHandler(logging.Handler):
    """Writes to what stderr is now: while a progress line is drawn, that keeps it below."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        print(self.format(record), file=sys.stderr)


def to_user_error(error: Exception) -> Exception:
    """What pydantic says as one line; any other error as it is."""
    from pydantic import ValidationError

    reason = error.__cause__ or error.__context__
    if isinstance(error, CycloptsError) and isinstance(reason, ValidationError):
        from leadline.training import format_validation_error

        return format_validation_error(reason, "settings")
    return error
