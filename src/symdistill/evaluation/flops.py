"""What an answer costs in floating-point operations, counted in two ways.

*Paper*: SKIntern (2409.13183) and its code count the prompt's tokens only, and one operation for every weight of a
linear layer (multiply-accumulates). Kept under its own name so that its ratios can be compared.

*Total*: every token the model computed, prompt and generated, at two operations for every weight that is not an
input embedding, output head included, plus attention. Prompt tokens whose keys and values were reused cost nothing
again, but later tokens still attend to them.

A reranker that chooses a question's passages counts its own operations; they are added to the total (`scoring`), not to
the paper's figure. Searching by words multiplies next to nothing and is left out.

A remote model's shape is unknown; its operations are None, not a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from symdistill.records import Completion


class Shape(Protocol):
    """What is counted of a decoder; `students.shape.ModelShape` is one."""

    @property
    def non_embedding_parameters(self) -> int: ...

    @property
    def head_parameters(self) -> int: ...

    @property
    def linear_parameters(self) -> int: ...

    @property
    def layers(self) -> int: ...

    @property
    def attention_width(self) -> int: ...


def prompt_flops_paper(shape: Shape, prompt_tokens: int) -> float:
    """The paper's figure for one prompt: weights of its linear layers times its tokens."""
    return float(shape.linear_parameters) * prompt_tokens


def total_flops(shape: Shape, prompt_tokens: int, generated_tokens: int, cached_prompt_tokens: int = 0) -> float:
    """Operations for one reply: `cached_prompt_tokens`, the first of `prompt_tokens`, were computed before.

    A token at position c attends to c positions in every layer: 2·c·width for the scores and as much for the sum, where
    width is that of all heads together (often the hidden size, but not always).
    """
    computed = prompt_tokens - cached_prompt_tokens + generated_tokens
    last = prompt_tokens + generated_tokens
    positions = _triangle(last) - _triangle(cached_prompt_tokens)
    weights = shape.non_embedding_parameters + shape.head_parameters
    return 2.0 * weights * computed + 4.0 * shape.layers * shape.attention_width * positions


def question_flops(
    shape: Shape, completions: Iterable[Completion], before: Sequence[Completion] = ()
) -> tuple[float, float]:
    """(paper's prompt figure, total) for one question and all its samples.

    The paper's figure is of the prompt, however many samples were drawn from it: the longest, where they differ. A
    reply in two stretches has two, the second of which holds the first. The total sums over the samples. Passes
    `before` them, with prompts of their own, count in both.
    """
    replies = list(completions)
    read = max((_read(c) for c in replies), default=0) + sum(_read(c) for c in before)
    total = sum(
        total_flops(shape, c.prompt_tokens, c.completion_tokens, c.cached_prompt_tokens)
        for c in passes([*before, *replies])
    )
    return prompt_flops_paper(shape, read), total


def passes(completions: Iterable[Completion]) -> Iterator[Completion]:
    """Every pass the model made: both stretches of a reply that has two."""
    for completion in completions:
        if completion.first is not None:
            yield from passes([completion.first])
        yield completion


def _read(completion: Completion) -> int:
    return sum(c.prompt_tokens for c in passes([completion]))


def _triangle(n: int) -> int:
    return n * (n + 1) // 2
