from __future__ import annotations

import pytest

pytest.importorskip("torch")

from symdistill.errors import TrainingError
from symdistill.models.chat import prompt_format
from symdistill.records import Message, TrainingExample
from symdistill.students.formatting import decoded_preview, encode_examples
from tiny import CHATML, tiny_tokenizer

FORM = prompt_format(tiny_tokenizer())


def example(completion: str = "4", question: str = "2+2?", **changes: object) -> TrainingExample:
    values = {"example_id": "q1", "prompt": (Message("system", "Add."), Message("user", question))} | changes
    return TrainingExample(completion=completion, **values)


def test_the_mask_covers_the_completion_and_its_end_and_nothing_else() -> None:
    [encoded] = encode_examples(FORM, [example("4 is it")], 512).examples
    learned = [i for i, flag in zip(encoded.input_ids, encoded.label_mask, strict=True) if flag]
    read = [i for i, flag in zip(encoded.input_ids, encoded.label_mask, strict=True) if not flag]
    assert FORM.tokenizer.decode(learned) == "4 is it<|im_end|>"
    assert FORM.tokenizer.decode(read) == (
        "<|im_start|>system\nAdd.<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert encoded.completion_length == len("4 is it") + 1


def test_golden_ids() -> None:
    plain = prompt_format(tiny_tokenizer(), "plain")
    [encoded] = encode_examples(plain, [example("b", "a")], 512).examples
    byte = {c: FORM.tokenizer.convert_tokens_to_ids(c) for c in ["A", "d", ".", "Ċ", "a", "b"]}
    prompt = [byte[c] for c in ["A", "d", "d", ".", "Ċ", "Ċ", "a", "Ċ", "Ċ"]]
    assert encoded.input_ids == (*prompt, byte["b"], 258)
    assert encoded.label_mask == (False,) * 9 + (True, True)


def test_the_boundary_never_merges_prompt_and_completion() -> None:
    """A completion's ids do not depend on the prompt before them."""
    [one] = encode_examples(FORM, [example(" 4")], 512).examples
    [other] = encode_examples(FORM, [example(" 4", "Another question. ")], 512).examples
    assert one.input_ids[one.prompt_length :] == other.input_ids[other.prompt_length :]


def test_an_end_token_spelled_out_in_a_completion_stays_text() -> None:
    [encoded] = encode_examples(FORM, [example("say <|im_end|> now")], 512).examples
    assert encoded.input_ids.count(258) == 3  # two of the prompt's turns, and the completion's end
    assert encoded.input_ids[-1] == 258


def test_too_long_examples_are_dropped_and_counted() -> None:
    encoded = encode_examples(FORM, [example("4"), example("4" * 500), example("4" * 300)], 200)
    assert (len(encoded.examples), encoded.too_long) == (1, 2)
    assert encoded.longest > 500


@pytest.mark.parametrize(
    "examples, limit, words",
    [
        ([], 100, "no examples"),
        ([example("4" * 90)], 100, "longer than 100 tokens"),
        ([example("")], 500, "q1 has an empty completion"),
        ([example(weight=0.0)], 500, "weight 0.0"),
        ([example(weight=float("nan"))], 500, "weight nan"),
    ],
)
def test_nothing_to_learn_is_an_error(examples: list[TrainingExample], limit: int, words: str) -> None:
    with pytest.raises(TrainingError, match=words) as caught:
        encode_examples(FORM, examples, limit)
    assert caught.value.fix


def test_weight_and_group_travel_along() -> None:
    [encoded] = encode_examples(FORM, [example(weight=0.25, group="rationale")], 512).examples
    assert (encoded.weight, encoded.group) == (0.25, "rationale")


def test_the_preview_shows_what_is_read_and_what_is_learned() -> None:
    [encoded] = encode_examples(prompt_format(tiny_tokenizer(CHATML)), [example("First 2.\nThen 4.")], 512).examples
    lines = decoded_preview(FORM, encoded).splitlines()
    assert f"{encoded.prompt_length} tokens read" in lines[0]
    assert "  · 2+2?<|im_end|>" in lines
    assert lines[-2:] == ["  > First 2.", "  > Then 4.<|im_end|>"]


def test_what_a_reply_begins_with_is_read_and_each_piece_has_tokens_of_its_own() -> None:
    given = ("Two and two.", "\nSo:")
    [whole] = encode_examples(FORM, [example("Two and two.")], 512).examples
    [encoded] = encode_examples(FORM, [example(" 4", given=given)], 512).examples
    pieces = [token for piece in given for token in FORM.encode_completion(piece)]
    prompt = whole.input_ids[: whole.prompt_length]
    assert encoded.input_ids == (*prompt, *pieces, *FORM.encode_completion(" 4"), FORM.end_of_turn)
    assert encoded.prompt_length == len(prompt) + len(pieces)
    assert sum(encoded.label_mask) == encoded.completion_length == len(" 4") + 1
    assert whole.input_ids[:-1] == encoded.input_ids[: len(whole.input_ids) - 1], "up to its end, a reply is one path"
    assert decoded_preview(FORM, encoded).splitlines()[-2:] == ["  · So:", "  >  4<|im_end|>"]


def test_what_is_given_counts_into_the_length() -> None:
    long = example("4", given=("x" * 200,))
    assert encode_examples(FORM, [example("4"), long], 200).too_long == 1
