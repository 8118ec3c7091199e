"""Programs: which arrays they refuse, and how they are divided into phases and sections."""

from __future__ import annotations

from itertools import chain, pairwise
from unittest import mock

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sknet._engine import kernels
from sknet._engine import program as program_module
from sknet._engine.compilation import PYTHON_MODE, kernel
from sknet._engine.gemm import product, scratch_size
from sknet._engine.kernels import clear, total
from sknet._engine.memory import as_kernel_input, read_only
from sknet._engine.program import WIDTH, Program, execute
from sknet._engine.roles import ROLES, check_arrays, role_of
from sknet._network.layout import Layout
from sknet._network.network import Network
from sknet._training.averaging import Averaging
from sknet._training.contract import Dataset, Regularization
from sknet._training.epoch import EpochRunner
from sknet._training.gradient import FULL, LAST_REMAINDER, REMAINDER, UPDATE
from sknet._training.stage import MICROBATCH
from sknet.activations import Activation
from sknet.losses import Loss
from sknet.optimizers import Optimizer

# The check of arrays.

DTYPES = [np.dtype(np.float64), np.dtype(np.float32)]
OTHER_DTYPES = [np.float64, np.float32, np.float16, np.int64, np.int32, np.uint64, bool, ">f8"]
ARGUMENTS = [(role, argument) for role in ROLES for argument in ROLES[role].arguments]

READING_FLOAT32 = [
    ("gather_float32", "source"),
    ("csr_affine_float32", "data"),
    ("csr_weight_gradient_float32", "data"),
]

every_role = pytest.mark.parametrize("role", ROLES)
every_argument = pytest.mark.parametrize(("role", "argument"), ARGUMENTS)


def dtype_of(spec, dtype):
    return dtype if spec.dtype is None else np.dtype(spec.dtype.name)


def good_arrays(role, dtype):
    """Return arrays that a role takes. Each symbol is a length of its own."""
    symbols = sorted({s for spec in ROLES[role].arguments.values() for s in spec.shape} - {"?"})
    lengths = {"?": 3} | {symbol: 4 + k for k, symbol in enumerate(symbols)}
    return {
        name: np.ones([lengths[s] for s in spec.shape], dtype_of(spec, dtype))
        for name, spec in ROLES[role].arguments.items()
    }


def function_of(role):
    """Return a function of a role."""

    def function(*arguments):
        raise AssertionError("it is not called")

    function.__name__ = role
    return function


def assert_refused(role, dtype, arrays, argument):
    """Expect that a program takes nothing, compiled or not, and names role and argument."""
    for python_mode in (False, True):
        program = Program(dtype)
        with (
            mock.patch.object(program_module, "PYTHON_MODE", python_mode),
            pytest.raises(TypeError, match=rf"^{argument} of the role '{role}' must be "),
        ):
            program.add(function_of(role), *arrays.values())
        program.end_phase()
        assert len(program.finish().instructions) == 0
        assert program.finish().phases.tolist() == [0]


def is_accepted(role, dtype, arrays):
    """Return whether the check of arrays takes them."""
    try:
        check_arrays(role, dtype, list(arrays.values()))
    except TypeError:
        return False
    return True


def places_of(role, symbol):
    """Return the arguments and axes whose lengths must be equal, in their order."""
    return [
        (name, axis)
        for name, spec in ROLES[role].arguments.items()
        for axis, other in enumerate(spec.shape)
        if other == symbol
    ]


def with_length(array, axis, length):
    """Return an array of another length along an axis."""
    shape = list(array.shape)
    shape[axis] = length
    return np.ones(shape, array.dtype)


@every_role
def test_good_arrays_are_accepted(role):
    for dtype in DTYPES:
        assert is_accepted(role, dtype, good_arrays(role, dtype))


