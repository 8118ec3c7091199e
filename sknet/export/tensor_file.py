"""Arrays and a text in one file, with a checksum: the format of safetensors, read with suspicion.

A file consists of

1. the length of the header in bytes, as an unsigned integer of 64 bits,
2. the header, in JSON: dtype, shape and place of each array, and ``__metadata__``,
3. the numbers of all arrays, one after the other, little-endian.

The metadata begin with the SHA-256 digest of the whole file, in which the 64 digits of the digest
itself count as zeros. It stands at a fixed place, so the file is checked before its JSON is parsed.
The other entries are ``format``, ``format_version``, ``sknet_version`` and ``text``.

The package safetensors reads these files. It is not used here, since all of its header has to be
checked before anything else reads it, and what remains then are two lines for each array.

References
----------
https://huggingface.co/docs/safetensors, section "Format".
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np

from sknet.exceptions import ModelFileError
from sknet.export.atomic_write import replace_file

FORMAT = "sknet"
VERSION = 1

# Parsed JSON takes up to 25 times its length. A header lists layers and parameters, and takes a few
# kilobytes; whatever is long is an array.
MAX_HEADER = 4 * 2**20
MAX_NDIM = 8

START = b'{"__metadata__":{"sha256":"'
DIGITS = 64
PLACE = slice(8 + len(START), 8 + len(START) + DIGITS)
ZEROS = b"0" * DIGITS
CHUNK = 2**20

DTYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip
CODES = {dtype: code for code, dtype in DTYPES.items()}


class Content(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    text : str
        Any text.
    arrays : mapping of str to ndarray
        Of numbers or bools. Other byte orders than the machine's own are changed to it.
    """

    text: str
    arrays: Mapping[str, np.ndarray]


