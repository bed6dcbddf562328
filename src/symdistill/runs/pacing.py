"""A curriculum by loss: what the untrained student makes of the examples, and the order that follows from it."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from symdistill.content import content_key
from symdistill.methods import Method
from symdistill.records import TrainingExample
from symdistill.runs.remembering import remembered
from symdistill.runs.workspace import Workspace

if TYPE_CHECKING:
    from symdistill.students.loading import Student

_AT_A_TIME = 128


def paced(work: Workspace, method: Method, examples: list[TrainingExample]) -> list[TrainingExample]:
    """The examples in the steps of the curriculum that `training.curriculum` asks for; as they are where it asks for
    none. Losses are computed once and written down (difficulty.jsonl)."""
    from symdistill.training.pacing import easy_first

    settings = work.config.training_for(method)
    if settings.curriculum == "none":
        return examples
    return easy_first(examples, untrained_losses(work, examples), settings.curriculum_steps)


def untrained_losses(work: Workspace, examples: Sequence[TrainingExample]) -> list[float]:
    """The mean loss of each completion under the run's untrained student, in nats a token; infinite where the student
    cannot read so much."""
    from symdistill.models.weights import answering_marks, directory_fingerprint
    from symdistill.students.loading import locate_student

    settings = work.config.student
    place = locate_student(settings)
    by = directory_fingerprint(place) + answering_marks(
        place, settings.template, settings.dtype, settings.trust_remote_code
    )
    keys = [_key(by, example) for example in examples]
    texts = dict(zip(keys, examples, strict=True))

    def compute(missing: list[str]) -> Iterable[float | None]:
        from symdistill.students.likelihood import completion_losses
        from symdistill.students.loading import load_student

        student = load_student(settings, for_training=False)
        limit = getattr(student.model.config.get_text_config(), "max_position_embeddings", None) or math.inf
        for begin in range(0, len(missing), _AT_A_TIME):
            part = [texts[key] for key in missing[begin : begin + _AT_A_TIME]]
            fits = [_tokens(student, example) <= limit for example in part]
            read = [example for example, fitting in zip(part, fits, strict=True) if fitting]
            found = iter(completion_losses(student, read) if read else ())
            yield from (round(next(found), 6) if fitting else None for fitting in fits)
        del student
        gc.collect()

    losses = remembered(work, "difficulty", {key: key for key in texts}, compute, "examples read")
    return [math.inf if losses[key] is None else losses[key] for key in keys]


def _tokens(student: Student, example: TrainingExample) -> int:
    """Tokens of prompt and completion, the end of turn included."""
    said = [student.format.encode_completion(piece) for piece in (*example.given, example.completion)]
    return len(student.format.encode_prompt(example.prompt)) + sum(map(len, said)) + 1


def _key(by: str, example: TrainingExample) -> str:
    prompt = [[message.role, message.content] for message in example.prompt]
    return content_key("l1", {"by": by, "prompt": prompt, "given": example.given, "completion": example.completion})
