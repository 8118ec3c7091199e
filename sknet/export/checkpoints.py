"""Checkpoints: files from which a fit goes on that was cut short, by a crash or a power failure."""

from __future__ import annotations

import json
import os
import time
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import sknet
from sknet.estimators import MLPClassifier, MLPRegressor
from sknet.estimators.callbacks import require_callbacks
from sknet.estimators.engine import load_engine
from sknet.estimators.pickles import VERSION
from sknet.estimators.runs import Run, run_of, to_go_on
from sknet.estimators.user_warnings import warn_user
from sknet.exceptions import ModelFileError
from sknet.export.atomic_write import LEFT_BEHIND
from sknet.export.fitted_checks import check_fitted
from sknet.export.plain_values import Decoder, Encoder
from sknet.export.run_checks import check_run
from sknet.export.tensor_file import Content, parse_json, read, write
from sknet.optimizers import Optimizer

CLASSES: dict[str, Any] = {cls.__name__: cls for cls in (MLPClassifier, MLPRegressor)}

# What the names of files look like, and a pattern for all of them.
NAME, NAMES = "epoch-{:06}.safetensors", "epoch-*.safetensors"

PARTS = {"class", "parameters", "fitted", "run", "checkpoint"}


class Checkpoint:
    """A callback that saves a fit while it runs, so that it can go on after a crash.

    Give it to ``set_callbacks`` of an estimator before a call of `fit`. If
    the process ends in the middle of the fit, :meth:`resume` returns the estimator from the newest
    file. Its next call of `fit`, on the same data, trains the epochs that are left. The weights are
    to the bit those of a fit that was not cut short.

    Parameters
    ----------
    folder : str or path-like
        Where the files are written. It is created if it is not there. Each fit needs a folder of
        its own.
    every_epochs : int, default=None
        Save after every so many epochs, >= 1.
    every_minutes : float, default=None
        Save at the end of an epoch if so many minutes have passed since the last file, > 0. With
        `every_epochs` too, whichever comes first counts. If both are None, each epoch is saved.
    keep_last : int, default=2
        How many of the newest files are kept, >= 1. With two of them, a damaged one costs a few
        epochs only.
    keep_best : bool, default=False
        Whether the file of the best saved epoch is kept as well. The best one has the highest
        validation score, or without validation data the lowest training loss.

    Raises
    ------
    ImportError
        If scikit-learn is older than 1.9, and therefore has no callbacks.
    ValueError
        If a parameter is outside its domain.

    See Also
    --------
    sknet.MLPClassifier : Its `fit` calls this callback after each epoch.

    Notes
    -----
    A file holds the weights, the state of the optimiser, the random numbers, the order of the rows,
    the best weights so far and the curves. It holds no code, and none is run when it is read. It
    replaces an older one only when it is complete.

    The solver 'lbfgs' cannot be continued, and functions cannot be saved: a fit with either raises
    ValueError at its start. The same holds for subclasses, whose code a file does not know.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sknet import Checkpoint, MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier(max_iter=40, n_iter_no_change=np.inf, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net = net.set_callbacks(Checkpoint(folder, every_epochs=15)).fit(X, y)
    ...     resumed = Checkpoint.resume(folder)
    >>> resumed.n_iter_
    30
    >>> resumed.set_callbacks().fit(X, y).loss_ == net.loss_
    True
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        every_epochs: int | None = None,
        every_minutes: float | None = None,
        keep_last: int = 2,
        keep_best: bool = False,
    ) -> None:
        require_callbacks("sknet.Checkpoint")
        for name, n in (("every_epochs", every_epochs), ("keep_last", keep_last)):
            is_optional = name == "every_epochs" and n is None
            if not is_optional and not (isinstance(n, Integral) and int(n) >= 1):
                raise ValueError(f"{name}={n!r} must be an integer >= 1.")
        if every_minutes is not None and not (
            isinstance(every_minutes, Real) and 0 < float(every_minutes) < inf
        ):
            raise ValueError(f"every_minutes={every_minutes!r} must be a number > 0, or None.")
        self.folder = folder
        self.every_epochs, self.every_minutes = every_epochs, every_minutes
        self.keep_last, self.keep_best = keep_last, keep_best
        self._run: Run | None = None

    # What scikit-learn calls.

    def setup(self, estimator: Any, context: Any) -> None:
        """Check that the fit can be saved, and that the folder belongs to it.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
        context : sklearn.callback.CallbackContext

        Raises
        ------
        TypeError
            If it is another estimator.
        ValueError
            If it cannot be saved, or if the folder has checkpoints of another fit.
        """
        if self._run is not None:
            raise ValueError(
                f"The checkpoint of folder={str(self.folder)!r} is in use by another fit. Give "
                "each fit a checkpoint and a folder of its own."
            )
        if type(estimator) not in CLASSES.values():
            raise TypeError(
                "A checkpoint saves MLPClassifier and MLPRegressor. It cannot save "
                f"{type(estimator).__name__}."
            )
        run = run_of(estimator)
        _check_can_be_saved(run)
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        known = None if run.interrupted is None else _read_newest(folder, or_none=True)
        if (known is None and _files(folder)) or (known and known["run"]["id"] != run.id):
            raise ValueError(
                f"folder={str(self.folder)!r} has checkpoints of another fit. To go on with that "
                f"fit, call fit of sknet.Checkpoint.resume({str(self.folder)!r}). To begin a new "
                "one, delete them, or choose another folder. A search or a cross-validation makes "
                "many fits, and cannot have one folder for all of them."
            )
        for path in folder.glob(LEFT_BEHIND):  # of a process that was killed while it wrote
            path.unlink(missing_ok=True)
        self._best = (0, -inf) if known is None else known["checkpoint"]["best"]
        self._run, self._saved_at = run, time.monotonic()

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
        context : sklearn.callback.CallbackContext
        """

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Save the fit at the end of an epoch, if it is time for that.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
        context : sklearn.callback.CallbackContext

        Warns
        -----
        UserWarning
            If the file cannot be written. Training goes on, and the files before are left.
        """
        if context.task_name != "epoch" or not self._is_due(estimator.n_iter_):
            return
        try:
            self._save(estimator)
        except OSError as error:
            warn_user(
                f"No checkpoint was saved after epoch {estimator.n_iter_}: {error}. Training goes "
                f"on. Earlier checkpoints in {str(self.folder)!r} are unchanged."
            )
        self._saved_at = time.monotonic()

    def teardown(self, estimator: Any, context: Any) -> None:
        """Let the fit go.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
        context : sklearn.callback.CallbackContext
        """
        self._run = None

    # What users call.

    @staticmethod
    def resume(
        path: str | os.PathLike[str], *, which: Literal["newest", "best"] = "newest"
    ) -> MLPClassifier | MLPRegressor:
        """Return the estimator of a checkpoint, whose next call of `fit` goes on.

        It can predict at once, with the weights of the epoch that was saved. Its callbacks are a
        checkpoint with the same folder and parameters. `fit` must be given the same data again:
        X and y, and `sample_weight` and validation data if there were any. Before that, the
        parameters `max_iter`, `n_jobs` and `verbose` may be changed, and no others.

        Parameters
        ----------
        path : str or path-like
            A folder of checkpoints, or one file.
        which : {'newest', 'best'}, default='newest'
            Which file of a folder: the newest one that is not damaged, or that of the best epoch
            of those that were saved with ``keep_best=True``.

        Returns
        -------
        MLPClassifier or MLPRegressor
            The estimator as it was after that epoch.

        Raises
        ------
        ImportError
            If scikit-learn is older than 1.9.
        FileNotFoundError
            If there is no checkpoint.
        ValueError
            If the file is damaged, or all files of the folder are.

        Warns
        -----
        UserWarning
            If files of the folder are damaged that are newer than the one that is used, or if
            another version of sknet has written it.
        """
        require_callbacks("sknet.Checkpoint")
        if which not in ("newest", "best"):
            raise ValueError(f"which={which!r} must be 'newest' or 'best'.")
        path = Path(path)
        image = _read_newest(path) if path.is_dir() else read_image(path)
        assert image is not None
        if path.is_dir() and which == "best":
            about = image["checkpoint"]
            if not about["settings"]["keep_best"]:
                raise ValueError(
                    f"The checkpoints of {path} were saved with keep_best=False, so the best "
                    "epoch may be gone. Use which='newest'."
                )
            image = read_image(path / NAME.format(about["best"][0]))
        about = image["checkpoint"]
        try:
            checkpoint = Checkpoint(path if path.is_dir() else path.parent, **about["settings"])
            model = _model_of(image)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelFileError(f"{path} is not what a checkpoint saves: {error}") from error
        if about["sknet"] != sknet.__version__:
            warn_user(
                f"The checkpoint was saved by sknet {about['sknet']}, and this is "
                f"{sknet.__version__}. The fit can go on, but its weights may differ in the last "
                "digits."
            )
        return model.set_callbacks(checkpoint)

    # How it works.

    def _is_due(self, epoch: int) -> bool:
        if self.every_epochs is None and self.every_minutes is None:
            return True
        minutes = (time.monotonic() - self._saved_at) / 60
        is_time = self.every_minutes is not None and minutes >= self.every_minutes
        return is_time or (self.every_epochs is not None and epoch % self.every_epochs == 0)

    def _save(self, estimator: Any) -> None:
        """Write the file of an epoch, and delete those that are no longer kept."""
        assert self._run is not None
        folder, epoch = Path(self.folder), estimator.n_iter_
        scores = estimator.validation_scores_
        quality = -estimator.loss_ if scores is None else scores[-1]
        best = self._best
        if isfinite(quality) and quality > best[1]:
            best = epoch, quality
        names = ("every_epochs", "every_minutes", "keep_last", "keep_best")
        about = {
            "settings": {name: vars(self)[name] for name in names},
            "sknet": sknet.__version__,
            "best": best,
        }
        write_image(folder / NAME.format(epoch), self._run.image() | {"checkpoint": about})
        self._best = best
        # Later epochs are those of a fit that has gone back to an earlier file.
        known = {path: _epoch(path) for path in _files(folder)}
        past = sorted(number for number in known.values() if number <= epoch)
        kept = {*past[-self.keep_last :], *([best[0]] if self.keep_best else [])}
        for path, number in known.items():
            if number not in kept:
                path.unlink(missing_ok=True)


def write_image(path: Path, image: dict[str, Any]) -> None:
    """Write an estimator and its run to a file."""
    encoder = Encoder()
    text = json.dumps({name: encoder.encode(value, name) for name, value in image.items()})
    write(path, Content(text, encoder.arrays), sknet.__version__)


def read_image(path: Path) -> dict[str, Any]:
    """Return what `write_image` has written.

    Raises
    ------
    ModelFileError
        If the file is damaged, or is something else.
    """
    try:
        content = read(path)
        document = parse_json(content.text)
        if not isinstance(document, dict) or document.keys() != PARTS:
            raise ModelFileError("The file is no checkpoint.")
        decoder = Decoder(content.arrays)
        image = {name: decoder.decode(value) for name, value in document.items()}
        about = image["checkpoint"]
        if not isinstance(about, dict) or about.keys() != {"settings", "sknet", "best"}:
            raise ModelFileError("The file is no checkpoint.")
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
    return image


def _model_of(image: dict[str, Any]) -> Any:
    """Return the estimator of an image, which goes on with the run."""
    load_engine()
    parameters, run = image["parameters"], image["run"]
    model = CLASSES[image["class"]](**parameters)
    model._validate_params()
    attributes = image["fitted"]
    check_fitted(model, attributes)
    weights = [*attributes["coefs_"], *attributes["intercepts_"]]
    check_run(model, run, sum(array.size for array in weights))
    if run["before"]:
        check_fitted(model, run["before"])
    model.__setstate__({**vars(model), **attributes, VERSION: sknet.__version__})
    return to_go_on(model, run, parameters)


def _check_can_be_saved(run: Run) -> None:
    """Raise ValueError, at the start of a fit, if it could not be saved or not go on."""
    image, encoder = run.image(), Encoder()
    solver = image["parameters"]["solver"]
    if solver not in Optimizer.table:
        raise ValueError(
            f"A checkpoint cannot save a fit with solver={solver!r}, which SciPy cannot continue. "
            f"Choose one of {sorted(Optimizer.table)}, or fit without a checkpoint."
        )
    for name, value in {**image["parameters"], **image["fitted"]}.items():
        try:
            encoder.encode(value, name)
        except ValueError:
            raise ValueError(
                f"A checkpoint cannot save {name}={value!r}, since a file of plain values holds "
                "no functions and no objects of other libraries. Choose a value that is a name or "
                "a number, or fit without a checkpoint."
            ) from None


def _epoch(path: Path) -> int:
    return int(path.name.removeprefix("epoch-").removesuffix(".safetensors"))


def _files(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, the newest first."""
    paths = [path for path in folder.glob(NAMES) if path.stem[6:].isdecimal()]
    return sorted(paths, key=_epoch, reverse=True)


def _read_newest(folder: Path, *, or_none: bool = False) -> dict[str, Any] | None:
    """Return the newest checkpoint of a folder that is not damaged."""
    damaged = []
    for path in _files(folder):
        try:
            image = read_image(path)
        except ModelFileError as error:
            damaged.append(str(error))
            continue
        if damaged and not or_none:
            warn_user(f"{' '.join(damaged)} {path}, which is older, is used instead.")
        return image
    if or_none:
        return None
    if damaged:
        raise ValueError(f"All checkpoints in {folder} are damaged. {' '.join(damaged)}")
    raise FileNotFoundError(f"There is no checkpoint in {folder}.")
