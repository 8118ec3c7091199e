"""The floors of the house and the rules of its kernels, read off the source."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import sknet

SOURCE = Path(sknet.__file__).parent
ROOT = SOURCE.parent

# From the ground up: a module imports only what stands before it.
ORDER = [
    "_functions",
    "_simd",
    "_views",
    "_jit",
    "_program",
    "_barrier",
    "_team",
    "_parts",
    "activations",
    "losses",
    "optimizers",
    "schedules",
    "initialization",
    "hidden_sizes",
    "_gemm",
    "_kernels",
    "_network",
    "_training",
    "_averaging",
    "_tracing",
    "monitoring",
    "_fit",
    "_lbfgs",
    "_html",
    "estimators",
    "display",
    "inspection",
    "search",
    "__init__",
    "digits",
    "__main__",
]
KNOWS_NUMBA = {"_jit", "_simd", "_views", "_barrier"}
KNOWS_SKLEARN = set(ORDER[ORDER.index("monitoring") :])
PART_MODULES = {"activations", "losses", "optimizers"}
ROLE_MODULES = {"_gemm", "_kernels"}

MODULES = {path.stem: ast.parse(path.read_text()) for path in sorted(SOURCE.glob("*.py"))}


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


def test_every_module_has_its_place():
    assert set(MODULES) == set(ORDER)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    ours = {name.split(".")[1] for name in imported(MODULES[module]) if name.startswith("sknet.")}
    ours &= set(ORDER)
    assert ours <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("module", MODULES)
def test_who_knows_numba_and_scikit_learn(module):
    roots = {name.split(".")[0] for name in imported(MODULES[module])}
    if module not in KNOWS_NUMBA | {"__main__"}:  # which tells Numba's version
        assert not roots & {"numba", "llvmlite"}
    if module not in KNOWS_SKLEARN:
        assert "sklearn" not in roots


def kernels() -> list[tuple[str, ast.FunctionDef]]:
    """Return every function that is compiled: decorated ones, and the parts' static methods."""
    found = []
    for module, tree in MODULES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef):
                continue
            decorators = {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
            is_part = module in PART_MODULES and "staticmethod" in decorators
            is_role = is_part or module in ROLE_MODULES or node.name == "_meet"
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
    assert {"_training.epoch", "_kernels.update", "_gemm.product", "losses.loss"} <= names


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
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *SOURCE.glob("*.py")]
    files += ROOT.glob("benchmarks/*")
    for path in files:
        text = path.read_text() if path.suffix in (".md", ".py") else ""
        assert "pip install sknet\n" not in text + "\n", path
        for follow in " `'\".[,":
            assert f"pip install sknet{follow}" not in text, path
