"""A decision tree as SVG: questions in boxes, "yes" and "no" on the lines, leaves with their label and counts.

One offline element without script, for screen and print. A leaf is the darker the surer it is, and says how sure in
figures too, so nothing depends on colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from symdistill.evaluation.figures import clean, shorten
from symdistill.evaluation.plots import INK, MIDDLE, RULE, Drawing
from symdistill.knowledge.trees.tree import Leaf, Node, Tree

_WIDE, _GAP, _LINE, _BETWEEN, _MARGIN = 150.0, 16.0, 15.0, 46.0, 14.0
_CHARACTERS, _MOST_LINES = 23, 5
_PADDING = 9.0
_SURE = ((0.95, "#8f8f8f"), (0.85, "#b5b5b5"), (0.7, "#d6d6d6"), (0.0, "#f2f2f2"))


@dataclass
class _Box:
    """A node with its lines of text, its children, and where it stands (the middle of its upper edge)."""

    node: Node
    lines: list[str]
    no: _Box | None = None
    yes: _Box | None = None
    x: float = 0.0
    y: float = 0.0

    @property
    def height(self) -> float:
        return 2 * _PADDING + _LINE * len(self.lines)


def tree_svg(tree: Tree, title: str = "Decision tree") -> Markup:
    """The tree, "no" to the left and "yes" to the right. All text in it is escaped."""
    root = _boxed(tree.root, tree.questions)
    right = _placed(root, _MARGIN)
    rows = _heights(root)
    tops = [_MARGIN + sum(rows[:depth]) + _BETWEEN * depth for depth in range(len(rows))]
    drawing = Drawing(max(right - _GAP + _MARGIN, 260.0), tops[-1] + rows[-1] + _MARGIN, title)
    _lower(root, tops, 0)
    _lines(drawing, root)
    _boxes(drawing, root)
    return drawing.svg()


def tree_document(tree: Tree, title: str = "Decision tree") -> str:
    """The drawing as a file of its own."""
    alone = '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" style="background:#fff" '
    return f"{alone}{str(tree_svg(tree, title)).removeprefix('<svg ')}\n"


def _boxed(node: Node, questions: Mapping[str, str]) -> _Box:
    if isinstance(node, Leaf):
        total = sum(node.counts.values())
        right = node.counts.get(node.label, 0)
        figures = f"{right:,} of {total:,} ({right / total:.0%})" if total else "no inputs"
        return _Box(node, [*_wrapped(node.label)[:2], figures])
    lines = _wrapped(questions.get(node.feature) or node.feature)
    return _Box(node, lines, _boxed(node.no, questions), _boxed(node.yes, questions))


def _wrapped(text: str) -> list[str]:
    """Text in lines short enough for a box, the rest cut with a mark."""
    lines = [""]
    for word in clean(text, 400).split():
        for piece in (word[at : at + _CHARACTERS] for at in range(0, len(word), _CHARACTERS)):
            if lines[-1] and len(lines[-1]) + 1 + len(piece) > _CHARACTERS:
                lines.append(piece)
            else:
                lines[-1] = f"{lines[-1]} {piece}".strip()
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], shorten(" ".join(lines[_MOST_LINES - 1 :]), _CHARACTERS)]
    return lines


def _placed(box: _Box, left: float) -> float:
    """Put the leaves side by side from `left` on, every other box in the middle of its children; the right end."""
    if box.no is None or box.yes is None:
        box.x = left + _WIDE / 2
        return left + _WIDE + _GAP
    right = _placed(box.yes, _placed(box.no, left))
    box.x = (box.no.x + box.yes.x) / 2
    return right


def _heights(box: _Box) -> list[float]:
    """The height of the tallest box at each depth."""
    below = [_heights(child) for child in (box.no, box.yes) if child is not None]
    deepest = max(map(len, below), default=0)
    return [box.height, *(max(rows[at] for rows in below if at < len(rows)) for at in range(deepest))]


def _lower(box: _Box, tops: list[float], depth: int) -> None:
    box.y = tops[depth]
    for child in (box.no, box.yes):
        if child is not None:
            _lower(child, tops, depth + 1)


def _lines(drawing: Drawing, box: _Box) -> None:
    for child, word in ((box.no, "no"), (box.yes, "yes")):
        if child is None:
            continue
        bottom = box.y + box.height
        middle = child.y - _BETWEEN / 2
        # "yes" is drawn thicker, so that the two ways differ without their words.
        drawing.path(
            [(box.x, bottom), (box.x, middle), (child.x, middle), (child.x, child.y)], INK, 1 + (word == "yes")
        )
        drawing.text(
            child.x + (-6 if word == "no" else 6), middle + 14, word, "end" if word == "no" else "start", size=11
        )
        _lines(drawing, child)


def _boxes(drawing: Drawing, box: _Box) -> None:
    leaf = box.no is None
    fill = _shade(box.node) if leaf else "#fff"
    drawing.rectangle(box.x - _WIDE / 2, box.y, _WIDE, box.height, fill, INK if leaf else MIDDLE)
    for number, line in enumerate(box.lines):
        label = leaf and number < len(box.lines) - 1
        y = box.y + _PADDING + _LINE * (number + 0.75)
        drawing.text(box.x, y, line, "middle", INK, 12 if label or not leaf else 11, label)
    for child in (box.no, box.yes):
        if child is not None:
            _boxes(drawing, child)


def _shade(node: Node) -> str:
    assert isinstance(node, Leaf)
    total = sum(node.counts.values())
    share = node.counts.get(node.label, 0) / total if total else 0.0
    return next((shade for least, shade in _SURE if share >= least), RULE)
