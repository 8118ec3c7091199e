"""The update of the parameters: penalty, clipping, step, average."""

from __future__ import annotations

import numpy as np

from sknet._engine.input_scale import rescale, unscale
from sknet._engine.kernels import (
    NO_STEP,
    PENALTY,
    SQUARES,
    add_l1_subgradient,
    average,
    clipped_step,
    copy,
    decay,
    project_to_orthant,
    squared_norms,
    total,
    update,
)
from sknet._engine.memory import PARAM_BLOCK, aligned
from sknet._engine.program import function_address
from sknet._training.workspace import ThreadProgram
from sknet.optimizers import Adam, Optimizer


class UpdateProgram:
    """Appends what turns a gradient into a step to a thread's program.

    Threads divide the parameters in blocks. Without an optimiser the gradient
    gets its penalty, and no step is taken.

    Parameters
    ----------
    thread : ThreadProgram
        Its workspace holds the gradient.
    optimizer : Optimizer or None
        Its slots are overwritten.
    mean : ndarray of shape (n_parameters,) or None
        Running mean of the parameters.
    """

    def __init__(
        self, thread: ThreadProgram, optimizer: Optimizer | None, mean: np.ndarray | None
    ) -> None:
        self.thread, self.optimizer, self.mean = thread, optimizer, mean

    def append(self) -> None:
        """Append one section."""
        thread, optimizer, w = self.thread, self.optimizer, self.thread.workspace
        regularization, scalars, add = w.regularization, thread.scalars, thread.program.add
        part = thread.share(thread.network.params.size, PARAM_BLOCK)
        blocks = slice(part.start // PARAM_BLOCK, -(-part.stop // PARAM_BLOCK))
        params, grad = thread.network.params[part], w.grad[part]
        n_slots, slots, step = 0, params[:0], NO_STEP
        if optimizer is not None:
            n_slots = optimizer.n_slots
            slots = optimizer.slots[part.start * n_slots : part.stop * n_slots]
            step = function_address(optimizer.step, params.dtype)
        n_weights = max(0, thread.network.layout.n_weights - part.start)
        settings = np.array([n_slots, n_weights, step], np.int64)
        without_step = np.array([n_slots, n_weights, NO_STEP], np.int64)
        is_whole = w.scaled_grad.size > 0
        scaled_grad = w.scaled_grad[part] if is_whole else aligned((PARAM_BLOCK,), params.dtype)

        if regularization.scale_rate > 0:
            # Each thread would have a part of W. The scales take steps of Adam. Penalties, and the
            # norm of a gradient that is clipped, would be those of V.
            assert thread.n_threads == 1
            assert type(optimizer).constants is Adam.constants  # type: ignore[union-attr]
            assert regularization.l1 == regularization.l2 == 0
            assert regularization.clip is None
            W, scales = thread.network.coefs[0], w.scales.reshape(-1)
            (gradient_of_W, *_), _ = thread.network.layout.split(w.grad)
            add(unscale, W, gradient_of_W, w.unscaled, scales, scalars)
        if regularization.l1 > 0:
            previous, l1_penalties = w.previous_params[part], w.penalties[w.n_blocks :][blocks]
            add(add_l1_subgradient, params, grad, previous, scalars, l1_penalties, settings)
        if regularization.decay > 0:
            add(decay, params, scalars, settings)
        add(
            update,
            params,
            grad,
            scaled_grad,
            slots,
            thread.step_constants,
            scalars,
            w.penalties[: w.n_blocks][blocks],
            without_step if is_whole else settings,
        )
        if regularization.clip is not None and optimizer is not None:
            add(squared_norms, scaled_grad, w.squares[blocks])
            thread.meet()
            add(total, w.squares, result=scalars[SQUARES : SQUARES + 1])
            constants = thread.step_constants
            add(clipped_step, params, scaled_grad, slots, constants, scalars, settings)
        if regularization.l1 > 0:
            add(project_to_orthant, params, grad, previous, settings)
        if regularization.scale_rate > 0:
            rate = np.array([regularization.scale_rate], params.dtype)
            add(rescale, W, w.unscaled, scales, thread.step_constants, rate)
        if self.mean is not None:
            add(average, params, scalars, self.mean[part])
        for network in thread.other_networks:
            add(copy, params, network.params[part])
        thread.meet()
        if thread.thread == 0:
            add(total, w.penalties, result=scalars[PENALTY : PENALTY + 1])
        thread.program.end_section()
