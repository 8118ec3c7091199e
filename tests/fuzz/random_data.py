"""Random data as short recipes, which print as the code that makes them."""

from __future__ import annotations

import tempfile
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse as sp
from hypothesis import strategies as st

SPARSE = [
    "csr",
    "csc",
    "coo",
    "bsr",
    "lil",
    "dok",
    "dia",
    "csr 64-bit",
    "csr shuffled",
    "csr twice",
]
LAYOUTS = ["F", "columns", "rows", "backwards", "read-only", "memmap", "list", *SPARSE]
LAYOUTS += ["frame", "nullable frame", "polars"]
WITHOUT_SPARSE = (np.float16, np.object_)
VALUES = ["whole", "constant", "zeros", "denormal", "large", "greatest", "scales", "equal rows"]
UNUSABLE_VALUES = ["NaN", "inf", "text", "complex", "1-D", "3-D", "no rows", "no columns", "None"]
DTYPES = ["f4", "f2", "g", "i1", "u1", "i4", "i8", "u8", "?", "O", ">f8", ">f4", ">i2"]


class Features(NamedTuple):
    """A recipe for X: its size, what the numbers are like, and how they are kept."""

    n: int
    p: int
    values: str = "normal"
    dtype: str = "f8"
    layout: str = "C"
    seed: int = 0

    def numbers(self) -> np.ndarray:
        """Return X as a C-contiguous array of its dtype."""
        rng = np.random.default_rng(self.seed)
        shape = (0 if self.values == "no rows" else self.n, self.p * (self.values != "no columns"))
        X, dtype = rng.normal(size=shape), np.dtype(self.dtype)
        is_float = dtype.kind == "f"
        if self.values == "whole" or dtype.kind in "iub":
            X = np.rint(2 * X)
        if self.values == "constant":
            X[:, -1] = 1.5
        elif self.values == "zeros":
            X = np.where(rng.random(shape) < 0.7, 0.0, X)
        elif self.values == "denormal" and is_float:
            X = np.rint(5 * X) * np.finfo(dtype).smallest_subnormal
        elif self.values == "large" and is_float:
            X = 1e30 * X
        elif self.values == "large" and dtype.kind in "iu":
            X = rng.choice([np.iinfo(dtype).min, np.iinfo(dtype).max], size=shape)
        elif self.values == "greatest" and is_float:
            X = np.clip(X, -1, 1) * float(min(np.finfo(dtype).max, np.finfo(float).max)) / 10
        elif self.values == "scales":
            X = X * 10.0 ** rng.integers(-30, 30, size=shape[1])
        elif self.values == "equal rows":
            X = np.repeat(X[:1], self.n, axis=0)
        elif self.values in ("NaN", "inf") and X.size:
            X[-1, -1] = float(self.values)
        elif self.values == "complex":
            return X + 1j
        elif self.values == "text":
            return np.full(shape, "a")
        elif self.values == "None":
            X = X.astype(object)
            X[-1, -1] = None
            return X
        if dtype.kind == "u":
            X = np.abs(X)
        with np.errstate(all="ignore"):
            X = X.astype(dtype)
        return X[:, 0] if self.values == "1-D" else X[None] if self.values == "3-D" else X

    def make(self) -> Any:
        """Return X."""
        return as_layout(self.numbers(), self.layout)


def as_layout(X: np.ndarray, layout: str) -> Any:
    """Return equal numbers in another layout; as they are if the layout is not for them."""
    if layout == "list":
        return X.tolist()
    if X.ndim != 2 or not X.size:
        return X
    if layout == "F":
        return np.asfortranarray(X)
    if layout == "columns":
        return np.repeat(X, 2, axis=1)[:, ::2]
    if layout == "rows":
        return np.repeat(X, 2, axis=0)[::2]
    if layout == "backwards":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    if layout == "read-only":
        X.flags.writeable = False
    elif layout == "memmap" and X.dtype.kind != "O":
        with tempfile.TemporaryFile() as file:
            kept = np.memmap(file, X.dtype, "w+", shape=X.shape)
        kept[:] = X
        kept.flags.writeable = False
        return kept
    elif layout == "frame":
        return pd.DataFrame(
            X.astype(X.dtype.newbyteorder("=")), columns=list("abcdefg")[: X.shape[1]]
        )
    elif layout in SPARSE and X.dtype.kind in "fiub" and X.dtype.type not in WITHOUT_SPARSE:
        return as_sparse(X.astype(X.dtype.newbyteorder("=")), layout)
    return X


def as_frame(X: np.ndarray, layout: str) -> Any:
    """Return equal numbers in columns with names."""
    names = list("abcdefg")[: X.shape[1]]
    if layout == "polars" and X.dtype.kind in "fiub" and X.dtype.itemsize <= 8:
        return pl.DataFrame(X, schema=names)
    frame = pd.DataFrame(X, columns=names)
    return frame.convert_dtypes() if layout == "nullable frame" else frame


