"""What a round of reinforcement learns from: the student's own judged replies, or the reward itself; and who judges."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdistill.content import file_sha256
from symdistill.curation.completion import final_completion
from symdistill.curation.rationales import Reply, read_rationale
from symdistill.curation.settings import CurationSettings
from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.knowledge.triples.contradiction import Contradictions
from symdistill.knowledge.triples.records import canonical_hash
from symdistill.methods.preferences import pairs, verdicts
from symdistill.methods.reward import Judged, Scorers, judge
from symdistill.methods.rl import Rl, select
from symdistill.records import Example, Message, Rationale
from symdistill.training.lessons import Asked, Lesson, Opinion, Opinions, Preference, Preferences, Rewarded, Said

if TYPE_CHECKING:
    from symdistill.knowledge.triples.records import Triple
    from symdistill.knowledge.triples.store import TripleStore
    from symdistill.runs.learning import Course

JUDGES = {
    "critic": ("critic", "a directory that `symdistill triples critic` or a program has written"),
    "kb_contradiction": ("graph", "the directory of a knowledge graph"),
}
"""The weight in `reward`, and the key of the method that says who judges."""


@dataclass(frozen=True, slots=True)
class Judges:
    """Who judges beside the answer and the steps, and a value that changes where they would judge otherwise."""

    scorers: Scorers
    identity: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a round learns: `count` lessons about `questions` questions, in which `rationales` are what is wanted.

    `lesson` is None where the rationales themselves are learned; `identity` holds it as plain values.
    """

    rationales: Sequence[Rationale]
    count: int
    questions: int
    lesson: Lesson | None = None
    identity: Any = None


def check_judges(method: Rl) -> list[str]:
    """Make sure of what an algorithm and its reward need; what its judges cannot judge, in words.

    Raises:
        ConfigError: a weight without a judge, a judge without a weight, or one that is not there.
        PrerequisiteError: a package is missing. DataError, StoreError: what is there is no critic or graph.
    """
    settings = method.settings
    if settings.algorithm != "expert-iteration" and importlib.util.find_spec("trl") is None:
        raise PrerequisiteError(f"The algorithm {settings.algorithm} needs trl.", "pip install 'symdistill[rl]'")
    for name, (key, what) in JUDGES.items():
        weight, place = getattr(settings.reward, name), getattr(settings, key)
        weight = weight or settings.reward.only == name
        if weight and place is None:
            raise ConfigError(
                f"`reward.{name}` of {method.label} has a weight, and no {key} is given.",
                f"Name one (`{key}:`, {what}), or leave `reward.{name}` out.",
            )
        if place is not None and not weight:
            raise ConfigError(
                f"{method.label} has a {key}, and `reward.{name}` gives it no weight.",
                f"Add `reward: {{{name}: 0.2}}`, or leave `{key}` out.",
            )
        if place is not None and not place.is_dir():
            raise ConfigError(f"There is no directory {place} (`{key}` of {method.label}).", f"Name {what}.")
    if settings.critic is not None:
        _RepliesCritic(settings.critic)
    return _check_graph(method, settings.graph) if settings.graph is not None else []


def _check_graph(method: Rl, place: Path) -> list[str]:
    """What a graph cannot judge, in words. Raises ConfigError where that is everything."""
    graph, triples = _contradictions(_graph(place))
    if graph.blind():
        raise ConfigError(
            f"The graph {place} of {method.label} can never contradict a reply: "
            + ("it has no relation whose wording a text can be read by." if triples else "it holds no triple."),
            "Give its relations wordings of their own (`verbalise`), or name another graph.",
        )
    unread = graph.unread()
    if not unread:
        return []
    return [f"{method.label}: no reply is checked for {', '.join(unread)}: their wording cannot be told in a text"]


