"""What stands before the page: it answers to its own names and to bodies of some length, and fetches nothing.

A page that listens at this machine's own address can be reached by any page that a visitor has open, by a name that its
owner lets point here; and what is sent may be of any length, or name addresses that the server would fetch.
"""

import ipaddress
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from leadline.errors import LeadlineError, brief

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_UPLOAD_BYTES = 100_000_000
"""Largest image that is taken: a camera's own JPEG has 10 to 40 MB."""
MAX_BODY_BYTES = 1_000_000
"""Of what is sent otherwise: the values of a call."""
_FORM_BYTES = 10_000  # what is around a file in a form
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_ANYWHERE = ("", "0.0.0.0", "::")


class Guard:
    """An ASGI middleware that refuses, with a reason, what the page is not for."""

    def __init__(self, app: App, host: str, names: Iterable[str] = ()) -> None:
        """Stand before an application.

        Args:
            app: the application.
            host: address that it listens at.
            names: host names besides, such as a proxy's, by which visitors know it.
        """
        self._app = app
        self._anywhere = host in _ANYWHERE
        own = (socket.gethostname(), socket.getfqdn()) if self._anywhere else (host,)
        self._names = {name.lower().rstrip(".") for name in (*_LOOPBACK, *own, *names)}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with what is wrong."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self.is_own(headers.get("host", "")):
            await _refuse(send, 421, "this page is not served under that host name: start it with --host-name NAME")
        elif scope["type"] == "websocket" or scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
        else:
            await self._pass_body(scope, headers, receive, send)

    async def _answered(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on; what the application does not answer for an error is answered with that."""
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:
            if has_begun:
                raise
            logger.debug("%s", scope.get("path"), exc_info=True)
            await _refuse(send, 500, brief(error))

    def is_own(self, host: str) -> bool:
        """Whether a Host header names this server: by its own name or, where it listens everywhere, by a number."""
        name = host.lower().rstrip(".")
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0].rstrip(".")
        return name in self._names or (self._anywhere and _is_number(name))

    async def _pass_body(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> None:
        is_form = headers.get("content-type", "").startswith("multipart/form-data")
        most = MAX_UPLOAD_BYTES + _FORM_BYTES if is_form else MAX_BODY_BYTES
        too_long = f"this page takes at most {most // 1_000_000} MB: make the image smaller"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            await _refuse(send, 413, too_long)
            return
        if is_form:
            await self._answered(scope, _counting(receive, most), send)
            return
        try:
            body = await _whole(receive, most)
            refuse_addresses(body)
        except LeadlineError as error:
            await _refuse(send, 400, str(error))
        except _TooLongError:
            await _refuse(send, 413, too_long)
        else:
            await self._answered(scope, _given(body, receive), send)


class _TooLongError(Exception):
    """A body went on beyond what is taken."""


def refuse_addresses(body: bytes) -> None:
    """Refuse a call that names a file by an address: the page's library would fetch it.

    Args:
        body: JSON; what is none is for others to refuse.

    Raises:
        LeadlineError: if a `path` in it is an address, or it is too deep.
    """
    try:
        left = [json.loads(body)] if body else []
    except RecursionError as error:
        raise LeadlineError("this call is nested too deep: send the values that the page's API lists") from error
    except ValueError:
        return
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "://" in str(value.get("path", "")):
                raise LeadlineError("this page fetches nothing by its address: upload the image itself")
            left += value.values()
        elif isinstance(value, list):
            left += value


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _counting(receive: Receive, most: int) -> Receive:
    """The same messages; where they are longer than was said, the sender seems to have left."""
    num_bytes = 0

    async def counted() -> Message:
        nonlocal num_bytes
        message = await receive()
        num_bytes += len(message.get("body", b""))
        return message if num_bytes <= most else {"type": "http.disconnect"}

    return counted


async def _whole(receive: Receive, most: int) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            raise _TooLongError
    return body


def _given(body: bytes, receive: Receive) -> Receive:
    """A body that has been read, as the one message that it could have been."""
    told = False

    async def given() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return given


async def _refuse(send: Send, status: int, reason: str) -> None:
    body = json.dumps({"detail": reason, "error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
