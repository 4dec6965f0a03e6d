# SPDX-License-Identifier: Apache-2.0
"""A policy tree to be read (text with units) and to be used elsewhere (one Python function, one C function)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tidegate.insight.model_tree import Leaf, Node, Split
from tidegate.insight.policy_tree import OUTPUTS, PolicyTree, Quantity, feature_quantities, state_quantities
from tidegate.records import Floats

TAB = "    "
FUNCTION = "tidegate_tree"


@dataclass(frozen=True, slots=True)
class _Style:
    """How a tree is written: lines of a question, of its other branch, what closes both, and lines of a leaf."""

    question: Callable[[Split], str]
    otherwise: str
    close: str
    leaf: Callable[[Quantity, Leaf], list[str]]


def _written(node: Node, quantity: Quantity, style: _Style, depth: int) -> list[str]:
    if isinstance(node, Leaf):
        return [TAB * depth + line for line in style.leaf(quantity, node)]
    lines = [TAB * depth + style.question(node), *_written(node.yes, quantity, style, depth + 1)]
    lines += [TAB * depth + style.otherwise, *_written(node.no, quantity, style, depth + 1)]
    return [*lines, TAB * depth + style.close] if style.close else lines


def text(tree: PolicyTree) -> str:
    """The tree as if/else with units."""
    features = feature_quantities(tree.preview)
    style = _Style(lambda split: f"if {question(tree, split)}:", "else:", "", lambda q, leaf: formula(tree, q, leaf))
    head = [
        f"The policy of {tree.bundle} as a tree: {tree.leaves} leaves.",
        "Left is positive: offset, heading, curvature. Lateral acceleration = speed² × |lane curvature|.",
        "A percentage is the share of the fitted states that fall into the leaf.",
    ]
    names = [f"{TAB}{one.words} [{one.unit}]" for one in features]
    parts = []
    for quantity, root in zip(OUTPUTS, tree.roots, strict=True):
        parts += ["", f"{quantity.words} [{quantity.unit}]", *_written(root, quantity, style, 1)]
    return "\n".join([*head, "It goes by:", *names, *parts, ""])


def question(tree: PolicyTree, split: Split) -> str:
    """One question with its unit."""
    asked = feature_quantities(tree.preview)[split.feature]
    return f"{asked.words} ≤ {_signed(split.threshold)} {asked.unit}"


def formula(tree: PolicyTree, quantity: Quantity, leaf: Leaf) -> list[str]:
    """The answer of one leaf with its units, a line per term."""
    features = feature_quantities(tree.preview)
    lines = [f"{quantity.words} = {_signed(leaf.constant)} {quantity.unit}"]
    for index, weight in leaf.terms:
        used = features[index]
        factor = f"{abs(weight):g} {_per(quantity.unit, used.unit)}".rstrip()
        lines.append(f"{TAB}{'−' if weight < 0 else '+'} {factor} × {used.words}")
    if leaf.terms:
        lines.append(f"{TAB}at least {_signed(leaf.low)} and at most {_signed(leaf.high)} {quantity.unit}")
    lines[-1] += f"  ({leaf.share:.1%} of states)"
    return lines


def state_names(tree: PolicyTree) -> list[str]:
    """What a tree is given, with units."""
    return [f"{one.words} [{one.unit}]" for one in state_quantities(tree.preview)]


def taken(tree: PolicyTree, state: Floats) -> dict[str, list[str]]:
    """The way of one state (3 + P,) in words: for each output its questions with their answers, then the leaf."""
    ways = {}
    for quantity, (asked, leaf) in zip(OUTPUTS, tree.taken(state), strict=True):
        said = [f"{question(tree, split)}: {'yes' if yes else 'no'}" for split, yes in asked]
        ways[quantity.name] = [*said, " ".join(line.strip() for line in formula(tree, quantity, leaf))]
    return ways


def _signed(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _per(unit: str, other: str) -> str:
    """The unit of a weight that makes ``unit`` out of ``other``; empty where they are the same."""
    return "" if unit == other else f"{unit} per {other}"


def python(tree: PolicyTree) -> str:
    """A module with one function that needs nothing; the numbers are those of the tree."""
    style = _Style(
        lambda split: f"if {_name(tree, split.feature)} <= {split.threshold!r}:",
        "else:",
        "",
        lambda q, leaf: [f"{q.name} = {_clipped(leaf, _sum(tree, leaf), 'min', 'max')}"],
    )
    states, units = state_quantities(tree.preview), _arguments(tree)
    known = ", ".join(one.name for one in states)
    body = [f"if not all(map(math.isfinite, ({known}))):", f"{TAB}return math.nan, math.nan"]
    body += [f"{name} = speed * speed * abs({bend})" for name, bend in _lateral(tree) if _used(tree, name)]
    for quantity, root in zip(OUTPUTS, tree.roots, strict=True):
        body += _written(root, quantity, style, 0)
    given = [f"{one.name}: float" for one in states]
    return "\n".join(
        [
            f'"""The policy of {_plain(tree.bundle)} as a tree, made by tidegate distil."""',
            "",
            "import math",
            "",
            "",
            f"def {FUNCTION}(",
            *(f"{TAB}{one}," for one in given),
            ") -> tuple[float, float]:",
            f'{TAB}"""Drive force [N] and path curvature [1/m]; NaN where the state is not finite.',
            "",
            *(f"{TAB}{line}" for line in units),
            f'{TAB}"""',
            *(TAB + line for line in body),
            f"{TAB}return force, curvature",
            "",
        ]
    )


