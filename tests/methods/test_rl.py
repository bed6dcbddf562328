"""`rl`: the gated reward, what a round learns, when rounds end and which student stands; settings that cannot be."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from symdistill.errors import ConfigError
from symdistill.methods import Material, MethodSettings
from symdistill.methods.preferences import pairs
from symdistill.methods.reward import Judged, Parts, RewardSettings, Scorers, judge, reward, step_share
from symdistill.methods.rl import Rl, RlSettings, Standing, chosen_student, select, stop_reason
from symdistill.records import Example, Message, Rationale, TrainingExample
from symdistill.runs.config import parse_config
from symdistill.runs.validation import validated
from symdistill.training.settings import TrainingSettings

ADD = Example("add", "2 + 3 =", "5", "number", task="sums")
PICK = Example("pick", "Which flies?", "B", "choice", {"A": "fish", "B": "bird"})
ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)
WEIGHT = st.floats(min_value=0, max_value=1)


def said(text: str, answer: str | None = "5", *, of: Example = ADD, index: int = 0, cut: bool = False) -> Rationale:
    correct = answer == of.answer
    return Rationale(of.id, of.task, of.question, text, answer, correct, index, "s", f"r1_{of.id}{index}", cut)


@given(
    weights=st.tuples(WEIGHT, WEIGHT, WEIGHT, WEIGHT),
    right=st.tuples(ANY_NUMBER, ANY_NUMBER, ANY_NUMBER, ANY_NUMBER),
    wrong=st.tuples(ANY_NUMBER, ANY_NUMBER, ANY_NUMBER, ANY_NUMBER),
)
def test_no_style_outvotes_a_wrong_answer(
    weights: tuple[float, ...], right: tuple[float, ...], wrong: tuple[float, ...]
) -> None:
    """Whatever the parts, even those outside their bounds; and the weights, where they are not refused."""
    names = ("rationale", "critic", "format_error", "kb_contradiction")
    given_weights = dict(zip(names, weights, strict=True))
    try:
        settings = RewardSettings(**given_weights)
    except ValidationError:
        assert weights[2] + weights[3] >= 1
        return
    best_wrong = reward(Parts(False, *wrong), settings)
    assert best_wrong <= 0 < reward(Parts(True, *right), settings) <= settings.highest


@pytest.mark.parametrize(
    ("parts", "weights", "expected"),
    [
        (Parts(True), {}, 1.0),
        (Parts(True, rationale=1), {}, 1.5),
        (Parts(True, rationale=0.5, format_error=1), {}, 1.05),
        (Parts(True, rationale=1, critic=0.5, kb_contradiction=1), {"critic": 1, "kb_contradiction": 0.3}, 1.7),
        (Parts(False, rationale=1, critic=1), {"critic": 1}, 0.0),
        (Parts(False, rationale=1, format_error=1), {}, -0.2),
    ],
)
def test_the_reward_is_the_formula(parts: Parts, weights: dict[str, float], expected: float) -> None:
    assert reward(parts, RewardSettings(**weights)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (said("2 + 3 = 5. The answer is 5."), 1.5),
        (said("2 + 3 = 5, 5 + 0 = 6. The answer is 5."), 1.25),
        (said("The answer is 5."), 1.0),
        (said("The answer is 5. Or is it", cut=True), 0.8),
        (said("2 + 3 = 5. The answer is 6.", "6"), 0.0),
        (said("2 + 3 = 5", None), -0.2),
    ],
)
def test_a_reply_is_judged_by_its_answer_its_steps_and_its_form(reply: Rationale, expected: float) -> None:
    assert judge(ADD, reply, RewardSettings()).reward == pytest.approx(expected)


@pytest.mark.parametrize(
    ("question", "answer", "text", "share"),
    [
        ("Tom has 3 bags of 4 apples.", "12", "3 * 4 = 12.", 1.0),
        ("Tom has three bags of 4 apples.", "12", "3 + 0 = 3.", 0.0),  # changes nothing
        ("Tom has 3 bags of 4 apples.", "12", "1 = 1.", 0.0),
        ("Tom has 3 bags of 4 apples.", "12", "12 = 12. 12 * 1 = 12. 1 + 0 = 1.", 0.0),
        ("Tom has 3 bags of 4 apples.", "12", "7 + 8 = 15.", 0.0),  # about something else
        ("Tom has 3 bags of 4 apples.", "12", "3 * 4 = 12. 7 + 8 = 16.", 0.5),  # what does not hold always counts
        ("Tom has 3 bags of 4 apples and gives half away.", "6", "3 * 4 = 12. 12 / 2 = 6.", 1.0),
        ("Tom has 3 bags of 4 apples and gives half away.", "6", "3 * 4 = 12 = 24 / 2. 6 = 12 / 2.", 1.0),
        ("A box of 12 eggs costs a dollar.", "144", "12 * 12 = 144.", 1.0),
        ("A box of eggs costs a dollar.", "144", "12 * 12 = 144.", 0.0),  # only what comes out is known
        ("Tom has 3 bags of 4 apples.", "12", "11 + 1 = 12. 12 + 1 = 13. 12 = 11 + 1.", 0.0),  # from the answer
        ("Tom has 3 bags of 4 apples.", "12", "12 + 7 - 7 = 12. 3 + 7 - 7 = 3. 4 - 4 + 4 = 4.", 0.0),  # undone
        ("Tom has 3 bags of 4 apples.", "12", "3 * 2 * 1 / 2 = 3.", 0.0),
        ("Tom has 12 apples and eats 6.", "6", "12 - 6 = 6.", 1.0),
        ("One apple and 1 more?", "2", "1 + 1 = 2.", 1.0),
        ("Is it so?", "5", "8 + 2 = 10. 10 / 2 = 5.", 0.0),
        ("Which?", "B", "2 + 2 = 4.", 0.0),
        ("Tom has 3 bags of 4 apples.", "12", "3 times 4 equals 12.", 1.0),
        ("Tom has 3 bags of 4 apples.", "12", r"\(3 \times 4 \approx 12\), and 3 + 4 is equal to 7.", 1.0),
        ("Tom has 3 bags of 4 apples.", "12", "3 * 4 ＝ 12. 12 / 4 ≅ 3.", 1.0),
    ],
)
def test_steps_count_that_have_to_do_with_the_question(question: str, answer: str, text: str, share: float) -> None:
    assert step_share(Example("q", question, answer, "number"), text) == pytest.approx(share)


def test_the_right_choice_is_no_number_to_begin_with() -> None:
    pick = Example("q", "How many?", "B", "choice", {"A": "7 apples", "B": "5 apples"})
    assert step_share(pick, "5 + 1 = 6.") == 0
    assert step_share(pick, "7 - 2 = 5.") == 1


def test_padding_earns_nothing_over_a_bare_right_answer() -> None:
    bare = judge(ADD, said("The answer is 5."), RewardSettings()).reward
    padded = judge(ADD, said("1 = 1. 7 + 8 = 15. Therefore, the answer is 5."), RewardSettings()).reward
    assert padded == bare == 1


def test_a_scorer_that_is_given_has_its_weight_and_one_without_weight_is_not_asked() -> None:
    def never(example: Example, rationale: Rationale) -> float:
        raise AssertionError("asked")

    scorers = Scorers(critic=lambda e, r: 0.5, kb_contradiction=never)
    found = judge(ADD, said("The answer is 5."), RewardSettings(critic=1), scorers)
    assert (found.reward, found.parts.critic) == (1.5, 0.5)
    assert judge(ADD, said("The answer is 6.", "6"), RewardSettings(critic=1), scorers).reward == 0


def judged(*replies: tuple[Rationale, float]) -> list[Judged]:
    return [Judged(r, Parts(bool(r.correct)), worth) for r, worth in replies]


REPLIES = judged(
    (said("a", index=0), 1.0),
    (said("A ", index=1), 1.0),
    (said("b", index=2), 1.5),
    (said("c", "6", index=3), 0.0),
    (said("d", index=4, cut=True), 1.5),
    (said("e", index=5), 0.8),
    (said("a", "B", of=PICK, index=0), 1.0),
)


@pytest.mark.parametrize(
    ("threshold", "per_question", "expected"),
    [
        (0.0, 9, ["a", "b", "e", "a"]),
        (0.9, 9, ["a", "b", "a"]),
        (0.0, 2, ["a", "b", "a"]),
        (0.0, 1, ["b", "a"]),
        (1.5, 9, ["b"]),
        (1.6, 9, []),
    ],
)
def test_a_round_learns_right_whole_different_replies_above_the_threshold(
    threshold: float, per_question: int, expected: list[str]
) -> None:
    assert [j.rationale.text for j in select(REPLIES, threshold, per_question)] == expected


@given(first=st.floats(0, 1.5), last=st.floats(0, 1.5), rounds=st.integers(1, 12))
def test_the_threshold_never_falls_and_can_always_be_reached(first: float, last: float, rounds: int) -> None:
    settings = RlSettings(name="rl", threshold=min(first, last), threshold_last=max(first, last), rounds=rounds)
    steps = [settings.threshold_of(t) for t in range(1, rounds + 1)]
    assert steps == sorted(steps)
    assert steps[0] == settings.threshold
    assert steps[-1] <= settings.reward.highest
    assert rounds == 1 or steps[-1] == settings.threshold_last


def nested(share: float) -> list[bool]:
    """Verdicts on 200 questions, the first of them right: who is worse is wrong where the other is, and elsewhere."""
    return [n < round(share * 200) for n in range(200)]


@pytest.mark.parametrize(
    ("audit", "lost", "won", "hacking"),
    [
        (40, 1, 0, False),
        (40, 4, 0, False),  # p = 1/16
        (40, 5, 0, True),  # p = 1/32
        (5, 5, 0, True),
        (4, 4, 0, False),
        (40, 6, 5, False),
        (40, 9, 3, False),  # p = 0.073
        (40, 10, 2, True),  # p = 0.019
    ],
)
def test_a_fall_that_may_be_chance_is_not_hacking(audit: int, lost: int, won: int, hacking: bool) -> None:
    before = [n < audit - won for n in range(audit)]
    last = [lost <= n for n in range(audit)]
    assert (sum(before), sum(last)) == (audit - won, audit - lost)
    found = stop_reason([Standing(0.5, before), Standing(0.51, last)], 0.01)
    assert found == ("hacking" if hacking else None)
    assert stop_reason([Standing(0.5, before), Standing(0.5, last)], 0.01) is None, "no more reward"


@pytest.mark.parametrize(
    ("students", "hacking"),
    [
        ([(0.1, 32), (0.4, 28), (0.7, 24)], True),  # 4 and 4 lost are chance, 8 are not
        ([(0.1, 32), (0.4, 30), (0.5, 29), (0.7, 27)], True),
        ([(0.1, 32), (0.4, 30), (0.7, 28)], False),  # 4 in all
        ([(0.1, 28), (0.4, 32), (0.6, 30), (0.7, 26)], True),  # from the best, not from the first
        ([(0.8, 32), (0.4, 28), (0.7, 24)], False),  # the best had more reward
        ([(0.8, 34), (0.1, 32), (0.4, 28), (0.7, 24)], True),  # the best of those with less
        ([(0.1, 32), (0.7, 28), (0.4, 24)], True),  # less than the one before, and still more than the best
        ([(0.1, 24), (0.4, 28), (0.7, 32)], False),
    ],
)
def test_a_slow_slide_is_hacking_too(students: list[tuple[float, int]], hacking: bool) -> None:
    standings = [Standing(reward, [n < right for n in range(40)]) for reward, right in students]
    assert all(stop_reason(standings[:n], 0.01) != "hacking" for n in range(1, len(standings)))
    assert (stop_reason(standings, 0.01) == "hacking") == hacking


def test_a_step_down_is_hacking_whoever_is_best() -> None:
    """The best one is right about other questions, so that against it the fall may be chance; the step is none."""
    best, before = [n < 24 for n in range(40)], [n >= 17 for n in range(40)]
    last = [n >= 22 for n in range(40)]
    standings = [Standing(0.1, best), Standing(0.4, before), Standing(0.7, last)]
    assert stop_reason([standings[0], standings[2]], 0.01) is None
    assert stop_reason(standings, 0.01) == "hacking"


@pytest.mark.parametrize("algorithm", ["dpo", "kto", "grpo"])
def test_a_global_max_steps_is_not_that_of_gentle_rounds(algorithm: str) -> None:
    def training_of(own: dict[str, Any]) -> TrainingSettings:
        method = {"name": "rl", "algorithm": algorithm, "training": own}
        config = parse_config({"method": method, "training": {"max_steps": 500}})
        [entry] = config.build_methods()
        assert isinstance(entry, Rl)
        return validated(TrainingSettings, {**config.training.model_dump(), **entry.settings.round_training()})

    assert (training_of({}).max_steps, training_of({}).num_train_epochs) == (-1, 1)
    assert training_of({"max_steps": 7}).max_steps == 7


@given(critic=ANY_NUMBER, verified=st.booleans(), rest=st.tuples(WEIGHT, WEIGHT, WEIGHT))
def test_the_control_has_no_gate(critic: float, verified: bool, rest: tuple[float, float, float]) -> None:
    """Whether right or wrong, the critic's word is the reward."""
    settings = RewardSettings(only="critic")
    found = reward(Parts(verified, rest[0], rest[1], critic, rest[2]), settings)
    assert found == reward(Parts(not verified, critic=critic), settings)
    assert found == (0.0 if math.isnan(critic) else min(1.0, max(0.0, critic)))
    assert settings.highest == 1


