"""Looking at pages and plots: whole HTML, and drawings that stay in their frames."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = {"meta", "link", "br", "hr", "img", "rect", "line", "circle", "polyline", "polygon", "path"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and insists that every element is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def parsed(svg) -> ElementTree.Element:
    return ElementTree.fromstring(str(svg))


def words(svg) -> list[str]:
    return [element.text or "" for element in parsed(svg).iter("text")]


def inside(svg) -> bool:
    """Whether every coordinate lies in the drawing."""
    root = parsed(svg)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter():
        for name, value in element.attrib.items():
            if name in ("x", "x1", "x2", "cx") and not -0.1 <= float(value) <= width + 0.1:
                return False
            if name in ("y", "y1", "y2", "cy") and not -0.1 <= float(value) <= height + 0.1:
                return False
        for place in element.attrib.get("points", "").split():
            x, y = map(float, place.split(","))
            if not (-0.1 <= x <= width + 0.1 and -0.1 <= y <= height + 0.1):
                return False
    return True
