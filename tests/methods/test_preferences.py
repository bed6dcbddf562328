"""What is preferred among judged replies: never a wrong one, whatever its style."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from symdistill.methods.preferences import pairs, verdicts
from symdistill.methods.reward import Judged, Parts, RewardSettings, reward
from symdistill.records import Rationale


def told(question: str, text: str, parts: Parts, weights: RewardSettings, index: int, cut: bool) -> Judged:
    rationale = Rationale(question, "", question, text, "5", parts.verified, index, "s", f"r1_{question}{index}", cut)
    return Judged(rationale, parts, reward(parts, weights))


SHARE = st.floats(0, 1)
WEIGHTS = st.builds(
    RewardSettings,
    rationale=SHARE,
    critic=SHARE,
    format_error=st.floats(0, 0.49),
    kb_contradiction=st.floats(0, 0.49),
)
PARTS = st.builds(Parts, st.booleans(), SHARE, SHARE, SHARE, SHARE)


@st.composite
def replies(draw: st.DrawFn) -> list[Judged]:
    weights = draw(WEIGHTS)
    entries = st.tuples(st.sampled_from("pqr"), st.text("ab ", max_size=3), PARTS, st.booleans())
    return [
        told(question, text, parts, weights, index, cut)
        for index, (question, text, parts, cut) in enumerate(draw(st.lists(entries, max_size=20)))
    ]


@given(judged=replies(), threshold=SHARE, each=st.integers(1, 4))
def test_no_pair_prefers_a_wrong_cut_or_worse_reply(judged: list[Judged], threshold: float, each: int) -> None:
    found = pairs(judged, threshold, each)
    for pair in found:
        chosen, rejected = pair.chosen, pair.rejected
        assert chosen.rationale.example_id == rejected.rationale.example_id
        assert chosen.parts.verified
        assert not chosen.rationale.truncated
        assert chosen.reward > rejected.reward
        assert chosen.reward >= threshold
    for side in ([p.chosen for p in found], [p.rejected for p in found]):
        texts = Counter((one.rationale.example_id, " ".join(one.rationale.text.split())) for one in side)
        assert max(texts.values(), default=1) == 1
    assert max(Counter(p.chosen.rationale.example_id for p in found).values(), default=0) <= each


@given(judged=replies(), threshold=SHARE, each=st.integers(1, 4))
def test_no_verdict_calls_a_wrong_reply_desirable_or_a_right_one_undesirable(
    judged: list[Judged], threshold: float, each: int
) -> None:
    found = verdicts(judged, threshold, each)
    assert all(one.desirable == one.judged.parts.verified for one in found)
    assert not any(one.desirable and one.judged.rationale.truncated for one in found)
    assert not any(one.desirable and one.judged.reward < threshold for one in found)
    counted = Counter((one.judged.rationale.example_id, one.desirable) for one in found)
    assert max(counted.values(), default=0) <= each


WEIGHT = RewardSettings()
REPLIES = [
    told("p", "best", Parts(True, 1), WEIGHT, 0, False),
    told("p", "plain", Parts(True), WEIGHT, 1, False),
    told("p", "plain ", Parts(True), WEIGHT, 2, False),
    told("p", "wrong", Parts(False), WEIGHT, 3, False),
    told("p", "none", Parts(False, format_error=1), WEIGHT, 4, False),
    told("q", "cut", Parts(True, 1, 1), WEIGHT, 5, True),
    told("q", "wrong", Parts(False), WEIGHT, 6, False),
    told("r", "one", Parts(True), WEIGHT, 7, False),
    told("r", "two", Parts(True), WEIGHT, 8, False),
]


def test_the_best_stands_over_the_worst_and_the_next_over_the_next() -> None:
    told_of = [(p.chosen.rationale.text, p.rejected.rationale.text) for p in pairs(REPLIES, 0.0, 4)]
    assert told_of == [("best", "none"), ("plain", "wrong")]
    assert [p.chosen.rationale.text for p in pairs(REPLIES, 0.0, 1)] == ["best"]
    assert [p.chosen.rationale.text for p in pairs(REPLIES, 1.2, 4)] == ["best"]


def test_right_replies_among_themselves_make_a_pair_where_their_rewards_differ() -> None:
    found = pairs(REPLIES[:2], 0.0, 4)
    assert [(p.chosen.rationale.text, p.rejected.rationale.text) for p in found] == [("best", "plain")]
    assert pairs(REPLIES[-2:], 0.0, 4) == []


def test_verdicts_are_on_right_whole_and_on_wrong_replies() -> None:
    found = [(one.judged.rationale.text, one.desirable) for one in verdicts(REPLIES, 0.0, 4)]
    assert found == [
        ("best", True),
        ("plain", True),
        ("none", False),
        ("wrong", False),
        ("wrong", False),
        ("one", True),
        ("two", True),
    ]
    assert [one.judged.rationale.text for one in verdicts(REPLIES, 1.2, 1)] == ["best", "none", "wrong"]
