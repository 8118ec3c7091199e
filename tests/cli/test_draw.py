"""The command ``draw``: pictures, networks, and what its server does and does not answer."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import pairwise

import numpy as np
import pytest
from drawings import STROKES, picture
from matplotlib.colors import to_rgb
from processes import run_in_terminal

from sknet._cli.draw import command, pictures
from sknet._cli.draw.pages import load_pages
from sknet._cli.draw.pictures import SIDE, as_mnist_digit, as_small_digit
from sknet._cli.draw.server import HEADERS, N_CONNECTIONS, DrawServer
from sknet._cli.draw.training import train_on_digits, train_on_mnist
from sknet._cli.main import main
from sknet.display._shared import NEGATIVE, POSITIVE

GOOD = picture(STROKES[3], SIDE).tobytes()
OCTETS = "application/octet-stream"


@pytest.fixture(scope="module")
def recognizer():
    # With this seed all digits of drawings.py are read with probabilities above 0.9, so that
    # rounding on another processor changes no answer. With seed 0 an 8 is read with 0.35.
    return train_on_digits(seed=2)


@pytest.fixture
def server(recognizer):
    with DrawServer(0) as server:
        server.recognizer, server.pages = recognizer, load_pages(recognizer)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def exchange(server, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, and return the status, headers and body of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request)
        return answer(connection)


def answer(connection) -> tuple[int, dict[str, str], bytes]:
    """Return the status, headers and body that the server sends before it closes."""
    received = b""
    while data := connection.recv(65536):
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    status, *headers = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in headers), body


def request(server, method="POST", path="/predict", body=GOOD, **headers) -> bytes:
    """Return the bytes of a good request with some headers changed; None leaves one out."""
    standard = {
        "Host": f"127.0.0.1:{server.port}",
        "Content-Type": OCTETS,
        "Content-Length": len(body),
    }
    headers = standard | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def assert_goes_on(server):
    """The server reads a picture, sent by the standard library's own client."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    origin = f"http://127.0.0.1:{server.port}"
    connection.request("POST", "/predict", GOOD, {"Content-Type": OCTETS, "Origin": origin})
    response = connection.getresponse()
    assert response.status == 200
    assert json.loads(response.read())["digit"] == 3
    connection.close()


# ---- Pictures ----


def closeness(as_input, picture, other):
    """Return the correlation of two images, MNIST's up to the pixel to which it rounds centres."""
    image, other = (
        as_input(p).reshape(-1, 28 if as_input is as_mnist_digit else 8) for p in (picture, other)
    )
    moves = np.ndindex(3, 3) if as_input is as_mnist_digit else [(1, 1)]
    moved = [np.roll(other, (row - 1, column - 1), axis=(0, 1)) for row, column in moves]
    return max(np.corrcoef(image.ravel(), m.ravel())[0, 1] for m in moved)


@pytest.mark.parametrize("as_input", [as_small_digit, as_mnist_digit])
def test_place_and_size_of_a_drawing_do_not_matter(as_input):
    """What is left is the rounding of strokes to pixels."""
    for strokes in STROKES.values():
        drawn = picture(strokes, SIDE)
        for scale, move in ((1, (0.1, -0.1)), (0.5, (-0.2, 0.2)), (1.2, (0, 0))):
            other = picture(strokes, SIDE, scale=scale, move=move, pen=0.075 * scale)
            assert closeness(as_input, drawn, other) > 0.97


@pytest.mark.parametrize("as_input", [as_small_digit, as_mnist_digit])
def test_the_pen_does_not_matter(as_input):
    for strokes in STROKES.values():
        thin, thick = (picture(strokes, SIDE, pen=pen) for pen in (0.04, 0.1))
        assert as_input(thin).sum() == pytest.approx(as_input(thick).sum(), rel=0.2)
        assert closeness(as_input, thin, thick) > 0.85