def check_controls(methods: Sequence[Rl]) -> None:
    """Refuse a reward without a gate for anything but an experiment: it stands beside the arm it is the control of.

    Raises:
        ConfigError: no other method of the run learns by the same algorithm and a gated reward.
    """
    for method in methods:
        own = method.settings
        if not own.reward.only:
            continue
        if not any(not m.settings.reward.only and m.settings.algorithm == own.algorithm for m in methods):
            raise ConfigError(
                f"The reward of {method.label} is the {own.reward.only} alone: its student learns wrong answers that "
                "please, which is of use as the control of a gated reward and for nothing else.",
                f"Put an arm of the algorithm {own.algorithm} with a gated reward into the same run's `methods`, or "
                "leave `reward.only` out.",
            )


def judges_of(method: Rl) -> Judges:
    """Who judges the replies of this method's students. Raises as `check_judges`."""
    settings = method.settings
    identity: dict[str, Any] = {}
    scorers = Scorers()
    if settings.critic is not None:
        critic = _RepliesCritic(settings.critic)
        scorers = replace(scorers, critic=critic.score, ahead=critic.ahead)
        identity["critic"] = {p.name: file_sha256(p) for p in sorted(settings.critic.iterdir()) if p.is_file()}
    if settings.graph is not None:
        store = _graph(settings.graph)
        graph, triples = _contradictions(store)
        share, checkable = functools.cache(graph.share), functools.cache(graph.checkable)
        scorers = replace(
            scorers,
            kb_contradiction=lambda example, rationale: share(rationale.text),
            checkable=lambda rationale: checkable(rationale.text),
        )
        identity["graph"] = [store.schema.text, canonical_hash(triples)]
    return Judges(scorers, identity or None)


class _RepliesCritic:
    """A critic that judges replies; each text is judged once. Raises DataError where there is none in `place`."""

    def __init__(self, place: Path) -> None:
        from symdistill.training.critic import Critic

        self._critic = Critic.load(place)
        self._known: dict[tuple[str, str], float] = {}

    def ahead(self, replies: Sequence[tuple[Example, Rationale]]) -> None:
        """Judge replies together: where a model stands behind the critic, one by one takes many times as long."""
        pairs = dict.fromkeys((example.question, reply.text) for example, reply in replies if reply.text.strip())
        new = [pair for pair in pairs if pair not in self._known]
        if new:
            self._known |= zip(new, map(float, self._critic.probabilities(new)), strict=True)

    def score(self, example: Example, reply: Rationale) -> float:
        """How probably the reply is a good one; 0 of one that says nothing."""
        self.ahead([(example, reply)])
        return self._known.get((example.question, reply.text), 0.0)


def _graph(place: Path) -> TripleStore:
    from symdistill.knowledge.triples.store import TripleStore

    if importlib.util.find_spec("clingo") is None:
        raise PrerequisiteError("Checking replies against a graph needs clingo.", "pip install 'symdistill[kg]'")
    return TripleStore(place, create=False)


def _contradictions(store: TripleStore) -> tuple[Contradictions, list[Triple]]:
    triples = list(store.triples())
    return Contradictions(store.schema, triples), triples


def take(
    method: Rl, judged: Sequence[Judged], by_id: Mapping[str, Example], number: int, scorers: Scorers
) -> Taken | None:
    """What round `number` learns from the replies of the student before it; None where there is nothing."""
    settings = method.settings
    threshold, each = settings.threshold_of(number), settings.per_question
    if settings.algorithm == "grpo":
        return _rewarded(method, list(by_id.values()), scorers)
    if settings.algorithm == "expert-iteration":
        chosen = [one.rationale for one in select(judged, threshold, each)]
        return Taken(chosen, len(chosen), _questions(chosen)) if chosen else None
    if settings.algorithm == "dpo":
        preferred = pairs(judged, threshold, each)
        rationales = [pair.chosen.rationale for pair in preferred]
        learned = [
            Preference(_prompt(method, by_id, pair.chosen), _said(pair.chosen), _said(pair.rejected))
            for pair in preferred
        ]
        lesson: Lesson = Preferences(learned, settings.held)
        plain = [asdict(one) for one in learned]
        return Taken(rationales, len(preferred), _questions(rationales), lesson, plain) if preferred else None
    said = verdicts(judged, threshold, each)
    rationales = [one.judged.rationale for one in said if one.desirable]
    opinions = [Opinion(_prompt(method, by_id, one.judged), _said(one.judged), one.desirable) for one in said]
    lesson = Opinions(opinions, settings.held)
    asked = _questions([one.judged.rationale for one in said])
    both = 0 < len(rationales) < len(said)
    return Taken(rationales, len(said), asked, lesson, [asdict(one) for one in opinions]) if both else None