def as_sparse(X: np.ndarray, layout: str) -> Any:
    """Return equal numbers as a sparse array."""
    kind, _, form = layout.partition(" ")
    if kind == "dia" and len(X) > 100:
        return sp.csr_array(X)  # SciPy warns of several hundred diagonals
    S = getattr(sp, f"{kind}_array")(X)
    if form == "64-bit":
        S.indices, S.indptr = S.indices.astype(np.int64), S.indptr.astype(np.int64)
    elif form == "shuffled":
        for start, stop in zip(S.indptr, S.indptr[1:], strict=False):
            S.indices[start:stop] = S.indices[start:stop][::-1].copy()
            S.data[start:stop] = S.data[start:stop][::-1].copy()
        S.has_sorted_indices = False
    elif form == "twice" and X.dtype.kind == "f":  # each number as a sum of two halves
        S = sp.csr_array(
            (np.repeat(S.data / 2, 2), np.repeat(S.indices, 2), S.indptr * 2), shape=S.shape
        )
    return S


LABELS = ["text", "int", "negative", "bool", "bytes", "object text", "object int", "i1", "u8"]
LABELS += ["float", "list", "column", "series", "categories", "large int", "one class"]
INDICATORS = [
    "indicators",
    "indicators bool",
    "indicators float",
    "indicators csr",
    "indicators lil",
]
INDICATORS += ["indicators int8", "one indicator"]
UNUSABLE_LABELS = ["fractions", "NaN", "None", "two columns", "3-D", "complex", "mixed", "short"]

NUMBERS = ["normal", "positive", "counts", "large", "denormal", "constant", "zeros", "i4", "bool"]
NUMBERS += ["f4", "f2", "g", "object", "list", "column", "series", "two", "two F", "two positive"]
NUMBERS += ["read-only", ">f8"]
UNUSABLE_NUMBERS = ["text", "NaN", "inf", "None", "3-D", "complex", "short", "csr", "datetime"]


class Targets(NamedTuple):
    """A recipe for y: what kind of labels or numbers, and of how many classes."""

    kind: str
    n_classes: int = 3
    seed: int = 0

    def make(self, n: int) -> Any:
        """Return y for n samples."""
        rng = np.random.default_rng(self.seed)
        kind = self.kind
        if kind in LABELS + INDICATORS + UNUSABLE_LABELS and kind not in ("NaN", "None"):
            return labels(kind, rng, n, self.n_classes)
        return numbers(kind, rng, n)

    def classes(self) -> Any:
        """Return all classes, as the first call of `partial_fit` needs them."""
        if self.kind.startswith(("indicators", "one indicator")):
            return np.arange(1 if self.kind == "one indicator" else self.n_classes)
        is_usable = self.kind in LABELS
        return np.unique(np.ravel(self.make(200))) if is_usable else np.arange(self.n_classes)


def labels(kind: str, rng: np.random.Generator, n: int, n_classes: int) -> Any:
    """Return class labels, or an indicator matrix."""
    if kind.startswith("indicators") or kind == "one indicator":
        Y = rng.integers(0, 2, size=(n, 1 if kind == "one indicator" else n_classes))
        form = kind.partition(" ")[2]
        if form in ("csr", "lil"):
            return getattr(sp, f"{form}_array")(Y)
        if form == "255":
            return 255 * Y
        return Y.astype({"bool": bool, "float": float, "int8": np.int8}.get(form, int))
    code = rng.integers(0, 1 if kind == "one class" else n_classes, size=n)
    text = np.array(["b", "a", "long", "ä"])[code]
    match kind:
        case "text":
            return text
        case "negative":
            return -3 * code
        case "bool":
            return code > 0
        case "bytes":
            return np.char.encode(text, "utf8")
        case "object text" | "object int" | "mixed" | "None":
            y = {"object text": text, "object int": code + 5}.get(kind, text).astype(object)
            y[-1:] = {"mixed": [3], "None": [None]}.get(kind, y[-1:])
            return y
        case "float":
            return code + 1.0
        case "list":
            return text.tolist()
        case "column":
            return code.reshape(-1, 1)
        case "series":
            return pd.Series(text, index=np.arange(n)[::-1])
        case "categories":
            return pd.Series(text, dtype="category")
        case "large int":
            return code + 2**62
        case "fractions":
            return code + 0.5
        case "two columns":
            return np.column_stack([code + 1, code + 2])
        case "3-D":
            return code.reshape(-1, 1, 1)
        case "complex":
            return code + 1j
        case "short":
            return code[1:]
        case "i1" | "u8":
            return code.astype(kind)
    return code