def test_small_digits_are_made_as_load_digits(digits):
    """Rows, columns and ink of the drawings are within those of the data."""
    images = digits[0].reshape(-1, 8, 8)
    drawn = np.array([as_small_digit(picture(s, SIDE)) for s in STROKES.values()])
    ink = images.sum(axis=(1, 2))
    low, high = np.quantile(ink, [0.01, 0.99])
    assert ((low < drawn.sum(axis=1)) & (drawn.sum(axis=1) < high)).all()
    drawn = drawn.reshape(-1, 8, 8)
    assert (drawn.max(axis=2) > 0).all()  # all rows have ink, as in all images of load_digits
    assert drawn[:, :, [0, 7]].mean() < 2 * images[:, :, [0, 7]].mean()


def test_mnist_digits_fit_the_box_and_are_centred():
    for strokes in STROKES.values():
        for scale, move in ((1, (0, 0)), (0.4, (0.3, -0.2))):
            image = as_mnist_digit(picture(strokes, SIDE, scale=scale, move=move)).reshape(28, 28)
            rows, columns = np.nonzero(image > 0.5)
            assert 17 <= max(np.ptp(rows), np.ptp(columns)) + 1 <= 21
            centre = np.indices((28, 28)).reshape(2, -1) @ image.ravel() / image.sum()
            # It is moved by whole pixels.
            np.testing.assert_allclose(centre, 13.5, atol=0.5001)


def odd_pictures():
    rng = np.random.default_rng(0)
    blank = np.zeros((SIDE, SIDE), np.uint8)
    dot, row, column = blank.copy(), blank.copy(), blank.copy()
    dot[0, 0] = row[50] = column[:, -1] = 255
    corners = blank.copy()
    corners[[0, 0, -1, -1], [0, -1, 0, -1]] = 255
    diagonals = [255 * np.eye(SIDE, dtype=np.uint8), 255 * np.eye(SIDE, dtype=np.uint8)[::-1]]
    noise = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    return [dot, row, column, corners, *diagonals, noise, blank + 255]


@pytest.mark.parametrize("as_input", [as_small_digit, as_mnist_digit])
def test_odd_pictures_give_an_image(as_input):
    for odd in odd_pictures():
        image = as_input(odd)
        assert np.isfinite(image).all()
        assert image.min() >= 0
        assert 0.5 < image.max() <= 1


def test_ink_starts_at_half():
    assert not pictures.has_ink(np.full((SIDE, SIDE), 127, np.uint8))
    assert pictures.has_ink(np.full((SIDE, SIDE), 128, np.uint8))


# ---- Networks ----


def test_drawn_digits_are_read(recognizer):
    """In three sizes and places, as people draw them."""
    forms = [(1.0, (0.0, 0.0)), (0.6, (0.15, 0.1)), (1.1, (-0.05, 0.0))]
    for digit, strokes in STROKES.items():
        for scale, move in forms:
            reading = recognizer.read(picture(strokes, SIDE, scale=scale, move=move))
            assert reading.digit == digit, (digit, scale)


def test_a_reading_is_what_the_network_computes(recognizer):
    reading = recognizer.read(picture(STROKES[5], SIDE))
    (W, V), (b, c) = recognizer._network.coefs_, recognizer._network.intercepts_
    hidden = np.maximum(reading.image @ W + b, 0)
    scores = hidden @ V + c
    np.testing.assert_allclose(reading.hidden, hidden, rtol=1e-12, atol=1e-12)
    expected = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    np.testing.assert_allclose(reading.probabilities, expected, rtol=1e-10)
    saliency = W @ (V[:, reading.digit] * (hidden > 0))
    np.testing.assert_allclose(reading.saliency, saliency, rtol=1e-10, atol=1e-12)


def write_mnist(path, n):
    """Write a small file of MNIST's form, whose images are drawn."""
    y = np.arange(n) % 10
    x = np.array([255 * as_mnist_digit(picture(STROKES[d], 64)).reshape(28, 28) for d in range(10)])
    arrays = {"x_train": x.astype(np.uint8)[y], "y_train": y, "x_test": x.astype(np.uint8)[y[:20]]}
    np.savez(path, **arrays, y_test=y[:20])


