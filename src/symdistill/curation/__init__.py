"""Curation: which of the teacher's replies the student learns, and why the others are left out.

`rationales` joins replies to questions, `curate` keeps and drops, `files` writes and reads the outcome,
`final_completion` is the text that is learned, `reasoning_alone` that without its answer, `check_steps` recomputes the
equations of a text.
"""

from symdistill.curation.completion import final_completion, reasoning_alone
from symdistill.curation.curate import Answered, Curated, CuratedQuestion, curate, curate_stream
from symdistill.curation.difficulty import Difficulty, TaskSummary
from symdistill.curation.files import read_dropped, read_rationales, write_dropped, write_rationales
from symdistill.curation.filters import REASONS, Reason
from symdistill.curation.rationales import rationales
from symdistill.curation.settings import CurationSettings
from symdistill.curation.steps import Equation, StepReport, check_steps

__all__ = [
    "REASONS",
    "Answered",
    "Curated",
    "CuratedQuestion",
    "CurationSettings",
    "Difficulty",
    "Equation",
    "Reason",
    "StepReport",
    "TaskSummary",
    "check_steps",
    "curate",
    "curate_stream",
    "final_completion",
    "rationales",
    "read_dropped",
    "read_rationales",
    "reasoning_alone",
    "write_dropped",
    "write_rationales",
]
