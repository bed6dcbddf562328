"""Choosing the next token of every row, each from its own temperature, cuts and random number."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from symdistill.errors import ModelError
from symdistill.models.decoding.jobs import Row

_LIKELY = 1024
"""Tokens that usually hold a `top_p` share; the whole vocabulary is sorted only where they do not."""
_BLOCK = 256
"""Tokens summed together before the one that a random number falls on is looked for."""
_ROWS_AT_ONCE = 16
"""Rows of logits dealt with together, so that what is computed from them stays in the processor's cache."""


def advance(rows: Sequence[Row], logits: torch.Tensor, end_ids: frozenset[int]) -> list[bool]:
    """Draw the next token of each row from its logits `[rows, vocabulary]`; say which replies are over.

    A row that is reading takes its next token as it is given.

    Raises:
        ModelError: the logits are no numbers.
    """
    drawing = [i for i, row in enumerate(rows) if not row.reading]
    if len(drawing) < len(rows):
        for row in rows:
            if row.reading:
                row.read()
        logits = logits[torch.tensor(drawing, dtype=torch.long, device=logits.device)]
    over = [False] * len(rows)
    for start in range(0, len(drawing), _ROWS_AT_ONCE):
        places = drawing[start : start + _ROWS_AT_ONCE]
        some = [rows[place] for place in places]
        tokens, logprobs, pairs = _draw(some, logits[start : start + _ROWS_AT_ONCE].float())
        drawn = zip(places, tokens.tolist(), logprobs.tolist(), pairs, strict=True)
        for place, token, logprob, pair in drawn:
            over[place] = rows[place].add(token, logprob, end_ids, pair)
    return over


def _draw(
    rows: Sequence[Row], logits: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, Sequence[tuple[float, float] | None]]:
    """Tokens, their log-probabilities at temperature 1, and the two largest probabilities where they are wanted."""
    drawn = [i for i, row in enumerate(rows) if row.job.temperature > 0]
    if len(drawn) == len(rows):
        tokens = _sample(rows, logits)
    else:
        tokens = _largest(logits)
        if drawn:
            index = torch.tensor(drawn, device=logits.device)
            tokens.index_copy_(0, index, _sample([rows[i] for i in drawn], logits[index]))
    logprobs = logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
    if not bool(torch.isfinite(logprobs).all()):
        raise ModelError(
            "The model computes something that is no number.", "Train again with a lower learning rate, or in fp32."
        )
    return tokens, logprobs, top_two(rows, logits)


def _largest(logits: torch.Tensor) -> torch.Tensor:
    """The first largest of each row. On a CPU numpy finds it several times as fast as torch."""
    if logits.device.type != "cpu":
        return logits.argmax(-1)
    return torch.from_numpy(logits.numpy().argmax(-1))


def _sample(rows: Sequence[Row], logits: torch.Tensor) -> torch.Tensor:
    """Tokens by the inverse of the cumulative distribution at each row's own random number."""
    jobs = [row.job for row in rows]
    device = logits.device
    temperature = torch.tensor([job.temperature for job in jobs], dtype=torch.float32, device=device)
    scaled = logits / temperature[:, None]
    if any(job.top_k > 0 or job.top_p < 1 for job in jobs):
        top_k = torch.tensor([job.top_k for job in jobs], device=device)
        top_p = torch.tensor([job.top_p for job in jobs], dtype=torch.float32, device=device)
        scaled = cut_top(scaled, top_k, top_p)
    numbers = torch.tensor([row.number() for row in rows], dtype=torch.float64, device=device)
    return inverse_cumulative(scaled.softmax(-1), numbers)


def inverse_cumulative(weights: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """Where in each row of `weights` `[rows, size]`, none negative, the share `number` in [0, 1) of their sum falls.

    First among blocks, then inside one: a running sum over a whole vocabulary in double precision costs more than
    everything else a draw does. An index whose weight is 0 is never returned.
    """
    rows, size = weights.shape
    if size % _BLOCK:
        weights = torch.nn.functional.pad(weights, (0, _BLOCK - size % _BLOCK))
    blocks = weights.view(rows, -1, _BLOCK)
    cumulative = blocks.sum(-1).double().cumsum(-1)
    target = (numbers * cumulative[:, -1])[:, None]
    block = torch.searchsorted(cumulative, target, right=True).clamp_max(cumulative.shape[1] - 1)
    before = torch.where(block > 0, cumulative.gather(1, (block - 1).clamp_min(0)), 0.0)
    share = ((target - before) / (cumulative.gather(1, block) - before)).clamp(0.0, 1.0 - 1e-9)
    inside = blocks[torch.arange(rows, device=weights.device), block[:, 0]].double().cumsum(-1)
    found = torch.searchsorted(inside, share * inside[:, -1:], right=True)
    return (block * _BLOCK + found)[:, 0].clamp_max(size - 1)


def cut_top(logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Logits `[rows, vocabulary]` with all but each row's `top_k` likeliest tokens, and then all but the smallest set
    that reaches probability `top_p`, set to minus infinity. 0 and 1 cut nothing; one token always stays."""
    size = logits.shape[-1]
    limits = torch.where(top_k > 0, top_k.clamp_max(size), size)
    if bool((limits < size).any()):
        most = int(torch.where(limits < size, limits, 1).max())
        best = logits.topk(most, dim=-1).values
        floor = best.gather(-1, (limits.clamp_max(most) - 1)[:, None])
        logits = logits.masked_fill((logits < floor) & (limits < size)[:, None], float("-inf"))
    if bool((top_p < 1).any()):
        probabilities = logits.softmax(-1)
        likely, order = probabilities.topk(min(size, _LIKELY), dim=-1)
        if bool(((likely.sum(-1) < top_p) & (top_p < 1)).any()):
            likely, order = probabilities.sort(dim=-1, descending=True)
        stays = likely.cumsum(-1) - likely < top_p[:, None]
        stays[:, 0] = True
        kept = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, stays) | (top_p >= 1)[:, None]
        logits = logits.masked_fill(~kept, float("-inf"))
    return logits


def top_two(rows: Sequence[Row], logits: torch.Tensor) -> Sequence[tuple[float, float] | None]:
    """The two largest probabilities of each row, at the temperature it asks for."""
    pairs: list[tuple[float, float] | None] = [None] * len(rows)
    wanted = [i for i, row in enumerate(rows) if row.job.top_two_at > 0]
    if wanted:
        at = torch.tensor([rows[i].job.top_two_at for i in wanted], dtype=torch.float32, device=logits.device)
        scaled = logits[torch.tensor(wanted, device=logits.device)] / at[:, None]
        largest = scaled.softmax(-1).topk(2, dim=-1).values
        for i, (first, second) in zip(wanted, largest.tolist(), strict=True):
            pairs[i] = (first, second)
    return pairs
