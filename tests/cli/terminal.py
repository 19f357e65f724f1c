"""A terminal that remembers what it showed, for commands that draw in it."""

import fcntl
import os
import pty
import struct
import sys
import termios
from collections.abc import Sequence

import pyte

CTRL_C = b"\x03"


class Terminal:
    """A terminal in which commands run one after the other.

    Attributes:
        shown: every screen that followed a piece of output, as lines without the blanks at their ends.
    """

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        """Start with an empty screen."""
        self._size = struct.pack("HHHH", lines, columns, 0, 0)
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.shown: list[list[str]] = []

    @property
    def lines(self) -> list[str]:
        """What the screen shows now, but for empty lines."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def run(self, *words: str, interrupt_at: Sequence[str] = ()) -> int:
        """Run `leadline` with these words and give its exit code; Ctrl-C is pressed once a line holds all of `at`."""
        child, terminal = pty.fork()
        if child == 0:
            os.environ.pop("COLUMNS", None)
            os.unsetenv("COLUMNS")  # which readline, if something has imported it, sets behind os.environ
            os.execv(sys.executable, [sys.executable, "-m", "leadline", *words])
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, self._size)
        asked = not interrupt_at
        while output := _read(terminal):
            self._stream.feed(output)
            self.shown.append(self.lines)
            if not asked and any(all(text in line for text in interrupt_at) for line in self.lines):
                asked = os.write(terminal, CTRL_C) > 0
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so when the command has ended
        return b""
