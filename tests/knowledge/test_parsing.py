"""What a teacher's analysis is read as, in every shape models give it."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.parsing import Analysis, parse_analysis

SUMMARY = "1. Track both.\n2. Check units."
NAMES = "Learning Summary and Supplementary Knowledge"
FACTS = "- Area = w * h\n- 60 min = 1 h"

CUT = Analysis("A b.", None, "summary_only", "supplementary_knowl")
BOTH = {
    "plain": f"Learning Summary:\n{SUMMARY}\n\nSupplementary Knowledge:\n{FACTS}",
    "other order": f"Supplementary Knowledge:\n{FACTS}\n\nLearning Summary:\n{SUMMARY}",
    "bold, colon inside": f"**Learning Summary:**\n{SUMMARY}\n\n**Supplementary Knowledge:**\n{FACTS}",
    "bold, colon outside": f"**Learning Summary**: {SUMMARY}\n\n**Supplementary Knowledge**: {FACTS}",
    "bold, no colon": f"**Learning Summary** {SUMMARY}\n\n**Supplementary Knowledge**\n{FACTS}",
    "markdown": f"### Learning Summary\n{SUMMARY}\n### Supplementary Knowledge\n{FACTS}",
    "markdown, bold and numbered": f"## **1. Learning Summary**\n{SUMMARY}\n## **2. Supplementary Knowledge**\n{FACTS}",
    "numbered": f"1. Learning Summary:\n{SUMMARY}\n2. Supplementary Knowledge:\n{FACTS}",
    "lettered": f"A) Learning Summary\n{SUMMARY}\nB) Supplementary Knowledge\n{FACTS}",
    "roman": f"I. Learning Summary\n{SUMMARY}\nII. Supplementary Knowledge\n{FACTS}",
    "bulleted": f"- **Learning Summary**:\n{SUMMARY}\n- **Supplementary Knowledge**:\n{FACTS}",
    "capitals": f"LEARNING SUMMARY\n{SUMMARY}\nSUPPLEMENTARY KNOWLEDGE\n{FACTS}",
    "lower case": f"learning summary:\n{SUMMARY}\nsupplementary knowledge:\n{FACTS}",
    "underlined": f"Learning Summary\n=======\n{SUMMARY}\n\nSupplementary Knowledge\n-------\n{FACTS}",
    "a rule between": f"Learning Summary:\n{SUMMARY}\n\n---\n\nSupplementary Knowledge:\n{FACTS}\n\n***",
    "emoji": f"📘 Learning Summary:\n{SUMMARY}\n🔧 Supplementary Knowledge:\n{FACTS}",
    "brackets": f"[Learning Summary]\n{SUMMARY}\n[Supplementary Knowledge]\n{FACTS}",
    "quoted": f"> Learning Summary:\n{SUMMARY}\n> Supplementary Knowledge:\n{FACTS}",
    "underscores": f"learning_summary: {SUMMARY}\nsupplementary_knowledge: {FACTS}",
    "misspelt": f"Learning Sumary:\n{SUMMARY}\nSupplementry Knowlege:\n{FACTS}",
    "other names": f"Lessons Learned:\n{SUMMARY}\nAdditional Knowledge:\n{FACTS}",
    "short names": f"Summary:\n{SUMMARY}\nKnowledge:\n{FACTS}",
    "one short name": f"**Learning Summary**\n{SUMMARY}\n**Knowledge**\n{FACTS}",
    "tags": f"<learning_summary>\n{SUMMARY}\n</learning_summary>\n<supplementary_knowledge>\n{FACTS}\n"
    "</supplementary_knowledge>",
    "HTML headings": f"<h2>Learning Summary</h2>\n{SUMMARY}\n<h2 class='x'>Supplementary Knowledge:</h2>\n{FACTS}",
    "windows lines": f"Learning Summary:\r\n{SUMMARY}\r\n\r\nSupplementary Knowledge:\r\n{FACTS}".replace(
        "\n2", "\r\n2"
    ),
    "byte order mark": f"\ufeffLearning Summary:\n{SUMMARY}\nSupplementary Knowledge:\n{FACTS}",
    "blank lines": f"\n\nLearning Summary:\n\n\n{SUMMARY}\n\n\n\nSupplementary Knowledge:\n\n{FACTS}\n\n\n",
    "JSON": json.dumps({"Learning Summary": SUMMARY, "Supplementary Knowledge": FACTS}),
    "JSON, snake and camel": json.dumps({"learning_summary": SUMMARY, "supplementaryKnowledge": FACTS}),
    "JSON with lists": json.dumps(
        {
            "Learning Summary": SUMMARY.split("\n"),
            "Supplementary Knowledge": ["Area = w * h", "60 min = 1 h"],
        }
    ),
    "JSON in JSON": json.dumps({"analysis": {"Learning Summary": SUMMARY, "Supplementary Knowledge": FACTS}}),
    "JSON in a fence": f"```json\n{json.dumps({'Learning Summary': SUMMARY, 'Supplementary Knowledge': FACTS})}\n```",
    "JSON, breaks escaped twice": json.dumps(
        {"Learning Summary": SUMMARY.replace("\n", "\\n"), "Supplementary Knowledge": FACTS}
    ),
    "a list of objects": json.dumps([{"Learning Summary": SUMMARY}, {"Supplementary Knowledge": FACTS}]),
    "a fence": f"```\nLearning Summary:\n{SUMMARY}\n\nSupplementary Knowledge:\n{FACTS}\n```",
}


@pytest.mark.parametrize("text", BOTH.values(), ids=BOTH.keys())
def test_both_notes_are_read(text: str) -> None:
    assert parse_analysis(text) == Analysis(SUMMARY, FACTS, "both", "")


@pytest.mark.parametrize(
    "text, summary, supplementary",
    [
        ("Learning Summary: 1. Track. 2. Check. Supplementary Knowledge: Area.", "1. Track. 2. Check.", "Area."),
        ("Learning Summary: Track. **Supplementary Knowledge:** Area.", "Track.", "Area."),
        ("<h2>Learning Summary</h2><p>Track.</p><h2>Supplementary Knowledge</h2><p>W</p>", "<p>Track.</p>", "<p>W</p>"),
        ("<b>Learning Summary</b> Track. <b>Supplementary Knowledge</b> Area.", "Track.", "Area."),
        ("learning summary: track. supplementary knowledge: area.", "track.", "area."),
        (
            "Learning Summary: Use <b>supplementary knowledge</b> well.\nSupplementary Knowledge: Area.",
            "Use <b>supplementary knowledge</b> well.",
            "Area.",
        ),
        ("Learning Summary - track both.\nSupplementary Knowledge – area.", "track both.", "area."),
        ("Learning Summary: -5 is below 0.\nSupplementary Knowledge: (a) is first.", "-5 is below 0.", "(a) is first."),
        ("<b>Learning Summary</b><p>Track.</p>\n<b>Supplementary Knowledge</b> <i>W</i>", "<p>Track.</p>", "<i>W</i>"),
        (
            "Learning Summary:\nTrack.\n```python\nprint(1)\n```\nSupplementary Knowledge:\nArea.",
            "Track.\n```python\nprint(1)\n```",
            "Area.",
        ),
        (
            "Learning Summary:\nTrack.\nSupplementary Knowledge:\n**Formulas**\n- a\n\n**Definitions:**\n- b",
            "Track.",
            "**Formulas**\n- a\n\n**Definitions:**\n- b",
        ),
        (
            "Learning Summary:\nThe Learning Summary of a text is short.\nSupplementary Knowledge:\nArea.",
            "The Learning Summary of a text is short.",
            "Area.",
        ),
        ("Learning Summary:\nA.\nSupplementary Knowledge:\nB.\nLearning Summary:\nC.", "A.\n\nC.", "B."),
        ("Learning Summary:\nA.\nSupplementary Knowledge:\nB.\nLearning Summary:\nA.", "A.", "B."),
        (
            '{"Learning Summary": "A", "Supplementary Knowledge": {"Units": "1.50 m", "More": [2, true]}}',
            "A",
            "Units: 1.50 m\nMore: - 2\n- true",
        ),
        ('{"Learning Summary": "A", "Learning Summary": "B", "Supplementary Knowledge": "C"}', "A\n\nB", "C"),
    ],
)  # fmt: skip
def test_what_belongs_to_a_note(text: str, summary: str, supplementary: str) -> None:
    assert parse_analysis(text) == Analysis(summary, supplementary, "both", "")


@pytest.mark.parametrize(
    "text, leftover",
    [
        (f"Sure! Here are the two notes.\n\n{BOTH['plain']}", "Sure! Here are the two notes."),
        (f"Here are the {NAMES}:\n{BOTH['plain']}", f"Here are the {NAMES}:"),
        (f"{NAMES}:\n{BOTH['plain']}", f"{NAMES}:"),
        (f"{BOTH['plain']}\n\nI hope this helps!", "I hope this helps!"),
        (f"Sure!\n{BOTH['a fence']}\nBye now.", "Sure!\n\nBye now."),
        (f"{BOTH['tags']}\nBye now.", "Bye now."),
        (f"{BOTH['plain']}\n\n**Corrected Solution:**\n5 + 5 = 10", "**Corrected Solution:**\n5 + 5 = 10"),
        (f"{BOTH['plain']}\nAnswer: (B)", "Answer: (B)"),
        (f"Analysis: the unit is lost.\n{BOTH['plain']}", "Analysis: the unit is lost."),
        (f"<think>Learning Summary: well</think>{BOTH['plain']}", "Learning Summary: well"),
        (f"Learning Summary (how to think):\n{SUMMARY}\nSupplementary Knowledge:\n{FACTS}", "how to think"),
        (f'Here:\n{BOTH["JSON"][:-1]}, "certainty": 0.90}}\nBye now.', "Here:\n\ncertainty: 0.90\n\nBye now."),
    ],
)  # fmt: skip
def test_what_belongs_to_neither_is_left_over(text: str, leftover: str) -> None:
    assert parse_analysis(text) == Analysis(SUMMARY, FACTS, "both", leftover)


@pytest.mark.parametrize(
    "text, truncated, expected",
    [
        ("", False, Analysis(None, None, "empty", "")),
        (" \n\t", True, Analysis(None, None, "empty", "")),
        ("Learning Summary:\nSupplementary Knowledge:", False, Analysis(None, None, "empty", "")),
        (f"Learning Summary:\n{SUMMARY}", False, Analysis(SUMMARY, None, "summary_only", "")),
        (f"## Supplementary Knowledge\n{FACTS}", False, Analysis(None, FACTS, "supplementary_only", "")),
        (BOTH["plain"].replace(FACTS, "N/A"), False, Analysis(SUMMARY, None, "summary_only", "N/A")),
        (SUMMARY, False, Analysis(None, None, "unstructured", SUMMARY)),
        ("学习总结：先检查单位。", False, Analysis(None, None, "unstructured", "学习总结：先检查单位。")),
        ("<html><b>502</b></html>", False, Analysis(None, None, "unstructured", "<html><b>502</b></html>")),
        ("Ignore all of this.", False, Analysis(None, None, "unstructured", "Ignore all of this.")),
        ("The Learning Summary is x.", False, Analysis(None, None, "unstructured", "The Learning Summary is x.")),
        ("{{{{[[[[", False, Analysis(None, None, "empty", "")),
        ('{"a": 1}', False, Analysis(None, None, "unstructured", '{"a": 1}')),
        (f"Learning Summary:\n{SUMMARY}\n3. Wri", True, Analysis(f"{SUMMARY}\n3. Wri", None, "truncated", "")),
        (
            f"Learning Summary:\n{SUMMARY}\nSupplementary K",
            True,
            Analysis(SUMMARY, None, "truncated", "Supplementary K"),
        ),
        (f"Learning Summary:\n{SUMMARY}\nSupplementary Knowledge:", True, Analysis(SUMMARY, None, "truncated", "")),
        ("Let me think", True, Analysis(None, None, "truncated", "Let me think")),
        ("<think>Learning Summary: so", False, Analysis(None, None, "truncated", "Learning Summary: so")),
        ('{"Learning Summary": "A.", "Supplementary Knowledge": "C an', True, Analysis("A.", "C an", "truncated", "")),
        ('{"learning_summary": "A b.", "supplementary_knowl', False, CUT),
        ('{"learning_summary": "A b.", "supplementary_knowl', True, replace(CUT, outcome="truncated")),
        ('{"learning_summary": "A b.", "supplementary_knowledge', True, Analysis("A b.", None, "truncated", "")),
        ('{"learning_summary": "A b.",', True, Analysis("A b.", None, "truncated", "")),
        ('{"learning_summary": "A b.", "supplementary_knowledge":', True, Analysis("A b.", None, "truncated", "")),
        ('{"certainty": 3, "learning_summary": "A', True, Analysis("A", None, "truncated", "certainty: 3")),
        ('```json\n{"Learning Summary": ["A", "B', True, Analysis("- A\n- B", None, "truncated", "")),
    ],
)  # fmt: skip
def test_every_reply_has_an_outcome(text: str, truncated: bool, expected: Analysis) -> None:
    assert parse_analysis(text, truncated) == expected


HEADINGS = [
    *("Learning Summary:", "**Supplementary Knowledge:**", "## Learning Summary", "2. Supplementary Knowledge"),
    *("<learning_summary>", "</learning_summary>", "```", "```json", "```python", "---", "Summary:", "<think>"),
    *("</think>", '{"Learning Summary": "', '", "Supplementary Knowledge": "', '"}', "[", "]", "}", "\\n", "> ", "* "),
    *("Answer:", "Learning Summary and Supplementary Knowledge:", "I hope this helps", "N/A", "Supplementary Kn"),
]
STRUCTURE = set(re.findall(r"\w+", " ".join(HEADINGS).lower())) | {"n", "learning_summary", "supplementary_knowledge"}


@given(
    st.lists(st.one_of(st.sampled_from(HEADINGS), st.integers(0, 99).map(lambda n: f"zq{n}x."), st.text(max_size=9))),
    st.booleans(),
)
def test_no_word_is_lost_and_nothing_is_raised(parts: list[str], truncated: bool) -> None:
    text = "\n".join(parts[:5]) + " ".join(parts[5:])
    found = parse_analysis(text, truncated)
    kept = " ".join(part for part in (found.summary, found.supplementary, found.leftover) if part)
    missing = [word for word in re.findall(r"zq\d+x", text) if word not in kept]
    assert not missing


@given(st.text(max_size=200))
def test_any_text_is_kept_but_for_headings(text: str) -> None:
    found = parse_analysis(text)
    kept = " ".join(part for part in (found.summary, found.supplementary, found.leftover) if part)
    said = {
        word for word in re.findall(r"\w+", text) if any(c.isalnum() for c in word) and word.lower() not in STRUCTURE
    }
    lost = said - set(re.findall(r"\w+", kept))
    assert not [word for word in lost if not re.match("learn|lesson|suppl|summ?ar|knowl", word, re.IGNORECASE)]


@pytest.mark.parametrize(
    "text",
    [
        " " * 100_000 + "x",
        "Learning Summary " * 20_000,
        "**" * 100_000,
        '{"a":' * 20_000,
        "<b>" * 50_000,
        ". \t" * 50_000 + "Learning Summary",
        "\n---" * 50_000 + "x",
        "- _*#>" * 30_000 + "\n" + "1. " * 30_000,
        "</learning_summary" * 10_000,
    ],
)
def test_hostile_replies_take_no_longer_than_long_ones(text: str) -> None:
    begin = time.process_time()
    parse_analysis(text)
    assert time.process_time() - begin < 5
