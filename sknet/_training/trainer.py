"""Training by steps on minibatches: the loop over epochs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from math import isfinite

import numpy as np

from sknet._engine.threads import ThreadTeam
from sknet._network.network import Network
from sknet._network.prediction import Predictor
from sknet._training.averaging import Averaging
from sknet._training.contract import (
    Dataset,
    EpochEnd,
    MakeRunner,
    Outcome,
    StoppedBy,
    TrainingConfig,
    TrainingState,
    Validation,
)
from sknet._training.epoch import EpochRunner
from sknet._training.lbfgs import minimise
from sknet._training.monitor import EarlyStopping, Validator, end_epoch, record
from sknet._training.observers import Observer
from sknet._training.rates import EpochRates
from sknet.optimizers import Optimizer


class Trainer:
    """A network in training with its optimiser, its average and the programs that use them.

    All of them are copies that belong to the trainer. A trainer may be used for
    several calls with data of the same shapes. `load` then takes the new values, and
    no program has to be put together again.

    Parameters
    ----------
    network : Network
        The network to continue from.
    data : Dataset
    config : TrainingConfig
    state : TrainingState
    make_runner : callable, default=EpochRunner
        What computes gradients and takes steps. Its arguments are those of
        :class:`~sknet._training.epoch.EpochRunner`.
    """

    def __init__(
        self,
        network: Network,
        data: Dataset,
        config: TrainingConfig,
        state: TrainingState,
        make_runner: MakeRunner = EpochRunner,
    ) -> None:
        assert state.optimizer is not None
        params, averaging = network.params.copy(), None
        if state.averaging is not None:
            if state.averaging.goes_on_from(params):
                params = np.array(state.averaging.last, params.dtype)
            averaging = Averaging(state.averaging.decay, network.params.copy(), params)
        self.network = network.with_params(params)
        self.averaging = averaging
        self.optimizer: Optimizer = copy.copy(state.optimizer)
        self.optimizer.slots = np.array(state.optimizer.slots, params.dtype)
        self.runner = make_runner(
            self.network, data, config.batch_size, config.regularization, self.optimizer, averaging
        )
        self.regularization = config.regularization
        self._is_finite = np.empty(params.size, bool)  # of each parameter
        # What predicts: the average, where there is one.
        shown = self.network if averaging is None else network.with_params(averaging.mean)
        self.predictor = Predictor(shown)

    def train(
        self,
        data: Dataset,
        validation: Validation | None,
        config: TrainingConfig,
        state: TrainingState,
        observers: Sequence[Observer],
        random_state: np.random.RandomState,
    ) -> Outcome:
        """Train until there is no more progress, or for `n_epochs` epochs.

        Parameters
        ----------
        data : Dataset
            What the trainer was made for.
        validation : Validation or None
            What to evaluate after each epoch.
        config : TrainingConfig
        state : TrainingState
            Its records are added to. If it has the end of an epoch, training goes on
            after that epoch.
        observers : sequence of Observer
        random_state : RandomState
            Shuffles the rows before each epoch.

        Returns
        -------
        Outcome
            It shares no array with the trainer.

        Raises
        ------
        KeyboardInterrupt
            If training was interrupted before its first step. Later it ends the
            training, and the weights are those of the last whole step.
        """
        optimizer, schedule, n = self.optimizer, config.schedule, data.rows.size
        shown = self.predictor.network
        n_steps = -(-n // config.batch_size)
        epochs, after = state.records.epochs, state.epoch_end
        self.runner.restart(n_steps * len(epochs))
        first_step = optimizer.t - self.runner.n_steps
        stopped_by: StoppedBy = "n_epochs"
        is_stopped = False
        early_stopping, validator = EarlyStopping(config, state.records, after), None
        rates_of_epoch = EpochRates(schedule, n_steps, config.max_iter)
        rows = (data if after is None else after).rows.copy()
        if after is not None:
            random_state.set_state(after.generator)
        n_samples, n_scheduled = state.samples_seen, 0

        def state_now() -> TrainingState:
            generator = random_state.get_state(legacy=False)
            kept = early_stopping.best_params, early_stopping.has_scores
            end = EpochEnd(rows, generator, *kept)
            return TrainingState(optimizer, self.averaging, state.records, n_samples, end)

        try:
            if validation is not None:
                validator = Validator(self.predictor, validation, config.n_jobs)
            n_jobs = config.n_jobs
            if config.regularization.scale_rate > 0:
                assert optimizer.t == 0  # else the scales of the steps before would be lost
                n_jobs = 1
            with ThreadTeam(n_jobs, self.runner.step_flops) as team:
                while True:
                    if epochs:  # what follows from the epoch before
                        seen = n_samples + n * len(epochs)
                        scheduled = schedule.epoch_ends(optimizer.learning_rate, seen)
                        optimizer.learning_rate, n_scheduled = scheduled, len(epochs)
                        if is_stopped:
                            stopped_by = "callback"
                            break
                        if early_stopping.is_exhausted:
                            next_rate, consequence = schedule.plateau(optimizer.learning_rate)
                            for observer in observers:
                                observer.plateau(early_stopping.plateau_message(consequence))
                            if next_rate is None:
                                stopped_by = "patience"
                                break
                            optimizer.learning_rate = next_rate
                            state.records.n_stalled = 0
                    if len(epochs) >= config.n_epochs:
                        break
                    for observer in observers:
                        observer.epoch_begins()
                    if config.shuffle:
                        # The order that sklearn.utils.shuffle(rows) returns, without a copy.
                        random_state.shuffle(rows)
                    rates, rate = rates_of_epoch.after(optimizer.t, optimizer.learning_rate)
                    loss = self.runner.run(team, rows, rates) / n
                    optimizer.t = first_step + self.runner.n_steps
                    if not (isfinite(loss) and self._has_finite_params()):
                        stopped_by = "divergence"
                        break
                    is_stopped = end_epoch(
                        shown, early_stopping, validator, observers, loss, rate, state_now
                    )
        except KeyboardInterrupt:
            if self.runner.n_steps == 0:
                raise
            stopped_by = "interrupt" if self._has_finite_params() else "divergence"
            if self.runner.n_steps // n_steps > len(epochs):
                # All steps of the epoch are made. It only was not recorded yet.
                record(state.records, validation is not None, self.runner.objective / n, rate)
            if validation is None and state.records.n_watched < len(epochs):
                early_stopping.epoch_ends(shown)
            if len(epochs) > n_scheduled:
                seen = n_samples + n * len(epochs)
                optimizer.learning_rate = schedule.epoch_ends(optimizer.learning_rate, seen)
        finally:
            for observer in observers:
                observer.close()
        optimizer.t = first_step + self.runner.n_steps
        whole, rest = divmod(self.runner.n_steps, n_steps)
        samples_seen = n_samples + whole * n + min(rest * config.batch_size, n)
        missing_score = early_stopping.missing_score(validation)
        return self._outcome(early_stopping, samples_seen, stopped_by, missing_score)

    def _has_finite_params(self) -> bool:
        # Into memory that is there already: the fastest way for few and for many parameters.
        return bool(np.isfinite(self.network.params, out=self._is_finite).all())

    def _outcome(
        self,
        early_stopping: EarlyStopping,
        samples_seen: int,
        stopped_by: StoppedBy,
        missing_score: str,
    ) -> Outcome:
        """Return copies, so that the trainer may be used again."""
        shown, best = self.predictor.network, early_stopping.best_params
        network = shown.with_params(shown.params.copy() if best is None else best)
        optimizer = object.__new__(type(self.optimizer))  # copy.copy takes ten times as long
        vars(optimizer).update(vars(self.optimizer), slots=self.optimizer.slots.copy())
        averaging = self.averaging
        if averaging is not None:
            averaging = Averaging(averaging.decay, averaging.mean.copy(), averaging.last.copy())
        state = TrainingState(optimizer, averaging, early_stopping.records, samples_seen)
        epochs = early_stopping.records.epochs
        loss = epochs[-1].loss if epochs else np.nan
        return Outcome(network, state, stopped_by, loss, best is not None, missing_score)

    def accepts(
        self, network: Network, data: Dataset, config: TrainingConfig, state: TrainingState
    ) -> bool:
        """Return whether `load` may be called: all shapes and parts are this trainer's."""
        own, runner = self.network, self.runner
        return (
            isinstance(data.X, np.ndarray)
            and isinstance(runner.data.X, np.ndarray)
            and network.layout.units == own.layout.units
            and network.params.dtype == own.params.dtype
            and network.activations == own.activations
            and network.loss is own.loss
            and network.settings.tolist() == own.settings.tolist()
            and data.X.shape == runner.data.X.shape
            and data.targets.shape == runner.data.targets.shape
            and config.batch_size == runner.batch_size
            and config.regularization == self.regularization
            and type(state.optimizer) is type(self.optimizer)
            and getattr(state.averaging, "decay", None) == getattr(self.averaging, "decay", None)
        )

    def load(self, network: Network, data: Dataset, state: TrainingState) -> None:
        """Copy a network, data and a state that `accepts` has looked at into this trainer."""
        assert state.optimizer is not None
        data.check(network)
        self.runner.data.load(data)
        self.network.params[:] = network.params
        if self.averaging is not None and state.averaging is not None:
            self.averaging.mean[:] = network.params
            if state.averaging.goes_on_from(network.params):
                self.network.params[:] = state.averaging.last
        slots = self.optimizer.slots
        slots[:] = state.optimizer.slots
        vars(self.optimizer).update(vars(state.optimizer), slots=slots)