def test_a_network_trained_on_mnist(tmp_path):
    write_mnist(tmp_path / "mnist.npz", n=5000)
    recognizer = train_on_mnist(str(tmp_path), seed=0)
    assert "trained on 5,000 digits of MNIST" in recognizer.description
    assert "100.0% of 20 digits" in recognizer.description
    reading = recognizer.read(picture(STROKES[2], SIDE, scale=0.5))
    assert reading.digit == 2
    assert len(reading.image) == len(reading.saliency) == recognizer.image_side**2 == 784
    assert len(reading.hidden) == recognizer.n_hidden


def test_a_file_that_is_not_mnist(tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"text")
    with pytest.raises(SystemExit, match=r"The network cannot be trained: .*mnist\.npz"):
        main(["draw", "--port", "0", "--data", str(tmp_path)])


# ---- The server: what it answers ----


def test_pages(server):
    for path, start in (
        ("/", b"<!doctype html>"),
        ("/style.css", b":root"),
        ("/script.js", b"//"),
        ("/icon.svg", b"<svg"),
        ("/?query", b"<!doctype html>"),
    ):
        status, headers, body = exchange(server, request(server, "GET", path, b""))
        assert status == 200
        assert headers.items() >= HEADERS.items()
        assert body.startswith(start)
        assert len(body) == int(headers["Content-Length"])
        assert "Python" not in headers["Server"]
        status, same, body = exchange(server, request(server, "HEAD", path, b""))
        assert (status, body) == (200, b"")
        assert same["Content-Length"] == headers["Content-Length"]


def test_the_page_says_what_the_network_is_and_loads_nothing_from_elsewhere(server, recognizer):
    text = b"".join(page.body for page in server.pages.values()).decode()
    assert set(re.findall(r"[a-z]+://[^\"' )]*", text)) == {"http://www.w3.org/2000/svg"}
    index = server.pages["/"].body.decode()
    assert recognizer.description.replace("'", "&#x27;") in index
    assert 'data-picture-side="128" data-image-side="8" data-hidden="100"' in index
    assert "style=" not in index  # the Content-Security-Policy forbids it


def test_saliency_has_the_colours_of_the_displays(server):
    """In both schemes, and in words: the hue of a positive value is that of SaliencyDisplay."""

    def is_orange(color):
        red, _, blue = to_rgb(color)
        return red > blue

    style, page = (server.pages[path].body.decode() for path in ("/style.css", "/"))
    for name, of_displays in (("for", POSITIVE), ("against", NEGATIVE)):
        colors = re.findall(rf"--{name}: (#\w+);", style)
        assert len(colors) == 2
        assert {is_orange(color) for color in colors} == {is_orange(of_displays)}
        (word,) = re.findall(rf'swatch {name}"></span>(\w+)<', page)
        assert (word == "orange") == is_orange(of_displays)


def test_a_picture_is_read(server, recognizer):
    status, headers, body = exchange(server, request(server))
    assert status == 200
    assert headers.items() >= HEADERS.items()
    values = json.loads(body)
    reading = recognizer.read(picture(STROKES[3], SIDE))
    assert values.pop("digit") == reading.digit == 3
    for name, value in values.items():
        # Numbers are rounded to five decimal places.
        np.testing.assert_allclose(value, getattr(reading, name), atol=5.001e-6)
    assert set(values) == {"probabilities", "hidden", "image", "saliency"}


def test_many_ask_at_once(server):
    drawings = [(digit, picture(STROKES[digit], SIDE).tobytes()) for digit in range(10)]
    with ThreadPoolExecutor(8) as pool:
        ask = lambda body: json.loads(exchange(server, request(server, body=body))[2])["digit"]  # noqa: E731
        answers = list(pool.map(ask, [body for _, body in drawings] * 4))
    assert answers == [digit for digit, _ in drawings] * 4


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_names_of_this_computer(server, host):
    host = f"{host}:{server.port}"
    assert exchange(server, request(server, Host=host, Origin=f"http://{host}"))[0] == 200