@every_argument
def test_another_dtype_is_refused(role, argument):
    spec = ROLES[role].arguments[argument]
    for dtype in DTYPES:
        arrays = good_arrays(role, dtype)
        others = [np.dtype(d) for d in OTHER_DTYPES if np.dtype(d) != dtype_of(spec, dtype)]
        assert len(others) == len(OTHER_DTYPES) - 1
        for other in others:
            changed = {**arrays, argument: arrays[argument].astype(other)}
            if other != np.float32 or (f"{role}_float32", argument) not in READING_FLOAT32:
                assert_refused(role, dtype, changed, argument)


@pytest.mark.parametrize(("role", "argument"), READING_FLOAT32)
def test_functions_that_read_data_take_float32_beside_float64(role, argument):
    """They have a role of their own for it. Nothing else may have another dtype."""
    name = role.removesuffix("_float32")
    double, single = (good_arrays(name, dtype) for dtype in DTYPES)
    function = getattr(kernels, name)
    assert role_of(function, DTYPES[0], [*double.values()]) == name
    assert role_of(function, DTYPES[1], [*single.values()]) == name
    mixed = {**double, argument: single[argument]}
    assert role_of(function, DTYPES[0], [*mixed.values()]) == role
    check_arrays(role, DTYPES[0], [*mixed.values()])
    program = Program(DTYPES[1])
    with pytest.raises(TypeError, match=f"^{argument} of the role '{name}' must be float32"):
        program.add(function, *{**single, argument: double[argument]}.values())


@every_argument
def test_another_number_of_dimensions_is_refused(role, argument):
    arrays = good_arrays(role, DTYPES[0])
    array = arrays[argument]
    for other in (array[None], array[..., None], array.sum(axis=0), array.reshape(-1)):
        if np.ndim(other) != array.ndim:
            changed = {**arrays, argument: np.asarray(other, array.dtype)}
            assert_refused(role, DTYPES[0], changed, argument)


def spread(array, axis, sign):
    """Return an equal array whose elements are twice as far apart along an axis, or backwards."""
    memory = np.repeat(array, 2, axis=axis)
    return memory[(slice(None),) * axis + (slice(None, None, 2 * sign),)]


@every_argument
def test_another_layout_is_refused(role, argument):
    """Only "any" takes all strides. "rows" takes contiguous rows at any distance.

    "rows or columns" also takes contiguous columns.
    """
    layout = ROLES[role].arguments[argument].layout
    for dtype in DTYPES:
        arrays = good_arrays(role, dtype)
        array = arrays[argument]
        others = [(spread(array, axis, s), axis) for axis in range(array.ndim) for s in (1, -1)]
        if array.ndim == 2:
            others.append((np.asfortranarray(array), 1))
            others.append((spread(np.asfortranarray(array), 0, 1), 1))
        for other, _ in others:
            assert other.shape == array.shape
            changed = {**arrays, argument: other}
            is_allowed = {
                "any": True,
                "rows": other.ndim == 2 and other.strides[1] == other.itemsize,
                "rows or columns": other.itemsize in other.strides,
                "C": False,
            }
            if is_allowed[layout]:
                assert is_accepted(role, dtype, changed)
            else:
                assert_refused(role, dtype, changed, argument)


@every_argument
def test_only_inputs_may_be_read_only(role, argument):
    for dtype in DTYPES:
        arrays = good_arrays(role, dtype)
        arrays[argument].flags.writeable = False
        if ROLES[role].arguments[argument].readonly:
            assert is_accepted(role, dtype, arrays)
        else:
            assert_refused(role, dtype, arrays, argument)


