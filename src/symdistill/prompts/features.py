"""The prompts behind rules and trees: asking for yes/no questions about inputs, for answers to them, and for rules.

In each a worked exchange about bicycle repairs goes before, as in the other prompts that small teachers get. Inputs and
questions are data: a tag that would close their own, and the control tokens of chat templates, lose their bracket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from symdistill.prompts.files import sections
from symdistill.prompts.tags import Tags
from symdistill.records import Message

FEATURE_QUESTIONS = "feature-questions/2"
"""Name and version of what `feature_question_messages` asks; a change of its wording means a new number."""
FEATURE_ANSWERS = "feature-answers/1"
"""Name and version of what `feature_answer_messages` asks."""
RULE_PROPOSALS = "rule-proposals/1"
"""Name and version of what `rule_proposal_messages` asks."""

_TAGS = Tags("task", "answers", "inputs", "input", "questions")


def feature_question_messages(
    task: str, answers: Sequence[str], inputs: Sequence[tuple[str, str | None]], count: int
) -> tuple[Message, ...]:
    """Asks for `count` yes/no questions that tell the answers of a task apart, given some inputs and their answers
    (None: not known). Where none is known the worked exchange shows none either."""
    part = sections("feature_questions")
    told = any(answer for _, answer in inputs)
    example = part["shown_inputs"]
    if not told:
        example = "\n".join(line.rpartition(" → ")[0] for line in example.splitlines())
    return (
        Message("system", part["instruction" if told else "instruction_without_answers"]),
        Message(
            "user",
            _asked(
                "feature_questions",
                part["shown_count"],
                task=part["shown_task"],
                answers=part["shown_answers"],
                inputs=example,
            ),
        ),
        Message("assistant", part["shown_reply"]),
        Message(
            "user",
            _asked(
                "feature_questions",
                str(count),
                task=task,
                answers="\n".join(map(_line, answers)) or "(not known)",
                inputs="\n".join(_line(text) + (f" → {answer}" if answer else "") for text, answer in inputs),
            ),
        ),
    )


def feature_question_example() -> str:
    """The questions of the worked exchange, which a teacher may copy."""
    return sections("feature_questions")["shown_reply"]


def feature_answer_messages(text: str, questions: Sequence[str]) -> tuple[Message, ...]:
    """Asks for a yes or no to each question about an input; the questions are numbered from 1 in their order."""
    part = sections("feature_answers")
    listed = "\n".join(f"{number}. {_line(question)}" for number, question in enumerate(questions, 1))
    return (
        Message("system", part["instruction"]),
        Message("user", _asked("feature_answers", "", input=part["shown_input"], questions=part["shown_questions"])),
        Message("assistant", part["shown_reply"]),
        Message("user", _asked("feature_answers", "", input=text, questions=listed)),
    )


def rule_proposal_messages(
    task: str, answers: Sequence[str], questions: Mapping[str, str], count: int
) -> tuple[Message, ...]:
    """Asks for at most `count` rules from named yes/no questions to the answers of a task."""
    part = sections("rule_proposals")
    return (
        Message("system", part["instruction"]),
        Message(
            "user",
            _asked(
                "rule_proposals",
                part["shown_count"],
                task=part["shown_task"],
                answers=part["shown_answers"],
                questions=part["shown_questions"],
            ),
        ),
        Message("assistant", part["shown_reply"]),
        Message(
            "user",
            _asked(
                "rule_proposals",
                str(count),
                task=task,
                answers="\n".join(map(_line, answers)),
                questions="\n".join(f"{name}: {_line(question)}" for name, question in questions.items()),
            ),
        ),
    )


def _asked(name: str, count: str, **blocks: str) -> str:
    return "\n".join([*_TAGS.around(blocks), sections(name)["request"].replace("{count}", count)])


def _line(text: str) -> str:
    return " ".join(text.split())
