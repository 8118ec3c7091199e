"""Compiled code on disk: never stale, never that of another function, and no error without it."""

from __future__ import annotations

import hashlib
import os
import pickle
import uuid
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

from sknet._engine.simd import VECTOR_BITS

try:  # private to Numba: tests/engine/test_cache.py checks that it does what is needed here
    from numba.core.caching import FunctionCache
    from numba.core.runtime import rtsys
    from numba.core.serialize import dumps
except ImportError:
    FunctionCache = object  # type: ignore[assignment, misc]

PACKAGE = Path(__file__).parents[1]
CHECKSUM_BYTES = hashlib.sha256().digest_size


def keep_on_disk(compiled: Any, function: Callable[..., Any]) -> None:
    """Let Numba look for compiled code of a function on disk, and keep there what it compiles."""
    try:
        compiled._cache = SafeCache(function)
    except Exception as error:
        if os.path.isfile(function.__code__.co_filename):
            chosen = numba.config.CACHE_DIR  # type: ignore[attr-defined]
            _warn_of_folder(
                "Numba found no folder in which sknet can keep its compiled code: NUMBA_CACHE_DIR "
                f"is {chosen!r} ({_name(error)})."
            )
        else:
            _warn_of_source(function)


class SafeCache(FunctionCache):
    """Numba's cache of one function, without an error if code cannot be loaded or saved."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._is_own = str(function.__module__).startswith(f"{PACKAGE.name}.")
        sources = self._impl.locator.get_source_stamp(), package_digest()
        stamp = numba.__version__, VECTOR_BITS, sources
        self._cache_file = CodeFiles(Path(self.cache_path), self._impl.filename_base, stamp)

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return (*super()._index_key(sig, codegen), constants(self._py_func))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the code for one signature, or None if it has to be compiled."""
        try:
            if not self._is_own:
                return super().load_overload(sig, target_context)
            # Numba would first import everything that compilation needs, which takes longer than
            # all else here. The package's own code calls only Numba's runtime.
            rtsys.initialize(target_context)
            return self._load_overload(sig, target_context)
        except Exception as error:
            _warn_of_folder(
                f"sknet could not load compiled code from the folder {self.cache_path} "
                f"({_name(error)}). It compiles this code again and replaces the file if it can."
            )
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for one signature on disk if that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _warn_of_folder(
                f"sknet could not save compiled code in the folder {self.cache_path} "
                f"({_name(error)})."
            )


class CodeFiles:
    """The compiled code of one function: one file for each signature, and no index.

    The name of a file is a digest of the sources and the signature. Processes that
    compile a function for two dtypes at the same moment therefore write two files.
    With Numba's own files, which are numbered and named in an index, both may
    choose the same number, and one would run the code of the other.

    A file begins with a checksum of the rest. Machine code with a wrong bit would
    otherwise be loaded without an error, and crash the process when it runs.
    """

    def __init__(self, folder: Path, name: str, stamp: object) -> None:
        self._folder, self._name, self._stamp = folder, name, stamp

    def path(self, key: object) -> Path:
        """Return the file of the code for one signature."""
        digest = hashlib.sha256(repr((self._stamp, key)).encode()).hexdigest()
        return self._folder / f"{self._name}.{digest[:32]}.nbc"

    def load(self, key: object) -> Any:
        """Return the code for one signature, or None if there is no file of it."""
        path = self.path(key)
        try:
            content = memoryview(path.read_bytes())
        except FileNotFoundError:
            return None
        checksum, data = content[:CHECKSUM_BYTES], content[CHECKSUM_BYTES:]
        if hashlib.sha256(data).digest() != checksum:
            raise ValueError(f"{path.name} is damaged: its checksum is wrong")
        return pickle.loads(data)

    def save(self, key: object, code: object) -> None:
        """Write the code for one signature. Other processes see all of the file or nothing."""
        data = dumps(code)
        path = self.path(key)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(hashlib.sha256(data).digest() + data)
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def constants(function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Return the global constants that are compiled into a function, by name.

    They may come from another file or another cell of a notebook, which no stamp
    covers. What the function calls from other files of a user's is not seen.
    """
    names = function.__code__.co_names
    values = [function.__globals__.get(name) for name in names]
    scopes = [function.__globals__, *(vars(v) for v in values if isinstance(v, ModuleType))]
    found = [(name, scope[name]) for scope in scopes for name in names if name in scope]
    return [(name, _in_full(value)) for name, value in found if _is_constant(value)]


def _is_constant(value: object) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_constant, value))
    return isinstance(value, int | float | complex | str | np.generic | np.ndarray)


def _in_full(value: Any) -> Any:
    """Return what tells a constant from all others. The `repr` of an array leaves out numbers."""
    if isinstance(value, tuple):
        return tuple(map(_in_full, value))
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    return value


@cache
def package_digest() -> str:
    """Return a digest of all source files of the package, or of the archive that holds them.

    Numba looks at the function's own file only. It would serve a function that
    has an older version of another file compiled into it.
    """
    files = sorted(PACKAGE.rglob("*.py")) or [path for path in PACKAGE.parents if path.is_file()]
    digest = hashlib.sha256()
    for path in files:
        digest.update(os.path.relpath(path, PACKAGE).encode() + path.read_bytes())
    return digest.hexdigest()


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _warn_of_folder(what_failed: str) -> None:
    _warn_once(
        what_failed,
        "Every process compiles code that is not on disk, which takes some seconds at the first "
        "fit. To keep it, set the environment variable NUMBA_CACHE_DIR to a folder with free space "
        "before Python starts. You alone must be able to write to this folder, because loading a "
        "file from it can run any code that the file's author put there.",
    )


def _warn_of_source(function: Callable[..., Any]) -> None:
    _warn_once(
        f"sknet cannot keep the compiled code of {function.__qualname__} on disk, because its "
        f"source is not a file on disk, but {function.__code__.co_filename!r}.",
        "Every process therefore compiles it, which takes up to some seconds. To keep compiled "
        "code, write the function to a file and import it from there. If it is in a package, "
        "install the package in a folder instead of an archive.",
    )


_warned: set[str] = set()


def _warn_once(what_failed: str, remedy: str) -> None:
    """Warn, unless this process has already given the same remedy."""
    if remedy not in _warned:
        _warned.add(remedy)
        warnings.warn(f"{what_failed} {remedy}", RuntimeWarning, stacklevel=4)