def numbers(kind: str, rng: np.random.Generator, n: int) -> Any:
    """Return numbers to predict, one column or two."""
    y = rng.normal(size=n)
    match kind:
        case "positive":
            return np.exp(y)
        case "counts":
            return rng.poisson(2.0, size=n)
        case "large":
            return 1e30 * y
        case "denormal":
            return np.rint(5 * y) * 5e-324
        case "constant":
            return np.full(n, 2.5)
        case "zeros":
            return np.zeros(n)
        case "bool":
            return y > 0
        case "i4":
            return np.rint(3 * y).astype("i4")
        case "f4" | "f2" | "g" | ">f8":
            return y.astype(kind)
        case "object":
            return y.astype(object)
        case "list":
            return y.tolist()
        case "column":
            return y.reshape(-1, 1)
        case "series":
            return pd.Series(y, index=np.arange(n)[::-1])
        case "two":
            return rng.normal(size=(n, 2))
        case "two F":
            return np.asfortranarray(rng.normal(size=(n, 2)))
        case "two positive":
            return np.exp(rng.normal(size=(n, 2)))
        case "read-only":
            y.flags.writeable = False
        case "text":
            return np.full(n, "a")
        case "NaN" | "inf":
            y[-1:] = float(kind)
        case "None":
            y = y.astype(object)
            y[-1:] = None
        case "3-D":
            return y.reshape(-1, 1, 1)
        case "complex":
            return y + 1j
        case "short":
            return y[1:]
        case "csr":
            return sp.csr_array(y.reshape(-1, 1))
        case "datetime":
            return np.arange(n).astype("M8[D]")
    return y


WEIGHTS = ["ones", "gamma", "zeros", "tiny", "denormal", "large", "scales", "int", "bool", "f4"]
WEIGHTS += ["list", "one counts", "series", "read-only", "strided"]
UNUSABLE_WEIGHTS = ["all zero", "negative", "NaN", "inf", "short", "2-D", "text"]


def make_weights(kind: str | None, n: int) -> Any:
    """Return weights of n samples."""
    rng = np.random.default_rng(n)
    w = rng.gamma(2.0, size=n)
    match kind:
        case None:
            return None
        case "ones":
            return np.ones(n)
        case "zeros":
            return np.where(rng.random(n) < 0.5, 0.0, w)
        case "tiny":
            return 1e-130 * w
        case "denormal":
            return np.full(n, 5e-324)
        case "large":
            return 1e30 * w
        case "scales":
            return w * 10.0 ** rng.integers(-20, 20, size=n)
        case "int":
            return rng.integers(0, 4, size=n)
        case "bool":
            return rng.random(n) < 0.7
        case "f4":
            return w.astype("f4")
        case "list":
            return w.tolist()
        case "one counts":
            return (np.arange(n) == 0) * 1.0
        case "series":
            return pd.Series(w)
        case "read-only":
            w.flags.writeable = False
        case "strided":
            return np.repeat(w, 2)[::2]
        case "all zero":
            return np.zeros(n)
        case "negative":
            w[-1:] = -1
        case "NaN" | "inf":
            w[-1:] = float(kind)
        case "short":
            return w[1:]
        case "2-D":
            return w.reshape(-1, 1)
        case "text":
            return np.full(n, "a")
    return w


def mostly(usual: list[Any], unusual: list[Any], rare: list[Any]) -> Any:
    """Return a strategy: half of the draws are usual, one in some twenty is rare."""
    return st.integers(0, 23).flatmap(
        lambda i: st.sampled_from(usual if i < 12 else unusual if i < 23 else rare)
    )


def features(n: Any = None, p: Any = None) -> Any:
    """Draw a recipe for X."""
    return st.builds(
        Features,
        n=st.sampled_from([12, 1, 2, 3, 5, 20, 33, 300]) if n is None else n,
        p=st.sampled_from([3, 1, 2, 6]) if p is None else p,
        values=mostly(["normal"], VALUES, UNUSABLE_VALUES),
        dtype=mostly(["f8"], DTYPES, ["O"]),
        layout=mostly(["C"], LAYOUTS, ["list"]),
        seed=st.integers(0, 3),
    )


def targets(estimator: str) -> Any:
    """Draw a recipe for y."""
    if estimator == "MLPClassifier":
        kind = mostly(["int", "text"], LABELS + INDICATORS, UNUSABLE_LABELS)
    else:
        kind = mostly(["normal", "positive"], NUMBERS, UNUSABLE_NUMBERS)
    return st.builds(Targets, kind, n_classes=st.sampled_from([3, 2, 1, 4]), seed=st.integers(0, 3))


weights = mostly([None], WEIGHTS, UNUSABLE_WEIGHTS)
