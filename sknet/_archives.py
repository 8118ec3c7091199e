"""Files of plain values and arrays: written as a whole or not at all, and checked when read.

A file has a line that names the format, the length of a JSON text, that text, the bytes of all
arrays one after the other, and a digest of all this. Reading it runs no code, and allocates no more
than the file has.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = b"sknet archive 1\n"
LENGTH_BYTES = 8
DIGEST_BYTES = 16

# Kinds of dtypes whose bytes are the numbers or letters themselves.
PLAIN_KINDS = "biufUS"


def write_archive(path: Path, values: Mapping[str, Any]) -> None:
    """Write values to a file. An older file of that name is there until the new one is complete.

    Parameters
    ----------
    path : Path
        Its folder must exist. A file beside it, with the suffix ".part", is used meanwhile.
    values : mapping of str to object
        None, booleans, numbers, strings, arrays, and lists, tuples and dicts of them.

    Raises
    ------
    TypeError
        If a value is of another type.
    OSError
        If the file cannot be written, for instance because the disk is full.
    """
    arrays: list[np.ndarray] = []
    text = json.dumps(encode(dict(values), arrays)).encode()
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
            head: list[Any] = [FORMAT, len(text).to_bytes(LENGTH_BYTES, "little"), text]
            bodies = [array.reshape(-1).view(np.uint8) for array in arrays]
            for piece in (*head, *bodies):
                file.write(piece)
                digest.update(piece)
            file.write(digest.digest())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names of a folder's files last through a power failure, where that is possible."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_archive(path: Path) -> dict[str, Any]:
    """Return the values of a file that `write_archive` has written.

    Raises
    ------
    ValueError
        If the file is damaged, or is no such file.
    OSError
        If it cannot be read.
    """
    content = memoryview(path.read_bytes())
    begin = len(FORMAT) + LENGTH_BYTES
    if content[: len(FORMAT)] != FORMAT:
        raise ValueError(f"{path} is damaged, or it is no file of this kind.")
    body, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
    if len(body) < begin or digest != hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest():
        raise ValueError(f"{path} is damaged: it is not what was written.")
    end = begin + int.from_bytes(body[len(FORMAT) : begin], "little")
    try:
        if end > len(body):
            raise ValueError("its text is longer than the file")
        values = _Decoder(body[end:]).decode(json.loads(bytes(body[begin:end])))
        if not isinstance(values, dict):
            raise ValueError("it is no table of values")
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} has a content that nobody writes: {error}.") from error
    return values


def encode(value: Any, arrays: list[np.ndarray]) -> Any:
    """Return a value as JSON has it. Arrays are appended to a list, in the order of their bytes.

    Raises
    ------
    TypeError
        If a value has a type that cannot be restored.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is list:
        return [encode(item, arrays) for item in value]
    if type(value) is tuple:
        return {"tuple": [encode(item, arrays) for item in value]}
    if type(value) is dict:
        return {"dict": [[encode(k, arrays), encode(v, arrays)] for k, v in value.items()]}
    if isinstance(value, np.ndarray) and value.dtype == object:
        items = [encode(item, arrays) for item in value.ravel().tolist()]
        return {"objects": items, "shape": list(value.shape)}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in PLAIN_KINDS:
        array = np.ascontiguousarray(value)
        arrays.append(array)
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: value.dtype.str, "shape": list(np.shape(value))}
    raise TypeError(f"{value!r} is not a plain value.")


class _Decoder:
    """Restores values in the order in which `encode` has taken them."""

    def __init__(self, content: memoryview) -> None:
        self.content = content

    def decode(self, value: Any) -> Any:
        """Return what `encode` was given."""
        if isinstance(value, list):
            return [self.decode(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "tuple" in value:
            return tuple(self.decode(item) for item in value["tuple"])
        if "dict" in value:
            return {self.decode(k): self.decode(v) for k, v in value["dict"]}
        if "objects" in value:
            items = np.empty(len(value["objects"]), object)
            items[:] = [self.decode(item) for item in value["objects"]]
            return items.reshape(value["shape"])
        kind = "array" if "array" in value else "scalar"
        array = self._array(np.dtype(value[kind]), value["shape"])
        return array if kind == "array" else array[()]

    def _array(self, dtype: np.dtype, shape: list[int]) -> np.ndarray:
        if not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"{shape} is no shape of an array")
        size = math.prod(shape) * dtype.itemsize
        is_plain = dtype.kind in PLAIN_KINDS and dtype.itemsize > 0
        if not is_plain or size > len(self.content):
            raise ValueError(f"there is no array of shape {shape} and dtype {dtype}")
        array = np.empty(shape, dtype)
        array.reshape(-1).view(np.uint8)[:] = np.frombuffer(self.content[:size], np.uint8)
        self.content = self.content[size:]
        return array
