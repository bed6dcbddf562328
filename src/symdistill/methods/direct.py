"""`direct`: a teacher's knowledge as triples, the good ones chosen by a critic, and a student that completes them.

The pipeline of West et al. (arXiv 2110.07178): the teacher writes tails for heads in each relation; a classifier
trained on a few labels drops what it believes is wrong; a small model learns head and relation → tail from what is
left, as COMET does (Bosselut et al., ACL 2019).

What differs from the paper: the labels may come from anywhere (people, a rule, known triples); the threshold is the one
that keeps a share of the good *validation* labels (`critic.recall`), and nothing is read off the held-out ones; and the
critic's effect on the student is told from that of fewer examples by an arm of equally many triples drawn at random.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, field_validator

from symdistill.knowledge.triples.duplicates import NEAR
from symdistill.knowledge.triples.records import Triple
from symdistill.knowledge.triples.schema import Schema
from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.prompts.triples import triple_question
from symdistill.records import Example, TrainingExample
from symdistill.settings import Settings
from symdistill.training.settings import CriticSettings

ArmName = Literal["filtered", "all", "random", "matched"]

ARMS: tuple[ArmName, ...] = ("filtered", "all", "random")


class JudgeSettings(Settings):
    """A second critic, which filters nothing and judges what students write."""

    labels: Path | None = None
    """A label file of its own; None: a `share` of the heads of `direct.labels`, which the first critic never sees."""
    features: str = "words"
    """As of `direct.critic`."""
    share: float = Field(default=0.4, gt=0, lt=1)
    """Share of the heads of `direct.labels` for the judge, where it has no file of its own."""


class DirectSettings(Settings):
    """A teacher's knowledge as triples, a critic that chooses among them, and students that complete them."""

    relation_schema: str = "atomic"
    """A relation schema that ships, or its YAML file."""
    heads: Path | None = None
    """A file of heads, one a line."""
    new_heads: int = Field(default=0, ge=0)
    """Heads the teacher adds to them."""
    relations: tuple[str, ...] = ()
    """Only these; none named: all of the schema."""
    tails: PositiveInt = 5
    """Tails asked for in one question."""
    samples: PositiveInt = 1
    """How often each question is put."""
    near: float = Field(default=NEAR, ge=0, le=1)
    """Overlap of words from which two tails of one head and relation are one; 0: any word they share."""
    labels: Path | None = None
    """JSON lines with `head`, `relation`, `tail` and `label`; None: what reviewers decided about the run's graph."""
    critic: CriticSettings = CriticSettings()
    judge: JudgeSettings | None = None
    """None: nobody judges what students write."""
    arms: tuple[ArmName, ...] = ARMS
    """`filtered` learns what the critic passes, `all` everything, `random` an equal number drawn from everything,
    `matched` an equal number of each relation."""
    sizes: tuple[PositiveInt, ...] = ()
    """Further students on so many of the filtered triples, for a learning curve."""
    test: float = Field(default=0.2, gt=0, lt=1)
    """Share of the heads that no student learns about."""
    reference: Path | None = None
    """Triples to compare with, by people for instance; rows about heads that were learned from are left out."""
    reference_rows: PositiveInt | None = 1000
    """At most so many of them, drawn at random."""

    @field_validator("arms")
    @classmethod
    def _each_once(cls, arms: tuple[ArmName, ...]) -> tuple[ArmName, ...]:
        if not arms or len(set(arms)) != len(arms):
            raise ValueError("one or more of filtered, all, random and matched, each once")
        return arms


class Direct(Method):
    """One student: head and relation → tail, by cross-entropy on the tail alone."""

    needs = "nothing"
    ends_in_answer = False

    def training_examples(self, material: Material) -> list[TrainingExample]:
        return [TrainingExample(e.id, self.prompt(e), e.answer) for e in material.examples if e.answer is not None]


def arm(label: str, instruction: str) -> Direct:
    """The student of one arm."""
    return Direct(MethodSettings(name="direct", label=label), student_instruction=instruction)


def question(head: str, relation: str, schema: Schema, tail: str | None = None) -> Example:
    """A head and a relation as a student is asked about them; with the `tail` it is to learn."""
    asked = schema.relation(relation)
    text = triple_question(asked.ask or f"{asked.description or asked.id}?", head)
    return Example(id=f"{relation} {head}", question=text, answer=tail, task=schema.name)


def questions(triples: Sequence[Triple], schema: Schema) -> list[Example]:
    """What a student learns from triples."""
    return [question(t.head, t.relation, schema, t.tail) for t in triples]


def arms_of(
    settings: DirectSettings, everything: Sequence[Triple], accepted: Sequence[Triple], *, seed: int
) -> Mapping[str, list[Triple]]:
    """The triples of each arm, by its label.

    The random subset has as many triples as the filtered one, the matched one as many of each relation. A size that
    there are not triples enough for is left out; each smaller one is part of each larger one.
    """
    rng = random.Random(f"{seed} direct")
    equal = sorted(rng.sample(range(len(everything)), len(accepted)))
    made: dict[ArmName, list[Triple]] = {
        "filtered": list(accepted),
        "all": list(everything),
        "random": [everything[place] for place in equal],
        "matched": _matched(everything, accepted, random.Random(f"{seed} direct matched")),
    }
    found: dict[str, list[Triple]] = {name: made[name] for name in settings.arms}
    order = rng.sample(range(len(accepted)), len(accepted))
    for size in sorted(set(settings.sizes)):
        if size < len(accepted):
            found[f"filtered-{size}"] = [accepted[place] for place in sorted(order[:size])]
    return found


def _matched(everything: Sequence[Triple], accepted: Sequence[Triple], rng: random.Random) -> list[Triple]:
    """As many triples of each relation as were accepted, drawn at random and in their order."""
    wanted = Counter(triple.relation for triple in accepted)
    places: list[int] = []
    for relation, count in sorted(wanted.items()):
        places += rng.sample([n for n, t in enumerate(everything) if t.relation == relation], count)
    return [everything[place] for place in sorted(places)]
