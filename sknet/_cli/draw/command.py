"""What ``draw`` does: take a port, train a network, serve the page until it is ended."""

from __future__ import annotations

import errno
import shutil
import sys
import textwrap
import time
import webbrowser

from sknet._cli.draw.pages import load_pages
from sknet._cli.draw.server import DrawServer
from sknet._cli.draw.training import train_on_digits, train_on_mnist
from sknet._cli.ending import until_ctrl_c
from sknet._cli.images import MissingDataError

DEFAULT_PORT = 8000


def run(port: int | None, data: str | None, seed: int, open_page: bool) -> None:
    """Serve the page until Ctrl-C, or until the process is ended.

    Parameters
    ----------
    port : int or None
        Port of this computer. 0 takes any free port. None takes 8000, or any free
        port if that one is taken.
    data : str or None
        MNIST: `mnist.npz` or the folder that it is in. None trains on
        scikit-learn's digits.
    seed : int
        Of the training.
    open_page : bool
        Whether to open the page in the browser.
    """
    with _listening(port) as server:  # before the training, so that errors come at once
        print(f"Training on {'MNIST' if data else 'the digits of scikit-learn'} ...", flush=True)
        start = time.perf_counter()
        try:
            recognizer = train_on_mnist(data, seed) if data else train_on_digits(seed)
        except (MissingDataError, ValueError) as error:
            sys.exit(f"The network cannot be trained: {error}")
        text = f"{recognizer.description} ({time.perf_counter() - start:.1f} s)"
        print(textwrap.fill(text, shutil.get_terminal_size().columns, break_on_hyphens=False))
        server.recognizer = recognizer
        server.pages = load_pages(recognizer)
        with until_ctrl_c():
            print(f"Draw at {server.url} and end this with Ctrl-C.", flush=True)
            if open_page:
                webbrowser.open(server.url)
            server.serve_forever()


def _listening(port: int | None) -> DrawServer:
    wanted = DEFAULT_PORT if port is None else port
    try:
        return DrawServer(wanted)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            sys.exit(f"Cannot listen on port {wanted}: {error.strerror}.")
    if port is None:
        return DrawServer(0)
    sys.exit(
        f"Port {port} is taken by another program: give another one to --port, or 0 for any free "
        "port."
    )
