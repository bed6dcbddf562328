"""A method's reranker: trained on most of the training questions, mixed with BM25 on some, measured on others.

It is found again by what it was trained on, and its training goes on from its last whole epoch.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from symdistill.content import content_key
from symdistill.evaluation.recall import MixCase, RankedCase, RecallRow, best_share, recall_rows
from symdistill.knowledge.passages import (
    PassageIndex,
    Reading,
    passage_query,
    ranking_case,
    rationale_query,
)
from symdistill.methods.base import Material
from symdistill.methods.kard import Kard
from symdistill.methods.std_cot import first_samples
from symdistill.records import Example, Rationale
from symdistill.runs.directory import share_folder, write_json
from symdistill.tasks.splitting import draw, with_twins

if TYPE_CHECKING:
    from symdistill.runs.workspace import Workspace
    from symdistill.training.rankers import Reranker
    from symdistill.training.reranker import RankerBase

_SHOWN = (1, 10)
"""Depths of recall beside the number of passages that are read."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The ids of the training questions with rationales: a reranker learns from some, its mix with BM25 is chosen on
    others, and it is measured on yet others."""

    learned: frozenset[str]
    chosen_on: frozenset[str]
    measured: frozenset[str]


def parts_of(material: Material, method: Kard, seed: int, apart: Collection[str] = ()) -> Parts:
    """The questions in three parts, twins together; with fewer than three questions all are learned from. Questions set
    `apart`, on which early stopping is decided, are in none of them."""
    solved = {r.example_id for r in material.rationales}.difference(apart)
    questions = [e for e in material.examples if e.id in solved]
    count = max(1, round(method.settings.reranking.held_out * len(questions)))
    if len(questions) < 3 or 2 * count >= len(questions):
        return Parts(frozenset(e.id for e in questions), frozenset(), frozenset())
    measured = with_twins(questions, draw(questions, count, seed, "reranker")[0])
    left = [e for e in questions if e.id not in measured]
    chosen_on = with_twins(left, draw(left, count, seed, "mix")[0])
    learned = {e.id for e in left} - chosen_on
    return Parts(frozenset(learned), frozenset(chosen_on), frozenset(measured))


def ensure_reranker(work: Workspace, method: Kard, plain: Reading, material: Material, parts: Parts) -> Reranker:
    """The reranker of a method, trained where neither this run nor another cell of its grid has it.

    What it learned and how it is mixed with BM25 are two things: another mix asks for no other training.
    """
    from symdistill.training.rankers import VERSION, Reranker, mixed_anew, read_card

    settings, index = method.settings, plain.index
    interaction: Literal["bi-encoder", "late-interaction"] = (
        "bi-encoder" if settings.reranker == "bi-encoder" else "late-interaction"
    )
    by_id = {e.id: e for e in material.examples}
    pairs = [(by_id[r.example_id], r.text) for r in _chosen(method, material)]
    learned = [(e, text) for e, text in pairs if e.id in parts.learned]
    base, of_base = _base(work, method)
    fingerprint = content_key(
        "x4",
        {
            "learned": [[passage_query(e), rationale_query(text)] for e, text in learned],
            "passages": index.facts["key"],
            "interaction": interaction,
            "settings": settings.reranking.model_dump(mode="json", exclude={"held_out", "lexical"}),
            "base": of_base,
            "seed": work.training_seed(method),
            "version": VERSION,
        },
    )

    lexical = settings.reranking.lexical
    decided: list[object] = [lexical]
    if lexical == "chosen":
        chosen_on = [[passage_query(e), rationale_query(text)] for e, text in pairs if e.id in parts.chosen_on]
        decided += [chosen_on, settings.passages, settings.candidates]
    mixed = content_key("x5", decided)

    def mix(ranker: Reranker) -> float | None:
        if lexical != "chosen":
            return lexical
        texts = _texts(method, material, parts.chosen_on)
        return best_share([_mix_case(plain, ranker, by_id[i], texts[i]) for i in sorted(texts)], settings.passages)

    target = work.directory.reranker(method.label)
    with work.alone(fingerprint):
        card = read_card(target)
        if not card or card["fingerprint"] != fingerprint:
            if twin := _twin(work, fingerprint):
                _share(twin, target)
                work.progress.start("reranker")
                place = os.path.relpath(twin, work.directory.path)
                work.progress.finish(f"{method.label}   trained already, as {place}")
            else:
                _train(work, method, index, learned, base, interaction, fingerprint, mix, mixed)
        else:
            work.progress.start("reranker")
            work.progress.finish(f"{method.label}   trained before ({card['steps']:,} steps)")
    ranker = Reranker.load(target)
    return ranker if ranker.card.get("mixed") == mixed else mixed_anew(target, mix(ranker), mixed)


def _train(
    work: Workspace,
    method: Kard,
    index: PassageIndex,
    learned: Sequence[tuple[Example, str]],
    base: RankerBase,
    interaction: Literal["bi-encoder", "late-interaction"],
    fingerprint: str,
    mix: Callable[[Reranker], float | None],
    mixed: str,
) -> None:
    from symdistill.training.reranker import train_reranker

    settings = method.settings.reranking
    work.progress.start("candidates", len(learned))
    cases = []
    for example, text in learned:
        cases.append(ranking_case(index, example, text, settings.each))
        work.progress.advance()
    train_reranker(
        cases,
        index.__getitem__,
        base,
        interaction,
        settings,
        work.directory.reranker(method.label),
        fingerprint=fingerprint,
        checkpoint=work.directory.checkpoints / f"{method.label}-reranker-{fingerprint[-8:]}.safetensors",
        mix=mix,
        mixed=mixed,
        seed=work.training_seed(method),
        progress=work.progress,
        label=method.label,
    )
    for left in work.directory.checkpoints.glob(f"{method.label}-reranker-*.safetensors"):
        left.unlink()  # those of trainings that were given up as well


def _twin(work: Workspace, fingerprint: str) -> Path | None:
    """A finished reranker with this fingerprint, of this run or of any cell of its grid; the oldest one."""
    from symdistill.training.rankers import CARD, read_card

    own = sorted(work.directory.reranker("").glob("*/"))
    places = {*own, *(work.commons.reranker_places() if work.commons else ())}
    whole = [place for place in places if not place.name.startswith(".")]
    found = [place for place in whole if (card := read_card(place)) and card["fingerprint"] == fingerprint]
    return min(found, key=lambda place: (place / CARD).stat().st_mtime, default=None)


def _share(source: Path, target: Path) -> None:
    """Put a reranker in a second place; its card is a file of each, since they may be mixed otherwise."""
    from symdistill.training.rankers import CARD, read_card

    share_folder(source, target, CARD)
    write_json(target / CARD, read_card(source))


def _base(work: Workspace, method: Kard) -> tuple[RankerBase, str]:
    """What the reranker stands on, and its fingerprint."""
    from symdistill.models.encoder import encoder_identity
    from symdistill.models.weights import directory_fingerprint
    from symdistill.students.loading import locate_student
    from symdistill.training.reranker import RankerBase

    encoder = method.settings.reranker_model
    if encoder is not None:
        return RankerBase(encoder, is_encoder=True), encoder_identity(encoder)
    student = locate_student(work.config.student)
    return RankerBase(student, is_encoder=False), directory_fingerprint(student)


def _chosen(method: Kard, material: Material) -> list[Rationale]:
    """The rationales a method learns from."""
    return first_samples(material.rationales, method.settings.samples)


def _texts(method: Kard, material: Material, ids: frozenset[str]) -> dict[str, list[str]]:
    """The rationales of these questions that a method learns from."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for rationale in _chosen(method, material):
        if rationale.example_id in ids:
            found[rationale.example_id].append(rationale.text)
    return dict(found)


