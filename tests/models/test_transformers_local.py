from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from symdistill import content
from symdistill.errors import CallFailed, ModelError, PrerequisiteError
from symdistill.models.transformers_local import TransformersModel
from symdistill.models.weights import model_name
from symdistill.records import Completion, Message, Request, Sampling
from tiny import CHATML, save_tiny, tiny_model, tiny_tokenizer

DRAWN = Sampling(temperature=1.0, max_tokens=10)


def request(
    model: TransformersModel, question: str = "2+2?", sampling: Sampling = DRAWN, index: int = 0, system: str = "Add."
) -> Request:
    return content.request(model.name, [Message("system", system), Message("user", question)], sampling, index)


def ask(model: TransformersModel, *requests: Request) -> list[Completion]:
    replies = asyncio.run(model.generate(requests))
    assert [r.key for r in replies if isinstance(r, Completion)] == [r.key for r in requests]
    return list(replies)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model() -> TransformersModel:
    return TransformersModel(tiny_model(), tiny_tokenizer(), name="transformers:tiny", batch_size=8)


def test_alone_and_in_a_crowd_a_request_has_the_same_reply(model: TransformersModel) -> None:
    crowd = [request(model, "?" * (1 + i % 5), index=i // 5) for i in range(20)]
    together = ask(model, *crowd)
    assert len({c.text for c in together}) > 15
    for index in (0, 8, 19):
        [alone] = ask(model, crowd[index])
        assert alone.text == together[index].text
        assert alone.token_logprobs == pytest.approx(together[index].token_logprobs, abs=1e-4)


def test_what_a_completion_says_of_itself(model: TransformersModel) -> None:
    first, second, other = ask(model, request(model), request(model, index=1), request(model, "3+3?"))
    prompt = len("<system\nAdd.>\n<user\n2+2?>\n<assistant\n")
    assert (first.prompt_tokens, first.cached_prompt_tokens) == (prompt, 0)
    assert (second.prompt_tokens, second.cached_prompt_tokens) == (prompt, prompt)
    assert (other.prompt_tokens, other.cached_prompt_tokens) == (prompt, 0)
    for c in (first, second, other):
        assert c.token_logprobs is not None
        assert len(c.token_logprobs) == c.completion_tokens <= 10
        assert all(value <= 0 for value in c.token_logprobs)
        assert (c.finish_reason == "length") == (c.completion_tokens == 10)
        assert c.seconds > 0


def test_log_probabilities_are_those_of_the_model_at_temperature_one(model: TransformersModel) -> None:
    hot = Sampling(temperature=2.0, max_tokens=6, top_k=50)
    [reply] = ask(model, request(model, sampling=hot))
    plain, tokenizer = tiny_model(), tiny_tokenizer()
    text = "<|im_start|>system\nAdd.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    ids = tokenizer(text)["input_ids"]
    expected: list[float] = []
    for value in reply.token_logprobs or ():
        with torch.no_grad():
            row = plain(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        token = int((row - value).abs().argmin())
        expected.append(float(row[token]))
        ids = [*ids, token]
    assert reply.token_logprobs == pytest.approx(expected, abs=1e-4)


def test_greedy_replies_ignore_seed_and_index(model: TransformersModel) -> None:
    greedy = [Sampling(max_tokens=8, seed=s) for s in (1, 2)]
    replies = ask(model, request(model, sampling=greedy[0]), request(model, sampling=greedy[1], index=3))
    assert replies[0].text == replies[1].text


def test_samples_of_one_prompt_differ(model: TransformersModel) -> None:
    assert len({c.text for c in ask(model, *(request(model, index=i) for i in range(10)))}) == 10


def test_a_prompt_without_room_is_rejected_and_the_others_are_answered() -> None:
    small = TransformersModel(tiny_model(max_position_embeddings=60), tiny_tokenizer(), name="t", batch_size=4)
    long, tight, fine = (request(small, "x" * n, Sampling(max_tokens=50)) for n in (100, 20, 1))
    replies = asyncio.run(small.generate([long, tight, fine]))
    assert isinstance(replies[0], CallFailed)
    assert (replies[0].kind, replies[0].transient) == ("rejected", False)
    assert "takes 60 in all" in replies[0].message
    assert isinstance(replies[1], Completion)
    assert isinstance(replies[2], Completion)
    assert replies[1].prompt_tokens + replies[1].completion_tokens <= 60


def test_a_block_the_template_opens_is_reasoning() -> None:
    opened = CHATML.replace("<|im_start|>assistant\n'", "<|im_start|>assistant\n<think>\n'")
    thinking = TransformersModel(tiny_model(), tiny_tokenizer(opened), name="t")
    [reply] = ask(thinking, request(thinking, sampling=Sampling(max_tokens=5)))
    assert (reply.text, reply.finish_reason) == ("", "length")
    assert reply.reasoning


def test_end_tokens_of_the_generation_config_end_a_reply() -> None:
    free = TransformersModel(tiny_model(), tiny_tokenizer(), name="t")
    [whole] = ask(free, request(free, sampling=Sampling(max_tokens=6)))
    inner = tiny_model()
    probe = TransformersModel(inner, tiny_tokenizer(), name="t")
    inner.generation_config.eos_token_id = [258, *range(256)]
    [cut] = ask(probe, request(probe, sampling=Sampling(max_tokens=6)))
    assert (cut.completion_tokens, cut.finish_reason, cut.text) == (1, "stop", "")
    assert whole.completion_tokens > 1


def test_weights_are_read_at_the_first_call_and_can_be_let_go(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "tiny")
    loaded = TransformersModel.load(place, dtype="float32", batch_size=3)
    assert loaded.name.startswith("transformers:tiny#")
    assert (loaded.capacity.batch, loaded.capacity.concurrency) == (3, 4)
    assert loaded.config.hidden_size == 32
    [first] = ask(loaded, request(loaded))
    asyncio.run(loaded.close())
    [second] = ask(loaded, request(loaded))
    around = TransformersModel(tiny_model(), tiny_tokenizer(), name=loaded.name)
    [third] = ask(around, request(loaded))
    assert first.text == second.text == third.text


def test_the_name_holds_what_replies_hang_on_beside_the_files(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "tiny")
    usual = TransformersModel.load(place, dtype="float32").name
    assert TransformersModel.load(place, dtype="float32", template="chat").name == usual, "what it comes to by itself"
    assert TransformersModel.load(place, dtype="float32", template="plain").name == f"{usual}+plain"
    assert TransformersModel.load(place, dtype="bfloat16").name == f"{usual}+bfloat16"
    assert TransformersModel.load(place, dtype="bfloat16", template="plain").name == f"{usual}+plain+bfloat16"
    here = TransformersModel.load(place)
    assert here.name == TransformersModel.load(place, dtype=here.engine.removeprefix("torch ")).name  # type: ignore[arg-type]
    tiny_tokenizer(None).save_pretrained(place)
    (place / "chat_template.jinja").unlink(missing_ok=True)
    names = {TransformersModel.load(place, dtype="float32", template=kind).name for kind in ("auto", "plain")}
    assert len(names) == 1, "a tokenizer without a template has one format"
    assert "+" not in names.pop()


@pytest.mark.parametrize(
    "file",
    [
        *("config.json", "chat_template.jinja", "tokenizer_config.json", "tokenizer.json", "vocab.json", "merges.txt"),
        *("tokenizer.model", "special_tokens_map.json", "added_tokens.json", "generation_config.json", "modeling_x.py"),
    ],
)
def test_the_name_goes_with_every_file_that_decides_replies(tmp_path: Path, file: str) -> None:
    place = save_tiny(tmp_path / "tiny")
    before = model_name(place, place)
    (place / "README.md").write_text("Not one of them.")
    assert model_name(place, place) == before
    with (place / file).open("a") as written:
        written.write(" ")
    assert model_name(place, place) != before


def test_bfloat16_weights_answer_too(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "tiny")
    loaded = TransformersModel.load(place, dtype="bfloat16")
    [reply] = ask(loaded, request(loaded))
    assert reply.completion_tokens > 0


def test_nothing_there_is_said_before_the_first_call(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError):
        TransformersModel.load(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"config\.json, model\.safetensors, tokenizer\.json missing"):
        TransformersModel.load(tmp_path)


def test_a_bound_of_prompt_tokens_needs_no_weights(model: TransformersModel) -> None:
    [reply] = ask(model, request(model))
    assert model.count_tokens(request(model)) >= reply.prompt_tokens


def test_a_cancelled_call_stops_decoding(model: TransformersModel) -> None:
    endless = [request(model, sampling=Sampling(temperature=1.0, max_tokens=1500), index=i) for i in range(8)]

    async def cancel() -> None:
        task = asyncio.create_task(model.generate(endless))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # the thread gives the model back: otherwise this call would wait for eight long replies
        await model.generate([request(model, sampling=Sampling(max_tokens=1))])

    asyncio.run(cancel())


def test_the_two_largest_probabilities_come_back_where_they_are_asked_for(model: TransformersModel) -> None:
    wanted = Sampling(max_tokens=6, top_two_at=0.6)
    with_pairs, without = ask(model, request(model, sampling=wanted), request(model, sampling=Sampling(max_tokens=6)))
    assert with_pairs.key != without.key
    assert (with_pairs.text, without.top_two) == (without.text, None)
    assert with_pairs.top_two is not None
    assert len(with_pairs.top_two) == with_pairs.completion_tokens
    assert all(1 >= first >= second >= 0 for first, second in with_pairs.top_two)


def test_calls_under_way_at_once_have_the_replies_they_have_alone(model: TransformersModel) -> None:
    calls = [[request(model, "?" * (1 + i % 3), index=10 * c + i) for i in range(7)] for c in range(5)]

    async def together() -> list[list[str]]:
        found = await asyncio.gather(*(model.generate(requests) for requests in calls))
        return [[c.text for c in call if isinstance(c, Completion)] for call in found]

    assert asyncio.run(together()) == [[c.text for c in ask(model, *requests)] for requests in calls]


def test_the_weights_of_a_loaded_model_are_packed_and_answer_as_before(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "tiny", tie_word_embeddings=False)
    loaded = TransformersModel.load(place, dtype="float32")
    [first], [second] = ask(loaded, request(loaded)), ask(loaded, request(loaded))
    plain = TransformersModel(tiny_model(tie_word_embeddings=False), tiny_tokenizer(), name=loaded.name)
    [third] = ask(plain, request(loaded))
    assert first.text == second.text == third.text


THEN = Sampling(temperature=1.0, max_tokens=40, then=" So:", top_two_at=0.6)
ENDING = tiny_model()
ENDING.generation_config.eos_token_id = [258, *range(0, 256, 5)]
"""Ends its replies after a few tokens."""


def test_a_reply_in_two_stretches_says_of_both_what_they_took() -> None:
    student = TransformersModel(ENDING, tiny_tokenizer(), name="t", batch_size=4)
    requests = [request(student, sampling=THEN, index=i) for i in range(8)]
    replies = ask(student, *requests)
    plain = ask(student, *(request(student, sampling=replace(THEN, then=""), index=i) for i in range(8)))
    prompt = plain[0].prompt_tokens
    for reply, alone in zip(replies, plain, strict=True):
        first = reply.first
        assert first is not None
        assert (first.key, first.prompt_tokens, first.finish_reason) == (reply.key, prompt, "stop")
        assert first.completion_tokens == len(first.token_logprobs or ()) == len(first.top_two or ())
        assert reply.completion_tokens == len(reply.token_logprobs or ()) == len(reply.top_two or ())
        read = first.completion_tokens - 1  # the end is not read again
        assert (reply.prompt_tokens, reply.cached_prompt_tokens) == (prompt + read + len(" So:"), prompt + read)
        assert (reply.seconds > 0, first.seconds, first.first) == (True, 0.0, None)
        assert alone.first is None
    assert [r.first.cached_prompt_tokens for r in replies if r.first] == [0, *[prompt] * 7]
    assert len({(r.first.text, r.text) for r in replies if r.first}) > 4
    [again] = ask(student, requests[5])
    assert again.first is not None
    assert replies[5].first is not None
    assert (again.first.text, again.text) == (replies[5].first.text, replies[5].text)


def test_a_cut_in_either_stretch_is_a_cut() -> None:
    free = TransformersModel(tiny_model(), tiny_tokenizer(), name="t")
    [reply] = ask(free, request(free, sampling=Sampling(max_tokens=8, then=" So:")))
    assert reply.first is not None
    assert (reply.first.finish_reason, reply.finish_reason) == ("length", "length")
    assert (reply.first.completion_tokens, reply.completion_tokens) == (6, 2)


def test_a_second_stretch_counts_into_the_context() -> None:
    small = TransformersModel(tiny_model(max_position_embeddings=60), tiny_tokenizer(), name="t", batch_size=4)
    [plain, fine] = ask(small, *(request(small, sampling=Sampling(max_tokens=50, then=t)) for t in ("", " So:")))
    assert fine.prompt_tokens + fine.completion_tokens <= 60
    room = 60 - plain.prompt_tokens - len(" So:")
    [least] = ask(small, request(small, "2+2?" + "?" * (room - 2), Sampling(max_tokens=50, then=" So:")))
    assert least.prompt_tokens + least.completion_tokens == 60
    tight = request(small, "2+2?" + "?" * (room - 1), Sampling(max_tokens=50, then=" So:"))
    short = request(small, sampling=Sampling(max_tokens=1, then=" So:"))
    for wanted, words in ((tight, "takes 60 in all"), (short, "takes 2 tokens at least, and 1 are allowed")):
        [refused] = asyncio.run(small.generate([wanted]))
        assert isinstance(refused, CallFailed)
        assert (refused.kind, refused.transient) == ("rejected", False)
        assert words in refused.message


def test_reasoning_belongs_to_the_first_stretch() -> None:
    opened = CHATML.replace("<|im_start|>assistant\n'", "<|im_start|>assistant\n<think>\n'")
    thinking = TransformersModel(ENDING, tiny_tokenizer(opened), name="t")
    [reply] = ask(thinking, request(thinking, sampling=THEN))
    assert reply.first is not None
    assert (reply.first.text, reply.first.finish_reason, reply.reasoning) == ("", "length", None)
    assert reply.first.reasoning is not None
