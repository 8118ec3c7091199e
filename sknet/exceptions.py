"""Warnings and errors of sknet that a program may want to catch by their class."""

from __future__ import annotations

import sklearn.exceptions


class InconsistentVersionWarning(sklearn.exceptions.InconsistentVersionWarning):
    """A pickle was written by another version of sknet than the one that loads it.

    A filter for scikit-learn's warning of the same name catches this one, too.

    Parameters
    ----------
    estimator_name : str
        Class of the estimator that is loaded.
    current_sknet_version : str
        Version of sknet that loads the pickle.
    original_sknet_version : str or None
        Version of sknet that wrote the pickle. None if the pickle does not say.

    Examples
    --------
    >>> import pickle, warnings
    >>> from sknet.exceptions import InconsistentVersionWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", InconsistentVersionWarning)
    ...     model = pickle.loads(data)  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        estimator_name: str,
        current_sknet_version: str,
        original_sknet_version: str | None,
    ) -> None:
        self.estimator_name = estimator_name
        self.current_sknet_version = current_sknet_version
        self.original_sknet_version = original_sknet_version

    def __str__(self) -> str:
        original = self.original_sknet_version or "that is not known"
        return (
            f"This {self.estimator_name} was pickled by sknet of a version {original}, and is "
            f"loaded by version {self.current_sknet_version}. Its results may differ, or it may "
            "fail later. Load it with the version that wrote it, or fit it again. Files of "
            "sknet.save can be read by later versions."
        )


class ModelFileError(ValueError):
    """A file is not a model that `sknet.load` can read.

    It is damaged, or was not written by `sknet.save`, or needs a newer version of sknet.
    """