def _mix_case(plain: Reading, ranker: Reranker, example: Example, rationales: Sequence[str]) -> MixCase:
    query, index = passage_query(example), plain.index
    hits = index.search(query, plain.candidates)
    passages = [index[hit.index] for hit in hits]
    return MixCase(
        wanted=[[hit.index for hit in index.search(rationale_query(text), plain.passages)] for text in rationales],
        candidates=[hit.index for hit in hits],
        similarities=list(map(float, ranker.similarities(query, passages))) if hits else [],
        shares=[hit.score / hits[0].score for hit in hits],
    )


def measure_retrieval(
    work: Workspace, method: Kard, plain: Reading, reading: Reading, material: Material, parts: Parts
) -> None:
    """Write retrieval-LABEL.json, unless it is there and says this."""
    settings = method.settings
    path = work.directory.retrieval(method.label)
    texts = _texts(method, material, parts.measured)
    questions = [e for e in material.examples if e.id in texts]
    card = dict(reading.ranker.card) if reading.ranker is not None else None  # type: ignore[attr-defined]
    key = content_key(
        "x2",
        {
            "asked": [[passage_query(e), [rationale_query(t) for t in texts[e.id]]] for e in questions],
            "passages": plain.index.facts["key"],
            "reranker": [card["fingerprint"], card["lexical"]] if card else None,
            "settings": [settings.passages, settings.candidates, work.config.evaluation.confidence],
            "seed": work.config.seed,
        },
    )
    if path.exists() and work.directory.read_json(path).get("key") == key:
        return
    depths = sorted({settings.passages, *(k for k in _SHOWN if k <= settings.candidates)})
    cases = [_case(plain, reading, e, texts[e.id], max(depths)) for e in questions]
    rows = recall_rows(cases, depths, confidence=work.config.evaluation.confidence, seed=work.config.seed)
    facts = plain.index.facts
    write_json(
        path,
        {
            "method": method.label,
            "key": key,
            "index": os.path.relpath(plain.index.directory, work.directory.path),
            **{name: facts[name] for name in ("passages", "documents", "words")},
            "read": settings.passages,
            "candidates": settings.candidates,
            "reranker": card,
            "learned_from": len(parts.learned),
            "chosen_on": len(parts.chosen_on),
            "recall": [row.to_dict() for row in rows],
            "questions": [_as_written(plain.index, case) for case in cases],
        },
    )
    _say(work, method, rows, card)


