"""Text of items and replies on a terminal: nothing in it acts, and columns stand below each other."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from symdistill.cli.display import one_line, visible
from symdistill.cli.knowledge_text import side_by_side


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a\tb\nc\r\nd", "a\tb\nc\nd"),
        ("\x1b[31mred\x00\x7f", "\\x1b[31mred\\x00\\x7f"),
        ("a\rb\x9bc\u202ed\ufeff", "a\\rb\\x9bc\\u202ed\\ufeff"),
        ("\U000e0041\ud800", "\\U000e0041\\ud800"),
        ("naïve 日本 👩‍🔬 [red] é", "naïve 日本 👩‍🔬 [red] é"),
        ("می\u200cروم", "می\u200cروم"),
        ("ig\u200bno\u200dre\u2060\u00ad\u034f", "ig\\u200bno\\u200dre\\u2060\\xad\\u034f"),
        ("\ufff9\u3164\U000e0101", "\\ufff9\\u3164\\U000e0101"),
    ],
)
def test_what_acts_on_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_line_is_cut() -> None:
    assert one_line("a\n b\x1b " + "c" * 20, 10) == "a b\\x1b c…"
    assert one_line("日本語の項目", 12) == "日本語の項目"
    assert one_line("日本語の項目", 6) == "日本…", "a character may take two columns"


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    lines = list(side_by_side("日本語の項目を数える。" * 10, "Count the items. " * 10))
    places = {cell_len(line[: line.index("│")]) for line in lines}
    assert len(places) == 1
    assert max(map(cell_len, lines)) <= 100