# ---- The server: what it refuses ----

BAD_SENDERS = [
    {"Host": None},
    {"Host": ""},
    {"Host": "127.0.0.1"},
    {"Host": "127.0.0.1:1"},
    {"Host": "example.org"},
    {"Host": "localhost.example.org:{port}"},
    {"Host": "example.org:{port}"},
    {"Host": "127.0.0.1:{port}\r\nHost: 127.0.0.1:{port}"},
    {"Host": "127.0.0.1:{port}, example.org"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://example.org"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},  # of another name than Host
    {"Origin": "https://127.0.0.1:{port}"},
    {"Origin": "http://127.0.0.1:{port}\r\nOrigin: http://example.org"},
]


@pytest.mark.parametrize("headers", BAD_SENDERS, ids=str)
@pytest.mark.parametrize(("method", "path"), [("POST", "/predict"), ("GET", "/"), ("HEAD", "/")])
def test_other_pages_are_refused(server, headers, method, path):
    headers = {
        name: value if value is None else value.format(port=server.port)
        for name, value in headers.items()
    }
    status, sent, body = exchange(server, request(server, method, path, **headers))
    assert status == 403
    assert sent.items() >= HEADERS.items()
    assert "Access-Control-Allow-Origin" not in sent
    assert b"digit" not in body
    assert_goes_on(server)


NUMBERS = json.dumps({"pixels": [0.5] * 64}).encode()
BAD_PICTURES = {
    "empty": (400, b"", {}),
    "blank": (422, bytes(SIDE**2), {}),
    "one byte short": (400, GOOD[:-1], {}),
    "one byte long": (413, GOOD + b"\xff", {}),
    "10 MB": (413, b"\xff" * 10_000_000, {}),
    "10 MB and unending": (413, b"", {"Content-Length": "9" * 4000}),
    "NaN": (400, struct.pack("<64d", *[float("nan")] * 64), {}),
    "infinite": (400, struct.pack("<64d", *[float("inf")] * 64), {}),
    "text": (400, b"NaN", {}),
    "JSON": (415, NUMBERS, {"Content-Type": "application/json"}),
    "JSON of NaN": (415, b"[NaN]", {"Content-Type": "application/json"}),
    "deep JSON": (415, b"[" * 100_000, {"Content-Type": "application/json"}),
    "form": (415, GOOD, {"Content-Type": "application/x-www-form-urlencoded"}),
    "no type": (415, GOOD, {"Content-Type": None}),
    "two types": (415, GOOD, {"Content-Type": f"{OCTETS}\r\nContent-Type: text/plain"}),
    "no length": (411, GOOD, {"Content-Length": None}),
    "chunked": (411, b"0\r\n\r\n", {"Content-Length": None, "Transfer-Encoding": "chunked"}),
    "chunked with length": (411, GOOD, {"Transfer-Encoding": "chunked"}),
    "negative length": (400, GOOD, {"Content-Length": "-1"}),
    "signed length": (400, GOOD, {"Content-Length": f"+{SIDE**2}"}),
    "length in words": (400, GOOD, {"Content-Length": "many"}),
    "length in hex": (400, GOOD, {"Content-Length": "0x4000"}),
    "length of other digits": (400, GOOD, {"Content-Length": "\xb2"}),
    "no number": (400, GOOD, {"Content-Length": ""}),
    "two lengths": (400, GOOD, {"Content-Length": f"{SIDE**2}\r\nContent-Length: 5"}),
    "length less than sent": (400, GOOD, {"Content-Length": "5"}),
}


@pytest.mark.parametrize("case", BAD_PICTURES)
def test_bad_pictures_are_refused(server, case):
    expected, body, headers = BAD_PICTURES[case]
    status, sent, text = exchange(server, request(server, body=body, **headers))
    assert status == expected
    assert sent["Content-Type"].startswith("text/plain")
    assert text.startswith(str(expected).encode())
    assert_goes_on(server)


def test_leading_zeros_of_the_length(server):
    assert exchange(server, request(server, Content_Length=f"000{SIDE**2}"))[0] == 200


PATHS = [
    "/nothing",
    "/index.html",
    "/predict/",
    "/../pages.py",
    "/../../../../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "/\\..\\..\\pages.py",
    "/style.css/../script.js",
    "/style.css%00",
    "//etc/passwd",
    "http://example.org/",
    "*",
    "/" + "a" * 60_000,
    "/\xff",
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:30])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_other_paths_are_not_found(server, method, path):
    body = GOOD if method == "POST" else b""
    status, _, text = exchange(server, request(server, method, path, body))
    assert status == 404
    assert b"root:" not in text
    assert b"import" not in text
    assert_goes_on(server)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/predict", "POST"),
        ("HEAD", "/predict", "POST"),
        ("POST", "/", "GET, HEAD"),
        ("POST", "/script.js", "GET, HEAD"),
        ("PUT", "/predict", "POST"),
        ("OPTIONS", "/predict", "POST"),
        ("DELETE", "/", "GET, HEAD"),
        ("BREW", "/", "GET, HEAD"),
        ("get", "/", "GET, HEAD"),
    ],
)
def test_other_methods_are_not_allowed(server, method, path, allowed):
    status, headers, _ = exchange(server, request(server, method, path))
    assert status == 405
    assert headers["Allow"] == allowed
    assert_goes_on(server)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/x\r\n\r\n", 400),
        (b"GET / and more HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 70_000 + b"\r\n\r\n", 431),
    ],
    ids=["nonsense", "version", "words", "tls", "long-address", "many-headers", "long-header"],
)
def test_what_is_not_http(server, text, expected):
    assert exchange(server, text)[0] == expected
    assert_goes_on(server)


