"""Compiled code on disk: whatever happens to it, functions run, and one warning says why."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import shutil
import warnings
from pathlib import Path

import numba
import numpy as np
import processes
import pytest
from processes import run_script

import sknet
from sknet._engine import cache, compilation
from sknet._engine.cache import CodeFiles, SafeCache, constants
from sknet._engine.program import function_address
from sknet._training.epoch import run_steps

needs_compiler = pytest.mark.skipif(compilation.PYTHON_MODE, reason="nothing is compiled")


def double(x):
    return x + x


def forward(a):
    for i in range(a.size):
        a[i] = 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder that Numba now caches in, in a process that has not warned yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_warned", set())
    return tmp_path


def compiled_files(folder):
    return list(folder.rglob("*.nbc"))


def run_double():
    """Run `double` as a new process would, and return how it was had and what was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kernel = compilation.kernel(double)
        compilation.compile_kernel(kernel, (2.0,))
        assert kernel(2.0) == 4.0
    hits = sum(kernel.stats.cache_hits.values())
    return ("loaded" if hits else "compiled"), [str(warning.message) for warning in caught]


def assert_tells_how_to_mend_it(messages, what_failed, folder):
    (message,) = messages
    assert what_failed in message
    assert str(folder) in message
    assert "NUMBA_CACHE_DIR" in message
    assert "You alone must be able to write to this folder" in message


def checked(data):
    """Return what a file with these data holds if somebody wrote it on purpose."""
    return hashlib.sha256(data).digest() + data


class OfAnotherVersion:
    """Code whose class the loading process does not know."""

    def __reduce__(self):
        return __import__, ("no_such_module",)


DAMAGE = {
    "empty": lambda content: b"",
    "cut in the checksum": lambda content: content[:10],
    "cut in the data": lambda content: content[: len(content) // 2],
    "garbage": lambda content: b"garbage" * 1000,
    "zeros": lambda content: bytes(len(content)),
    "text of another encoding": lambda content: "Käse".encode("latin-1"),
    "without a pickle": lambda content: checked(b""),
    "another type": lambda content: checked(pickle.dumps(3)),
    "a tuple of other length": lambda content: checked(pickle.dumps((1, 2))),
    "wrong types in a tuple": lambda content: checked(
        pickle.dumps((None,) * len(pickle.loads(content[cache.CHECKSUM_BYTES :])))
    ),
    "unknown module": lambda content: checked(pickle.dumps(OfAnotherVersion())),
}


@needs_compiler
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_file_is_compiled_anew_and_replaced(folder, damage):
    assert run_double() == ("compiled", [])
    assert run_double() == ("loaded", [])
    (file,) = compiled_files(folder)
    file.write_bytes(damage(file.read_bytes()))
    how, messages = run_double()
    assert how == "compiled"
    assert_tells_how_to_mend_it(messages, "could not load", file.parent)
    assert run_double() == ("loaded", [])


@needs_compiler
def test_no_flipped_bit_reaches_the_processor(folder):
    """Most flipped bits leave a valid pickle, with machine code that does anything."""
    run_double()
    (file,) = compiled_files(folder)
    content = file.read_bytes()
    random = np.random.default_rng(0)
    for bit in random.integers(8 * len(content), size=50):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        file.write_bytes(flipped)
        assert run_double()[0] == "compiled"
        assert run_double()[0] == "loaded"


@needs_compiler
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_file_cannot_be_written(folder, monkeypatch, number):
    def write_bytes(path, data):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    how, messages = run_double()
    assert how == "compiled"
    assert_tells_how_to_mend_it(messages, "could not save", folder)
    assert os.strerror(number) in messages[0]


@needs_compiler
def test_half_a_file_is_taken_away(folder, monkeypatch):
    """As on a full disk: the file is there, and its contents do not fit."""
    write_bytes = Path.write_bytes

    def write_half(path, data):
        write_bytes(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", write_half)
    run_double()
    assert [path for path in folder.rglob("*") if path.is_file()] == []


@needs_compiler
def test_file_cannot_be_read(folder, monkeypatch):
    """It belongs to another user, say."""
    run_double()

    def read_bytes(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read_bytes)
        how, messages = run_double()
    assert how == "compiled"
    if os.name != "nt":  # there it means that another process is just writing the file
        assert_tells_how_to_mend_it(messages, "could not load", folder)
    assert run_double() == ("loaded", [])


@needs_compiler
def test_folder_in_place_of_the_file(folder):
    run_double()
    (file,) = compiled_files(folder)
    file.unlink()
    file.mkdir()
    how, messages = run_double()
    assert how == "compiled"
    assert len(messages) == 1
    assert run_double()[0] == "compiled"


@needs_compiler
def test_file_in_place_of_the_folder(folder):
    kernel = compilation.kernel(double)
    path = Path(kernel.stats.cache_path)
    shutil.rmtree(path)
    path.touch()
    with pytest.warns(RuntimeWarning, match="sknet could not") as caught:
        compilation.compile_kernel(kernel, (2.0,))
    assert kernel(2.0) == 4.0
    assert_tells_how_to_mend_it([str(w.message) for w in caught], "could not", path)


@needs_compiler
def test_deleted_files_and_folders_are_made_again(folder):
    run_double()
    compiled_files(folder)[0].unlink()
    assert run_double() == ("compiled", [])
    kernel = compilation.kernel(double)
    shutil.rmtree(folder)
    compilation.compile_kernel(kernel, (2.0,))
    assert run_double() == ("loaded", [])


@needs_compiler
def test_a_file_as_cache_folder(folder, monkeypatch):
    """Numba then goes on to the next place it knows."""
    file = folder / "file"
    file.touch()
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(file))
    assert run_double()[1] == []


@needs_compiler
def test_no_folder(folder, monkeypatch):
    def locate(cache, function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(SafeCache, "_impl_class", locate)
    how, messages = run_double()
    assert how == "compiled"
    assert_tells_how_to_mend_it(messages, "found no folder", folder)


@needs_compiler
def test_function_without_a_file(folder):
    """As of a part that was typed at the prompt: there is no source to compare code with."""
    names: dict = {}
    exec("def forward(a):\n    a[0] = 1", names)
    with pytest.warns(RuntimeWarning, match="compiled code of forward on disk.*'<string>'"):
        address = function_address(names["forward"], np.float64)
    assert address > 0
    assert compiled_files(folder) == []


@needs_compiler
@pytest.mark.parametrize(
    ("expression", "names"),
    [
        pytest.param("SLOPE", lambda slope: {"SLOPE": slope}, id="number"),
        pytest.param("SLOPE", lambda slope: {"SLOPE": np.float64(slope)}, id="scalar"),
        pytest.param("SLOPES[0]", lambda slope: {"SLOPES": (slope, 1)}, id="tuple"),
        pytest.param("SLOPES[0]", lambda slope: {"SLOPES": np.array([slope])}, id="array"),
        pytest.param("processes.SLOPE", lambda slope: {"processes": processes}, id="module"),
    ],
)
def test_constants_from_elsewhere_are_seen(folder, monkeypatch, expression, names):
    """They may come from another file, or from another cell of a notebook."""
    file = folder / "steep.py"
    file.write_text(f"def steep(x):\n    return {expression} * x\n")
    for slope, n_loaded in ((2.0, 0), (3.0, 0), (2.0, 1)):
        monkeypatch.setattr(processes, "SLOPE", slope, raising=False)
        scope = {"__name__": __name__, **names(slope)}
        exec(compile(file.read_text(), str(file), "exec"), scope)
        kernel = compilation.kernel(scope["steep"])
        assert kernel(1.0) == slope
        assert sum(kernel.stats.cache_hits.values()) == n_loaded


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array([1, 2], np.float32), np.array([1.0, 2.0])),
        (np.zeros(5000), np.arange(5000) * (np.arange(5000) == 2500)),
        ((1, np.zeros(5000)), (1, np.arange(5000) * (np.arange(5000) == 2500))),
        (np.zeros(4), np.zeros((2, 2))),
    ],
    ids=["dtype", "number in the middle", "tuple", "shape"],
)
def test_different_constants_differ(a, b):
    def of(value):
        scope = {"K": value}
        exec("def f():\n    return K", scope)
        return repr(constants(scope["f"]))

    assert of(a) != of(b)
    assert of(a) == of(a)