def write(path: str | os.PathLike[str], content: Content, sknet_version: str) -> None:
    """Write a file, or leave an existing one as it was if that fails.

    Raises
    ------
    ValueError
        If the text and the descriptions of the arrays are longer than `MAX_HEADER`.
    OSError
        If the file cannot be written.
    """
    metadata = {
        "sha256": ZEROS.decode(),
        "format": FORMAT,
        "format_version": str(VERSION),
        "sknet_version": sknet_version,
        "text": content.text,
    }
    # Those of larger items first, so that each begins at a multiple of its item's size.
    names = sorted(content.arrays, key=lambda name: -content.arrays[name].itemsize)
    header: dict[str, Any] = {"__metadata__": metadata}
    start, arrays = 0, []
    for name in names:
        array = content.arrays[name]
        dtype = array.dtype.newbyteorder("<")
        array = np.ascontiguousarray(array, dtype).reshape(array.shape)
        end = start + array.nbytes
        header[name] = {
            "dtype": CODES[dtype.str],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        arrays.append(array.reshape(-1).view(np.uint8).data)
        start = end
    encoded = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > MAX_HEADER:
        raise ValueError(
            f"The parameters and the names of this model take {len(encoded):,} bytes, more than "
            f"the {MAX_HEADER:,} that a file may have besides its arrays. Use pickle instead."
        )
    head = len(encoded).to_bytes(8, "little") + encoded
    digest = hashlib.sha256(head)
    for data in arrays:
        digest.update(data)
    head = head[: PLACE.start] + digest.hexdigest().encode() + head[PLACE.stop :]
    replace_file(path, [head, *arrays])


def read(path: str | os.PathLike[str]) -> Content:
    """Read what `write` has written.

    Nothing is allocated by what the file says before it is known that the file is that long.

    Raises
    ------
    ModelFileError
        If the file is anything else, or damaged.
    OSError
        If the file cannot be opened or read.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = _checked_length(file, size)
        metadata, entries = _parsed(file.read(length))
        data_size = size - 8 - length
        _check_layout(entries, data_size)
        arrays = {}
        for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"][0]):
            array = np.empty(math.prod(entry["shape"]), DTYPES[entry["dtype"]])
            if file.readinto(array.view(np.uint8).data) != array.nbytes:
                _refuse("changed while it was read")
            if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
                _refuse(f"has other bools than 0 and 1 in {name!r}")
            arrays[name] = array.reshape(entry["shape"])
    return Content(metadata["text"], arrays)


def _refuse(what: str) -> NoReturn:
    raise ModelFileError(f"The file {what}.")


def _checked_length(file: BinaryIO, size: int) -> int:
    """Return the length of the header of a file with the right checksum, and go to the header."""
    head = file.read(PLACE.stop)
    if len(head) < PLACE.stop or head[8 : PLACE.start] != START:
        _refuse("is not one that sknet.save wrote, or its beginning is damaged")
    length = int.from_bytes(head[:8], "little")
    if not PLACE.stop - 8 <= length <= min(MAX_HEADER, size - 8):
        _refuse(
            f"says that its header has {length:,} bytes, but it is {size:,} bytes long, and a "
            f"header has at most {MAX_HEADER:,}. It is damaged or cut off"
        )
    digest = hashlib.sha256(head[: PLACE.start] + ZEROS)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    if digest.hexdigest().encode() != head[PLACE]:
        _refuse("is damaged or cut off: its checksum is another one. Take a copy, or save again")
    file.seek(8)
    return length


def _parsed(header: bytes) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the metadata of a header, and the entries of its arrays."""
    entries = parse_json(header)
    metadata = entries.pop("__metadata__", None) if isinstance(entries, dict) else None
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _refuse("has metadata that are not texts")
    version = metadata.get("format_version")
    if metadata.get("format") != FORMAT or version is None:
        _refuse("is not one that sknet.save wrote")
    if version != str(VERSION):
        _refuse(
            f"has the format {version[:20]!r}, but this version of sknet knows only {VERSION}. "
            f"sknet {metadata.get('sknet_version', 'of another version')[:40]} wrote it: load it "
            "with that version or a newer one"
        )
    if metadata.keys() != {"sha256", "format", "format_version", "sknet_version", "text"}:
        _refuse(f"has other metadata than sknet.save writes: {_shown(metadata)}")
    return metadata, entries


def _check_layout(entries: dict[str, Any], data_size: int) -> None:
    """Refuse entries that are no arrays, or that do not fill the data one after the other."""
    places = []
    for name, entry in entries.items():
        if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
            _refuse(f"describes {name[:80]!r} in another way than arrays")
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if not isinstance(dtype, str) or dtype not in DTYPES:
            _refuse(f"has the array {name[:80]!r} of the unknown dtype {str(dtype)[:20]!r}")
        if not (_are_sizes(shape) and len(shape) <= MAX_NDIM):
            _refuse(f"has the array {name[:80]!r} of a shape that is no list of sizes")
        if not (_are_sizes(offsets) and len(offsets) == 2):
            _refuse(f"has the array {name[:80]!r} at a place that is no pair of offsets")
        if math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize != offsets[1] - offsets[0]:
            _refuse(f"has a shape of {name[:80]!r} that is not that of its bytes")
        places.append(offsets)
    places.sort()
    ends = [0, *(end for _, end in places)]
    if [start for start, _ in places] != ends[:-1] or ends[-1] != data_size:
        _refuse("has arrays that overlap, or that leave bytes over")


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


# JSON from strangers.


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that has no duplicate names, no NaN and no numbers beyond 64 bits.

    Raises
    ------
    ModelFileError
        If it has any, or is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_without_duplicates,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=lambda name: _refuse(f"has the number {name} in its JSON"),
        )
    except RecursionError:
        _refuse("has JSON that is nested too deeply")
    except UnicodeDecodeError:
        _refuse("has JSON that is not UTF-8")
    except json.JSONDecodeError as error:
        _refuse(f"has a header that is no JSON ({error.msg} at character {error.pos})")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse("has a name twice in its JSON")
    return found


def _integer(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        _refuse(f"has the number {digits[:25]} in its JSON, which is too large")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse(f"has the number {digits[:25]} in its JSON, which is too large")
    return number


def _shown(names: Any) -> str:
    """Return names for a message, of which a hostile file may have many and long ones."""
    names = sorted(names)
    return ", ".join(repr(name[:40]) for name in names[:5]) + ", ..." * (len(names) > 5)
