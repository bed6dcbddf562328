"""A task of short reviews, and a teacher that knows three questions about them, one of which it answers by chance."""

from __future__ import annotations

import json
import random
import re
import zlib
from pathlib import Path

QUESTIONS = """1. praises_acting: Does the review praise the acting?
2. boring: Does the writer call the film boring?
3. mood: Was the writer in a good mood that day?
4. sentiment: Is the review positive or negative?
5. which: Which film is it about?"""
RULES = """IF praises_acting AND NOT boring THEN positive
IF boring THEN negative
IF clever THEN positive"""
_QUESTION = re.compile(r"^(\d+)\. (.*)$", re.MULTILINE)


def write_reviews(path: Path, count: int = 60) -> Path:
    """Reviews that are positive where the acting is good and nothing is boring; a third of them held out."""
    rows = []
    for number in range(count):
        acting, boring = number % 2 == 0, number % 5 == 0
        words = ["fine acting" if acting else "wooden faces", "boring" if boring else "brisk"]
        rows.append(
            {
                "id": f"r{number}",
                "question": f"Film {number}: {' and '.join(words)}.",
                "answer": "positive" if acting and not boring else "negative",
                "answer_type": "label",
                "instruction": "Is the review positive or negative?",
                "split": "test" if number % 3 == 0 else "train",
            }
        )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def reply_to(prompt: str, seed: int) -> str:
    """Questions, answers or rules, whatever the prompt asks for."""
    if "<inputs>" in prompt:
        return QUESTIONS
    if "<input>" not in prompt:
        return RULES
    text = prompt.partition("<input>")[2].partition("</input>")[0]
    listed = prompt.partition("<questions>")[2].partition("</questions>")[0]
    return "\n".join(f"{number}. {_answer(text, asked, seed)}" for number, asked in _QUESTION.findall(listed))


def _answer(text: str, asked: str, seed: int) -> str:
    if "acting" in asked:
        yes = "fine acting" in text
    elif "boring" in asked:
        yes = "boring" in text
    else:
        yes = random.Random(zlib.crc32(f"{text}{asked}{seed}".encode())).random() < 0.5
    return "yes" if yes else "no"