def test_http_2_is_refused(server):
    """505 says that it is the version that is not supported."""
    assert exchange(server, b"GET / HTTP/2.0\r\n\r\n")[0] == 505
    assert_goes_on(server)


def test_a_picture_that_ends_early(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request(server)[:-100])
        connection.shutdown(socket.SHUT_WR)
        assert answer(connection)[0] == 400
    assert_goes_on(server)


def test_a_picture_that_stops_coming(server):
    server.request_seconds = 0.5
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request(server)[:-100])
        assert answer(connection)[0] == 408
    server.request_seconds = 20
    assert_goes_on(server)


def test_a_picture_that_comes_drop_by_drop(server):
    """The time counts from the first byte to the last, so that drops do not help."""
    server.request_seconds = 0.5
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(request(server)[: -(SIDE**2)])
        end = time.monotonic() + 20
        status = None
        connection.settimeout(0.1)
        while status is None and time.monotonic() < end:
            connection.send(b"\0")
            try:
                start = connection.recv(12)
            except TimeoutError:
                continue
            status = int(start.split()[1])
    assert status == 408
    server.request_seconds = 20
    assert_goes_on(server)


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: "])
def test_a_request_that_never_comes(server, start):
    server.request_seconds = 0.2
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(start)
        assert connection.recv(100) == b""
    server.request_seconds = 20
    assert_goes_on(server)


def test_too_many_connections(server):
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(N_CONNECTIONS)]
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        assert answer(connection)[0] == 503
    for connection in idle:
        connection.close()
    end = time.monotonic() + 20
    while not server._places._value and time.monotonic() < end:
        time.sleep(0.01)
    assert_goes_on(server)


def test_a_browser_that_has_gone_is_no_error(server, capfd):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        # Closing now resets the connection.
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.sendall(request(server)[:-100])
    assert_goes_on(server)
    assert capfd.readouterr() == ("", "")


