"""Damage to files, drawn by a seed: bytes, and for text also the values that parsers trip over."""

import random
import re
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]

TRIPS = (
    *("9" * 5000, "-1", "0", "1e999", "-1e308", "nan", "inf", "0x" + "f" * 5000, "1" + "0" * 400, "true", "null", '""'),
    *("[" * 3000, "{" * 3000, "[]", "{}", "[[[]]]", '"' + "a" * 5000 + '"', "\u0000", "\ufeff", "1970-01-01", "é" * 50),
    *(
        "&a [1, *a]",
        "*a",
        "!!python/object:os.system",
        "../../..",
        "/",
        "\n",
        ",",
        '"',
        "'",
        "=",
        "#",
        "http://127.0.0.1:9/",
    ),
)
"""What takes the place of a word: of absurd size, depth, type, or meaning."""


def _span(data: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randrange(len(data) + 1)
    return start, min(len(data), start + draw.choice((1, 2, 4, 8, 64, 1024)))


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[draw.randrange(len(changed))] = draw.choice((0, 255, 127, 128, draw.randrange(256)))
    return bytes(changed)


def _flip_head(data: bytes, draw: random.Random) -> bytes:
    """Where formats keep sizes and types."""
    return _flip(data[:128], draw) + data[128:]


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _remove(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[end:]


def _repeat(data: bytes, draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:end] + data[start:end] * draw.choice((1, 2, 50)) + data[end:]


def _insert(data: bytes, draw: random.Random) -> bytes:
    start, _ = _span(data, draw)
    return data[:start] + draw.randbytes(draw.choice((1, 4, 64))) + data[start:]


def _number(data: bytes, draw: random.Random) -> bytes:
    """A whole number of four bytes becomes an extreme one."""
    start, _ = _span(data, draw)
    value = draw.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\1\0"))
    return data[:start] + value + data[start + 4 :]


def _trip(data: bytes, draw: random.Random) -> bytes:
    """A word of a text becomes one of `TRIPS`."""
    words = list(re.finditer(rb"[\w.+-]+", data))
    if not words:
        return data
    word = draw.choice(words)
    return data[: word.start()] + draw.choice(TRIPS).encode() + data[word.end() :]


def _swap_lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    draw.shuffle(lines)
    return b"".join(lines)


BINARY: tuple[Mutation, ...] = (_flip, _flip_head, _flip_head, _cut, _remove, _repeat, _insert, _number)
TEXT: tuple[Mutation, ...] = (_trip, _trip, _trip, _trip, _flip, _cut, _remove, _repeat, _insert, _swap_lines)


def mutate(data: bytes, seed: str, is_text: bool) -> bytes:
    """Damage a file.

    Args:
        data: the whole file.
        seed: decides the damage.
        is_text: whether words are replaced too.
    """
    draw = random.Random(seed)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        data = draw.choice(TEXT if is_text else BINARY)(data, draw)
    return data