@every_argument
def test_lengths_that_disagree_are_refused(role, argument):
    """A length whose symbol stands nowhere else, and "?", may be any."""
    for axis, symbol in enumerate(ROLES[role].arguments[argument].shape):
        arrays = good_arrays(role, DTYPES[0])
        own = arrays[argument].shape[axis]
        names = [name for name, _ in places_of(role, symbol)]
        for length in (own - 1, own + 1, 2 * own, 0):
            changed = {**arrays, argument: with_length(arrays[argument], axis, length)}
            if symbol == "?" or len(names) == 1:
                assert is_accepted(role, DTYPES[0], changed)
            else:
                # The first of the arrays sets the length, so the second one is said to disagree.
                named = names[1] if argument == names[0] else argument
                assert_refused(role, DTYPES[0], changed, named)


@every_role
def test_lengths_that_agree_are_accepted(role):
    """All arrays of a symbol may have another length, 0 also."""
    symbols = {symbol for spec in ROLES[role].arguments.values() for symbol in spec.shape}
    for symbol in symbols:
        for length in (0, 1, 9):
            arrays = good_arrays(role, DTYPES[0])
            for name, axis in places_of(role, symbol):
                arrays[name] = with_length(arrays[name], axis, length)
            assert is_accepted(role, DTYPES[0], arrays)


# Data in the dtype of the parameters, and in float32 whatever that is.
DATA = ("", "_float32")

# Lengths that no other array of the call repeats, besides those of vectors and matrices that a
# function takes alone. Numbers of settings and of constants are up to each part.
NUMBERS = {"later", "settings", "constants", "scalars", "counters", "rate", "deviation", "barrier"}
FREE = {
    ("product", "scratch", 0),  # as many as scratch_size says
    ("locate", "index", 0),  # one fewer than `later` has numbers
    ("backward", "z", 0),  # empty where the slope does not need z
    ("loss", "targets", 1),  # codes have one column, whatever the number of scores
    ("step", "slots", 0),
    ("update", "slots", 0),  # n_slots times as many as parameters
    ("clipped_step", "slots", 0),
    ("update", "scaled_grad", 0),  # all parameters, or a block
    ("update", "penalties", 0),  # one for each block
    ("add_l1_subgradient", "penalties", 0),
    ("unscale", "scales", 0),  # N_ROWS times as many as rows of W
    ("rescale", "scales", 0),
    ("squared_norms", "squares", 0),
    ("squared_norms", "grad", 0),
    *((f"gather{data}", "source", 0) for data in DATA),  # rows of the data
    *((f"csr_affine{data}", "indptr", 0) for data in DATA),
    *((f"csr_weight_gradient{data}", "indptr", 0) for data in DATA),
    *((f"csr_affine{data}", "W", 0) for data in DATA),  # above the values of indices
    *((f"csr_weight_gradient{data}", "out", 0) for data in DATA),
}
ALONE = {"forward", "link", "decay", "apply_dropout", "add_noise", "clear", "total"}


def test_no_other_length_is_free():
    """A table in which more lengths were "?" would pass the tests above."""
    free = set()
    for role, argument in ARGUMENTS:
        for axis, symbol in enumerate(ROLES[role].arguments[argument].shape):
            is_alone = symbol == "?" or len(places_of(role, symbol)) == 1
            if is_alone and argument not in NUMBERS and role not in ALONE:
                free.add((role, argument, axis))
    assert free == FREE


@every_role
def test_another_number_of_arrays_is_refused(role):
    arrays = list(good_arrays(role, DTYPES[0]).values())
    for others in (arrays[:-1], [*arrays, arrays[0]]):
        program = Program(DTYPES[0])
        with pytest.raises(ValueError, match="zip"):
            program.add(function_of(role), *others)
        assert len(program.finish().instructions) == 0


def test_roles_are_numbered_by_their_place():
    """Compiled code holds the numbers."""
    assert [role.number for role in ROLES.values()] == list(range(len(ROLES)))


# Phases and sections.


def decay(params, scalars, settings):
    """Append the number of an instruction to a list whose length stands at its begin."""
    n = int(params[0])
    params[n + 1] = settings[0]
    params[0] = n + 1