def _rewarded(method: Rl, asked: Sequence[Example], scorers: Scorers) -> Taken:
    settings = method.settings
    by_id = {example.id: example for example in asked}

    def worth(question: str, text: str, cut: bool) -> float:
        return gated_reward(method, by_id[question], text, cut, scorers)

    questions = [Asked(example.id, method.prompt(example)) for example in asked]
    lesson = Rewarded(
        questions,
        worth,
        samples=settings.samples,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        beta=settings.held,
    )
    how = [settings.samples, settings.temperature, settings.top_p, settings.max_tokens]
    plain = [how, settings.reward.model_dump(mode="json"), [_plain(method, example) for example in asked]]
    return Taken((), 0, 0, lesson, plain)


def gated_reward(method: Rl, example: Example, text: str, cut: bool, scorers: Scorers) -> float:
    """What a reply that is drawn while the student learns is worth: judged as one that was stored."""
    reply = Reply("", "", 0, text, None, cut, None)
    rationale, _ = read_rationale(example, reply, CurationSettings())
    return judge(example, rationale, method.settings.reward, scorers).reward


def course_of(method: Rl, taken: Taken, number: int, judges: Judges) -> Course | None:
    """How the student of a round is trained; None where it learns rationales as any student does."""
    from symdistill.runs.learning import Course

    lesson = taken.lesson
    if lesson is None:
        return None
    settings = method.settings
    identity = {
        "algorithm": settings.algorithm,
        "beta": settings.held,
        "lesson": taken.identity,
        "judges": judges.identity,
        "round": number,
    }
    tally: list[tuple[str, float]] = []
    if isinstance(lesson, Rewarded):
        lesson = _tallied(lesson, tally)

    def run(student: Any, **around: Any) -> Any:
        from symdistill.training.preferences import optimise

        tally.clear()
        # the rounds of one method differ in what they draw, also where one is too short to ask every question
        return optimise(student, lesson, **{**around, "seed": around["seed"] + number})

    return Course(identity, run, lambda: {"reinforced": _counted(tally, settings.samples)} if tally else {})


def _tallied(lesson: Rewarded, tally: list[tuple[str, float]]) -> Rewarded:
    """The lesson, with every reward it gives written down."""
    inner: Callable[[str, str, bool], float] = lesson.reward

    def told(question: str, text: str, cut: bool) -> float:
        worth = inner(question, text, cut)
        tally.append((question, worth))
        return worth

    return replace(lesson, reward=told)


def _counted(tally: Sequence[tuple[str, float]], samples: int) -> dict[str, int]:
    """How many replies were judged, how many stood in a group of different rewards, and the questions of those."""
    groups = [tally[at : at + samples] for at in range(0, len(tally), samples)]
    uneven = [group for group in groups if len({worth for _, worth in group}) > 1]
    return {
        "judged": len(tally),
        "kept": sum(map(len, uneven)),
        "questions": len({question for group in uneven for question, _ in group}),
    }


def _prompt(method: Rl, by_id: Mapping[str, Example], one: Judged) -> tuple[Message, ...]:
    return method.prompt(by_id[one.rationale.example_id])


def _said(one: Judged) -> Said:
    """A reply as it is learned elsewhere: its last sentence is the cue with its answer, unless it was cut."""
    rationale = one.rationale
    return Said(rationale.text, whole=False) if rationale.truncated else Said(final_completion(rationale))


def _plain(method: Rl, example: Example) -> list[Any]:
    return [example.id, [[m.role, m.content] for m in method.prompt(example)], example.answer, example.answer_type]


def _questions(rationales: Sequence[Rationale]) -> int:
    return len({rationale.example_id for rationale in rationales})
