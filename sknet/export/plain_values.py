"""Values of Python and NumPy as JSON and arrays, and back to the same types.

None, bools, finite floats, integers and strings are themselves in JSON. Everything else is an
object with one of these sets of keys:

==============================  ===================================================================
``float``                       'inf', '-inf' or 'nan'
``floats``                      a list of floats; the name of an array
``tuple``                       a list of values
``dict``                        a list of pairs of values
``array``                       an array of numbers or bools; its name
``scalar``                      a number of NumPy; the name of an array
``numpy_string``                a string of NumPy
``strings``, ``dtype``          a vector of strings, 'object' or as NumPy has it; the name of
                                two arrays, ``NAME.utf8`` and ``NAME.ends``
``RandomState``, ``position``,  the state of a generator; the name of its array
``has_gauss``, ``gauss``
==============================  ===================================================================

A list is a JSON list. Nothing in a file can name a class or a function of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from sknet.exceptions import ModelFileError

# Deeper than any value of a parameter.
MAX_DEPTH = 12

# NumPy stores each string of a vector in the width of the longest. One long string among many could
# therefore need much more memory than its file.
MAX_BYTES_OF_STRINGS = 2**26

SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
STATE_SIZE = 624  # of the Mersenne Twister


class Encoder:
    """Turns values into JSON, and collects their arrays.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The arrays so far, by the names of the values that have them.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[int, dict[str, Any]] = {}  # an array that several values share

    def encode(self, value: Any, name: str) -> Any:
        """Return a value as JSON.

        Parameters
        ----------
        value : object
        name : str
            What the value is called in messages, and its arrays in the file.

        Raises
        ------
        ValueError
            If it is of a type that files do not have.
        """
        kind = type(value)
        if value is None or kind in (bool, str):
            return value
        if kind is int and -(2**63) <= value < 2**63:
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is list and value and all(isinstance(v, float) for v in value):
            self.arrays[name] = np.array(value, np.float64)
            return {"floats": name}
        if kind in (list, tuple):
            values = [self.encode(v, f"{name}.{i}") for i, v in enumerate(value)]
            return values if kind is list else {"tuple": values}
        if kind is dict:
            keys = [self.encode(key, f"{name}.key{i}") for i, key in enumerate(value)]
            values = [
                self.encode(v, f"{name}.{key if str(key).isidentifier() else i}")
                for i, (key, v) in enumerate(value.items())
            ]
            return {"dict": [list(pair) for pair in zip(keys, values, strict=True)]}
        if kind is np.str_:
            return {"numpy_string": str(value)}
        if isinstance(value, np.generic) and _is_numeric(value.dtype):
            self.arrays[name] = np.asarray(value)
            return {"scalar": name}
        if kind is np.ndarray:
            if id(value) not in self._known:
                self._known[id(value)] = self._encode_array(value, name)
            return self._known[id(value)]
        if kind is np.random.RandomState:
            return self._encode_generator(value, name)
        cannot_save(value, name)

    def _encode_array(self, value: np.ndarray, name: str) -> dict[str, Any]:
        if _is_numeric(value.dtype):
            self.arrays[name] = value
            return {"array": name}
        strings = value.tolist()
        if value.ndim != 1 or not all(isinstance(text, str) for text in strings):
            cannot_save(value, name)
        if value.nbytes > MAX_BYTES_OF_STRINGS:
            raise ValueError(
                f"{name} has strings of {value.nbytes:,} bytes, since each takes as much as the "
                "longest. Use the dtype object, in which each has its own length."
            )
        encoded = [text.encode("utf-8", "surrogatepass") for text in strings]
        self.arrays[f"{name}.utf8"] = np.frombuffer(b"".join(encoded), np.uint8)
        self.arrays[f"{name}.ends"] = np.cumsum([len(text) for text in encoded], dtype=np.int64)
        dtype = "object" if value.dtype == object else value.dtype.newbyteorder("<").str
        return {"strings": name, "dtype": dtype}

    def _encode_generator(self, value: np.random.RandomState, name: str) -> dict[str, Any]:
        state: Any = value.get_state(legacy=False)
        if state["bit_generator"] != "MT19937":
            cannot_save(value, name)
        self.arrays[name] = np.array(state["state"]["key"], np.uint32)
        return {
            "RandomState": name,
            "position": int(state["state"]["pos"]),
            "has_gauss": int(state["has_gauss"]),
            "gauss": float(state["gauss"]),
        }


def cannot_save(value: Any, name: str) -> NoReturn:
    """Raise the error about a value that files do not have."""
    if callable(value):
        what = "is a function or another object that is called. A file without code cannot hold it"
    else:
        what = f"has the type {type(value).__name__}, which files of sknet.save do not have"
    raise ValueError(
        f"{name}={value!r} {what}. Set it to a plain value before you save the model, or use "
        "pickle."
    )


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8