# Data and parameters of more bytes are not copied into a trainer that is kept for later calls.
MAX_KEPT_BYTES = 2**24

# Trainers that are kept at a time: batches may have two sizes in turn.
MAX_KEPT = 2


def train(
    network: Network,
    data: Dataset,
    validation: Validation | None,
    config: TrainingConfig,
    state: TrainingState,
    observers: Sequence[Observer],
    random_state: np.random.RandomState,
    kept: list[Trainer] | None = None,
    make_runner: MakeRunner = EpochRunner,
) -> Outcome:
    """Train a network, and return the outcome. No array that is given is written to.

    Parameters
    ----------
    network : Network
        The network to continue from.
    data : Dataset
    validation : Validation or None
        What to evaluate after each epoch.
    config : TrainingConfig
    state : TrainingState
        What earlier calls have left to continue from. Without an optimiser, L-BFGS
        trains. The epochs of this call are added to its records.
    observers : sequence of Observer
    random_state : RandomState
        Shuffles the rows before each epoch.
    kept : list of Trainer, default=None
        Trainers of earlier calls that may be used again. The one in use is taken out
        of the list, and put back once it has done its work.
    make_runner : callable, default=EpochRunner
        What computes gradients and takes steps, on this machine or on others. Its
        arguments are those of :class:`~sknet._training.epoch.EpochRunner`.

    Returns
    -------
    Outcome

    Raises
    ------
    KeyboardInterrupt
        If training was interrupted before its first step. Later an interrupt
        ends the training, and the weights are those of the last whole step.
    """
    if state.optimizer is None:
        outcome = minimise(network, data, validation, config, state, observers, make_runner)
    else:
        outcome = _train_by_steps(
            network, data, validation, config, state, observers, random_state, kept, make_runner
        )
    if outcome.stopped_by != "divergence" or outcome.has_best:
        for observer in observers:
            observer.training_ends(outcome.network, outcome.state.records)
    return outcome


def _train_by_steps(
    network: Network,
    data: Dataset,
    validation: Validation | None,
    config: TrainingConfig,
    state: TrainingState,
    observers: Sequence[Observer],
    random_state: np.random.RandomState,
    kept: list[Trainer] | None,
    make_runner: MakeRunner,
) -> Outcome:
    trainer, others = None, []
    while kept and trainer is None:
        candidate = kept.pop()  # now no other thread has it
        if candidate.accepts(network, data, config, state):
            trainer = candidate
        else:
            others.append(candidate)
    if kept is not None:
        kept.extend(others[: MAX_KEPT - 1])
    if trainer is not None:
        trainer.load(network, data, state)
    else:
        is_small = data.nbytes + network.params.nbytes <= MAX_KEPT_BYTES
        if isinstance(data.X, np.ndarray) and is_small:
            data = data if kept is None else data.copy()
        else:
            kept = None
        trainer = Trainer(network, data, config, state, make_runner)
    outcome = trainer.train(trainer.runner.data, validation, config, state, observers, random_state)
    if kept is not None and outcome.stopped_by not in ("interrupt", "divergence"):
        kept.append(trainer)
    return outcome
