from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from symdistill.errors import Interrupted, ModelError
from symdistill.models.decoding import Decoder, Job, cut_top
from symdistill.models.decoding.drawing import inverse_cumulative
from symdistill.models.decoding.network import Network
from symdistill.models.decoding.prefixes import shared_prefixes
from symdistill.records import GATE_TOKENS
from tiny import tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
END = 258


def prompt(text: str) -> tuple[int, ...]:
    return tuple(TOKENIZER(text)["input_ids"])


PROMPTS = [prompt("short"), prompt("a somewhat longer prompt"), prompt("x"), prompt("another of middle length")]


def decoder(model: object | None = None, batch_size: int = 16, ends: tuple[int, ...] = (END,)) -> Decoder:
    return Decoder(model if model is not None else tiny_model(), TOKENIZER, ends, batch_size)


def watched(model: torch.nn.Module, **changes: object) -> tuple[Decoder, list[tuple[int, ...]]]:
    """A decoder, and a list that grows by the shape `[rows, tokens]` of everything the model computes from now on."""
    decode, shapes = decoder(model, **changes), []
    model.register_forward_pre_hook(
        lambda _m, _a, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    return decode, shapes


def greedy_reference(model: object, ids: tuple[int, ...], steps: int) -> tuple[list[int], list[float]]:
    """Greedy decoding without cache, batch or padding."""
    tokens, logprobs = list(ids), []
    with torch.no_grad():
        for _ in range(steps):
            out = model(input_ids=torch.tensor([tokens])).logits[0, -1].log_softmax(-1)
            tokens.append(int(out.argmax()))
            logprobs.append(float(out.max()))
            if tokens[-1] == END:
                break
    return tokens[len(ids) :], logprobs


def models() -> dict[str, object]:
    sizes = {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {
            "full": tiny_model(),
            "eager": tiny_model(attn_implementation="eager"),
            "sliding": MistralForCausalLM(MistralConfig(**sizes, **heads, sliding_window=6)).eval(),
            "learned-positions": GPT2LMHeadModel(
                GPT2Config(vocab_size=260, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3)
            ).eval(),
            "recurrent": MambaForCausalLM(MambaConfig(**sizes, state_size=4)).eval(),
        }


@pytest.mark.parametrize("kind", ["full", "eager", "sliding", "learned-positions", "recurrent"])
def test_a_batch_of_unequal_prompts_decodes_as_each_alone_without_a_cache(kind: str) -> None:
    model = models()[kind]
    decoded = decoder(model).decode([Job(p, 10) for p in PROMPTS])
    for ids, got in zip(PROMPTS, decoded, strict=True):
        tokens, logprobs = greedy_reference(model, ids, 10)
        assert list(got.tokens) == tokens
        assert got.logprobs == pytest.approx(logprobs, abs=1e-4)
        assert got.ended == (tokens[-1] == END)


@pytest.mark.parametrize("kind", ["full", "recurrent"])
def test_the_model_s_own_generation_settings_change_no_reply(kind: str) -> None:
    plain, own = models()[kind], models()[kind]
    own.generation_config.update(repetition_penalty=50.0, suppress_tokens=list(range(0, 260, 2)), min_p=0.9)
    before = own.generation_config.to_dict()
    jobs = [Job(PROMPTS[0], 8), Job(PROMPTS[1], 8, 1.0, seed=3)]
    for one, other in zip(decoder(plain).decode(jobs), decoder(own).decode(jobs), strict=True):
        assert one.tokens == other.tokens
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)
    assert own.generation_config.to_dict() == before


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma", "phi3", "opt", "gpt_neox"])
def test_families_whose_rows_enter_and_leave_at_any_step(family: str) -> None:
    sizes = {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8}
    others = {"num_key_value_heads": 2, "intermediate_size": 48, "ffn_dim": 48, "word_embed_proj_dim": 32}
    fixed = {"max_position_embeddings": 64, "initializer_range": 0.3, "pad_token_id": 0}
    config = AutoConfig.for_model(family, **sizes, **others, **fixed)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval()
    assert Network.of(model, 4) is not None
    decoded = decoder(model, batch_size=3).decode([Job(p, 6) for p in PROMPTS])
    assert [list(d.tokens) for d in decoded] == [greedy_reference(model, p, 6)[0] for p in PROMPTS]


def drawn(index: int, temperature: float = 1.0, **changes: object) -> Job:
    return Job(PROMPTS[index % 4], 12, temperature=temperature, seed=1000 + index, **changes)


@pytest.mark.parametrize("cuts", [{}, {"top_k": 5}, {"top_p": 0.7}], ids=["free", "top-k", "top-p"])
def test_a_sample_does_not_depend_on_what_else_is_in_the_batch(cuts: dict[str, object]) -> None:
    crowd = decoder().decode([drawn(i, **cuts) for i in range(20)])
    assert len({d.tokens for d in crowd}) > 15
    for index in (0, 7, 13):
        [alone] = decoder().decode([drawn(index, **cuts)])
        assert alone.tokens == crowd[index].tokens
        assert alone.text == crowd[index].text
        assert alone.logprobs == pytest.approx(crowd[index].logprobs, abs=1e-4)


def test_the_batch_size_changes_nothing() -> None:
    jobs = [drawn(i, temperature=float(i % 3) / 2) for i in range(9)]
    whole, pieces = decoder(batch_size=9).decode(jobs), decoder(batch_size=2).decode(jobs)
    assert [d.tokens for d in whole] == [d.tokens for d in pieces]


def test_equal_prompts_are_computed_once() -> None:
    decode, shapes = watched(tiny_model())
    decoded = decode.decode([Job(PROMPTS[1], 2, 1.0, seed=i) for i in range(5)])
    assert shapes == [(1, len(PROMPTS[1])), (8, 1)], "rows are computed in fours"
    assert [d.cached for d in decoded] == [0, *[len(PROMPTS[1])] * 4]


def test_a_finished_row_leaves_the_batch() -> None:
    decode, shapes = watched(tiny_model(), ends=())
    decode.decode([Job(PROMPTS[0], 1), Job(PROMPTS[1], 3), Job(PROMPTS[2], 5)])
    assert [rows for rows, _ in shapes] == [3, 2, 2, 1, 1]


def test_the_first_token_is_drawn_for_each_sample_by_itself() -> None:
    decoded = decoder(ends=()).decode([Job(PROMPTS[0], 1, 1.0, seed=i) for i in range(16)])
    assert len({d.tokens for d in decoded}) > 4


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_samples_follow_the_model_s_distribution(temperature: float) -> None:
    model, count = tiny_model(), 3000
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1]
    expected = (logits / temperature).softmax(-1)
    jobs = [Job(PROMPTS[0], 1, temperature, seed=i) for i in range(count)]
    tokens = torch.tensor([d.tokens[0] for d in decoder(model, batch_size=count, ends=()).decode(jobs)])
    seen = torch.bincount(tokens, minlength=260) / count
    assert float((seen - expected).abs().max()) < 5 * (0.25 / count) ** 0.5
    assert float((seen - expected).abs().sum()) < 0.35


