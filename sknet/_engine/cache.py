"""Compiled code on disk: never stale, never that of another function, and no error without it."""

from __future__ import annotations

import hashlib
import warnings
from functools import cache
from pathlib import Path
from typing import Any

from sknet._engine.simd import VECTOR_BITS

try:  # private to Numba: tests/engine/test_compilation.py checks that it does what is needed here
    from numba.core.caching import IndexDataCacheFile
except ImportError:
    IndexDataCacheFile = object  # type: ignore[assignment, misc]

PACKAGE = Path(__file__).parents[1]


class SafeCacheFile(IndexDataCacheFile):
    """The cache entries of one function, which several processes may write at the same time.

    Numba numbers the data files of a function. Two processes that compile it for
    two dtypes at the same time may choose the same number, and the index then
    names the code of one dtype for the other. Here the name of a data file is a
    digest of the sources and the signature. It is written before the index that
    names it.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save a new cache entry."""
        digest = hashlib.sha256(repr((self._source_stamp, key)).encode()).hexdigest()
        name = self._data_name(digest[:16])
        self._save_data(name, data)
        overloads = self._load_index()
        overloads[key] = name
        self._save_index(overloads)

    def _data_name(self, digest: str) -> str:
        return self._data_name_pattern.replace("{number:d}", digest)


@cache
def package_digest() -> str:
    """Return a digest of all source files of the package."""
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def secure(compiled: Any) -> None:
    """Make the cache entries of a compiled function stale whenever a file of the package changes.

    Numba looks at the time and size of the function's own file only. It would
    serve a function that has an older version of another file compiled into it.
    """
    cache = getattr(compiled, "_cache", None)
    file: Any = getattr(cache, "_cache_file", None)
    if isinstance(file, IndexDataCacheFile):
        file._source_stamp = (file._source_stamp, package_digest(), VECTOR_BITS)
        file.__class__ = SafeCacheFile


@cache
def warn_of_missing_cache() -> None:
    """Warn once that nothing can be cached, and say how that is mended."""
    warnings.warn(
        "Numba found no writeable folder for its cache, so sknet compiles its kernels anew in "
        "every process (some seconds at the first fit). To keep them, set the environment "
        "variable NUMBA_CACHE_DIR to a writeable folder before Python starts.",
        RuntimeWarning,
        stacklevel=3,
    )