class Decoder:
    """Turns JSON back into values, with the arrays of a file.

    Attributes
    ----------
    used : set of str
        Names of the arrays that were needed so far.
    """

    def __init__(self, arrays: Any) -> None:
        self._arrays = arrays
        self._strings: dict[str, np.ndarray] = {}
        self.used: set[str] = set()

    def decode(self, value: Any, depth: int = 0) -> Any:
        """Return the value that some JSON stands for.

        Raises
        ------
        ModelFileError
            If the encoder never writes such JSON.
        """
        if depth > MAX_DEPTH:
            raise ModelFileError("The file has values that are nested too deeply.")
        if isinstance(value, list):
            return [self.decode(v, depth + 1) for v in value]
        if not isinstance(value, dict):
            return value
        first = next(iter(value), "")
        keys, decode = DECODERS.get(first, ((), None))
        if decode is None or tuple(value) != keys:
            raise ModelFileError(f"The file has a value of an unknown kind, {str(first)[:40]!r}.")
        return decode(self, *value.values(), depth=depth + 1)

    def array(self, name: Any, dtype: Any = None, ndim: int | None = None) -> np.ndarray:
        """Return an array of the file by its name."""
        if not isinstance(name, str) or name not in self._arrays:
            raise ModelFileError(f"The file lacks the array {str(name)[:80]!r}.")
        array: np.ndarray = self._arrays[name]
        if (dtype and array.dtype != dtype) or (ndim is not None and array.ndim != ndim):
            raise ModelFileError(
                f"The array {name!r} of the file has the dtype {array.dtype} and the shape "
                f"{array.shape}, which do not suit what it is for."
            )
        self.used.add(name)
        return array

    def _float(self, name: Any, depth: int) -> float:
        if not isinstance(name, str) or name not in SPECIAL:
            raise ModelFileError(f"The file has an unknown number, {str(name)[:40]!r}.")
        return SPECIAL[name]

    def _floats(self, name: Any, depth: int) -> list[float]:
        values: list[float] = self.array(name, np.float64, 1).tolist()
        return values

    def _tuple(self, values: Any, depth: int) -> tuple[Any, ...]:
        return tuple(self.decode(_as_list(values), depth))

    def _dict(self, pairs: Any, depth: int) -> dict[Any, Any]:
        found = {}
        for pair in _as_list(pairs):
            if len(_as_list(pair)) != 2:
                raise ModelFileError("The file has a dict with an entry that is no pair.")
            key, value = self.decode(pair, depth)
            if not isinstance(key, str | int | float | np.generic):
                raise ModelFileError("The file has a dict with a key that is no plain value.")
            found[key] = value
        return found

    def _array(self, name: Any, depth: int) -> np.ndarray:
        return self.array(name)

    def _scalar(self, name: Any, depth: int) -> Any:
        return self.array(name, ndim=0)[()]

    def _numpy_string(self, text: Any, depth: int) -> np.str_:
        if not isinstance(text, str):
            raise ModelFileError("The file has a string that is none.")
        return np.str_(text)

    def _vector_of_strings(self, name: Any, dtype: Any, depth: int) -> np.ndarray:
        if not isinstance(name, str):
            raise ModelFileError("The file has strings without a name.")
        if name not in self._strings:
            utf8 = self.array(f"{name}.utf8", np.uint8, 1)
            ends = self.array(f"{name}.ends", np.int64, 1)
            self._strings[name] = _strings(name, utf8, ends, dtype)
        return self._strings[name]

    def _generator(
        self, name: Any, position: Any, has_gauss: Any, gauss: Any, depth: int
    ) -> np.random.RandomState:
        key = self.array(name, np.uint32, 1)
        is_plain = type(position) is int and type(has_gauss) is int and type(gauss) is float
        if key.size != STATE_SIZE or not is_plain or not 0 <= position <= STATE_SIZE:
            raise ModelFileError("The file has a state of random numbers that is none.")
        generator = np.random.RandomState(0)
        generator.set_state(("MT19937", key, position, int(has_gauss == 1), gauss))
        return generator


# By the first key of a JSON object: all of its keys, and what decodes their values.
DECODERS: dict[Any, tuple[tuple[str, ...], Callable[..., Any]]] = {
    "float": (("float",), Decoder._float),
    "floats": (("floats",), Decoder._floats),
    "tuple": (("tuple",), Decoder._tuple),
    "dict": (("dict",), Decoder._dict),
    "array": (("array",), Decoder._array),
    "scalar": (("scalar",), Decoder._scalar),
    "numpy_string": (("numpy_string",), Decoder._numpy_string),
    "strings": (("strings", "dtype"), Decoder._vector_of_strings),
    "RandomState": (("RandomState", "position", "has_gauss", "gauss"), Decoder._generator),
}


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ModelFileError("The file has something else where a list belongs.")
    return value


def _strings(name: str, utf8: np.ndarray, ends: np.ndarray, dtype: Any) -> np.ndarray:
    """Return a vector of strings, of the dtype object or of one that has room for the longest."""
    starts = np.concatenate([[0], ends[:-1]])
    if (ends < starts).any() or (ends[-1:] != utf8.size).any() or (utf8.size and not ends.size):
        raise ModelFileError(f"The strings {name!r} of the file do not fill their bytes.")
    data = utf8.tobytes()
    try:
        texts = [
            data[start:end].decode("utf-8", "surrogatepass")
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]
    except UnicodeDecodeError:
        raise ModelFileError(f"The strings {name!r} of the file are not UTF-8.") from None
    if dtype == "object":
        result = np.empty(len(texts), object)
        result[:] = texts
        return result
    shortest = max(map(len, texts), default=0)
    longest = MAX_BYTES_OF_STRINGS // 4 // max(1, len(texts))
    is_known = isinstance(dtype, str) and re.fullmatch(r"<U[1-9][0-9]{0,7}", dtype)
    if not is_known or not shortest <= int(dtype[2:]) <= longest:
        raise ModelFileError(f"The strings {name!r} have the dtype {str(dtype)[:20]!r}.")
    return np.array(texts, dtype)