def test_end_tokens_end_a_reply_and_are_not_in_its_text() -> None:
    [free] = decoder(ends=()).decode([Job(PROMPTS[0], 8)])
    end = free.tokens[3]
    first = free.tokens.index(end)
    [cut] = decoder(ends=(end,)).decode([Job(PROMPTS[0], 8)])
    assert (cut.tokens, cut.ended) == (free.tokens[: first + 1], True)
    assert cut.text == TOKENIZER.decode(list(free.tokens[:first]))
    assert len(cut.logprobs) == len(cut.tokens)


def test_stop_strings_cut_the_text_and_end_the_reply() -> None:
    model = tiny_model()
    [free] = decoder(model, ends=()).decode([Job(prompt("stop"), 10, 1.0, seed=3)])
    stop = free.text[4:6]
    at = free.text.find(stop)
    [cut] = decoder(model, ends=()).decode([Job(prompt("stop"), 10, 1.0, seed=3, stop=(stop, "never there"))])
    assert cut.text == free.text[:at]
    assert cut.ended
    assert cut.tokens == free.tokens[: len(cut.tokens)]
    assert len(cut.tokens) < len(free.tokens)


def test_top_k_one_and_a_small_top_p_are_greedy() -> None:
    greedy, first, nucleus = decoder(ends=()).decode(
        [Job(PROMPTS[1], 8), Job(PROMPTS[1], 8, 2.0, top_k=1, seed=5), Job(PROMPTS[1], 8, 2.0, top_p=1e-6, seed=6)]
    )
    assert greedy.tokens == first.tokens == nucleus.tokens


