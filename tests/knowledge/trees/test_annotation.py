"""Answers from a model: requests about every input, some of them twice, and what can be read of the replies."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.knowledge.trees.annotation import (
    AskedAbout,
    answer_requests,
    answers_from,
    observations_from,
    read_answers,
)
from symdistill.knowledge.trees.noise import measure_noise, screen, screen_training
from symdistill.knowledge.trees.settings import ScreeningSettings
from symdistill.records import Completion, Example, Failure, Sampling

FEATURES = {"acting": "Is the acting praised?", "boring": "Is it boring?", "plot": "Is there a plot?"}
NAMES = tuple(FEATURES)
EXAMPLES = [Example(f"e{n}", f"review {n}", "positive", "label", split="train") for n in range(4)]


def asked(**changes: object) -> list[AskedAbout]:
    return answer_requests(EXAMPLES, FEATURES, "model", Sampling(), **changes)  # type: ignore[arg-type]


def test_questions_are_spread_over_requests() -> None:
    found = asked(per_request=2)
    assert [(one.example_id, one.names) for one in found[:3]] == [
        ("e0", ("acting", "boring")),
        ("e0", ("plot",)),
        ("e1", ("acting", "boring")),
    ]
    assert "1. Is the acting praised?\n2. Is it boring?" in found[0].request.messages[-1].content
    assert len({one.request.key for one in found}) == len(found) == 8


def test_some_are_asked_again_in_another_order() -> None:
    found = asked(again={"e1", "e3"}, seed=1)
    later = [one for one in found if one.time]
    assert [one.example_id for one in later] == ["e1", "e3"]
    assert sorted(later[0].names) == sorted(NAMES)
    assert later[0].names != NAMES
    assert len({one.request.key for one in found}) == len(found) == 6


@pytest.mark.parametrize(
    "reply, answers",
    [
        ("1. yes\n2. no\n3. yes", "yny"),
        ("1: Yes\n2: No\n3: Yes", "yny"),
        ("1) **yes**\n2) **no** because it is short\n3) **yes**", "yny"),
        ("Question 1: yes\nQuestion 2: no\nQ3 - yes", "yny"),
        ("3. yes\n1. yes\n2. no", "yny"),
        ("yes\nno\nyes", "yny"),
        ("- Yes.\n- No.\n- Yes.", "yny"),
        ("acting: yes\nboring: no\nplot: yes", "yny"),
        ('{"acting": true, "boring": "no", "plot": "Yes"}', "yny"),
        ('```json\n{"1": "yes", "2": false, "3": "yes"}\n```', "yny"),
        ("1. Is the acting praised? Yes\n2. Is it boring? No\n3. Is there a plot? yes", "yny"),
        ("| 1 | yes |\n| 2 | no |\n| 3 | yes |", "yny"),
        ("1. yes\n3. no", "y-n"),
        ("1. yes\n1. no\n2. no", "-n-"),
        ("1. unclear\n2. N/A\n3. maybe", "---"),
        ("yes\nno", "---"),
        ("4. yes\n0. no", "---"),
        ("The acting is praised.", "---"),
        ("", "---"),
        ('{"' + "1" * 5000 + '": "yes", "2": "no"}', "-n-"),
        ('{"1": "yes", "' + "٣" * 5000 + '": "no"}', "y--"),
        ('{"1": ' + "1" * 5000 + "}", "---"),
        ("1" * 5000 + ". yes\n2. no", "-n-"),
        ('{"1": 1e999, "2": -Infinity, "3": true}', "--y"),
    ],
)
def test_what_can_be_read(reply: str, answers: str) -> None:
    expected = {name: answer == "y" for name, answer in zip(NAMES, answers, strict=True) if answer != "-"}
    assert read_answers(reply, NAMES) == expected


@given(st.text(alphabet=st.sampled_from("yesno 123.:{}\"'\n|acting")))
def test_nothing_a_model_writes_breaks_the_reader(reply: str) -> None:
    assert set(read_answers(reply, NAMES)) <= set(NAMES)
    assert set(read_answers(reply * 2_000, NAMES)) <= set(NAMES), "however long it is"


@given(st.text(alphabet="0123456789", min_size=1, max_size=8), st.integers(1, 900))
def test_no_number_is_too_long_for_the_reader(number: str, times: int) -> None:
    key = number * times
    said = read_answers(json.dumps({key: "yes"}), NAMES)
    assert said == ({NAMES[int(key) - 1]: True} if len(key) < 9 and 1 <= int(key) <= len(NAMES) else {})


def test_every_reply_has_an_outcome() -> None:
    found = asked() + asked(again={"e0", "e1"})[4:]
    keys = [one.request.key for one in found]
    completions = {
        keys[0]: Completion(keys[0], "1. yes\n2. no\n3. yes"),
        keys[1]: Completion(keys[1], "1. yes"),
        keys[2]: Completion(keys[2], "I cannot."),
        keys[3]: Completion(keys[3], " "),
        keys[4]: Completion(keys[4], "1. yes\n2. n", finish_reason="length"),
    }
    answers = answers_from(found, completions, {})
    assert [reply.outcome for reply in answers.replies] == [
        *("complete", "partial", "unreadable", "empty", "cut", "unanswered")
    ]
    failed = answers_from(found[:1], {}, {keys[0]: Failure(keys[0], "refused", "no")})
    assert failed.replies[0].detail == "refused: no"
    assert dict(failed.outcomes) == {"failed": 1}


def scripted(say: object, again: int = 4) -> tuple[list[AskedAbout], dict[str, Completion]]:
    """Requests with a reply each; `say(example, name, time)` is the answer to a question."""
    found = asked(again={example.id for example in EXAMPLES[:again]})
    completions = {}
    for one in found:
        lines = [
            f"{n}. {'yes' if say(one.example_id, name, one.time) else 'no'}" for n, name in enumerate(one.names, 1)
        ]  # type: ignore[operator]
        completions[one.request.key] = Completion(one.request.key, "\n".join(lines))
    return found, completions


def test_answers_settle_by_majority_and_the_first_one_where_balanced() -> None:
    answers = answers_from(*scripted(lambda example, name, time: time == 0 and name == "acting"))
    (first, *_) = observations_from(EXAMPLES, FEATURES, answers)
    assert first.answers == {"acting": True, "boring": False, "plot": False}
    assert (first.label, first.split, first.text) == ("positive", "train", "review 0")
    assert answers.settled("e0", "nothing") is None
    (other, *_) = observations_from(EXAMPLES, FEATURES, answers, {"e0": "negative"})
    assert other.label == "negative"


def test_noise_is_what_changes_when_asked_again() -> None:
    many = [
        Example(f"e{n}", f"review {n}", "positive", "label", split="train" if n < 60 else "test") for n in range(70)
    ]
    found = answer_requests(many, FEATURES, "m", Sampling(), again={example.id for example in many[:40]})
    completions = {}
    for one in found:
        number = int(one.example_id[1:])
        said = {
            "acting": number % 2 == 0,
            "boring": (number + one.time * (number % 4 < 2)) % 2 == 0,
            "plot": number == 0,
        }
        lines = [f"{place}. {'yes' if said[name] else 'no'}" for place, name in enumerate(one.names, 1)]
        completions[one.request.key] = Completion(one.request.key, "\n".join(lines))
    answers = answers_from(found, completions)
    table = observations_from(many, FEATURES, answers)
    noise, kept = screen_training(table, answers, FEATURES)
    acting, boring, plot = noise
    assert acting.agreement is not None
    assert (acting.agreement.n, acting.agreement.kappa, acting.yes, acting.answered) == (40, 1.0, 0.5, 1.0)
    assert boring.agreement is not None
    assert boring.agreement.kappa == pytest.approx(0.0)
    assert plot.yes == pytest.approx(1 / 60)
    assert kept.kept == ("acting",)
    assert kept.dropped["boring"] == (
        "noisy: asked again about 40 inputs, 50% of the answers were the same, kappa 0.00 (at least 0.4 is wanted)"
    )
    assert kept.dropped["plot"] == "tells nothing apart: no for 98.3% of inputs"
    assert screen(noise, ScreeningSettings(least_kappa=-1, most_alike=1.0)).kept == NAMES


def test_few_pairs_and_missing_answers() -> None:
    found, completions = scripted(lambda example, name, time: time == 0)
    for one in found[:3]:
        completions[one.request.key] = Completion(one.request.key, "no idea what you mean")
    answers = answers_from(found, completions)
    table = observations_from(EXAMPLES, FEATURES, answers)
    noise = measure_noise(table, answers, FEATURES)
    assert noise[0].answered == 1.0  # the second asking counts, too
    kept = screen(noise, ScreeningSettings(most_alike=1.0))
    assert kept.kept == NAMES  # one pair says nothing
    missing = measure_noise(table + observations_from([Example("x", "", None)], FEATURES, answers), answers, FEATURES)
    assert screen(missing, ScreeningSettings(least_answered=0.9)).dropped["acting"].startswith("unanswered: 80%")
