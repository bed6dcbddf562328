"""Training examples as a student meets them: what is read and what is learned, from the ids and the mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from symdistill.records import TrainingExample


@dataclass(frozen=True)
class Encoded:
    """`read` and `learned` are decoded text, `<` and `>` for the tokens around a turn."""

    question: str
    group: str
    phase: int
    weight: float
    read: str
    learned: str


def encoded_examples(examples: Sequence[TrainingExample], longest: int = 2048) -> list[Encoded]:
    """Encoded with the template of the tiny student, in their order, none left out."""
    pytest.importorskip("torch")
    from symdistill.models.chat import prompt_format
    from symdistill.students.formatting import encode_examples
    from tiny import tiny_tokenizer

    form = prompt_format(tiny_tokenizer())
    encoded = encode_examples(form, examples, longest).examples
    assert len(encoded) == len(examples)

    def text(ids: Sequence[int]) -> str:
        return str(form.tokenizer.decode(list(ids))).replace("<|im_start|>", "<").replace("<|im_end|>", ">")

    found = []
    for one in encoded:
        pairs = list(zip(one.input_ids, one.label_mask, strict=True))
        flags = [bool(flag) for _, flag in pairs]
        assert flags == sorted(flags), "all that is learned follows all that is read"
        assert sum(flags) == one.completion_length
        read, learned = (text([i for i, flag in pairs if bool(flag) is wanted]) for wanted in (False, True))
        found.append(Encoded(one.question, one.group, one.phase, one.weight, read, learned))
    return found
