"""What is written about in each round of a multilevel run: inputs of a file cut into rounds, or drawn texts to show.

Everything here depends on the configuration, its files and what earlier rounds kept, never on the clock, so that a run
that goes on finds the inputs it had.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from symdistill.content import content_key
from symdistill.curation.pairs import Pair
from symdistill.curation.words import squeezed
from symdistill.errors import ConfigError, DataError
from symdistill.methods.multilevel import Input, InventSettings, MultilevelSettings, check_fresh
from symdistill.prompts.pairs import listed
from symdistill.tasks.files import read_rows, read_text
from symdistill.training.critic_labels import verdict_of

_TEXT_KEYS = ("text", "input", "question")
_TRIES = 200
"""Draws of texts to show, for one that was not drawn before."""


@dataclass(frozen=True)
class Sources:
    """The files of a run, read: its inputs by round (none where a model invents), those that no round has and every
    student answers, the pairs of round 0 where these come from a file, what the teacher is shown, the texts invention
    begins with, and how many inputs were left out because they stood there before."""

    rounds: tuple[tuple[Input, ...], ...] = ()
    fixed: tuple[Input, ...] = ()
    seeds: tuple[tuple[Input, str], ...] = ()
    demonstrations: tuple[tuple[str, str], ...] = ()
    invented_from: tuple[Input, ...] = ()
    repeated: int = 0

    @property
    def line(self) -> str:
        """What there is, for people."""
        parts = [f"{sum(map(len, self.rounds)):,} inputs in {len(self.rounds)} rounds"]
        if self.invented_from:
            parts = [f"{len(self.invented_from):,} texts to begin with"]
        if self.fixed:
            parts.append(f"{len(self.fixed):,} for every student")
        if self.seeds:
            parts.append(f"{len(self.seeds):,} pairs to begin with")
        if self.repeated:
            parts.append(f"{self.repeated:,} inputs left out that stood there before")
        return "   ".join(parts)

    @property
    def deciding(self) -> frozenset[str]:
        """The ids of that half of the fixed inputs by which rounds end and a student is chosen."""
        return frozenset(one.id for one in self.fixed[::2])


def read_sources(settings: MultilevelSettings, seed: int) -> Sources:
    """Read and check all files.

    Raises:
        DataError: a file cannot be read, a row lacks a key, or there are too few different inputs for the rounds.
        ConfigError: nothing of a file can be audited, or shown.
    """
    if settings.invent is not None:
        return _to_invent(settings, settings.invent, seed)
    assert settings.inputs is not None
    seeds = tuple(read_pairs(settings.seeds, "multilevel.seeds")) if settings.seeds else ()
    found = read_inputs(settings.inputs, "multilevel.inputs")
    demonstrated = read_pairs(settings.demonstrations, "multilevel.demonstrations") if settings.demonstrations else ()
    shown = tuple((one.text, output) for one, output in demonstrated)
    taken = {squeezed(text) for text in (*(one.text for one, _ in seeds), *(text for text, _ in shown))}
    inputs: list[Input] = []
    for one in found:
        if squeezed(one.text) not in taken:
            taken.add(squeezed(one.text))
            inputs.append(one)
    number = settings.rounds + (0 if seeds else 1)
    fixed = sorted(inputs, key=lambda one: _rank(seed, "fixed", one.id))[: _fixed_count(settings, len(inputs))]
    apart = set(fixed)
    rest = [one for one in inputs if one not in apart]
    rounds = _cut(settings, rest, number, seed, len(fixed))
    return Sources(rounds, tuple(fixed), seeds, shown, repeated=len(found) - len(inputs))


def read_inputs(path: Path, key: str | None = None) -> list[Input]:
    """The inputs of a file: rows with `text`, `input` or `question`, and where there are, `id` and `answer`; or the
    lines of a .txt file. `key` is the setting that names it. Raises DataError."""
    if path.suffix.lower() == ".txt":
        return [
            Input(f"line {n}", line.strip())
            for n, line in enumerate(read_text(path, key).splitlines(), 1)
            if line.strip()
        ]
    found: list[Input] = []
    ids: dict[str, str] = {}
    for place, row in read_rows(path, key):
        text = next((row[name] for name in _TEXT_KEYS if isinstance(row.get(name), str)), None)
        if text is None or not text.strip():
            raise DataError(f"{place}: there is no `text`.", 'A row looks like {"id": "s1", "text": "…"}.')
        name = str(row.get("id") or place.rpartition(", ")[2])
        if name in ids:
            raise DataError(f"{place}: the id {name} stands at {ids[name]} already.", "Give every input its own `id`.")
        ids[name] = place
        answer = row.get("answer")
        found.append(Input(name, text.strip(), None if answer is None else str(answer)))
    return found


def read_pairs(path: Path, key: str | None = None) -> list[tuple[Input, str]]:
    """The pairs of a file: rows with `input` and `output`, and where there is one, `answer`. `key` is the setting that
    names it. Raises DataError."""
    found = []
    for place, row in read_rows(path, key):
        text, output = (row.get(name) for name in ("input", "output"))
        if not isinstance(text, str) or not isinstance(output, str) or not text.strip() or not output.strip():
            raise DataError(f"{place}: there is no `input` or no `output`.", 'A row has {"input": "…", "output": "…"}.')
        answer = row.get("answer")
        one = Input(content_key("i1", squeezed(text)), text.strip(), None if answer is None else str(answer))
        found.append((one, output.strip()))
    if not found:
        raise DataError(f"{path} holds no pair.", 'A row has {"input": "…", "output": "…"}.')
    return found


def read_labels(path: Path) -> dict[tuple[str, str], bool]:
    """What people said about outputs, by input and output without differences of case and white space.

    Rows have `input`, `output` and `label`, in the words of a critic's labels; null: not said yet.

    Raises:
        DataError: a row lacks a key, a label is none of these, or two rows contradict one another.
    """
    said: dict[tuple[str, str], bool] = {}
    for place, row in read_rows(path):
        text, output, label = (row.get(key) for key in ("input", "output", "label"))
        if not isinstance(text, str) or not isinstance(output, str):
            raise DataError(f"{place}: there is no `input` or no `output`.", "Copy both from audit.jsonl.")
        if label is None:
            continue
        value = verdict_of(label, place)
        key = (squeezed(text), squeezed(output))
        if said.setdefault(key, value) is not value:
            raise DataError(f"{place}: an earlier row says the opposite about the same output.", "Keep one of them.")
    return said


def inputs_of_round(
    settings: MultilevelSettings,
    sources: Sources,
    number: int,
    kept: Sequence[Pair],
    earlier: Sequence[Input],
    seed: int,
) -> list[Input]:
    """The inputs of a round. `kept` is what earlier rounds learned from, `earlier` all inputs they had.

    Raises:
        DataError: there are not so many, or one was used before.
    """
    if settings.invent is not None:
        assert settings.per_round is not None
        before = [*sources.fixed, *earlier]
        own = {pair.id: pair.output for pair in kept}
        inputs = _drawn(
            settings.invent, sources.invented_from, f"{number}", settings.per_round, own=own, earlier=before, seed=seed
        )
    else:
        inputs = list(sources.rounds[number - (1 if sources.seeds else 0)])
    check_fresh(earlier, inputs)
    return inputs


def audited_inputs(inputs: Sequence[Input], fraction: float, seed: int) -> set[str]:
    """The ids of the slice that is graded: a fixed draw, one at least and never all."""
    ids = sorted({one.id for one in inputs}, key=lambda name: _rank(seed, "audit", name))
    return set(ids[: min(max(1, round(fraction * len(ids))), len(ids) - 1)])


def _fixed_count(settings: MultilevelSettings, inputs: int) -> int:
    """How many of the inputs every student answers: one for each half at least, and none where nothing is audited."""
    return max(2, round(settings.audit.fixed * inputs)) if settings.audit else 0


def _cut(
    settings: MultilevelSettings, inputs: Sequence[Input], number: int, seed: int, fixed: int
) -> tuple[tuple[Input, ...], ...]:
    each = settings.per_round or len(inputs) // number
    if each < 2 or each * number > len(inputs):
        apart = f", {fixed:,} more are for every student" if fixed else ""
        raise DataError(
            f"{settings.inputs} holds {len(inputs):,} different inputs for the rounds{apart}, and {number} rounds of "
            f"{max(each, 2):,} need {max(each, 2) * number:,}.",
            "Add inputs, or lower `multilevel.rounds`, `multilevel.per_round` or `multilevel.audit.fixed`.",
        )
    ranked = sorted(inputs, key=lambda one: _rank(seed, "round", one.id))
    return tuple(tuple(ranked[at * each : (at + 1) * each]) for at in range(number))


def _invented_from(invent: InventSettings) -> tuple[Input, ...]:
    texts = {squeezed(one.text): one for one in read_inputs(invent.seeds, "multilevel.invent.seeds")}
    own = min(invent.own, invent.shown)
    if invent.own >= invent.shown:
        raise ConfigError(
            f"`multilevel.invent.own` is {invent.own}, and {invent.shown} texts are `shown`.",
            "Leave room for one of the seeds at least.",
        )
    if len(texts) < invent.shown - own or len(texts) < 2:
        raise DataError(
            f"{invent.seeds} holds {len(texts):,} different texts, and {invent.shown} are shown each time.",
            "Add texts, or lower `multilevel.invent.shown`.",
        )
    return tuple(texts.values())


def _to_invent(settings: MultilevelSettings, invent: InventSettings, seed: int) -> Sources:
    """What is shown where a model invents; the fixed draws hold seeds alone."""
    given = _invented_from(invent)
    count = _fixed_count(settings, (settings.per_round or 0) * (settings.rounds + 1))
    fixed = _drawn(invent, given, "fixed", count, own={}, earlier=(), seed=seed)
    return Sources(fixed=tuple(fixed), invented_from=given)


def _drawn(
    invent: InventSettings,
    seeds: Sequence[Input],
    name: str,
    wanted: int,
    *,
    own: Mapping[str, str],
    earlier: Sequence[Input],
    seed: int,
) -> list[Input]:
    """Texts to show, no set of them twice; `own` are those of the model's making, from earlier rounds, by their ids."""
    given: Mapping[str, str] = {one.id: one.text for one in seeds}
    before = {frozenset(one.shown) for one in earlier}
    inputs: list[Input] = []
    for at in range(wanted):
        for attempt in range(_TRIES):
            chance = random.Random(f"{seed} {name} {at} {attempt}")
            mine = chance.sample(sorted(own), min(invent.own, len(own)))
            theirs = chance.sample(sorted(given), min(invent.shown - len(mine), len(given)))
            shown = [*mine, *theirs]
            if frozenset(shown) not in before:
                break
        else:
            raise DataError(
                f"{'The audit' if name == 'fixed' else f'Round {name}'} needs {wanted:,} different draws of "
                f"{invent.shown} from {len(given) + len(own):,} texts, and after {len(inputs):,} no new one is found.",
                "Add texts to `multilevel.invent.seeds`, or lower `multilevel.per_round` or `multilevel.audit.fixed`.",
            )
        chance.shuffle(shown)
        before.add(frozenset(shown))
        text = listed([own[name] if name in own else given[name] for name in shown])
        inputs.append(Input(f"draw {name}-{at}", text, shown=tuple(shown)))
    return inputs


def _rank(seed: int, purpose: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\nmultilevel {purpose}\n{name}".encode("utf-8", "surrogatepass")).digest()
