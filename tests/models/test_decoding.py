from __future__ import annotations

import threading

import pytest

pytest.importorskip("torch")

import torch
from transformers import GPT2Config, GPT2LMHeadModel, MambaConfig, MambaForCausalLM, MistralConfig, MistralForCausalLM

from symdistill.errors import Interrupted, ModelError
from symdistill.models.decoding import Decoder, Job, cut_top
from tiny import tiny_model, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
END = 258


def prompt(text: str) -> tuple[int, ...]:
    return tuple(TOKENIZER(text)["input_ids"])


PROMPTS = [prompt("short"), prompt("a somewhat longer prompt"), prompt("x"), prompt("another of middle length")]


def decoder(model: object | None = None, batch_size: int = 16, ends: tuple[int, ...] = (END,)) -> Decoder:
    return Decoder(model if model is not None else tiny_model(), TOKENIZER, ends, batch_size)


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
    model = tiny_model()
    rows: list[tuple[int, int]] = []
    model.register_forward_pre_hook(
        lambda _m, _a, given: rows.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    decoded = decoder(model).decode([Job(PROMPTS[1], 2, 1.0, seed=i) for i in range(5)])
    assert rows == [(1, len(PROMPTS[1])), (5, 1)]
    assert [d.shared for d in decoded] == [False, True, True, True, True]


def test_a_finished_row_leaves_the_batch() -> None:
    model = tiny_model()
    rows: list[int] = []
    model.register_forward_pre_hook(lambda _m, _a, given: rows.append(len(given["input_ids"])), with_kwargs=True)
    decoder(model, ends=()).decode([Job(PROMPTS[0], 1), Job(PROMPTS[1], 3), Job(PROMPTS[2], 5)])
    assert rows == [3, 2, 2, 1, 1]


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
    monkeypatch.setattr("symdistill.models.decoding.PREFILL_TOKENS", 50)
    model = tiny_model()
    shapes: list[tuple[int, ...]] = []
    model.register_forward_pre_hook(
        lambda _m, _a, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    jobs = [Job(prompt("p" * 20 + str(i)), 1) for i in range(6)]
    assert len(decoder(model).decode(jobs)) == 6
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
