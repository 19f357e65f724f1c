"""The command line: arguments in, one workflow call, a printed table out; nothing else."""

import logging
import os
import re
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Any

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    Group,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
)

from leadline._version import __version__
from leadline.cli.app import app as serve_app
from leadline.cli.bench import bench
from leadline.cli.camera import LENGTH_WANTED, calibrate, measure
from leadline.cli.cluster import cluster
from leadline.cli.console import EXIT_USAGE, example, print_error
from leadline.cli.data import data_app
from leadline.cli.evaluate import compare, evaluate, figure, report
from leadline.cli.export import export
from leadline.cli.models import models
from leadline.cli.predict import predict
from leadline.cli.reproduce import reproduce
from leadline.errors import TORCH_EXTRA, Interrupted, LeadlineError, missing_package

# Workflows are imported inside the commands: `--help` must not wait seconds for torch.

app = App(
    name="leadline",
    version=__version__,
    help="Metric depth from a single image.",
    help_epilogue="'leadline COMMAND --help' describes a command, with an example.",
)
# By name: its flags are the settings, and building those takes a third of the time of `leadline --help`.
TRAIN = "leadline.cli.train:train"
TRAIN_OPTIONS: dict[str, Any] = {
    "name": "train",
    "help": "Train a model by a recipe; any of its settings can be overridden here.",
    "group_parameters": Group("Run", sort_key=0),
}
COMMANDS: dict[str, list[tuple[Any, str]]] = {
    "Predict and measure": [
        (predict, "leadline predict photos --format depth,glb --out depth"),
        (cluster, "leadline cluster s3://mine/photos --out s3://mine/depth"),
        (measure, "leadline measure examples/coffee.jpg 320,240 500,240"),
        (calibrate, "leadline calibrate desk.jpg --length 120,300 520,310 0.297 --out my-camera"),
    ],
    "Train": [
        (TRAIN, "leadline train fast --data nyu --out runs/mine --epochs 5"),
        (data_app, "leadline data synthesize --out rooms"),
        (reproduce, "leadline reproduce --data nyu --out table-1 --only cae,unet"),
        (models, "leadline models"),
    ],
    "Score": [
        (evaluate, "leadline evaluate fast --data nyu --protocol nyu-eigen --out scores"),
        (compare, "leadline compare base fast --data nyu --out compared"),
        (report, "leadline report base fast --data nyu --out report.html"),
        (figure, "leadline figure base --data nyu --out sheets"),
        (bench, "leadline bench base fast --data photos"),
    ],
    "Use elsewhere": [
        (export, "leadline export fast --out fast.onnx"),
        (serve_app, "leadline app"),
    ],
}
"""The commands by their groups, each with an example."""
for place, (title, commands) in enumerate(COMMANDS.items()):
    group = Group(title, sort_key=place)
    for command, line in commands:
        if command is data_app:
            data_app.group, data_app.help_epilogue = group, example(line)
            app.command(data_app)
            continue
        more = TRAIN_OPTIONS if command is TRAIN else {}
        app.command(command, group=group, help_epilogue=example(line), **more)
app.register_install_completion_command(
    group=Group("Shell", sort_key=len(COMMANDS)),
    help="Have this shell complete commands and options from its next start on.",
)

INTERRUPTED = 130
READER_LEFT = 1
"""As rich has it, which prints the tables."""
NUMBERS: dict[Any, str] = {float: "a number such as 0.4", int: "a whole number such as 4"}
"""What the arguments of a type are, in a user's words."""
LEADING_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: words after the program's name; the process's own if None.

    Returns:
        The exit code: 0, 2 after a mistake by the user, which is one line on stderr, 130 after Ctrl-C, or 1 if who
        read the output, such as `head`, has left.
    """
    code = run(arguments)
    return READER_LEFT if reader_left() else code


def run(arguments: Sequence[str] | None) -> int:
    """Run a command and say its error, if any, in a line; give the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[StderrHandler()])
    logging.getLogger("huggingface_hub").propagate = False  # it has a handler of its own
    try:
        result: Any = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return result if isinstance(result, int) else 0
    except (LeadlineError, CycloptsError, OSError) as error:
        if isinstance(error, BrokenPipeError) and reader_left("\n"):  # else an encoder's pipe
            return READER_LEFT
        print_error(to_user_error(error))
        return EXIT_USAGE
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in TORCH_EXTRA:
            raise
        print_error(missing_package(error.name))
        return EXIT_USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Interrupted as error:
        print_error(error)
        return INTERRUPTED


def reader_left(probe: str = "") -> bool:
    """Whether nobody reads stdout any more; what is still to be written then goes nowhere, without a word.

    Args:
        probe: what to write to find out; stdout that is not buffered keeps nothing that a flush would fail on.
    """
    if not isinstance(sys.stdout, TextIOWrapper) or sys.stdout.closed:
        return False
    try:
        sys.stdout.write(probe)
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        return True
    return False


class StderrHandler(logging.Handler):
    """Writes to what stderr is now: while a progress line is drawn, that keeps it below."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        print(self.format(record), file=sys.stderr)


def number_error(error: CoercionError) -> LeadlineError:
    """Say in a user's words that a number was wanted, and which one was likely meant."""
    assert error.token is not None
    given, wanted = error.token.value, NUMBERS[error.target_type]
    name = error.token.keyword or (error.argument.name.lstrip("-").upper() if error.argument else "a value")
    found = LEADING_NUMBER.match(given)
    hint = ""
    if error.target_type is float and found and "," in given and not given[found.end() :].strip():
        hint = f": a decimal comma; write {found[0].strip().replace(',', '.')}"
    elif found and found.end() < len(given):
        hint = ": leave the unit out (lengths are in metres, angles in degrees, times in seconds)"
    return LeadlineError(f"{name}: wanted {wanted}, got {given!r}{hint}")


def to_user_error(error: Exception) -> Exception:
    """What pydantic says as one line; what is missing or unknown with the command's help; any other error as it is."""
    from pydantic import ValidationError

    command = " ".join(["leadline", *(getattr(error, "command_chain", None) or ())])
    if isinstance(error, UnknownOptionError):
        return LeadlineError(f"{error} '{command} --help' lists the options")
    if isinstance(error, UnknownCommandError) and error.unused_tokens and not error.command_chain:
        word = error.unused_tokens[0]
        if word in data_app and not word.startswith("-"):
            return LeadlineError(f"unknown command {word!r}: did you mean 'leadline data {word}'?")
    if isinstance(error, CoercionError) and error.token and error.target_type in NUMBERS:
        return number_error(error)
    if isinstance(error, MissingArgumentError) and error.argument and not error.tokens_so_far and not error.keyword:
        name, left = error.argument.name, error.unused_tokens or ()
        meant = f"did you mean {f'{name} {left[0]}'!r}?" if len(left) == 1 else f"'{command} --help' describes it"
        return LeadlineError(f"{command} needs {name}: {meant}")
    if isinstance(error, MissingArgumentError) and error.keyword == "--length":
        got = " ".join(error.tokens_so_far)
        return LeadlineError(f"{LENGTH_WANTED}; got {got or 'nothing'}")
    reason = error.__cause__ or error.__context__
    if isinstance(error, CycloptsError) and isinstance(reason, ValidationError):
        from leadline.training import format_validation_error

        return format_validation_error(reason, "")
    return error
