"""The drawing of a tree: whole, well-formed, escaped, nothing over anything else, and readable in grey."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

from symdistill.evaluation.tree_drawing import tree_document, tree_svg
from symdistill.knowledge.trees.tree import Leaf, Node, Split, Tree

HOSTILE = '</text><script>alert("1")</script>&amp; \x00\x1b[2J\u202e'


def drawn(root: Node, **questions: str) -> ET.Element:
    return ET.fromstring(str(tree_svg(Tree(root, questions))))


def deep(depth: int) -> Node:
    if depth == 0:
        return Leaf("positive", {"positive": 10, "negative": depth})
    return Split(f"f{depth}", Leaf("negative", {"negative": 5, "positive": 3}), deep(depth - 1))


def boxes(svg: ET.Element) -> list[tuple[float, float, float, float, str]]:
    found = []
    for box in svg.iter("rect"):
        x, y, wide, high = (float(box.get(name, "0")) for name in ("x", "y", "width", "height"))
        found.append((x, y, x + wide, y + high, box.get("fill", "")))
    return found


def test_questions_labels_and_figures_are_there() -> None:
    svg = drawn(
        Split("acting", Leaf("negative", {"negative": 4}), Leaf("positive", {"positive": 9, "negative": 1})),
        acting="Is the acting praised?",
    )
    text = [element.text for element in svg.iter("text")]
    assert text == ["no", "yes", "Is the acting praised?", "negative", "4 of 4 (100%)", "positive", "9 of 10 (90%)"]
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == "Decision tree"


def test_a_single_leaf_and_a_feature_without_a_question() -> None:
    assert [element.text for element in drawn(Leaf("a", {})).iter("text")] == ["a", "no inputs"]
    assert "acting" in [e.text for e in drawn(Split("acting", Leaf("a", {}), Leaf("b", {}))).iter("text")]


def test_hostile_text_is_text() -> None:
    svg = drawn(Split("f", Leaf(HOSTILE, {HOSTILE: 1}), Leaf("b", {"b": 1})), f=HOSTILE + " x" * 500)
    assert {element.tag for element in svg.iter()} <= {"svg", "title", "rect", "text", "polyline", "line"}
    assert not re.search("[\x00-\x08\x1b\u202e]", ET.tostring(svg, encoding="unicode"))
    assert sum(len(element.text or "") for element in svg.iter("text")) < 400


def test_nothing_lies_over_anything_else_and_all_is_inside() -> None:
    for depth in (1, 4, 9):
        svg = drawn(deep(depth))
        width, height = float(svg.get("width", "0")), float(svg.get("height", "0"))
        found = boxes(svg)
        assert len(found) == 2 * depth + 1
        for left, top, right, bottom, _ in found:
            assert left >= 0
            assert top >= 0
            assert right <= width
            assert bottom <= height
        for (l1, t1, r1, b1, _), (l2, t2, r2, b2, _) in combinations(found, 2):
            assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1


def test_grey_alone_and_the_surer_the_darker() -> None:
    shares = [(1, 1), (9, 10), (3, 4), (5, 10)]
    shades = [boxes(drawn(Leaf("a", {"a": right, "b": total - right})))[0][4] for right, total in shares]
    values = []
    for shade in shades:
        red, green, blue = (int(shade[at : at + 2], 16) for at in (1, 3, 5))
        assert red == green == blue
        values.append(red)
    assert values == sorted(values)
    assert len(set(values)) == 4


def test_a_file_of_its_own_says_what_it_is() -> None:
    document = tree_document(Tree(Leaf("a", {"a": 1})), "Trees & <rules>")
    root = ET.fromstring(document)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.get("aria-label") == "Trees & <rules>"
    assert "script" not in document
    assert "http" not in document.replace("http://www.w3.org/2000/svg", "")