def test_an_error_of_the_program_is_reported_and_survived(server, capfd, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(server, "recognizer", None)
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(request(server))
            assert connection.recv(100) == b""
    assert "AttributeError" in capfd.readouterr().err
    assert_goes_on(server)


# ---- The command ----


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_the_command_trains_and_serves(capsys, monkeypatch, taken_port):
    """Without --port another port than the taken one is used; --open opens the page."""
    opened, statuses = [], []

    def serve_forever(self):
        self.timeout = 20
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(exchange, self, request(self, "GET", "/", b""))
            self.handle_request()
            statuses.append(future.result()[0])

    monkeypatch.setattr(command, "DEFAULT_PORT", taken_port)
    monkeypatch.setattr(command.webbrowser, "open", opened.append)
    monkeypatch.setattr(DrawServer, "serve_forever", serve_forever)
    main(["draw", "--open", "--seed", "1"])
    text = capsys.readouterr().out
    (url,) = opened
    assert f"Draw at {url} and" in text
    assert str(taken_port) not in url
    assert float(re.search(r"It reads (\S+)% of 360 digits", " ".join(text.split()))[1]) > 95
    assert statuses == [200]


def test_a_taken_port(taken_port):
    with pytest.raises(SystemExit, match=f"Port {taken_port} is taken by another program"):
        main(["draw", "--port", str(taken_port)])


def test_a_port_that_is_not_allowed(monkeypatch):
    def refuse(port):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(command, "DrawServer", refuse)
    with pytest.raises(SystemExit, match=r"Cannot listen on port 81: Permission denied\."):
        main(["draw", "--port", "81"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "65536"], "'65536': expected an integer from 0 to 65535"),
        (["--port", "web"], "'web': expected an integer from 0 to 65535"),
        (["--seed", "-1"], "expected an integer from 0"),
    ],
)
def test_wrong_options(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(["draw", *arguments])
    assert message in capsys.readouterr().err


def test_port_80_is_left_out_by_browsers(monkeypatch):
    def bind(self):
        self.socket.bind(("127.0.0.1", 0))
        self.server_address = ("127.0.0.1", 80)

    monkeypatch.setattr(DrawServer, "server_bind", bind)
    with DrawServer(80) as server:
        assert {"localhost", "localhost:80", "127.0.0.1"} <= server.hosts


@pytest.mark.skipif(sys.platform == "win32", reason="Python makes terminals on POSIX systems only")
def test_ctrl_c_ends_the_command():
    code, text = run_in_terminal("-m", "sknet", "draw", "--port", 0, interrupt_at="Ctrl-C.")
    assert code == 0, text
    assert text.splitlines()[-1] == "Stopped."
    assert "Traceback" not in text


@pytest.mark.skipif(sys.platform == "win32", reason="Python makes terminals on POSIX systems only")
def test_ctrl_c_in_the_training_interrupts_the_command():
    code, text = run_in_terminal("-m", "sknet", "draw", "--port", 0, interrupt_at="Training")
    assert code == 130, text
    assert text.splitlines()[-1] == "Interrupted."


@pytest.mark.parametrize("columns", [40, 100])
def test_lines_fit_into_the_terminal(columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(DrawServer, "serve_forever", lambda self: None)
    main(["draw", "--port", "0"])
    _, *description, _ = capsys.readouterr().out.splitlines()
    assert max(map(len, description)) <= columns
    # No word of the next line would have fitted.
    for line, following in pairwise(description):
        assert len(f"{line} {following.split()[0]}") > columns


@pytest.mark.skipif(sys.platform == "win32", reason="SIGTERM ends processes at once on Windows")
def test_sigterm_ends_the_command():
    process = subprocess.Popen(
        [sys.executable, "-m", "sknet", "draw", "--port", "0"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        last = next(line for line in process.stdout if line.startswith("Draw at http://127.0.0.1:"))
        port = int(re.search(r":(\d+)/", last)[1])
        socket.create_connection(("127.0.0.1", port), timeout=20).close()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert errors == ""
    assert process.returncode == 143
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=20)