@needs_compiler
def test_one_warning_for_many_functions(folder, monkeypatch):
    def write_bytes(path, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    assert len(run_double()[1]) == 1
    assert run_double()[1] == []


@needs_compiler
def test_warning_as_error_is_raised_once(folder, monkeypatch):
    monkeypatch.setattr(SafeCache, "_impl_class", lambda *_: 1 / 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="ZeroDivisionError"):
            compilation.kernel(double)
        assert compilation.kernel(double)(2.0) == 4.0


FIT_WITHOUT_ROOM = """
import os, resource, sys, warnings
import numpy as np
from sknet import MLPClassifier

X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2

def fit(**parameters):
    return MLPClassifier((4,), max_iter=3, random_state=0, **parameters).fit(X, y)

folder, trouble = sys.argv[1:]
warnings.simplefilter("ignore")
fit()
if trouble == "full":
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
else:
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o555)
    if os.geteuid() == 0:  # root may write anywhere
        os.seteuid(65534)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", RuntimeWarning)
    warnings.filterwarnings("ignore", "Stochastic Optimizer")
    for activation in ("tanh", "logistic"):
        assert np.isfinite(fit(activation=activation, solver="sgd").loss_)
print(*(warning.message for warning in caught), sep="\\n")
"""


@needs_compiler
@pytest.mark.skipif(os.name == "nt", reason="Windows has neither such limits nor such modes")
@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_fits_go_on_when_the_folder_fails_in_between(tmp_path, trouble):
    folder = tmp_path / "cache"
    out = run_script(FIT_WITHOUT_ROOM, folder, trouble, NUMBA_CACHE_DIR=str(folder))
    what_failed = "could not save" if trouble == "full" else "found no folder"
    assert_tells_how_to_mend_it(out.splitlines(), what_failed, folder)


FIT_FROM_ARCHIVE = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
import numpy as np
import sknet
assert sknet.__file__.startswith(sys.argv[1])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", RuntimeWarning)
    network = sknet.MLPClassifier((4,), max_iter=3, random_state=0)
    network.fit(np.eye(4), np.arange(4))
from sknet._training.epoch import run_steps
n_warnings = sum(warning.category is RuntimeWarning for warning in caught)
print(repr(network.loss_), sum(run_steps.stats.cache_hits.values()), n_warnings)
"""


@pytest.fixture
def archive(tmp_path):
    """Return a function that packs the package, with more code in one file if asked for."""
    source = shutil.copytree(
        Path(sknet.__file__).parent,
        tmp_path / "source" / "sknet",
        ignore=shutil.ignore_patterns("__pycache__"),
    )

    def pack(name, code=""):
        with (source / "_engine" / "vector_math.py").open("a") as changed:
            changed.write(code)
        packed = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", source.parent))
        return packed.replace(tmp_path / name)

    return pack


def fit_from(archive, tmp_path):
    """Return the loss, how often code was loaded, and the number of warnings of the cache."""
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    loss, hits, n_warnings = run_script(FIT_FROM_ARCHIVE, archive, timeout=300, **places).split()
    return float(loss), int(hits), int(n_warnings)


@needs_compiler
def test_package_in_a_zip(archive, tmp_path):
    """Numba has a place for its code, and a change in any of its files is seen."""
    loss, hits, n_warnings = fit_from(packed := archive("lib.zip"), tmp_path)
    assert (hits, n_warnings) == (0, 0)
    assert fit_from(packed, tmp_path) == (loss, 1, 0)
    code = "_ExpBuilder.scale = lambda self, x, n: x\n"
    other, hits, _ = fit_from(archive("lib.zip", code), tmp_path)
    assert hits == 0
    assert other != loss


@needs_compiler
def test_package_in_another_archive(archive, tmp_path):
    """Numba knows no place for code from a wheel or a zip application."""
    loss, hits, n_warnings = fit_from(archive("lib.pyz"), tmp_path)
    assert np.isfinite(loss)
    assert (hits, n_warnings) == (0, 1)


def test_processes_that_save_at_the_same_time_do_not_mix_their_code(tmp_path):
    """With Numba's own files they may: each takes the first free number."""
    files = [CodeFiles(tmp_path, "function", "sources") for _ in range(2)]
    files[0].save("float64", "code for float64")
    files[1].save("float32", "code for float32")
    for key in ("float64", "float32"):
        assert [file.load(key) for file in files] == [f"code for {key}"] * 2


def test_code_of_other_sources_is_neither_read_nor_overwritten(tmp_path):
    """A process that still runs an older version of the package keeps its files."""
    older, newer = (CodeFiles(tmp_path, "function", s) for s in ("older", "newer"))
    older.save("float64", "older code")
    assert newer.load("float64") is None
    newer.save("float64", "newer code")
    assert newer.load("float64") == "newer code"
    assert older.load("float64") == "older code"


@needs_compiler
def test_caches_are_secured():
    """If Numba changes what is private to it, this says so."""
    assert isinstance(run_steps._cache, SafeCache)
    function_address(forward, np.float64)
    found = [c for (f, _), c in compilation._compiled.items() if f is forward]
    assert found
    assert all(isinstance(c._cache, SafeCache) for c in found)
    assert {c._cache_hits for c in found} <= {0, 1}
    assert all(c._cache._cache_file.load(_key(c)) is not None for c in found)


def _key(c_function):
    return c_function._cache._index_key(c_function._sig, c_function._library.codegen)


RUN_PROGRAM = """
import sys
import numba
import numpy as np
from sknet._engine.kernels import clear
from sknet._engine.program import Program, run_program

program, numbers = Program(np.dtype(np.float64)), np.ones(3)
program.add(clear, numbers)
run_program(program.finish().instructions, 1, numbers)
assert not numbers.any()
print("numba.np.linalg" in sys.modules)
assert numba.njit(lambda x: x + 1)(1) == 2
"""


@needs_compiler
def test_loading_imports_nothing_that_only_compilation_needs(tmp_path):
    """It would take most of the time until the first step. Compilation still works afterwards."""
    needed = [run_script(RUN_PROGRAM, NUMBA_CACHE_DIR=str(tmp_path)).strip() for _ in range(2)]
    assert needed == ["True", "False"]


@needs_compiler
def test_all_that_a_users_code_may_call_is_imported_before_it_is_loaded(folder, monkeypatch):
    """It may call what Numba registers when it is imported, such as linear algebra."""
    refreshed = []
    monkeypatch.setattr(
        "numba.core.cpu.CPUContext.refresh", lambda self: refreshed.append(self), raising=False
    )
    for function, is_own in ((double, False), (run_steps.py_func, True)):
        refreshed.clear()
        loaded = SafeCache(function).load_overload(
            numba.float64(numba.float64), run_steps.targetctx
        )
        assert loaded is None
        assert bool(refreshed) != is_own