def _case(plain: Reading, reading: Reading, example: Example, rationales: Sequence[str], depth: int) -> RankedCase:
    query = passage_query(example)
    index = plain.index
    return RankedCase(
        example.id,
        [[hit.index for hit in index.search(rationale_query(text), depth)] for text in rationales],
        plain.ranking(query, depth),
        reading.ranking(query, depth) if reading.ranker else None,
        plain.ranking(query, plain.candidates),
    )


def _as_written(index: PassageIndex, case: RankedCase) -> dict[str, Any]:
    def named(numbers: Sequence[int]) -> list[str]:
        return [index[number].id for number in numbers]

    return {
        "id": case.example_id,
        "wanted": [named(best) for best in case.wanted],
        "before": named(case.before),
        "after": None if case.after is None else named(case.after),
    }


def _say(work: Workspace, method: Kard, rows: Sequence[RecallRow], card: Mapping[str, Any] | None) -> None:
    row = next((r for r in rows if r.k == method.settings.passages), None)
    if row is None:
        work.progress.note(f" reading    {method.label}   no question was held out to measure retrieval on")
        return
    said = f"recall@{row.k} of what rationales find: {row.before.value:.0%} by BM25"
    if row.after is not None and row.gain is not None:
        gain = 100 * row.gain.value, 100 * row.gain.low, 100 * row.gain.high
        said += f", {row.after.value:.0%} reranked ({gain[0]:+.1f} points [{gain[1]:+.1f}, {gain[2]:+.1f}])"
    work.progress.note(f" reading    {method.label}   {said}, {row.n:,} questions")
    if card is not None and card["lexical"] is None:
        work.progress.note(f"            {method.label}: no reranked order was better than BM25's, which is used")
    elif row.gain is not None and row.gain.high < 0:
        work.progress.note(f"            {method.label}: the reranker finds less than BM25; see `reranker: none`")
