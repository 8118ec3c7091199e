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
from sknet._engine.cache import SafeCacheFile
from sknet._engine.memory import read_only
from sknet._engine.program import function_address
from sknet._training.epoch import run_steps

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
    changed = package / "sknet" / "_engine" / "vector_math.py"
    text, code = changed.read_text(), 'value = emit.call("fma", power, expm1, power)'
    assert text.count(code) == 1
    changed.write_text(text.replace(code, "value = power"))
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


def test_processes_that_save_at_the_same_time_do_not_mix_their_code(tmp_path):
    """Numba's own files do: each process takes the first free number, and writes it at last."""
    files = [SafeCacheFile(str(tmp_path), "function", "sources") for _ in range(2)]
    load_index = SafeCacheFile._load_index
    # Both have read the index before either has written it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SafeCacheFile, "_load_index", lambda self: {})
        files[0].save("float64", "code for float64")
        files[1].save("float32", "code for float32")
    assert load_index(files[0]).keys() <= {"float64", "float32"}
    for key in ("float64", "float32"):
        assert files[0].load(key) in (None, f"code for {key}")
    files[0].save("float64", "code for float64")
    assert [files[1].load(key) for key in ("float64", "float32")] == [
        "code for float64", "code for float32",
    ]  # fmt: skip


def test_code_of_other_sources_is_never_overwritten_by_ours(tmp_path):
    """A process that still runs an older version of the package keeps its data files."""
    older, newer = (SafeCacheFile(str(tmp_path), "function", s) for s in ("older", "newer"))
    older.save("float64", "older code")
    names = {path.name for path in tmp_path.glob("*.nbc")}
    newer.save("float64", "newer code")
    assert names < {path.name for path in tmp_path.glob("*.nbc")}
    assert newer.load("float64") == "newer code"
    assert older.load("float64") is None


def test_caches_are_secured():
    """If Numba changes what is private to it, this says so."""
    if compilation.PYTHON_MODE:
        pytest.skip("nothing is compiled")
    assert isinstance(run_steps._cache._cache_file, SafeCacheFile)
    function_address(forward, np.float64)
    found = [c for (f, _), c in compilation._compiled.items() if f is forward]
    assert found
    assert all(isinstance(c._cache._cache_file, SafeCacheFile) for c in found)
