"""Whether an item gives away, or copies, the question it came from.

An item is to be general. One that states the answer of its own question would teach a student to repeat it, and make
the question worthless for measuring. What counts as stating depends on the answer: "12" after "the answer is" gives it
away, "12 months" does not; yes, no and option letters stand in every second sentence.
"""

from __future__ import annotations

import re
from functools import lru_cache

from symdistill.curation.number_words import with_digits
from symdistill.curation.words import ngrams, words
from symdistill.knowledge.polarity import sentences
from symdistill.records import Example
from symdistill.tasks.answers import answers_equal, check_answer
from symdistill.tasks.choices import lone_choice
from symdistill.tasks.cues import last_cue

COPIED_WORDS = 8
"""A run of so many words shared with the question is copied (as `tasks.decontamination` has it)."""
_SHORT_QUESTION = 5
_CONDITIONAL = re.compile(r"\b(?:if|when|whenever|unless|otherwise|else)\b", re.IGNORECASE)
"""A sentence that says what to answer when is a rule, whatever it says."""
_VERB = r"\s+(?:now\s+|then\s+|therefore\s+)?(?:is|was|are|were|equals|(?:will|would|should|must|has to)\s+be)\b"
_RESULT = re.compile(
    r"\b(?:result|output|outcome|conclusion|solution|count|sum|difference|product|quotient|remainder|amount|"
    rf"total(?:\s+(?:number|amount|count|cost|price|sum))?(?:\s+of\s[^.!?:=\n]{{1,60}}?)?)(?={_VERB})",
    re.IGNORECASE,
)
"""What announces an answer as "answer" does, before a verb."""
_ANNOUNCES = re.compile(r"answer|option|choice|boxed|####", re.IGNORECASE)
_NAMED_OPTION = r"(?:(?i:option|choice|answer)\s+\(?{letter}\)?(?![\w'’])|(?<!\w)\({letter}\))"
_NUMBER = re.compile(r"(?<![\w.,])[-−]?\$?\d[\d,]*(?:\.\d+)?(?:/\d+)?(?![\w])")
_GIVES = re.compile(
    r"\b(?:gives?|giving|gave|gets?|getting|got|leaves?|leaving|left with|yields?|yielding|totals|(?:makes?|making|"
    r"comes?|amounts?|adds? up|sums? up)\s+(?:a total of|to|out to)|results? in|end(?:s|ed)? up with)\s+"
    r"(?:(?:you|us|him|her|them|it|a total of|exactly|only|just|about)\s+){0,2}"
    r"\$?([-−]?\d[\d,]*(?:\.\d+)?(?:/\d+)?)(?![\w.,]*\d)(?!\s*(?:%|percent\b|[-+*/×÷^]))",
    re.IGNORECASE,
)
"""A number as what comes of something: "5 + 4 gives 9", "you get 9"."""
_EQUALS = re.compile(r"=\s*\$?([-−]?\d[\d,]*(?:\.\d+)?(?:/\d+)?)")
_FAMILIAR_NUMBERS = "12 24 28 30 31 52 60 90 100 180 360 365 366 1000 1024 1/2 0.5 3.14"
_FAMILIAR = frozenset(_FAMILIAR_NUMBERS.split())
_SMALL = 10
"""Whole numbers up to here, and familiar ones, stand in rules of every kind."""
_LABELLED = re.compile(r"\b(?:steps?|cases?|options?|examples?|lines?|rules?|points?)\s+$", re.IGNORECASE)
_LEAST_LETTERS = 3


