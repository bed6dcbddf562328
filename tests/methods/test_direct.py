"""The arms of `direct`: what each student learns."""

from __future__ import annotations

from collections import Counter

from symdistill.knowledge.triples.records import Triple
from symdistill.methods.direct import DirectSettings, arms_of

EVERYTHING = [Triple(f"head {n}", ("xWant", "xNeed", "xAttr")[n % 3], f"tail {n}") for n in range(90)]
ACCEPTED = [t for n, t in enumerate(EVERYTHING) if (n % 3 == 0 and n < 60) or (n % 3 == 1 and n < 15)]


def relations(triples: list[Triple]) -> Counter[str]:
    return Counter(triple.relation for triple in triples)


def test_the_matched_arm_has_as_many_of_each_relation() -> None:
    arms = arms_of(DirectSettings(arms=("filtered", "random", "matched")), EVERYTHING, ACCEPTED, seed=0)
    assert list(arms) == ["filtered", "random", "matched"]
    assert {label: len(triples) for label, triples in arms.items()} == dict.fromkeys(arms, 25)
    assert relations(arms["matched"]) == relations(arms["filtered"]) == Counter(xWant=20, xNeed=5)
    assert relations(arms["random"])["xAttr"]
    assert set(arms["matched"]) - set(ACCEPTED)
    assert len(set(arms["matched"])) == 25


def test_an_arm_more_changes_no_other() -> None:
    fewer = arms_of(DirectSettings(sizes=(5, 10)), EVERYTHING, ACCEPTED, seed=3)
    more = arms_of(
        DirectSettings(arms=("filtered", "all", "random", "matched"), sizes=(5, 10)), EVERYTHING, ACCEPTED, seed=3
    )
    assert {label: more[label] for label in fewer} == fewer
    assert set(fewer["filtered-5"]) < set(fewer["filtered-10"]) < set(ACCEPTED)
    assert arms_of(DirectSettings(), EVERYTHING, ACCEPTED, seed=4)["random"] != fewer["random"]
