# SPDX-License-Identifier: Apache-2.0
"""Makes mutants of one file: each is its syntax tree with one place changed, compiled, never written.

Changed are comparisons, arithmetic, ``and``/``or``/``not``, signs, numbers, min and max (sin and cos, all and any),
conditions, returned values; left out are assignments, calls for effect, ``raise`` and ``continue``. Not changed are
annotations, decorators, texts, ``strict=`` of ``zip`` and imports: no change there alters a command.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

COMPARE: dict[type, list[type]] = {
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
ARITHMETIC: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
PAIRS = [("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("all", "any"), ("sin", "cos")]
SWAPPED = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}
REMOVED = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Continue, ast.Raise)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place: ``key`` names it without a line number, ``scope`` is the outermost function around it.

    ``scope`` is '' where the change is outside any function: then the module has to be executed anew.
    """

    key: str
    line: int
    lines: range
    scope: str
    code: CodeType


def mutants(source: str, path: str) -> Iterator[Mutant]:
    """Every mutant of ``source``, in the order of its syntax tree."""
    tree, seen = ast.parse(source), Counter[str]()
    for node, parent, statement, scope, function in list(_walk(tree, None, None, "", "")):
        shown = parent if isinstance(node, ast.Constant | ast.Name | ast.Attribute) and parent else node
        for change, undo in _changes(node):
            before = _text(shown)
            change()
            key = f"{scope or 'module'}: {before} → {_text(shown)}"
            code = compile(ast.fix_missing_locations(tree), path, "exec")
            undo()
            seen[key] += 1
            key += f" #{seen[key]}" if seen[key] > 1 else ""
            yield Mutant(key, node.lineno, _lines(statement), function, code)


def _walk(
    node: ast.AST, parent: ast.AST | None, statement: ast.stmt | None, scope: str, function: str
) -> Iterator[tuple[Any, ast.AST | None, ast.stmt, str, str]]:
    """Nodes that may be changed, each with its parent expression, its statement, the name of what it is in, and the
    outermost function around it."""
    statement = node if isinstance(node, ast.stmt) else statement
    if isinstance(node, ast.expr | ast.stmt) and statement is not None:
        yield node, parent, statement, scope, function
    inner, inside = scope, function
    if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
        inner = f"{scope}.{node.name}" if scope else node.name
    if isinstance(node, FUNCTIONS):
        inside = function or inner
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                yield from _walk(default, None, statement, inner, function)
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not (isinstance(child, ast.keyword) and child.arg == "strict"):
                above = node if isinstance(node, ast.expr | ast.keyword) else None
                yield from _walk(child, above, statement, inner, inside)


def _changes(node: Any) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """What to do and how to undo it, for every change of one node."""

    def put(field: str, value: Any) -> tuple[Callable[[], object], Callable[[], object]]:
        old = getattr(node, field)
        return lambda: setattr(node, field, value), lambda: setattr(node, field, old)

    def become(other: ast.AST) -> tuple[Callable[[], object], Callable[[], object]]:
        """Turn the node itself into ``other``, so that whatever holds it holds that."""
        kept_class, kept, made = node.__class__, dict(vars(node)), ast.copy_location(other, node)

        def turn(kind: type, fields: dict[str, Any]) -> None:
            node.__class__ = kind
            node.__dict__.clear()
            node.__dict__.update(fields)

        return lambda: turn(type(made), dict(vars(made))), lambda: turn(kept_class, kept)

    def negated(test: ast.expr) -> ast.expr:
        return ast.UnaryOp(ast.Not(), test)

    match node:
        case ast.Compare():
            for index, op in enumerate(node.ops):
                for other in COMPARE[type(op)]:
                    yield put("ops", [*node.ops[:index], other(), *node.ops[index + 1 :]])
        case ast.BinOp() | ast.AugAssign() if type(node.op) in ARITHMETIC:
            yield put("op", ARITHMETIC[type(node.op)]())
        case ast.BoolOp():
            yield put("op", ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp():
            yield become(node.operand)
        case ast.Constant(value=bool() as value):
            yield put("value", not value)
        case ast.Constant(value=int() as value):
            yield from (put("value", value + 1), put("value", value - 1))
        case ast.Constant(value=float() as value):
            yield from (put("value", 2 * value or 1.0), put("value", value / 2 or -1.0))
        case ast.Name() if node.id in SWAPPED:
            yield put("id", SWAPPED[node.id])
        case ast.Attribute() if node.attr in SWAPPED:
            yield put("attr", SWAPPED[node.attr])
        case ast.If() | ast.IfExp() if not isinstance(node.test, ast.Compare | ast.UnaryOp | ast.BoolOp):
            yield put("test", negated(node.test))
        case ast.Return() if node.value is not None and ast.unparse(node.value) != "None":
            yield put("value", ast.Constant(None))
    if isinstance(node, REMOVED) and not _only_declares(node):
        yield become(ast.Pass())


def _lines(statement: ast.stmt) -> range:
    """Lines by which a test that reaches the statement is known: first to last, of a compound statement its head."""
    body = getattr(statement, "body", None)
    last = body[0].lineno if body else (statement.end_lineno or statement.lineno) + 1
    return range(statement.lineno, max(last, statement.lineno + 1))


def _only_declares(node: ast.stmt) -> bool:
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return docstring or (isinstance(node, ast.AnnAssign) and node.value is None)


def _text(node: ast.AST) -> str:
    """The node on one line; of a compound statement its head."""
    return ast.unparse(node).split("\n")[0] if not isinstance(node, ast.Pass) else "nothing"