def leaks_answer(text: str, example: Example) -> bool:
    """Does the text state the gold answer of the example?

    It does where a sentence announces it ("the answer is …", "= …" for a number). Beyond that a number leaks by
    standing there, unless it is small, familiar (60, 365) or in the question; a text answer by standing there in
    whole words, unless it is in the question; an option by its words, unless another option stands there too. Labels
    leak only when announced: a rule for telling true from false has to name them. Without a gold answer nothing leaks.
    """
    if example.answer is None or not example.answer.strip():
        return False
    lines = list(sentences(text))
    if any(_announced(line, example, example.answer) for line in lines):
        return True
    if example.answer_type == "number":
        return _states_number(lines, example.answer, example.question)
    if example.answer_type == "choice":
        return _states_option(lines, example, example.answer)
    return example.answer_type == "text" and _states_text(text, example.answer, example.question)


def copies_question(text: str, question: str) -> bool:
    """Does the text hold eight words in a row of the question, or the whole of a shorter one of five words or more?"""
    asked = _question_words(question)
    if len(asked) < _SHORT_QUESTION:
        return False
    size = min(len(asked), COPIED_WORDS)
    said = words(text)
    return len(said) >= size and not _question_grams(question).isdisjoint(ngrams(said, size))


@lru_cache(maxsize=4096)
def _question_words(question: str) -> tuple[str, ...]:
    return tuple(words(question))


@lru_cache(maxsize=4096)
def _question_grams(question: str) -> frozenset[tuple[str, ...]]:
    asked = _question_words(question)
    return frozenset(ngrams(asked, min(len(asked), COPIED_WORDS)))


def _announced(line: str, example: Example, gold: str) -> bool:
    if example.answer_type == "number":
        line = with_digits(line)
        if any(answers_equal(found, gold, "number") for found in _EQUALS.findall(line)):
            return True
        if not _CONDITIONAL.search(line) and any(answers_equal(f, gold, "number") for f in _GIVES.findall(line)):
            return True
    elif example.answer_type == "choice":
        letter = lone_choice(gold, example.choices)
        if letter and re.search(_NAMED_OPTION.format(letter=re.escape(letter)), line):
            others = [o for o in (example.choices or {}) if o != letter]
            return not any(re.search(_NAMED_OPTION.format(letter=re.escape(o)), line) for o in others)
    line = _RESULT.sub("answer", line)
    if not _ANNOUNCES.search(line) or _CONDITIONAL.search(line):
        return False
    return last_cue(line) is not None and check_answer(line, gold, example.answer_type, example.choices)


def _states_number(lines: list[str], gold: str, question: str) -> bool:
    value = gold.replace(",", "").lstrip("$")
    if value in _FAMILIAR or (value.lstrip("-").isdecimal() and int(value.lstrip("-")[:9]) <= _SMALL):
        return False
    if any(answers_equal(found, gold, "number") for found in _NUMBER.findall(with_digits(question))):
        return False
    return any(
        answers_equal(found.group(), gold, "number") and not _LABELLED.search(line[: found.start()])
        for line in map(with_digits, lines)
        for found in _NUMBER.finditer(line)
    )


def _states_option(lines: list[str], example: Example, gold: str) -> bool:
    choices = example.choices or {}
    letter = lone_choice(gold, choices)
    if letter is None or letter not in choices:
        return False
    if _NUMBER.fullmatch(choices[letter].strip()):
        return _states_number(lines, choices[letter].strip(), example.question)
    text = "\n".join(lines)
    named = [key for key, option in choices.items() if _holds(text, option)]
    return named == [letter] and not _holds(example.question, choices[letter])


def _states_text(text: str, gold: str, question: str) -> bool:
    return _holds(text, gold) and not _holds(question, gold)


def _holds(text: str, phrase: str) -> bool:
    """Does the phrase stand in the text in whole words? One of fewer than three characters never does."""
    phrase = " ".join(phrase.casefold().split()).strip(" .\"'")
    if len(phrase.replace(" ", "")) < _LEAST_LETTERS:
        return False
    before, after = r"(?<!\w)" if phrase[0].isalnum() else "", r"(?!\w)" if phrase[-1].isalnum() else ""
    return re.search(before + r"\s+".join(map(re.escape, phrase.split())) + after, text.casefold()) is not None
