"""How much each token of a text tells a model: its self-information under the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from symdistill.errors import UnusableModel
from symdistill.students.loading import Student

_TOGETHER = 1024
"""Tokens of a batch: their logits are in memory at once."""
_LONGEST = 1024
"""Tokens of a stretch; a longer text is read in several, each without the one before it."""


def token_information(student: Student, texts: Sequence[str]) -> list[list[tuple[int, int, float]]]:
    """For each text its tokens: begin and end in the text, and -ln p(token | the text before it), in nats.

    The first token follows the model's begin token, or its end token where it has none. Texts of like length are read
    together; no gradient is kept.

    Raises:
        UnusableModel: the tokenizer does not say where in a text a token stands.
    """
    import torch

    if not getattr(student.tokenizer, "is_fast", False):
        raise UnusableModel(
            f"The tokenizer of {student.name} does not say where in a text its tokens stand.",
            "Use a model with a fast tokenizer (tokenizer.json), or another `compressor`.",
        )
    begin = student.tokenizer.bos_token_id
    begin = student.format.end_of_turn if begin is None else begin
    stretches: list[tuple[int, int, list[int]]] = []  # text, its first token, ids
    spans: list[list[tuple[int, int]]] = []
    for which, text in enumerate(texts):
        read = student.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids = [int(token) for token in read["input_ids"]]
        spans.append([(int(a), int(b)) for a, b in read["offset_mapping"]])
        stretches += [(which, at, ids[at : at + _LONGEST]) for at in range(0, len(ids), _LONGEST)]
    found = [[0.0] * len(own) for own in spans]
    model = student.model.eval()
    for batch in _batches(stretches):
        width = max(len(ids) for _, _, ids in batch)
        rows = torch.full((len(batch), width + 1), begin, dtype=torch.long)
        for row, (_, _, ids) in enumerate(batch):
            rows[row, 1 : len(ids) + 1] = torch.tensor(ids)
        rows = rows.to(model.device)
        with torch.inference_mode():  # right padding: under a causal mask no token sees it
            logits = model(input_ids=rows, use_cache=False).logits[:, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none")
        for values, (which, at, ids) in zip(losses.view(len(batch), width).tolist(), batch, strict=True):
            found[which][at : at + len(ids)] = values[: len(ids)]
    return [
        [(a, b, information) for (a, b), information in zip(own, values, strict=True)]
        for own, values in zip(spans, found, strict=True)
    ]


def _batches(stretches: Sequence[tuple[int, int, list[int]]]) -> Iterator[list[tuple[int, int, list[int]]]]:
    """Stretches of like length together, `_TOGETHER` tokens at a time with their padding."""
    batch: list[tuple[int, int, list[int]]] = []
    for stretch in sorted(stretches, key=lambda s: (len(s[2]), s[0], s[1])):
        if batch and (len(batch) + 1) * (len(stretch[2]) + 1) > _TOGETHER:
            yield batch
            batch = []
        batch.append(stretch)
    if batch:
        yield batch