@pytest.mark.parametrize("size", [6, 3000])
def test_cuts_keep_the_smallest_set_that_suffices(size: int) -> None:
    logits = torch.randn(5, size, generator=torch.Generator().manual_seed(1))
    top_k = torch.tensor([0, 3, size, 1, 4])
    top_p = torch.tensor([1.0, 1.0, 0.9, 0.5, 0.6])
    kept = torch.isfinite(cut_top(logits, top_k, top_p))
    for row in range(5):
        order = sorted(range(size), key=lambda i, r=row: -float(logits[r, i]))
        wanted = order[: int(top_k[row]) or size]
        probabilities = logits[row, wanted].double().softmax(-1).tolist()
        mass, chosen = 0.0, set()
        for token, p in zip(wanted, probabilities, strict=True):
            if mass < float(top_p[row]) or float(top_p[row]) >= 1:
                chosen.add(token)
            mass += p
        assert set(kept[row].nonzero()[:, 0].tolist()) == chosen


def test_long_prompts_are_computed_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symdistill.models.decoding.stretches.PREFILL_TOKENS", 50)
    decode, shapes = watched(tiny_model())
    jobs = [Job(prompt("p" * 20 + str(i)), 1) for i in range(6)]
    assert len(decode.decode(jobs)) == 6
    assert [s for s in shapes if s[1] > 1] == [(2, 21)] * 3


def test_a_model_that_computes_no_numbers_is_an_error() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="no number"):
        decoder(model).decode([Job(PROMPTS[0], 3)])


def test_decoding_can_be_stopped_and_leaves_the_model_s_mode_alone() -> None:
    model = tiny_model().train()
    stop = threading.Event()
    stop.set()
    with pytest.raises(Interrupted):
        decoder(model).decode([Job(PROMPTS[0], 3)], stop)
    assert model.training


QUESTIONS = [prompt("Answer the question. " * 4 + text) for text in ("Why?", "How long is it?", "Who?", "Where to?")]


@pytest.mark.parametrize("share_from", [1, 10**9], ids=["attended where it is", "copied"])
def test_a_common_beginning_is_computed_once_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, share_from: int
) -> None:
    monkeypatch.setattr("symdistill.models.decoding.stretches._SHARE_FROM", share_from)
    model = tiny_model()
    decode, shapes = watched(model, batch_size=5)
    jobs = [Job(p, 9) for p in QUESTIONS for _ in range(3)]
    decoded = decode.decode([*jobs, Job(PROMPTS[0], 9)])
    assert shapes.count((1, len("Answer the question. " * 4))) == 1
    assert sum(rows * tokens for rows, tokens in shapes if tokens > 1) < 84 + 5 * 20
    for job, got in zip([*jobs, Job(PROMPTS[0], 9)], decoded, strict=True):
        tokens, logprobs = greedy_reference(model, job.prompt, 9)
        assert list(got.tokens) == tokens
        assert got.logprobs == pytest.approx(logprobs, abs=1e-4)
    assert sorted(d.cached for d in decoded)[:2] == [0, 0]
    assert sum(d.cached == len(j.prompt) for j, d in zip(jobs, decoded, strict=False)) == 8


