"""What users hand to functions, checked by its annotations before any work: a wrong type is one line, not a traceback.

Ranges are judged where they are known, as a focal length's by its camera.
"""

import errno
import operator
import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import cache, wraps
from inspect import Parameter, signature
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, cast, get_args, get_origin

import numpy as np

from leadline.errors import LeadlineError, shown

Function = TypeVar("Function", bound=Callable[..., Any])

Count = Annotated[int, "at least 1"]
"""A whole number, at least 1."""


MAX_WHOLE = 2**63
"""No side, count or place is larger."""


class Check(NamedTuple):
    """What an annotation wants."""

    wanted: str  # in words
    convert: Callable[[Any], Any]  # into the type that is wanted; a TypeError or ValueError where that cannot be


def checked(function: Function) -> Function:
    """Refuse arguments that are not what their annotations say; numbers of NumPy and paths as text become plain ones.

    Args:
        function: what is annotated. Arguments of other types than numbers, text, paths, choices, classes, and sequences
            and unions of these are left to it.

    Returns:
        The function, which raises `LeadlineError`.
    """

    @wraps(function)
    def careful(*arguments: Any, **named: Any) -> Any:
        bound = _signature(function).bind(*arguments, **named)
        bound.arguments.update(_converted(function, bound.arguments))
        return function(*bound.args, **bound.kwargs)

    return cast(Function, careful)


def check_fields(record: Any) -> None:
    """Do the same to the fields of a frozen dataclass, from its `__post_init__`."""
    for name, value in _converted(type(record), vars(record)).items():
        object.__setattr__(record, name, value)


def require_possible(path: Any) -> Any:
    """Refuse a path, or a name, that a system cannot have: an empty one, one too long, or of letters that names lack.

    Raises:
        LeadlineError: if it is none.
    """
    try:
        return _possible(path)
    except ValueError as error:
        raise LeadlineError(f"{shown(str(path))} is no path that this system can have: name a shorter one") from error


def _converted(annotated: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a check is for, converted."""
    checks = _checks_of(annotated)
    return {name: _convert(checks[name], name, value) for name, value in values.items() if name in checks}


def _convert(check: Check, name: str, value: Any) -> Any:
    try:
        return check.convert(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise LeadlineError(f"{name} must be {check.wanted}, got {shown(value)}") from error


_signature = cache(signature)


@cache
def _checks_of(annotated: Any) -> dict[str, Check]:
    """The check of each argument or field that has one."""
    checks = {}
    for name, parameter in _signature(annotated).parameters.items():
        check = _check_of(parameter.annotation)
        if check is not None:
            checks[name] = _list_of(check) if parameter.kind is Parameter.VAR_POSITIONAL else check
    return checks


def _check_of(hint: Any) -> Check | None:
    """What an annotation wants; None where the function is to judge alone."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin in (Union, UnionType):
        return _one_of(inner)
    if origin is Literal:
        return Check(_listed(inner), lambda value: inner[inner.index(value)])
    if origin is Callable:
        return Check("a function", _require(callable))
    if origin is tuple and ... not in inner:
        return _tuple_of(inner)
    if origin is Sequence:
        return _list_of(_ANY_PATH if inner[0] is Path else _check_of(inner[0]) or _ANYTHING)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Check(_listed([str(each) for each in hint]), hint)
    kind = origin or hint
    if not isinstance(kind, type) or (origin and getattr(kind, "_is_protocol", False)):  # ArrayLike's parts
        return None
    return Check(f"a {kind.__name__}", _require(lambda it: isinstance(it, kind)))


def _listed(choices: Sequence[Any]) -> str:
    return " or ".join(map(repr, choices))


def _one_of(hints: Sequence[Any]) -> Check | None:
    """A union. Where a part of it is left to the function, only paths are looked at."""
    takes_path, takes_name = Path in hints, str in hints
    checks = [_check_of(hint) for hint in hints if hint not in (str, Path)]
    closed = [check for check in checks if check is not None]
    is_open = len(closed) < len(checks)

    def convert(value: Any) -> Any:
        if takes_path and isinstance(value, str | os.PathLike):
            return _possible(value) if takes_name else Path(_possible(value))
        for check in () if is_open else closed:
            try:
                return check.convert(value)
            except (TypeError, ValueError, OverflowError):
                continue
        if is_open:
            return value
        raise TypeError

    return Check(" or ".join([*([_PATH.wanted] if takes_path else []), *(check.wanted for check in closed)]), convert)


def _list_of(each: Check) -> Check:
    def convert(value: Any) -> list[Any]:
        if isinstance(value, str | bytes | Mapping | os.PathLike):
            raise TypeError
        return [each.convert(item) for item in value]

    return Check(f"a list, each of it {each.wanted}", convert)


def _tuple_of(hints: Sequence[Any]) -> Check:
    """A tuple of so many values, such as a point; arrays will do."""
    checks = [_check_of(hint) or _ANYTHING for hint in hints]

    def convert(value: Any) -> tuple[Any, ...]:
        return tuple(check.convert(item) for check, item in zip(checks, value, strict=True))

    return Check(f"({', '.join(check.wanted for check in checks)})", convert)


def _require(condition: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not condition(value):
            raise TypeError
        return value

    return convert


def _possible(path: Any) -> Any:
    """The path; a ValueError if a system cannot have it."""
    if os.fspath(path) == "":
        raise ValueError
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError from error
    return path


def _number(value: Any) -> float:
    if isinstance(value, bool | np.bool_ | str) or getattr(value, "shape", ()) != ():
        raise TypeError
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool | np.bool_):
        raise TypeError
    number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    if abs(number) > MAX_WHOLE:
        raise ValueError
    return number


def _count(value: Any) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError
    return number


_ANYTHING = Check("anything", lambda value: value)
_ANY_PATH = Check("a path", Path)
"""One of many, each of which tells of itself if no system has it."""
_PATH = Check("a path that this system can have", lambda value: Path(_possible(value)))
_PLAIN: dict[Any, Check | None] = {
    **{Any: None, Parameter.empty: None},
    type(None): Check("None", _require(lambda value: value is None)),
    bool: Check("True or False", lambda value: _require(lambda it: isinstance(it, bool | np.bool_))(value)),
    int: Check("a whole number", _whole),
    Count: Check("a whole number of at least 1", _count),
    float: Check("a number", _number),
    str: Check("text", _require(lambda value: isinstance(value, str))),
    Path: _PATH,
}
