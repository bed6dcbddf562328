"""From replies to predictions and rows."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from symdistill.errors import DataError
from symdistill.evaluation.metrics import row_from_dict
from symdistill.evaluation.scoring import predict, score
from symdistill.records import Completion, Example
from symdistill.tasks.labels import labels_of


@dataclass(frozen=True)
class Tiny:
    non_embedding_parameters: int = 1000
    head_parameters: int = 200
    linear_parameters: int = 900
    layers: int = 2
    attention_width: int = 8


def example(i: int, gold: str | None, **more) -> Example:
    return Example(id=f"q{i}", question=f"Question {i}?", answer=gold, answer_type="number", **more)


def says(answer: object, **more) -> Completion:
    text = "I cannot tell." if answer is None else f"Some steps. Therefore, the answer is {answer}."
    return Completion(**{"key": "k", "text": text, "prompt_tokens": 50, "completion_tokens": 10} | more)


def test_one_reply_a_question():
    scored = score(
        [example(1, "5"), example(2, "7"), example(3, "9"), example(4, "1")],
        [[says(5)], [says("7.0")], [says(8, finish_reason="length")], [says(None)]],
        "std-cot",
        seconds=12.5,
        seed=3,
        model="tiny",
    )
    assert [p.correct for p in scored.predictions] == [True, True, False, False]
    assert [p.answer for p in scored.predictions] == ["5", "7", "8", None]
    row = scored.row
    assert (row.method, row.split, row.n, row.decoding, row.samples, row.seed) == ("std-cot", "test", 4, "greedy", 1, 3)
    assert (row.accuracy, row.parse_rate, row.truncated_rate) == (0.5, 0.75, 0.25)
    assert (round(row.ci_low, 4), round(row.ci_high, 4)) == (0.15, 0.85)
    assert (row.prompt_tokens, row.generated_tokens, row.seconds, row.model) == (50, 10, 12.5, "tiny")
    # Nothing is known of the model's shape.
    assert row.flops is None
    assert row.prompt_flops_paper is None


def test_what_names_no_label_neither_votes_nor_counts_as_parsed():
    """The instruction's X wins the plain vote; the labels are known from all the questions' answers."""
    asked = [
        Example(id=f"c{i}", question=f"Coin {i}?", answer=gold, answer_type="label", task="coin")
        for i, gold in enumerate(["yes", "no", "yes", "no"])
    ]
    replies = [
        [says(a) for a in said]
        for said in (("X", "X", "yes"), ("X", "However", "This cycle"), ("yes", "no", "Yes"), ("no",) * 3)
    ]
    scored = score(asked, replies, "scotd")
    assert [p.answer for p in scored.predictions] == ["yes", None, "yes", "no"]
    assert [p.correct for p in scored.predictions] == [True, False, True, True]
    assert scored.predictions[0].answers == (None, None, "yes")
    assert scored.row.parse_rate == 7 / 12
    assert predict(asked[0], replies[0], "scotd").answer == "X", "without labels nothing is known"


def test_labels_come_from_what_was_learned_too():
    """One question alone does not show that there are two answers; with those learned from it is known."""
    one, *learned = [
        Example(id=f"c{i}", question=f"Coin {i}?", answer=gold, answer_type="label", task="coin")
        for i, gold in enumerate(["yes", "no", "yes", "no"])
    ]
    assert score([one], [[says("heads")]], "m").row.parse_rate == 1
    labels = labels_of([one, *learned])
    assert score([one], [[says("heads")]], "m", labels=labels).row.parse_rate == 0
    assert score([one], [[says("no")]], "m", labels=labels).row.parse_rate == 1


def test_what_chose_the_passages_counts_beside_the_model():
    examples, replies = [example(i, "5", task=f"t{i}") for i in range(2)], [[says(5)], [says(5)]]
    plain = score(examples, replies, "kard", shape=Tiny())
    scored = score(
        examples, replies, "kard", shape=Tiny(), search_flops=[1e6, 3e6], shortened=[False, True], retrieved=[True] * 2
    )
    assert scored.row.flops == plain.row.flops + 2e6
    assert scored.row.search_flops == 2e6
    assert [row.flops - plain.row.flops for row in scored.task_rows] == [1e6, 3e6]
    assert (scored.row.prompt_flops_paper, plain.row.search_flops) == (plain.row.prompt_flops_paper, None)
    assert (scored.row.shortened, plain.row.shortened) == (1, None)
    assert row_from_dict(scored.row.as_dict(), "here") == scored.row
    remote = score(examples, replies, "kard", search_flops=[1e6, 3e6]).row
    assert remote.flops is None, "the model's part is not known"


def test_the_equations_of_the_replies_are_worked_out_again():
    def writes(text: str) -> Completion:
        return says(5, text=f"{text} Therefore, the answer is 5.")

    replies = [[writes("2 + 2 = 4, and 4 + 1 = 5.")], [writes("2 * 2 = 5.")], [writes("It is five.")]]
    row = score([example(i, "5") for i in range(3)], replies, "std-cot").row
    assert (row.equations, row.step_score) == (3, pytest.approx(2 / 3))
    silent = score([example(1, "5")], [[says(5)]], "label-only").row
    assert (silent.equations, silent.step_score) == (None, None)


def test_a_vote_sums_tokens_and_counts_parsed_replies():
    replies = [says(5), says(4, cached_prompt_tokens=50), says(5, cached_prompt_tokens=50), says(None)]
    scored = score([example(1, "5")], [replies], "scotd", shape=Tiny())
    row = scored.row
    assert (row.decoding, row.samples, row.accuracy, row.parse_rate) == ("vote", 4, 1.0, 0.75)
    assert (row.prompt_tokens, row.cached_prompt_tokens, row.generated_tokens) == (200, 100, 40)
    assert row.prompt_flops_paper == 900 * 50
    assert row.flops is not None
    assert row.flops > row.prompt_flops_paper
    prediction = scored.predictions[0]
    assert prediction.answers == ("5", "4", "5", None)
    assert len(prediction.samples) == 4


def test_a_tie_is_settled_by_token_log_probabilities():
    likely, unlikely = says(6, token_logprobs=(-0.1, -0.1)), says(5, token_logprobs=(-2.0, -2.0))
    assert predict(example(1, "6"), [unlikely, likely], "m").correct
    silent = says(5)
    assert not predict(example(1, "6"), [silent, likely], "m").correct


def test_choices_and_labels_are_checked_by_their_type():
    choice = Example("c", "Which?", "B", "choice", choices={"A": "red", "B": "blue"})
    label = Example("l", "Is it?", "no", "label")
    scored = score([choice, label], [[says("(B)")], [says("No")]], "m")
    assert scored.row.accuracy == 1.0


def test_questions_without_an_answer_are_left_out_and_counted():
    scored = score([example(1, "5"), example(2, None), example(3, None)], [[says(5)], [says(1)], [says(2)]], "m")
    assert scored.unlabelled == scored.row.unlabelled == 2
    assert (scored.row.n, [p.example_id for p in scored.predictions]) == (1, ["q1"])


def test_no_answer_at_all_is_the_users_mistake():
    with pytest.raises(DataError, match="None of the 1 evaluation questions"):
        score([example(1, None)], [[says(5)]], "m")


def test_a_question_without_a_reply_counts_as_wrong():
    scored = score([example(1, "5"), example(2, "6")], [[says(5)], []], "m")
    assert (scored.row.accuracy, scored.row.n, scored.row.unanswered, scored.row.parse_rate) == (0.5, 2, 1, 1.0)
    assert scored.predictions[1].answer is None


def test_lists_must_match():
    with pytest.raises(ValueError):
        score([example(1, "5")], [], "m")


def test_rows_by_task_only_where_there_are_several():
    questions = [example(1, "5", task="sums"), example(2, "6", task="sums"), example(3, "7", task="products")]
    scored = score(questions, [[says(5)], [says(0)], [says(7)]], "m", seconds=3.0, shape=Tiny())
    assert [(r.task, r.n, r.accuracy) for r in scored.task_rows] == [("sums", 2, 0.5), ("products", 1, 1.0)]
    assert scored.row.task is None
    assert all(r.seconds is None for r in scored.task_rows)
    assert not score(questions[:2], [[says(5)], [says(0)]], "m").task_rows


def test_contrast_sets_count_originals_edits_and_pairs():
    originals = [example(i, "5") for i in range(4)]
    edits = [example(10 + i, "6", contrast_of=f"q{i}") for i in range(3)]
    # Pairs: both right, original only, edit only. The fourth original has no edit.
    replies = [[says(5)], [says(5)], [says(0)], [says(5)], [says(6)], [says(5)], [says(6)]]
    scored = score([*originals, *edits], replies, "m")
    assert scored.row.n == 7
    shares = {r.part: (r.n, round(r.accuracy, 3)) for r in scored.contrast_rows}
    assert shares == {"originals": (3, 0.667), "edited": (3, 0.667), "pairs": (3, 0.333)}
    assert not score(originals, replies[:4], "m").contrast_rows


def test_an_edit_whose_original_was_not_asked_makes_no_pair():
    scored = score([example(1, "5", contrast_of="elsewhere")], [[says(5)]], "m")
    assert scored.contrast_rows == ()


def test_rows_are_what_metrics_json_promises_and_come_back_from_it():
    questions = [example(1, "5", task="a"), example(2, "6", task="b", contrast_of="q1")]
    rows = score(questions, [[says(5)], [says(6)]], "m", seconds=1.0).rows
    promised = {
        *("method", "split", "n", "accuracy", "ci_low", "ci_high", "parse_rate", "decoding", "samples"),
        *("prompt_tokens", "generated_tokens", "prompt_flops_paper", "flops", "seconds", "seed"),
    }
    written = json.loads(json.dumps([r.as_dict() for r in rows], allow_nan=False))
    assert len(written) == 1 + 2 + 3
    assert all(promised <= set(values) for values in written)
    assert "task" not in written[0]
    assert [row_from_dict(values, "metrics.json") for values in written] == list(rows)


@pytest.mark.parametrize("change", [{"accuracy": "high"}, {"n": 1.5}, {"method": None}, {"seed": True}, {"n": ...}])
def test_a_damaged_row_is_named(change):
    values = score([example(1, "5")], [[says(5)]], "m").row.as_dict() | change
    values = {k: v for k, v in values.items() if v is not ...}
    with pytest.raises(DataError, match="row 4"):
        row_from_dict(values, "metrics.json, row 4")