@pytest.mark.parametrize("share_from", [1, 10**9], ids=["attended where it is", "copied"])
def test_many_rows_of_unlike_lengths_decode_as_each_alone(monkeypatch: pytest.MonkeyPatch, share_from: int) -> None:
    monkeypatch.setattr("symdistill.models.decoding.stretches._SHARE_FROM", share_from)
    model = tiny_model()
    common = "Answer the question. " * 4
    jobs = [Job(prompt(common * (i % 3 > 0) + "z" * (1 + 61 * i % 190)), 2 + i % 5) for i in range(60)]
    decoded = decoder(model, batch_size=40).decode(jobs)
    for job, got in zip(jobs, decoded, strict=True):
        tokens, logprobs = greedy_reference(model, job.prompt, job.max_tokens)
        assert list(got.tokens) == tokens
        assert got.logprobs == pytest.approx(logprobs, abs=1e-4)


def test_waiting_rows_enter_when_others_leave() -> None:
    decode, shapes = watched(tiny_model(), ends=(), batch_size=4)
    decode.decode([Job(prompt("p"), 2 + 3 * (i % 4), 1.0, seed=i) for i in range(24)])
    steps = [rows for rows, tokens in shapes if tokens == 1][1:]
    wanted = sum(1 + 3 * (i % 4) for i in range(24))
    assert sum(steps) == wanted
    assert len(steps) <= wanted // 4 + 11


def test_threads_share_the_rows_and_get_their_own_replies() -> None:
    decode = decoder(batch_size=6)
    lists = [[drawn(10 * i + j) for j in range(7)] for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(decode.decode, lists))
    for jobs, got in zip(lists, together, strict=True):
        assert [d.tokens for d in got] == [d.tokens for d in decoder().decode(jobs)]


def test_a_stopped_caller_leaves_the_others_alone() -> None:
    decode, stop = decoder(batch_size=4, ends=()), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        long = pool.submit(decode.decode, [Job(PROMPTS[1], 1500, 1.0, seed=i) for i in range(4)], stop)
        short = pool.submit(decode.decode, [drawn(i) for i in range(6)])
        stop.set()
        with pytest.raises(Interrupted):
            long.result(timeout=60)
        assert [d.tokens for d in short.result(timeout=60)] == [
            d.tokens for d in decoder(ends=()).decode([drawn(i) for i in range(6)])
        ]


def test_an_error_reaches_every_caller_and_the_decoder_works_again() -> None:
    model = tiny_model()
    decode = decoder(model)
    weight = model.model.norm.weight
    with torch.no_grad():
        kept = weight.clone()
        weight.fill_(float("nan"))
        with pytest.raises(ModelError, match="no number"):
            decode.decode([Job(PROMPTS[0], 3)])
        weight.copy_(kept)
    [again] = decode.decode([Job(PROMPTS[0], 3)])
    assert again.tokens == decoder().decode([Job(PROMPTS[0], 3)])[0].tokens


@pytest.mark.parametrize("kind", ["full", "sliding", "recurrent"])
def test_the_two_largest_probabilities_of_each_step_at_the_temperature_asked_for(kind: str) -> None:
    model = models()[kind]
    [hot, plain] = decoder(model).decode([Job(PROMPTS[1], 6, top_two_at=0.6), Job(PROMPTS[1], 6)])
    assert (plain.top_two, plain.tokens) == (None, hot.tokens)
    assert hot.top_two is not None
    ids = list(PROMPTS[1])
    for token, pair in zip(hot.tokens, hot.top_two, strict=True):
        with torch.no_grad():
            probabilities = (model(input_ids=torch.tensor([ids])).logits[0, -1] / 0.6).softmax(-1)
        assert pair == pytest.approx(tuple(probabilities.topk(2).values.tolist()), abs=1e-4)
        ids.append(token)