def c(tree: PolicyTree) -> str:
    """A C99 file with one function that needs nothing but ``fabs``; in double precision, as the Python."""
    style = _Style(
        lambda split: f"if ({_name(tree, split.feature)} <= {_double(split.threshold)}) {{",
        "} else {",
        "}",
        lambda q, leaf: _c_leaf(tree, q, leaf),
    )
    states = state_quantities(tree.preview)
    unknown = " && ".join(f"isfinite({one.name})" for one in states)
    body = [f"if (!({unknown})) {{", f"{TAB}*force = *curvature = (double)NAN;", f"{TAB}return;", "}"]
    body += [
        f"const double {name} = speed * speed * fabs({bend});" for name, bend in _lateral(tree) if _used(tree, name)
    ]
    for quantity, root in zip(OUTPUTS, tree.roots, strict=True):
        body += _written(root, quantity, style, 0)
    given = [f"double {one.name}" for one in states] + [f"double *{one.name}" for one in OUTPUTS]
    prototype = f"void {FUNCTION}(\n{TAB}" + f",\n{TAB}".join(given) + ")"
    return "\n".join(
        [
            f"/* The policy of {_plain(tree.bundle)} as a tree, made by tidegate distil.",
            "   Drive force [N] and path curvature [1/m]; NaN where the state is not finite.",
            *(f"   {line}" for line in _arguments(tree)),
            "*/",
            "#include <math.h>",
            "",
            f"{prototype};",
            "",
            f"{prototype} {{",
            *(TAB + line for line in body),
            "}",
            "",
        ]
    )


def _arguments(tree: PolicyTree) -> list[str]:
    return [f"{one.name}: {one.words} [{one.unit}]" for one in state_quantities(tree.preview)]


def _lateral(tree: PolicyTree) -> list[tuple[str, str]]:
    """Each lateral acceleration with the curvature that it is made of."""
    states = state_quantities(tree.preview)
    derived = feature_quantities(tree.preview)[len(states) :]
    return [(one.name, bend.name) for one, bend in zip(derived, states[2:-1], strict=True)]


def _used(tree: PolicyTree, name: str) -> bool:
    """Whether a tree asks for a quantity or computes with it."""

    def indices(node: Node) -> set[int]:
        if isinstance(node, Leaf):
            return {index for index, _ in node.terms}
        return {node.feature} | indices(node.yes) | indices(node.no)

    return name in {_name(tree, index) for root in tree.roots for index in indices(root)}


def _name(tree: PolicyTree, feature: int) -> str:
    return feature_quantities(tree.preview)[feature].name


def _sum(tree: PolicyTree, leaf: Leaf) -> str:
    value = _double(leaf.constant)
    for index, weight in leaf.terms:
        value += f" {'-' if weight < 0 else '+'} {_double(abs(weight))} * {_name(tree, index)}"
    return value


def _clipped(leaf: Leaf, value: str, least: str, most: str) -> str:
    if not leaf.terms:
        return value
    return f"{least}({most}({value}, {_double(leaf.low)}), {_double(leaf.high)})"


def _c_leaf(tree: PolicyTree, quantity: Quantity, leaf: Leaf) -> list[str]:
    value, name = _sum(tree, leaf), quantity.name
    return [f"*{name} = {_clipped(leaf, value, 'fmin', 'fmax')};"]


def _double(value: float) -> str:
    """The fewest digits that read back as the same number, in Python and C."""
    return repr(float(value))


def _plain(words: str) -> str:
    """A name that can end no comment and no string."""
    return words.replace("*/", "* /").replace('"', "'").replace("\\", "/").replace("\n", " ")