@kernel
def run_section(instructions, phases, sections, section, n_phases, like):
    """Run the first phases of a section, one after the other."""
    for p in range(sections[section], min(sections[section] + n_phases, sections[section + 1])):
        execute(instructions, phases[p], phases[p + 1], like)


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=5))
@settings(max_examples=200, deadline=None)
def test_phases_and_sections(sizes):
    """Each instruction is in one phase, which is in one section, in the order of all calls.

    A phase of no instruction is none, and a section may have no phase.
    """
    trace, n_instructions = np.zeros(100), 0
    program = Program(trace.dtype)
    expected = []
    for section in sizes:
        expected.append([])
        for size in section:
            numbers = list(range(n_instructions, n_instructions + size))
            for number in numbers:
                program.add(decay, trace, np.zeros(0), np.array([number]))
            program.end_phase()
            program.end_phase()
            expected[-1] += [numbers] if numbers else []
            n_instructions += size
        program.end_section()
    instructions, phases, sections = program.finish()
    assert len(instructions) == n_instructions * (1 if PYTHON_MODE else WIDTH)
    assert phases.dtype == sections.dtype == np.int64
    assert phases[0] == sections[0] == 0
    assert phases[-1] == n_instructions
    assert np.diff(sections).tolist() == [len(section) for section in expected]

    # A kernel may run any number of phases of a section, and no others.
    for s, section in enumerate(expected):
        for n in range(len(section) + 1):
            trace[0] = 0
            run_section(instructions, phases, sections, s, n, trace)
            assert trace[1 : 1 + int(trace[0])].tolist() == list(chain(*section[:n]))


def test_the_end_of_a_section_ends_its_last_phase():
    program, trace = Program(np.dtype(np.float64)), np.zeros(9)
    for _ in range(2):
        program.add(decay, trace, np.zeros(0), np.array([0]))
        program.end_section()
    program.end_section()
    table = program.finish()
    assert table.phases.tolist() == [0, 1, 2]
    assert table.sections.tolist() == [0, 1, 2, 2]


# The programs of an epoch's threads.

REGULARIZATIONS = {
    "plain": {},
    "dropout": {"dropout": [0.5, 0.2]},
    "l1": {"l1": 0.1, "l2": 0.1},
    "clip": {"clip": 1.0},
    "all": {"dropout": [0.5, 0.0], "l1": 0.1, "clip": 1.0, "decay": 0.1, "noise": 0.1},
}
# Rows and rows of a minibatch. Some threads get no rows of the small ones, and a minibatch is one
# microbatch or several, with a remainder or without one, as is the last minibatch.
SIZES = [
    (9, 9),
    (100, 40),
    (MICROBATCH, MICROBATCH),
    (3 * MICROBATCH, MICROBATCH + 88),
    (2 * MICROBATCH + 5, 2 * MICROBATCH),
    (2100, 1100),
]


def epoch_tables(n, batch_size, sparse, regularization, solver, n_threads):
    """Return the finished programs of all threads of an epoch."""
    rng = np.random.RandomState(0)
    layout = Layout([7, 20, 5, 3])
    network = Network(
        layout, rng.normal(size=layout.n_parameters),
        [Activation.table["gelu"], Activation.table["relu"]], Loss.table["log_loss"], [0.1],
    )  # fmt: skip
    X = rng.normal(size=(n, 7))
    data = Dataset(
        as_kernel_input(sp.csr_array(X) if sparse else X),
        rng.randint(0, 3, size=(n, 1)).astype(float), np.ones(n), np.arange(n),
    )  # fmt: skip
    optimizer = averaging = None
    if solver is not None:
        hyperparameters = {"learning_rate_init": 0.1, "momentum": 0.9, "nesterovs_momentum": True}
        optimizer = Optimizer.table[solver].start(hyperparameters, network.params)
        averaging = Averaging(0.9, network.params.copy(), network.params.copy())
    regularization = Regularization(**regularization)
    runner = EpochRunner(network, data, batch_size, regularization, optimizer, averaging)
    return [thread.program.program.finish() for thread in runner._threads(n_threads)]


