"""Replies in two stretches: after the first end a text is read, and decoding goes on without a second prompt."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM, MistralConfig, MistralForCausalLM

from symdistill.models.decoding import Decoded, Decoder, Job
from tiny import tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
ENDS = tuple(range(3, 260, 9))
"""So many tokens end a stretch that most stretches end at different steps."""


def ids(text: str) -> tuple[int, ...]:
    return tuple(TOKENIZER(text)["input_ids"])


PROMPTS = [ids("short"), ids("a somewhat longer prompt"), ids("x"), ids("another of middle length"), ids("why?")]
CUE = ids("\nso:")


def decoder(model: Any = None, batch_size: int = 16, ends: tuple[int, ...] = ENDS) -> Decoder:
    return Decoder(model if model is not None else tiny_model(), TOKENIZER, ends, batch_size)


def greedy(model: Any, before: list[int], room: int, ends: tuple[int, ...]) -> tuple[list[int], list[float]]:
    """Up to an end or `room` tokens, without cache, batch or padding."""
    tokens, logprobs = list(before), []
    with torch.no_grad():
        for _ in range(room):
            out = model(input_ids=torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
            tokens.append(int(out.argmax()))
            logprobs.append(float(out.max()))
            if tokens[-1] in ends:
                break
    return tokens[len(before) :], logprobs


def two_stretches(
    model: Any, prompt: tuple[int, ...], most: int, kept: int, ends: tuple[int, ...] = ENDS
) -> tuple[tuple[list[int], list[float]], tuple[list[int], list[float]]]:
    """Both stretches, where `kept` tokens are left to the second at least."""
    first = greedy(model, list(prompt), most - kept, ends)
    read = first[0][:-1] if first[0][-1] in ends else first[0]
    return first, greedy(model, [*prompt, *read, *CUE], most - len(first[0]), ends)


def models() -> dict[str, Any]:
    sizes = {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "full": tiny_model(),
            "sliding": MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=6)).eval(),
            "learned-positions": GPT2LMHeadModel(
                GPT2Config(vocab_size=260, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3)
            ).eval(),
            "recurrent": MambaForCausalLM(MambaConfig(**sizes, state_size=4)).eval(),
        }


@pytest.mark.parametrize("kind", ["full", "sliding", "learned-positions", "recurrent"])
def test_a_batch_decodes_as_each_alone_without_a_cache(kind: str) -> None:
    model = models()[kind]
    decoded = decoder(model).decode([Job(p, 12, then=CUE) for p in PROMPTS])
    for prompt, got in zip(PROMPTS, decoded, strict=True):
        first, second = two_stretches(model, prompt, 12, 3)
        assert got.first is not None
        assert (list(got.first.tokens), list(got.tokens)) == (first[0], second[0])
        assert got.first.logprobs == pytest.approx(first[1], abs=1e-4)
        assert got.logprobs == pytest.approx(second[1], abs=1e-4)
        assert (got.first.ended, got.ended) == (first[0][-1] in ENDS, second[0][-1] in ENDS)
        read = len(first[0]) - got.first.ended
        assert got.read == read + len(CUE)
        assert got.cached == (0 if kind == "recurrent" else len(prompt) + read)
    assert {d.first.ended for d in decoded if d.first} == {True, False} or kind != "full", "some are cut, some end"


def drawn(index: int, **changes: Any) -> Job:
    return Job(PROMPTS[index % 5], 16, temperature=1.0, seed=1000 + index, then=CUE, **changes)


@pytest.mark.parametrize("cuts", [{}, {"top_k": 5}, {"top_p": 0.7}], ids=["free", "top-k", "top-p"])
def test_a_sample_does_not_depend_on_what_else_is_in_the_batch(cuts: dict[str, Any]) -> None:
    others = [replace(drawn(100 + i), then=(), temperature=float(i % 2)) for i in range(6)]
    crowd = decoder(batch_size=7).decode([*(drawn(i, **cuts) for i in range(20)), *others])
    assert len({(d.first.tokens, d.tokens) for d in crowd if d.first}) > 15
    assert all(d.first is None for d in crowd[20:])
    for index in (0, 7, 13, 19):
        [alone] = decoder().decode([drawn(index, **cuts)])
        assert without_time(alone) == without_time(crowd[index])


def without_time(decoded: Decoded) -> tuple[Any, ...]:
    first = decoded.first
    assert first is not None
    return (first.tokens, first.text, first.ended, decoded.tokens, decoded.text, decoded.ended, decoded.read)


def test_the_first_stretch_is_what_the_reply_would_be_without_a_second() -> None:
    jobs = [drawn(i, top_two_at=0.6) for i in range(12)]
    two = decoder().decode(jobs)
    one = decoder().decode([replace(job, then=()) for job in jobs])
    ended = [(a.first, b) for a, b in zip(two, one, strict=True) if a.first is not None and a.first.ended]
    assert len(ended) > 6
    for first, reply in ended:
        assert (first.tokens, first.text, first.ended) == (reply.tokens, reply.text, reply.ended)
        assert first.logprobs == pytest.approx(reply.logprobs, abs=1e-4)
        assert first.top_two is not None
        assert reply.top_two is not None
        assert len(first.top_two) == len(reply.top_two)


def test_the_prompt_is_read_once_and_the_text_takes_the_place_of_the_end() -> None:
    model = tiny_model()
    decode, seen = decoder(model), []
    model.register_forward_pre_hook(lambda _m, _a, given: seen.append(given["input_ids"].tolist()), with_kwargs=True)
    for prompt in PROMPTS:
        seen.clear()
        [got] = decode.decode([Job(prompt, 40, then=CUE)])
        if got.first is not None and got.first.ended and len(got.first.tokens) > 2:
            break
    assert got.first is not None
    assert got.first.ended
    fed = [row[0][0] for row in seen[1:]]
    assert [len(call[0]) for call in seen] == [len(prompt), *[1] * len(fed)]
    assert fed == [*got.first.tokens[:-1], *CUE, *got.tokens[:-1]]


@pytest.mark.parametrize("most, kept", [(2, 1), (5, 1), (20, 5), (300, 32)])
def test_a_first_stretch_that_does_not_end_is_cut_and_leaves_room_for_the_second(most: int, kept: int) -> None:
    model = tiny_model()
    [got] = decoder(model, ends=()).decode([Job(PROMPTS[0], most, then=CUE)])
    assert got.first is not None
    assert (len(got.first.tokens), len(got.tokens)) == (most - kept, kept)
    assert not got.first.ended
    assert not got.ended
    if most < 100:
        first, second = two_stretches(model, PROMPTS[0], most, kept, ())
        assert (list(got.first.tokens), list(got.tokens)) == (first[0], second[0])
    assert got.read == most - kept + len(CUE), "all of a cut stretch is read"


def test_what_the_first_stretch_leaves_is_the_second_s() -> None:
    [free] = decoder(ends=()).decode([Job(PROMPTS[1], 40)])
    end = next(token for token in free.tokens if free.tokens.index(token) >= 2)
    at = free.tokens.index(end)
    [got] = decoder(ends=(end,)).decode([Job(PROMPTS[1], 40, then=CUE)])
    assert got.first is not None
    assert len(got.first.tokens) == at + 1
    assert len(got.tokens) == 40 - (at + 1) or got.ended


def test_a_reply_that_ends_at_once_goes_on_all_the_same() -> None:
    model = tiny_model()
    [free] = decoder(model, ends=()).decode([Job(PROMPTS[2], 1)])
    [got] = decoder(model, ends=free.tokens).decode([Job(PROMPTS[2], 8, then=CUE)])
    assert got.first is not None
    assert (got.first.tokens, got.first.text, got.first.ended) == (free.tokens, "", True)
    assert (got.read, got.cached) == (len(CUE), len(PROMPTS[2]))
    assert list(got.tokens) == greedy(model, [*PROMPTS[2], *CUE], 7, free.tokens)[0]


def test_two_stretches_take_two_tokens() -> None:
    with pytest.raises(ValueError, match="two tokens"):
        Job(PROMPTS[0], 1, then=CUE)


def test_an_unsure_reply_ends_in_its_first_stretch_and_a_sure_one_goes_on_as_if_it_had_not_been_judged() -> None:
    jobs = [Job(p, 80, top_two_at=0.6, then=CUE) for p in PROMPTS]
    free = decoder().decode(jobs)
    margins = []
    for reply in free:
        assert reply.first is not None
        assert reply.first.top_two is not None
        pairs = reply.first.top_two[:16]
        margins.append(100 * sum(a - b for a, b in pairs) / len(pairs))
    threshold = sorted(margins)[2]
    gated = decoder().decode([replace(job, go_on_above=threshold) for job in jobs])
    assert {reply.unsure for reply in gated} == {True, False}
    for margin, before, after in zip(margins, free, gated, strict=True):
        assert before.first is not None
        assert after.unsure == (margin <= threshold)
        if after.unsure:
            assert after.first is None
            assert after.tokens == before.first.tokens[:16]
            assert after.read == 0
        else:
            assert without_time(after) == without_time(before)


def test_a_stop_string_ends_the_first_stretch_too_and_only_once() -> None:
    model = tiny_model()
    [free] = decoder(model, ends=()).decode([Job(PROMPTS[3], 12)])
    stop = free.text[4:6]
    at = free.text.find(stop)
    assert at > 0
    [got] = decoder(model, ends=()).decode([Job(PROMPTS[3], 16, stop=(stop,), then=CUE)])
    assert got.first is not None
    assert (got.first.text, got.first.ended) == (free.text[:at], True)
    assert stop not in got.text


def test_the_batch_size_changes_nothing() -> None:
    jobs = [replace(drawn(i), temperature=float(i % 3) / 2) for i in range(11)]
    whole, pieces = decoder(batch_size=11).decode(jobs), decoder(batch_size=2).decode(jobs)
    assert [without_time(d) for d in whole] == [without_time(d) for d in pieces]