def test_the_control_learns_a_wrong_reply_that_pleases_and_the_gated_reward_does_not() -> None:
    scorers = Scorers(critic=lambda e, r: 0.9 if "Surely" in r.text else 0.1)
    replies = [said("The answer is 5."), said("Surely. The answer is 6.", "6", index=1)]
    for weights, expected in (({"only": "critic"}, ["6"]), ({"critic": 1}, ["5"])):
        found = [judge(ADD, reply, RewardSettings(**weights), scorers) for reply in replies]
        assert [one.rationale.answer for one in select(found, 0.5, 4)] == expected
        assert [pair.chosen.rationale.answer for pair in pairs(found, 0.5, 4)] == expected
        assert [one.parts.verified for one in found] == [True, False], "what is right stays known"


@pytest.mark.parametrize(
    ("students", "stopped", "chosen"),
    [
        ([(0.1, 0.5)], None, 0),
        ([(0.1, 0.5), (0.2, 0.6)], None, 1),
        ([(0.1, 0.5), (0.3, 0.3)], "hacking", 0),
        ([(0.1, 0.5), (0.2, 0.6), (0.5, 0.4)], "hacking", 1),
        ([(0.3, 0.5), (0.1, 0.3)], None, 0),  # both fall: worse, and not by pleasing the reward
        ([(0.1, 0.5), (0.3, 0.495)], None, 0),  # a fall within epsilon is none
        ([(0.1, 0.5), (0.2, 0.5), (0.3, 0.505)], "plateau", 2),
        ([(0.1, 0.5), (0.2, 0.5), (0.3, 0.6)], None, 2),
        ([(0.1, 0.5), (0.2, 0.6), (0.3, 0.6)], None, 1),  # one round without a gain is not two
        ([(0.1, 0.6), (0.0, 0.5), (0.0, 0.58)], "plateau", 0),
    ],
)
def test_rounds_end_by_the_rules_and_the_best_audited_student_stands(
    students: list[tuple[float, float]], stopped: Any, chosen: int
) -> None:
    standings = [Standing(reward, nested(audited)) for reward, audited in students]
    assert stop_reason(standings, 0.01) == stopped
    assert chosen_student(standings) == chosen