def roles_of(table):
    """Return the names of the roles of all instructions."""
    if PYTHON_MODE:
        return [function.__name__ for function, _, _ in table.instructions]
    names = list(ROLES)
    return [names[number] for number in table.instructions[::WIDTH]]


def meetings_of(table):
    """Return how many meetings there are in each phase."""
    roles = roles_of(table)
    assert table.phases[-1] == len(roles)
    return [roles[begin:end].count("meet") for begin, end in pairwise(table.phases)]


def sections_of_minibatches(n, batch_size):
    """Return the sections that minibatches of these sizes run, besides UPDATE."""
    found = set()
    for size in {min(n, batch_size), n % batch_size}:
        for begin in range(0, size, MICROBATCH):
            remainder = REMAINDER if size == batch_size else LAST_REMAINDER
            is_full = size - begin >= MICROBATCH
            found.add((FULL if is_full else remainder) + (begin > 0))
    return found


@pytest.mark.parametrize("n_threads", [1, 2, 3, 5])
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "csr"])
@pytest.mark.parametrize("name", REGULARIZATIONS)
def test_threads_have_equal_phases(name, sparse, n_threads):
    """All threads go on at the same phase of the same section, and meet equally often in each.

    A thread with one meeting more than the others would wait for ever. The update runs as a whole,
    so phases may differ after its last meeting, where one thread alone adds up the penalties.
    """
    regularization = {**REGULARIZATIONS[name]}
    if sparse:
        regularization.pop("noise", None)
    for n, batch_size in SIZES:
        for solver in (None, "sgd"):
            tables = epoch_tables(n, batch_size, sparse, regularization, solver, n_threads)
            assert len(tables) == n_threads
            sections, meetings = tables[0].sections, meetings_of(tables[0])
            n_shared = sections[UPDATE]
            for table in tables:
                assert table.sections.size == UPDATE + 2
                assert table.sections[: UPDATE + 1].tolist() == sections[: UPDATE + 1].tolist()
                assert meetings_of(table)[:n_shared] == meetings[:n_shared]
                assert sum(meetings_of(table)) == sum(meetings)
            is_filled = np.diff(sections) > 0
            assert set(np.flatnonzero(is_filled)) >= sections_of_minibatches(n, batch_size)
            assert is_filled[UPDATE]
            assert (sum(meetings) > 0) == (n_threads > 1)


@pytest.mark.parametrize(
    "result",
    [None, np.zeros(1, np.float32), np.zeros(2), np.zeros(()), read_only(np.zeros(1))],
    ids=["none", "float32", "two", "no dimension", "read-only"],
)
def test_a_place_for_the_result_is_needed(result):
    """Without one the call would write to address 0, or beyond what is there."""
    with pytest.raises(TypeError, match=r"result of the role 'total'"):
        Program(np.dtype(np.float64)).add(total, np.ones(3), result=result)


def test_a_place_for_no_result_is_refused():
    with pytest.raises(TypeError, match=r"result of the role 'clear'"):
        Program(np.dtype(np.float64)).add(clear, np.ones(3), result=np.zeros(1))


def test_a_factor_without_contiguous_rows_or_columns_is_refused():
    """The product would read other numbers than those of B."""
    A, bias, out, B = np.ones((3, 4)), np.zeros(2), np.empty((3, 2)), np.ones((8, 4))[::2, ::2]
    program, later = Program(np.dtype(np.float64)), np.empty(0, np.int64)
    with pytest.raises(TypeError, match=r"B of the role 'product'"):
        program.add(product, A, B, bias, later, np.empty(scratch_size(3, 8)), out)
    for fitting in (B.copy(), np.asfortranarray(B)):
        program.add(product, A, fitting, bias, later, np.empty(scratch_size(3, 8)), out)
