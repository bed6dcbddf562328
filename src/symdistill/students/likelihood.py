"""How probable a student holds given completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symdistill.errors import TrainingError
from symdistill.records import TrainingExample
from symdistill.students.formatting import encode_examples
from symdistill.students.loading import Student

_TOGETHER = 2048
"""Tokens of a batch with their padding: their logits are in memory at once."""


def completion_losses(student: Student, examples: Sequence[TrainingExample]) -> list[float]:
    """For each example -ln p(token) of its completion given its prompt, in nats, in the mean over the tokens.

    The end of turn is one of them, as in training. No gradient is kept.

    Raises:
        TrainingError: there is no example, a completion is empty, or one is longer than the student can read.
    """
    limit = getattr(student.model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    encoded = encode_examples(student.format, examples, int(limit)).examples
    if len(encoded) != len(examples):
        raise TrainingError(
            f"{len(examples) - len(encoded):,} completions are longer than the {limit:,} tokens the student reads.",
            "Take the longest out.",
        )
    return token_losses(student, [(one.input_ids, one.prompt_length) for one in encoded])


def token_losses(student: Student, rows: Sequence[tuple[Sequence[int], int]]) -> list[float]:
    """For each row of ids -ln p of its ids from a place on, given those before, in the mean. The place is 1 or more,
    and less than the row's length."""
    import torch

    found = [0.0] * len(rows)
    model = student.model.eval()
    for batch in like_lengths([len(ids) for ids, _ in rows], _TOGETHER):
        width = max(len(rows[place][0]) for place in batch)
        read = torch.full((len(batch), width), student.format.end_of_turn, dtype=torch.long)
        for row, place in enumerate(batch):
            read[row, : len(rows[place][0])] = torch.tensor(rows[place][0])
        read = read.to(model.device)
        with torch.inference_mode():  # right padding: under a causal mask no token sees it
            logits = model(input_ids=read, use_cache=False).logits
            for row, place in enumerate(batch):
                first, last = rows[place][1], len(rows[place][0])
                said = logits[row, first - 1 : last - 1].float()
                found[place] = float(torch.nn.functional.cross_entropy(said, read[row, first:last]))
    return found


def like_lengths(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Places of rows of like length together, `most` tokens at a time with their padding, or one longer row."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: (lengths[place], place)):
        if batch and (len(batch) + 1) * lengths[place] > most:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
