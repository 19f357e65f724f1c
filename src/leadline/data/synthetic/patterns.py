"""Procedural surface patterns: how much of a surface's second colour shows at a place.

Every pattern takes two coordinates on the surface in units of the pattern's scale (float32, of one shape) and
returns weights in [0, 1] of that shape: 0 is the first colour, 1 the second.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

Array = np.ndarray
NOISE_SIZE = 256


@cache
def _noise_table() -> Array:
    """Noise of several octaves that repeats after `NOISE_SIZE` cells, evened out to [0, 1]."""
    rng = np.random.default_rng(1)
    octaves = np.zeros((NOISE_SIZE, NOISE_SIZE), np.float32)
    places = np.arange(NOISE_SIZE) / NOISE_SIZE
    for cells in (16, 32, 64, 128, 256):
        grid = np.pad(rng.random((cells, cells), np.float32), (0, 1), mode="wrap")
        low = (places * cells).astype(int)
        part = (places * cells - low).astype(np.float32)
        rows = grid[low] + (grid[low + 1] - grid[low]) * part[:, None]
        octaves += (rows[:, low] + (rows[:, low + 1] - rows[:, low]) * part) * np.float32((16 / cells) ** 0.7)
    rank = octaves.argsort(axis=None).argsort().reshape(octaves.shape)
    return np.pad((rank / rank.max()).astype(np.float32), (0, 1), mode="wrap")


@cache
def _random_table() -> Array:
    return np.random.default_rng(2).random(4096, np.float32)


def fractal_noise(u: Array, v: Array) -> Array:
    """Smooth noise in [0, 1], evenly distributed; its coarsest cell is one unit wide."""
    u, v = u * np.float32(NOISE_SIZE / 16), v * np.float32(NOISE_SIZE / 16)
    column, row = np.floor(u), np.floor(v)
    u, v = u - column, v - row
    table = _noise_table().ravel()
    at = (row.astype(np.int32) % NOISE_SIZE) * (NOISE_SIZE + 1) + column.astype(np.int32) % NOISE_SIZE
    top = table[at] * (1 - u) + table[at + 1] * u
    bottom = table[at + NOISE_SIZE + 1] * (1 - u) + table[at + NOISE_SIZE + 2] * u
    return np.asarray(top + (bottom - top) * v, np.float32)


def _cell_random(column: Array, row: Array) -> Array:
    """A number in [0, 1) for each cell of a grid."""
    value: Array = _random_table()[(column.astype(np.int32) * 73 + row.astype(np.int32) * 1493) & 4095]
    return value


def _cells(u: Array, v: Array, joint: float) -> tuple[Array, Array, Array]:
    """Column, row and whether a place is in the joint between cells."""
    column, row = np.floor(u), np.floor(v)
    return column, row, (u - column < joint) | (v - row < joint)


def _plain(u: Array, v: Array) -> Array:
    return fractal_noise(u, v)


def _grain(u: Array, v: Array) -> Array:
    return fractal_noise(u * 2, v * np.float32(0.15))


def _stripes(u: Array, v: Array) -> Array:
    return np.asarray(np.clip(4 * np.sin(2 * np.pi * u) + 0.5, 0, 1), np.float32)


def _dots(u: Array, v: Array) -> Array:
    shifted = u + 0.5 * (np.floor(v) % 2)
    distance = np.hypot(shifted - np.floor(shifted) - 0.5, v - np.floor(v) - 0.5)
    return np.asarray(np.clip((0.25 - distance) * 12, 0, 1), np.float32)


def _checker(u: Array, v: Array) -> Array:
    column, row, _ = _cells(u, v, 0)
    return np.asarray(((column + row) % 2 * np.float32(0.8) + 0.2 * fractal_noise(u, v)), np.float32)


def _tiles(u: Array, v: Array) -> Array:
    column, row, joint = _cells(u, v, 0.03)
    return np.asarray(np.where(joint, 1, 0.25 * _cell_random(column, row) + 0.2 * fractal_noise(u, v)), np.float32)


def _bricks(u: Array, v: Array) -> Array:
    shifted = u + 0.5 * (np.floor(3 * v) % 2)
    column, row, joint = _cells(shifted, 3 * v, 0.06)
    return np.where(joint, 1, 0.4 * _cell_random(column, row) + 0.3 * fractal_noise(u * 4, v * 4)).astype(np.float32)


def _planks(u: Array, v: Array) -> Array:
    row = np.floor(v)
    along = u / 9 + _cell_random(row, row)
    board = np.floor(along)
    joint = (v - row < 0.04) | (along - board < 0.006)
    tone = _cell_random(board, row)
    grain = fractal_noise(u * np.float32(0.1) + 7 * tone, v * 2 + tone)
    return np.asarray(np.where(joint, 1, 0.5 * tone + 0.3 * grain), np.float32)


def _weave(u: Array, v: Array) -> Array:
    threads = 0.5 + 0.5 * np.sin(2 * np.pi * u) * np.sin(2 * np.pi * v)
    return np.asarray((0.6 * threads + 0.4 * fractal_noise(u / 12, v / 12)), np.float32)


def _books(u: Array, v: Array) -> Array:
    along = u + np.float32(0.15) * np.sin(5 * u)
    spine = np.floor(along)
    tone = _cell_random(spine, spine * 3)
    return np.asarray(np.where(along - spine < 0.1, 0.5 * tone, tone), np.float32)


def _art(u: Array, v: Array) -> Array:
    return np.asarray(np.clip(4 * fractal_noise(u, v) - 1.5, 0, 1), np.float32)


def _text(u: Array, v: Array) -> Array:
    """Lines of words, two units of length to one of height, within a margin-less page."""
    line = np.floor(v)
    word = np.floor(u * np.float32(0.4) + 3 * _cell_random(line, line))
    ink = (v - line > 0.45) & (_cell_random(word, line) > 0.25) & (_cell_random(line, line * 5) > 0.12)
    return np.asarray(ink * (0.6 + 0.4 * fractal_noise(u * 3, v * 3)), np.float32)


def _keys(u: Array, v: Array) -> Array:
    _, _, joint = _cells(u + 0.3 * np.floor(v), v, 0.2)
    return np.where(joint, np.float32(1), np.float32(0))


def _windows(u: Array, v: Array) -> Array:
    """A screen's windows: flat rectangles of a few tones, some of them with lines of text."""
    column, row = np.floor(u), np.floor(v * np.float32(1.4) + 0.4 * _cell_random(np.floor(u), np.floor(u)))
    tone = _cell_random(column, row)
    return np.asarray(np.where(tone > 0.6, 1 - 0.7 * _text(u * 14, v * 20), tone), np.float32)


def _speckle(u: Array, v: Array) -> Array:
    return np.asarray(
        np.clip(3 * fractal_noise(u, v) - 1.2 + 0.5 * (fractal_noise(v * 5, u * 5) - 0.5), 0, 1), np.float32
    )


def _label(u: Array, v: Array) -> Array:
    """A coloured print: a large shape, a band and a few words."""
    shape = np.clip(8 * fractal_noise(u * np.float32(0.7), v * np.float32(0.7)) - 3.5, 0, 1)
    band = (v * np.float32(0.5) - np.floor(v * np.float32(0.5)) < 0.3).astype(np.float32)
    return np.asarray(np.maximum(shape * (1 - band), band * _text(u * 3, v * 6)), np.float32)


PATTERNS: dict[str, Callable[[Array, Array], Array]] = {
    "plain": _plain,
    "grain": _grain,
    "stripes": _stripes,
    "dots": _dots,
    "checker": _checker,
    "tiles": _tiles,
    "bricks": _bricks,
    "planks": _planks,
    "weave": _weave,
    "books": _books,
    "art": _art,
    "text": _text,
    "keys": _keys,
    "windows": _windows,
    "speckle": _speckle,
    "label": _label,
}
