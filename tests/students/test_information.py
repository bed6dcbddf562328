"""Self-information of a text's tokens under a model, against what the model says one token at a time."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from symdistill.errors import UnusableModel
from symdistill.students import information
from symdistill.students.information import token_information
from tiny import tiny_student

TEXTS = ["Add 12 to x.", "", "é 好 words of several kinds, and more of them.", "Add 12 to x.", "a"]


def expected(text: str, begin: int | None = None) -> list[float]:
    student = tiny_student()
    ids = student.tokenizer(text, add_special_tokens=False)["input_ids"]
    found = []
    for place, token in enumerate(ids):
        before = torch.tensor([[student.tokenizer.bos_token_id if begin is None else begin, *ids[:place]]])
        with torch.no_grad():
            logits = student.model(before).logits[0, -1]
        found.append(float(-torch.log_softmax(logits.float(), -1)[token]))
    return found


def test_each_token_is_as_surprising_as_the_model_finds_it() -> None:
    for text, tokens in zip(TEXTS, token_information(tiny_student(), TEXTS), strict=True):
        assert [value for *_, value in tokens] == pytest.approx(expected(text), abs=1e-4)
        assert all(0 <= a <= b <= len(text) for a, b, _ in tokens)
        assert "".join(text[a:b] for a, b, _ in tokens if text[a:b].isascii()) == "".join(
            c for c in text if c.isascii()
        )


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    together = token_information(tiny_student(), TEXTS)
    monkeypatch.setattr(information, "_TOGETHER", 1)
    alone = token_information(tiny_student(), TEXTS)
    for one, other in zip(together, alone, strict=True):
        assert [t[:2] for t in one] == [t[:2] for t in other]
        assert [t[2] for t in one] == pytest.approx([t[2] for t in other], abs=1e-4)


def test_a_long_text_is_read_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(information, "_LONGEST", 4)
    [tokens] = token_information(tiny_student(), ["abcdefghij"])
    assert [value for *_, value in tokens] == pytest.approx(
        expected("abcd") + expected("efgh") + expected("ij"), abs=1e-4
    )


def test_without_a_begin_token_the_end_token_stands_first() -> None:
    student = tiny_student()
    student.tokenizer.bos_token = None
    [tokens] = token_information(student, ["abc"])
    assert [value for *_, value in tokens] == pytest.approx(expected("abc", student.format.end_of_turn), abs=1e-4)


def test_a_tokenizer_that_knows_no_places_is_refused() -> None:
    student = tiny_student()

    class Slow:
        is_fast = False

    object.__setattr__(student, "tokenizer", Slow())
    with pytest.raises(UnusableModel, match="compressor"):
        token_information(student, ["a"])
