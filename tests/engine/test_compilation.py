"""Compilation: cached between processes, never stale, and possible without any cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sknet
from sknet._engine import compilation
from sknet._engine.memory import read_only
from sknet._engine.program import function_address

FIT = """
    import numba.core.event
    compiled = []

    class Listener(numba.core.event.Listener):
        def on_start(self, event):
            pass

        def on_end(self, event):
            compiled.append(event)

    with numba.core.event.install_listener("numba:compile", Listener()):
        from sklearn.datasets import load_iris
        from sknet import MLPClassifier
        model = MLPClassifier(hidden_layer_sizes=(5,), max_iter=5, random_state=0, alpha=1.0)
        model.fit(*load_iris(return_X_y=True))
        print(len(compiled), repr(model.loss_), sorted(set(model.predict([[5, 3, 2, 1.0]]))))
"""


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process that finds sknet in `folder`."""
    return subprocess.run(
        [sys.executable, "-W", "ignore:Stochastic Optimizer", "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture
def package(tmp_path):
    """Return a folder with a copy of the package, to be changed at will."""
    source = Path(sknet.__file__).parent
    shutil.copytree(source, tmp_path / "sknet", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_second_process_compiles_nothing(package):
    cache = {"NUMBA_CACHE_DIR": str(package / "cache")}
    first = run(FIT, package, **cache).stdout.split(maxsplit=1)
    second = run(FIT, package, **cache).stdout.split(maxsplit=1)
    assert int(first[0]) > 0
    assert int(second[0]) == 0
    assert first[1] == second[1]


def test_change_in_another_file_is_seen(package):
    """Numba alone would go on with a loss that has an older exp compiled in."""
    cache = {"NUMBA_CACHE_DIR": str(package / "cache")}
    before = run(FIT, package, **cache).stdout.split()[1]
    with (package / "sknet" / "_engine" / "vector_math.py").open("a") as changed:
        changed.write("_ExpBuilder.scale = lambda self, x, n: x\n")
    after = run(FIT, package, **cache).stdout.split()[1]
    assert float(after) != float(before)


def test_without_a_writeable_cache(package):
    """Where Numba finds no place for its cache, fits work and one warning says what to do."""
    if not hasattr(compilation.numba.config, "CACHE_LOCATOR_CLASSES"):
        pytest.skip("this Numba cannot be told to find no cache folder")
    cached = run(FIT, package, NUMBA_CACHE_DIR=str(package / "cache")).stdout.split()[1]
    # A locator for zipped code finds none here, as all do in a read-only container.
    result = run(FIT, package, NUMBA_CACHE_LOCATOR_CLASSES="ZipCacheLocator")
    assert result.stdout.split()[1] == cached
    assert result.stderr.count("RuntimeWarning") == 1
    assert "NUMBA_CACHE_DIR" in result.stderr


def test_without_compilation(package):
    """The kernels run as plain Python too, and say the same."""
    compiled = run(FIT, package, NUMBA_CACHE_DIR=str(package / "cache")).stdout.split()[1]
    plain = run(FIT, package, NUMBA_DISABLE_JIT="1").stdout.split()[1]
    assert float(plain) == pytest.approx(float(compiled), rel=1e-12)


def test_import_compiles_nothing_and_leaves_numba_alone(package):
    code = "import sys, sknet; print('numba' in sys.modules)"
    assert run(code, package).stdout.strip() == "False"


def forward(a):
    for i in range(a.size):
        a[i] = 1


def test_one_address_for_all_threads():
    """A function compiled by several threads at once has one address, whose code stays."""
    with ThreadPoolExecutor(8) as pool:
        addresses = set(pool.map(lambda _: function_address(forward, np.float64), range(16)))
    assert len(addresses) == 1
    assert addresses != {function_address(forward, np.float32)}


def test_the_time_of_a_compilation_is_noted_once():
    def forward(a):
        for i in range(a.size):
            a[i] = 2

    before = compilation.seconds_compiling()
    function_address(forward, np.float64)
    after = compilation.seconds_compiling()
    assert after > before
    function_address(forward, np.float64)
    assert compilation.seconds_compiling() == after
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(compilation.seconds_compiling).result() == 0


def test_read_only_is_a_view():
    a = np.zeros(3)
    view = read_only(a)
    assert not view.flags.writeable
    assert a.flags.writeable
    assert np.shares_memory(a, view)


@pytest.mark.parametrize("bits", ["128", "256"])
def test_narrower_vectors(package, bits):
    """The code for machines without AVX-512, or without AVX, on whichever this one is."""
    cache = {"NUMBA_CACHE_DIR": str(package / "cache")}
    widest = run(FIT, package, **cache).stdout.split()[1]
    narrow = run(FIT, package, SKNET_VECTOR_BITS=bits, **cache).stdout.split()
    assert int(narrow[0]) > 0, "kernels of another width were taken from the cache"
    assert float(narrow[1]) == pytest.approx(float(widest), rel=1e-12)


def test_unknown_vector_width(package):
    with pytest.raises(subprocess.CalledProcessError) as error:
        run(FIT, package, SKNET_VECTOR_BITS="100")
    assert "SKNET_VECTOR_BITS is '100', but must be 128, 256 or 512" in error.value.stderr
