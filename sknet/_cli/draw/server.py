"""A web server for one page, which answers browsers on this computer only."""

from __future__ import annotations

import io
import json
import os
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np

from sknet._cli.draw.pages import Page
from sknet._cli.draw.pictures import SIDE, has_ink
from sknet._cli.draw.recognizer import Reading, Recognizer

ADDRESS = "127.0.0.1"
NAMES = ("127.0.0.1", "localhost", "[::1]")
PREDICT = "/predict"
PICTURE_TYPE = "application/octet-stream"
N_CONNECTIONS = 32

# A request must be complete, and its answer taken, within so many seconds.
REQUEST_SECONDS = 10.0
# After a refusal the rest of the request is thrown away for so many seconds. Closing a connection
# with unread data resets it, and the browser would not see why it was refused.
REST_SECONDS = 1.0

# The page may load nothing from elsewhere, be shown inside no other page, and be kept nowhere.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class DrawServer(socketserver.ThreadingTCPServer):
    """A server that listens from the start, and answers in `serve_forever`.

    Parameters
    ----------
    port : int
        Port of 127.0.0.1. 0 takes any free port.

    Attributes
    ----------
    recognizer : Recognizer
        What reads the drawings. It must be set before the first answer.
    pages : dict of str to Page
        The files of the page by their paths. They must be set before the first answer.
    request_seconds : float
        Seconds in which a request must be complete.

    Raises
    ------
    OSError
        If the port is taken or not allowed.
    """

    recognizer: Recognizer
    pages: dict[str, Page]
    request_seconds = REQUEST_SECONDS
    # On Windows this option would let two servers share a port.
    allow_reuse_address = os.name != "nt"
    daemon_threads = True

    def __init__(self, port: int) -> None:
        self._places = threading.Semaphore(N_CONNECTIONS)
        super().__init__((ADDRESS, port), _Handler)
        self.port: int = self.server_address[1]
        self.url = f"http://{ADDRESS}:{self.port}/"
        self.hosts = {f"{name}:{self.port}" for name in NAMES}
        if self.port == 80:  # browsers leave it out
            self.hosts.update(NAMES)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a thread for a connection, unless there are too many."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            request.sendall(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n")
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request in this thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report an error of the program, but not a browser that has gone or is too slow."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Refusal(Exception):
    """A request that is not answered: the status and what is wrong."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class _UntilDeadline(io.RawIOBase):
    """What a connection receives until a moment, however slowly it comes."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self.deadline = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._connection.settimeout(seconds)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    """The answer to one request. The connection is closed after it."""

    server: DrawServer
    default_request_version = "HTTP/1.0"  # 0.9, the base class's, has no status to refuse with

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._received = _UntilDeadline(self.connection, self.server.request_seconds)
        self.rfile = io.BufferedReader(self._received)

    def do_GET(self) -> None:
        try:
            self._check_sender()
            path = self.path.partition("?")[0]
            if path == PREDICT:
                raise _Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Send a picture by POST.")
            if path not in self.server.pages:
                raise _Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
            self._send(HTTPStatus.OK, *self.server.pages[path])
        except _Refusal as refusal:
            self.send_error(refusal.status, explain=refusal.reason)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        try:
            self._check_sender()
            if self.path in self.server.pages:
                raise _Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Ask for pages by GET.")
            if self.path != PREDICT:
                raise _Refusal(HTTPStatus.NOT_FOUND, "There is nothing at this address.")
            reading = self.server.recognizer.read(self._picture())
            self._send(HTTPStatus.OK, "application/json", _as_json(reading))
        except _Refusal as refusal:
            self.send_error(refusal.status, explain=refusal.reason)

    def _check_sender(self) -> None:
        """Refuse what other pages send, under this server's name or under one of their own.

        A page elsewhere may have a name that leads to this computer. The name that
        the browser was given is in the header Host.
        """
        hosts = self.headers.get_all("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise _Refusal(HTTPStatus.FORBIDDEN, f"Open {self.server.url} instead.")
        for origin in self.headers.get_all("Origin", []):
            if origin.lower() != f"http://{hosts[0].lower()}":
                raise _Refusal(HTTPStatus.FORBIDDEN, "Other pages may not send anything.")

    def _picture(self) -> np.ndarray:
        """Return the picture that the request brings."""
        if self.headers.get_all("Content-Type") != [PICTURE_TYPE]:
            raise _Refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"The Content-Type must be {PICTURE_TYPE}."
            )
        lengths = self.headers.get_all("Content-Length", [])
        if "Transfer-Encoding" in self.headers or not lengths:
            raise _Refusal(HTTPStatus.LENGTH_REQUIRED, "Send a Content-Length and no chunks.")
        if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
            raise _Refusal(HTTPStatus.BAD_REQUEST, "The Content-Length must be one integer.")
        size, allowed = lengths[0].lstrip("0"), f"A picture has exactly {SIDE**2} bytes."
        if len(size) > len(str(SIDE**2)) or int(size or 0) > SIDE**2:
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, allowed)
        if int(size or 0) < SIDE**2:
            raise _Refusal(HTTPStatus.BAD_REQUEST, allowed)
        try:
            body = self.rfile.read(SIDE**2)
        except TimeoutError:
            raise _Refusal(
                HTTPStatus.REQUEST_TIMEOUT, "The picture did not come in time."
            ) from None
        if len(body) < SIDE**2:
            raise _Refusal(HTTPStatus.BAD_REQUEST, allowed)
        picture = np.frombuffer(body, np.uint8).reshape(SIDE, SIDE)
        if not has_ink(picture):
            raise _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "Nothing is drawn.")
        return picture

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse the request, in plain text. The base class calls this, too."""
        if code == HTTPStatus.NOT_IMPLEMENTED:  # what the base class says of unknown methods
            code = HTTPStatus.METHOD_NOT_ALLOWED
        status = HTTPStatus(code)
        text = f"{status.value} {status.phrase}. {explain or status.description}\n"
        self._send(status, "text/plain; charset=utf-8", text.encode())
        self._throw_away_rest()

    def _throw_away_rest(self) -> None:
        self._received.deadline = time.monotonic() + REST_SECONDS
        buffer = bytearray(65536)
        try:
            self.connection.shutdown(socket.SHUT_WR)
            while self._received.readinto(buffer):
                pass
        except OSError:  # it took too long, or the browser has gone
            pass

    def _send(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "POST" if self.path == PREDICT else "GET, HEAD")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Return what the header Server says; the version of Python is nobody's business."""
        return "sknet"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal free of a line for each request."""


def _as_json(reading: Reading) -> bytes:
    values = {
        name: value.round(5).tolist() if isinstance(value, np.ndarray) else value
        for name, value in reading._asdict().items()
    }
    return json.dumps(values).encode()