def test_teacher_s_and_own_replies_are_learned_alike() -> None:
    method = Rl(RlSettings(name="rl"), student_instruction="Answer.")
    own = (said("2 + 3 = 5. Therefore, the answer is 5."), said("Birds.", "B", of=PICK))
    system, add = Message("system", "Answer."), Message("user", "2 + 3 =")
    pick = Message("user", "Which flies?\n(A) fish\n(B) bird")
    assert method.training_examples(Material((ADD, PICK), own)) == [
        TrainingExample("add", (system, add), "2 + 3 = 5. Therefore, the answer is 5."),
        TrainingExample("pick", (system, pick), "Birds.\nTherefore, the answer is B."),
    ]


@pytest.mark.parametrize(("init_from", "needs"), [("std-cot", "rationales"), ("base", "answers")])
def test_a_teacher_is_needed_only_for_a_warm_start(init_from: Any, needs: str) -> None:
    assert Rl(RlSettings(name="rl", init_from=init_from)).needs == needs


@pytest.mark.parametrize(
    ("changes", "said_of_it"),
    [
        ({"reward": {"format_error": 0.7, "kb_contradiction": 0.3}}, r"method\.reward.*take away 1 together"),
        ({"reward": {"rationale": -0.1}}, r"method\.reward\.rationale"),
        ({"reward": {"critic": float("nan")}}, r"method\.reward\.critic"),
        ({"reward": {"style": 1}}, r"method\.reward\.style"),
        ({"reward": {"only": "rationale"}}, r"method\.reward\.only"),
        ({"reward": {"only": "critic", "critic": 0.5}}, "critic has no meaning beside it"),
        ({"reward": {"only": "critic", "format_error": 0.1}}, "format_error has no meaning beside it"),
        ({"reward": {"only": "critic"}, "algorithm": "kto"}, "kto learns which replies are right"),
        ({"reward": {"only": "critic"}, "threshold_last": 1.2}, "highest reward 1"),
        ({"threshold": 1.2}, r"threshold_last \(1\) is below threshold \(1\.2\)"),
        ({"threshold_last": 1.6}, r"highest reward 1\.5"),
        ({"rounds": 0}, r"method\.rounds"),
        ({"temperature": 0}, r"method\.temperature"),
        ({"train_from": "last"}, r"method\.train_from"),
        ({"dev_fraction": 1}, r"method\.dev_fraction"),
        ({"warm_start": {"epochs": 3}}, r"method\.warm_start\.epochs"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_their_key(changes: dict[str, Any], said_of_it: str) -> None:
    with pytest.raises(ConfigError, match=said_of_it):
        parse_config({"method": {"name": "rl", **changes}})


PAGE = Path(__file__).parents[2] / "docs" / "REINFORCEMENT.md"
SNIPPETS = [
    yaml.safe_load(s) for s in re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda snippet: " ".join(snippet))
def test_the_page_shows_configurations(snippet: dict[str, Any]) -> None:
    methods = parse_config(snippet).build_methods()
    assert methods
    assert all(isinstance(method, Rl) for method in methods)


def test_the_page_shows_the_defaults() -> None:
    usual = RlSettings(name="rl").model_dump(mode="json")
    [shown] = [s["method"] for s in SNIPPETS if "init_from" in s.get("method", {})]
    assert set(usual) - set(shown) <= {*MethodSettings.model_fields, "top_p"}
    for key, value in shown.items():
        assert {**usual, "reward": {k: v for k, v in usual["reward"].items() if v}}[key] == value, key
