"""The order of imports and the rules of kernels, read off the source."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

import sknet

SOURCE = Path(sknet.__file__).parent
ROOT = SOURCE.parent

# From the ground up: a folder or module imports only from its own row and those above it.
# A row is a set of equals; files inside one folder are checked for cycles instead.
ORDER = [
    {"_bias_correction", "_engine", "exceptions", "parts"},
    {
        "activations",
        "losses",
        "optimizers",
        "schedules",
        "initialization",
        "hidden_sizes",
        "metrics",
    },
    {"_network"},
    {"_training"},
    {"estimators"},
    {"inspection"},
    {"attribution", "dask", "display", "export", "tabular"},
    {"__init__"},
    {"_cli"},
    {"__main__"},
]
LEVEL = {name: level for level, names in enumerate(ORDER) for name in names}

KNOWS_NUMBA = {"_engine"}
KNOWS_SKLEARN = {
    "hidden_sizes",
    "metrics",
    "exceptions",
    "estimators",
    "inspection",
    "attribution",
    "dask",
    "display",
    "export",
    "tabular",
    "_cli",
}
PART_MODULES = {"activations", "losses", "optimizers"}
ROLE_MODULES = {"_engine.gemm", "_engine.kernels"}

MAX_LINES = 449


def module_name(path: Path) -> str:
    """Return a module's dotted name below the package; that of a folder for its `__init__`."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {module_name(path): ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}


def imported(tree: ast.AST) -> set[str]:
    """Return the dotted names of all modules that a module imports, at any depth."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_here(module: str) -> set[str]:
    """Return the package's own modules that a module imports."""
    names = {name.removeprefix("sknet.") for name in imported(MODULES[module])}
    return {name for name in names if name in MODULES} - {module}


def test_every_module_has_its_place():
    assert {name.split(".")[0] for name in MODULES} == set(LEVEL)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_point_downwards(module):
    own = module.split(".")[0]
    for name in imported_here(module):
        other = name.split(".")[0]
        is_public_list = name == "__init__"
        assert other == own or LEVEL[other] <= LEVEL[own] or is_public_list, name


def test_no_import_cycle():
    graph = {module: imported_here(module) for module in MODULES}
    graph = {m: {n for n in names if not m.startswith(f"{n}.")} for m, names in graph.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the cycle


@pytest.mark.parametrize("module", sorted(MODULES))
def test_who_knows_numba_and_scikit_learn(module):
    roots = {name.split(".")[0] for name in imported(MODULES[module])}
    folder = module.split(".")[0]
    if folder not in KNOWS_NUMBA:
        assert not roots & {"numba", "llvmlite"}
    if folder not in KNOWS_SKLEARN:
        assert "sklearn" not in roots


def test_no_file_is_long():
    lengths = {str(path): len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert {path: n for path, n in lengths.items() if n > MAX_LINES} == {}


def test_every_test_file_has_a_name_of_its_own():
    """pytest imports test files by their names without folders, and collects no second one."""
    names = sorted(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [one for one, other in pairwise(names) if one == other] == []


def kernels() -> list[tuple[str, ast.FunctionDef]]:
    """Return every function that is compiled: decorated ones, and the parts' static methods."""
    found = []
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
            is_part = module.split(".")[0] in PART_MODULES and "staticmethod" in decorators
            is_role = is_part or module in ROLE_MODULES or node.name == "meet"
            if "kernel" in decorators or (is_role and node.name != "check_targets"):
                found.append((f"{module}.{node.name}", node))
    return found


def faults(function: ast.FunctionDef) -> list[str]:
    """Return what in a kernel costs compile time or speed out of proportion, with line numbers."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(
                isinstance(t, ast.Subscript) and isinstance(t.slice, ast.Slice) for t in targets
            ):
                found.append(f"{node.lineno}: assigns to a slice; loop instead")
        elif isinstance(node, ast.JoinedStr):
            found.append(f"{node.lineno}: f-string")
        elif isinstance(node, ast.Raise | ast.Assert | ast.Try):
            found.append(f"{node.lineno}: raises or catches; check before the kernel")
        elif isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.Lambda):
            found.append(f"{node.lineno}: comprehension or closure; loop instead")
    return found


def test_kernels_are_found():
    names = {name for name, _ in kernels()}
    assert {
        "_training.epoch.run_steps",
        "_engine.kernels.update",
        "_engine.gemm.product",
        "losses.classification.loss",
    } <= names


@pytest.mark.parametrize(("name", "function"), kernels(), ids=[name for name, _ in kernels()])
def test_kernel_rules(name, function):
    stub = any(
        isinstance(n, ast.Raise) and ast.unparse(n) == "raise NotImplementedError"
        for n in function.body
    )
    assert stub or not faults(function)


@pytest.mark.parametrize(
    "code",
    ["a[:3] = b", "a[1:] += b", "x = f'{a}'", "raise ValueError", "x = [i for i in a]"],
)
def test_kernel_rules_can_fail(code):
    assert faults(ast.parse(f"def f(a, b):\n    {code}\n").body[0])


def test_nobody_is_told_to_install_another_package():
    """The name sknet belongs to another distribution; ours is sknet-mlp."""
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *SOURCE.rglob("*.py")]
    files += ROOT.glob("benchmarks/*")
    for path in files:
        text = path.read_text() if path.suffix in (".md", ".py") else ""
        assert "pip install sknet\n" not in text + "\n", path
        for follow in " `'\".[,":
            assert f"pip install sknet{follow}" not in text, path


@pytest.mark.parametrize("module", MODULES)
def test_ranges_state_their_dtype(module):
    """NumPy before 2.0 makes them int32 on Windows, too short for samples in training."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.arange":
            assert "dtype" in {keyword.arg for keyword in node.keywords}, ast.unparse(node)