def test_attention_and_mode_are_the_model_s_own_again_afterwards() -> None:
    model = tiny_model(attn_implementation="eager").train()
    decoder(model).decode([Job(PROMPTS[0], 3)])
    assert (model.config._attn_implementation, model.training) == ("eager", True)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_shared_beginnings_are_long_common_and_ascending(data: st.DataObject) -> None:
    token = st.integers(0, 1)
    stems = data.draw(st.lists(st.lists(token, max_size=12), min_size=1, max_size=3))
    made = st.tuples(st.sampled_from(stems), st.lists(token, min_size=1, max_size=6)).map(lambda p: (*p[0], *p[1]))
    prompts = data.draw(st.lists(made, min_size=1, max_size=8))
    found = shared_prefixes(prompts, least=3)
    assert found.keys() == set(prompts)
    for p, cuts in found.items():
        assert all(b - a >= 3 for a, b in itertools.pairwise((0, *cuts)))
        for cut in cuts:
            assert cut < len(p)
            assert sum(p[:cut] == other[:cut] for other in found) >= 2
    for p, q in itertools.combinations(found, 2):
        common = next((i for i, (a, b) in enumerate(zip(p, q, strict=False)) if a != b), min(len(p), len(q)) - 1)
        reached = max((c for c in found[p] if c <= common), default=0)
        assert common - reached < 3 or min(len(p), len(q)) - 1 - reached < 3


@pytest.mark.parametrize("size", [1, 5, 256, 700])
def test_the_inverse_of_the_cumulative_distribution(size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    weights = torch.rand(50, size, generator=generator) * (torch.rand(50, size, generator=generator) > 0.6)
    weights[:, size // 2] += 0.1
    numbers = torch.rand(50, generator=generator, dtype=torch.float64)
    numbers[:2] = torch.tensor([0.0, 1.0 - 2**-24], dtype=torch.float64)
    found = inverse_cumulative(weights, numbers)
    assert bool((weights.gather(1, found[:, None]) > 0).all())
    cumulative = weights.double().cumsum(-1) / weights.double().sum(-1, keepdim=True)
    after = cumulative.gather(1, found[:, None])[:, 0]
    before = after - (weights.double() / weights.double().sum(-1, keepdim=True)).gather(1, found[:, None])[:, 0]
    assert bool(((before - 1e-6 <= numbers) & (numbers <= after + 1e-6)).all())


def test_weights_that_change_between_two_calls_count() -> None:
    model = tiny_model()
    decode = decoder(model)
    before = decode.decode([Job(PROMPTS[1], 8)])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-0.7)
    after = decode.decode([Job(PROMPTS[1], 8)])
    assert after[0].tokens == decoder(model).decode([Job(PROMPTS[1], 8)])[0].tokens != before[0].tokens


def test_a_reply_that_is_not_sure_of_its_first_tokens_ends_there() -> None:
    """100·|p1 - p2| in the mean of the first 16 tokens decides; a sure reply is what it is without a gate."""
    model, ends = tiny_model(), ()
    free = [Job(prompt, 24, top_two_at=0.6) for prompt in PROMPTS]
    replies = decoder(model, ends=ends).decode(free)
    margins = [100 * sum(a - b for a, b in (r.top_two or ())[:GATE_TOKENS]) / GATE_TOKENS for r in replies]
    threshold = sorted(margins)[len(margins) // 2]  # one reply is exactly as sure: not above it
    gated = decoder(model, ends=ends).decode([replace(job, go_on_above=threshold) for job in free])
    assert {r.unsure for r in gated} == {True, False}
    for margin, before, after in zip(margins, replies, gated, strict=True):
        assert after.unsure == (margin <= threshold)
        assert after.tokens == (before.tokens[:GATE_TOKENS] if after.unsure else before.tokens)
        assert not after.ended


def test_a_short_reply_is_judged_by_the_tokens_it_has() -> None:
    model = tiny_model()
    [free] = decoder(model, ends=()).decode([Job(PROMPTS[0], 3, top_two_at=0.6)])
    margin = 100 * sum(a - b for a, b in free.top_two or ()) / 3
    for threshold, unsure in ((margin * 0.99, False), (margin * 1.01, True)):
        [reply] = decoder(model, ends=()).decode([Job(PROMPTS[0], 3, top_two_at=0.6, go_on_above=threshold)])
        assert (reply.tokens, reply.unsure) == (free.tokens, unsure)
