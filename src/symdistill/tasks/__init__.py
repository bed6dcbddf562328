"""Questions: where they come from, what their answers are, and whether a reply has the right one. Knows no model."""

from symdistill.tasks.answers import answers_equal, canonical_answer, check_answer, parse_answer
from symdistill.tasks.cues import split_reply
from symdistill.tasks.decontamination import Overlap, decontaminate
from symdistill.tasks.loading import Task, load_task

__all__ = [
    "Overlap",
    "Task",
    "answers_equal",
    "canonical_answer",
    "check_answer",
    "decontaminate",
    "load_task",
    "parse_answer",
    "split_reply",
]
