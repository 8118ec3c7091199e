"""The check of sparse matrices before SciPy or kernels use them.

tests/behaviour/test_sparse_input.py tries such matrices on estimators, in processes of their own.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from sknet._engine.sparse import check_sparse

DENSE = np.kron(np.eye(3), np.ones((2, 2)))


def coo(X):
    X.row = X.row[1:]


def lil(X):
    X.data[0] = X.data[0][:-1]


def fewer_lists(X):
    X.rows, X.data = X.rows[:-1], X.data[:-1]


def columns_of_data(X):
    X.data = X.data.reshape(-1, 1)


def csr(X):
    X.indptr[1] = 5


def csc(X):
    X.data = X.data[:-1]


def bsr(X):
    X.indices[0] = 3


@pytest.mark.parametrize(
    ("form", "damage"),
    [
        ("coo", coo),
        ("lil", lil),
        ("lil", fewer_lists),
        ("csr", csr),
        ("csr", columns_of_data),
        ("csc", csc),
        ("bsr", bsr),
    ],
)
def test_arrays_that_contradict_each_other(form, damage):
    X = getattr(sp, f"{form}_matrix")(DENSE)
    check_sparse(X, "Y")
    damage(X)
    with pytest.raises(ValueError, match=r"sparse Y|Y has"):
        check_sparse(X, "Y")


@pytest.mark.parametrize("form", ["dia", "dok"])
def test_formats_whose_arrays_cannot_contradict_each_other(form):
    check_sparse(getattr(sp, f"{form}_array")(DENSE), "X")


def test_vectors_are_left_to_scikit_learn():
    check_sparse(sp.coo_array(np.ones(3)), "X")
