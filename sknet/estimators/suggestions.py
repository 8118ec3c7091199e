"""What a user probably meant by a misspelt name, or by the name that another library uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any, Self

from sklearn.utils._param_validation import InvalidParameterError, StrOptions

# Parameters: what Keras and PyTorch call them, and what they are called here. After a change of
# these tables run docs/make_synonyms.py, which writes them into docs/coming_from/keras.md.
PARAMETER_SYNONYMS = {
    "activation_function": "activation",
    "clipnorm": "gradient_clip_norm",
    "dropout_rate": "dropout",
    "ema_momentum": "ema_decay",
    "epochs": "max_iter",
    "eps": "epsilon",
    "global_clipnorm": "gradient_clip_norm",
    "hidden_units": "hidden_layer_sizes",
    "initial_learning_rate": "learning_rate_init",
    "kernel_initializer": "weight_init",
    "kernel_regularizer": "alpha",
    "l1": "l1_ratio",
    "l2": "alpha",
    "layers": "hidden_layer_sizes",
    "lr": "learning_rate_init",
    "max_grad_norm": "gradient_clip_norm",
    "metrics": "scoring",
    "min_delta": "tol",
    "monitor": "scoring",
    "n_epochs": "max_iter",
    "nesterov": "nesterovs_momentum",
    "optimizer": "solver",
    "patience": "n_iter_no_change",
    "restore_best_weights": "restore_best",
    "schedule": "learning_rate",
    "seed": "random_state",
    "stddev": "input_noise",
    "units": "hidden_layer_sizes",
    "use_ema": "ema_decay",
    "validation_split": "validation_fraction",
    "workers": "n_jobs",
}

# Values, by the parameter that has them.
VALUE_SYNONYMS: dict[str, dict[str, str]] = {
    "activation": {"linear": "identity", "sigmoid": "logistic", "swish": "silu"},
    "learning_rate": {
        "cosine_annealing": "cosine",
        "cosine_decay": "cosine",
        "exponential_decay": "exponential",
        "reduce_lr_on_plateau": "adaptive",
        "step_lr": "step",
    },
    "loss": {
        "bce": "log_loss",
        "binary_crossentropy": "log_loss",
        "brier": "squared_error",
        "categorical_crossentropy": "log_loss",
        "categorical_focal_crossentropy": "focal",
        "cross_entropy": "log_loss",
        "l1": "absolute_error",
        "l1_loss": "absolute_error",
        "l2": "squared_error",
        "mae": "absolute_error",
        "mean_absolute_error": "absolute_error",
        "mean_squared_error": "squared_error",
        "mse": "squared_error",
        "mse_loss": "squared_error",
        "nll": "log_loss",
        "pinball": "quantile",
        "smooth_l1": "huber",
        "sparse_categorical_crossentropy": "log_loss",
    },
    "scoring": {
        "acc": "accuracy",
        "auc": "roc_auc",
        "mae": "neg_mean_absolute_error",
        "mse": "neg_mean_squared_error",
        "val_accuracy": "accuracy",
        "val_loss": "loss",
    },
    "weight_init": {
        "kaiming_normal": "he_normal",
        "kaiming_uniform": "he_uniform",
        "xavier_normal": "glorot_normal",
        "xavier_uniform": "glorot_uniform",
    },
}

# Of more values than this, the error asks its question before it lists them.
LONG_LIST = 30


def meant(given: Any, known: Iterable[str], synonyms: Mapping[str, str]) -> str:
    """Return which of the known names the user probably meant, or "".

    This is the name or synonym of the most similar spelling, if one is similar enough.
    Case and punctuation do not matter.

    Parameters
    ----------
    given : object
        What the user wrote. If it is not a string, the answer is "".
    known : iterable of str
        What is allowed. Synonyms of other names are left out.
    synonyms : mapping of str to str
        Known names by the names that other libraries use, in lower case with
        underscores.

    Examples
    --------
    >>> meant("Sigmoid", ["logistic", "tanh"], {"sigmoid": "logistic"})
    'logistic'
    >>> meant("LeakyReLU", ["leaky_relu", "relu"], {})
    'leaky_relu'
    >>> meant("crelu", ["relu", "tanh"], {}), meant("gauss", ["relu", "tanh"], {})
    ('relu', '')
    """
    if not isinstance(given, str):
        return ""
    known = sorted(known)
    spelt = {_plain(name): name for name in known}
    spelt |= {_plain(name): other for name, other in synonyms.items() if other in known}
    close = get_close_matches(_plain(given), spelt, n=1, cutoff=0.7)
    return spelt[close[0]] if close else ""


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def question(name: str) -> str:
    """Return the question whether a name was meant, after a space. For "" it is ""."""
    return f" Did you mean {name!r}?" if name else ""


def parameter_meant(given: str, known: Iterable[str]) -> str:
    """Return the question whether another parameter was meant, or ""."""
    return question(meant(given, known, PARAMETER_SYNONYMS))


def value_meant(parameter: str, given: Any, known: Iterable[str]) -> str:
    """Return the question whether another value of a parameter was meant, or ""."""
    if parameter == "learning_rate" and _are_positive([given], Real):
        return f" Did you mean learning_rate_init={given!r}?"
    # The first parameter of a classifier is hidden_layer_sizes. That of a regressor is the loss,
    # as in scikit-learn.
    sizes = given if isinstance(given, (list, tuple)) else [given]
    if parameter == "loss" and sizes and _are_positive(sizes, Integral):
        return f" Did you mean hidden_layer_sizes={given!r}?"
    if parameter == "activation" and isinstance(given, str) and "softmax" in given.lower():
        return (
            " The activations are those of the hidden layers. That of the output follows from "
            "the loss and y: it is softmax for several classes with loss='log_loss'."
        )
    table = parameter.removeprefix("training_")  # both parameters with scorers have one
    return question(meant(given, known, VALUE_SYNONYMS.get(table, {})))


def _are_positive(values: Iterable[Any], kind: Any) -> bool:
    """Return whether all values are positive numbers of a kind."""
    return all(isinstance(v, kind) and not isinstance(v, bool) and v > 0 for v in values)


class Suggestions:
    """Adds to scikit-learn's errors about parameters what the user probably meant."""

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the estimator.

        Parameters
        ----------
        **params : dict
            New values by the names of the parameters.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If there is no parameter of a name. The message suggests the one that
            may have been meant.

        Examples
        --------
        >>> from sknet import MLPClassifier
        >>> MLPClassifier().set_params(max_iter=5).max_iter
        5
        >>> MLPClassifier().set_params(epochs=5)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ValueError: Invalid parameter 'epochs' for estimator ... Did you mean 'max_iter'?
        """
        try:
            return super().set_params(**params)  # type: ignore[misc]
        except ValueError as error:
            known = self.get_params(deep=False)  # type: ignore[attr-defined]
            names = (name.partition("__")[0] for name in params)
            unknown = next((name for name in names if name not in known), "")
            raise ValueError(f"{error}{parameter_meant(unknown, known)}") from None

    def _validate_params(self) -> None:
        """Check parameters as scikit-learn does, and suggest a value where one is misspelt."""
        try:
            super()._validate_params()  # type: ignore[misc]
        except InvalidParameterError as error:
            model: Any = self
            for name, constraints in model._parameter_constraints.items():
                if str(error).startswith(f"The {name!r} parameter "):
                    options = [c.options for c in constraints if isinstance(c, StrOptions)]
                    known = {option for names in options for option in names}
                    given = vars(model)[name]
                    suggestion = value_meant(name, given, known)
                    text = f"{error}{suggestion}"
                    if suggestion and len(known) > LONG_LIST:
                        text = f"{name}={given!r}:{suggestion} {error}"
                    raise InvalidParameterError(text) from None
            raise
