"""The mutants of a source file: copies that differ in one place, where a test should fail.

Annotations, decorators, the texts of errors and warnings, and methods that subclasses define are
not changed.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}
# The boundary is moved, and the answer is negated.
COMPARISONS: dict[type[ast.cmpop], list[type[ast.cmpop]]] = {
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
SKIPPED_FIELDS = {"annotation", "returns", "decorator_list"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Mutant:
    """A source file with one change.

    Attributes
    ----------
    function : str
        Qualified name of the outermost function that holds the change, or "" outside of functions.
    change : str
        Where and what it is, without line numbers: it stays the same while other lines change.
    lines : range
        The lines of the statement that is changed.
    code : code
        The compiled module.
    """

    function: str
    change: str
    lines: range
    code: CodeType


def replacements(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Yield each field of a node that can be changed, and what it changes to."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in OPERATORS:
        yield "op", OPERATORS[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        yield "op", ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.Compare):
        for i, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                yield "ops", [*node.ops[:i], other(), *node.ops[i + 1 :]]
    elif isinstance(node, ast.If | ast.IfExp):
        yield "test", ast.Constant(True)
        yield "test", ast.Constant(False)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield "value", not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        yield "value", node.value + 1
        yield "value", node.value - 1
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield "id", NAMES[node.id]
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "value", None


def whole_replacement(node: ast.AST, in_function: bool) -> ast.AST | None:
    """Return what can stand in place of a whole node."""
    if isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
        return node.operand
    targets = node.targets if isinstance(node, ast.Assign) else []
    is_effect = (
        isinstance(node, ast.AugAssign | ast.Raise | ast.Continue | ast.Break)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
        or any(isinstance(target, ast.Subscript | ast.Attribute) for target in targets)
    )
    return ast.Pass() if in_function and is_effect else None


def is_skipped(node: ast.AST) -> bool:
    """Return whether nothing in a node is changed."""
    return (
        isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (isinstance(node, ast.Raise) and ast.unparse(node) == "raise NotImplementedError")
    )


def difference(before: str, after: str) -> str:
    """Return the lines of two texts that differ."""
    old, new = before.splitlines(), after.splitlines()
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return " -> ".join(" ".join(line.strip() for line in lines) or "pass" for lines in (old, new))


def mutants(path: Path) -> list[Mutant]:
    """Return all mutants of a source file, in the order of its lines."""
    tree = ast.parse(path.read_text())
    found: list[Mutant] = []
    seen: Counter[str] = Counter()

    def note(scope: tuple[str, ...], function: str, statement: ast.stmt, before: str) -> None:
        change = f"{'.'.join(scope)}: {difference(before, ast.unparse(statement))}"
        seen[change] += 1
        if seen[change] > 1:
            change += f" ({seen[change]})"
        body = getattr(statement, "body", None)
        end = body[0].lineno if body else statement.end_lineno + 1  # type: ignore[operator]
        code = compile(ast.fix_missing_locations(tree), str(path), "exec")
        found.append(Mutant(function, change, range(statement.lineno, end), code))

    def visit(node: ast.AST, scope: tuple[str, ...], function: str, statement: Any) -> None:
        if isinstance(node, ast.stmt):
            statement = node
        before = ast.unparse(statement) if statement is not None else ""
        for field, value in replacements(node):
            old = getattr(node, field)
            setattr(node, field, value)
            note(scope, function, statement, before)
            setattr(node, field, old)
        if isinstance(node, ast.ClassDef | FUNCTIONS):
            scope = (*scope, node.name)
        if isinstance(node, FUNCTIONS) and not function:
            function = ".".join(scope)
        for field, value in ast.iter_fields(node):
            if field in SKIPPED_FIELDS:
                continue
            siblings = value if isinstance(value, list) else [value]
            for i, child in enumerate(siblings):
                if not isinstance(child, ast.AST) or is_skipped(child):
                    continue
                other = whole_replacement(child, bool(function))
                if other is not None:
                    is_statement = isinstance(child, ast.stmt)
                    text = ast.unparse(child) if is_statement else before
                    if isinstance(other, ast.Pass):
                        ast.copy_location(other, child)
                    put(node, field, i, other)
                    note(scope, function, other if is_statement else statement, text)
                    put(node, field, i, child)
                # The text of an error is left as it is.
                if not isinstance(child, ast.Raise):
                    visit(child, scope, function, statement)

    visit(tree, (), "", None)
    return found


def put(node: ast.AST, field: str, i: int, value: ast.AST) -> None:
    """Put a value in place of a node's i-th child in a field."""
    if isinstance(getattr(node, field), list):
        getattr(node, field)[i] = value
    else:
        setattr(node, field, value)
