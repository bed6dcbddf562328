"""Writing a student so that plain transformers loads it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from symdistill.errors import TrainingError
from symdistill.models.weights import quiet
from symdistill.students.loading import Student


def save_student(student: Student, directory: Path) -> None:
    """Safetensors, config, generation config, tokenizer and chat template, under a temporary name and renamed.

    The generation config ends a reply at the student's end of turn. What `directory` held before is replaced.

    Raises:
        TrainingError: there is no room, or no permission to write.
    """
    from safetensors import SafetensorError

    scratch = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    _end_at_turn(student)
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        with quiet():
            student.model.save_pretrained(scratch)
            student.tokenizer.save_pretrained(scratch)
        if directory.exists():
            shutil.rmtree(directory)
        scratch.rename(directory)
    except (OSError, SafetensorError) as problem:
        reason = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
        raise TrainingError(
            f"The student cannot be written to {directory} ({reason}).",
            "Make room there and run the same command again.",
        ) from problem
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _end_at_turn(student: Student) -> None:
    config = student.model.generation_config
    known = config.eos_token_id
    ends = [] if known is None else list(known) if isinstance(known, (list, tuple)) else [known]
    if student.format.end_of_turn not in ends:
        config.eos_token_id = [student.format.end_of_turn, *ends]
    if config.pad_token_id is None:
        config.pad_token_id = student.format.end_of_turn
