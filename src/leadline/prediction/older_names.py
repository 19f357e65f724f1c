"""Keywords that have another name now."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from leadline.errors import LeadlineError

Function = TypeVar("Function", bound=Callable[..., Any])


def with_intrinsics(function: Function) -> Function:
    """Let a function take `intrinsics`, as it was called before, for its `camera`."""

    @wraps(function)
    def renamed(*arguments: Any, **named: Any) -> Any:
        if "intrinsics" in named:
            intrinsics = named.pop("intrinsics")
            if named.get("camera") is not None and intrinsics is not None:
                raise LeadlineError("camera and intrinsics are two names of one thing: give camera")
            named.setdefault("camera", intrinsics)
        return function(*arguments, **named)

    return cast(Function, renamed)
