"""Why a rationale is dropped. Every dropped rationale has exactly one reason, the first of `REASONS` that applies.

| reason           | the rationale …                                                                             |
|------------------|---------------------------------------------------------------------------------------------|
| `truncated`      | was cut at the teacher's token limit, or its reasoning block never closed                   |
| `unparsable`     | holds no answer of the task's type in its reply; dropped in every setting                   |
| `wrong`          | reaches another answer than the gold one; only where answers are verified and there is gold |
| `wrong_step`     | states an equation that does not hold; only with `curation.check_steps: drop` (see `steps`) |
| `too_short`      | has fewer words than `curation.min_words`                                                   |
| `too_long`       | has more words than `curation.max_words`                                                    |
| `duplicate`      | equals an earlier one of the same question but for case and white space                     |
| `near_duplicate` | shares the 3-grams of an earlier one of the same question, its values and its answer        |
| `not_selected`   | was passed over by `curation.select`                                                        |

Lengths count words as separated by white space, in the text the student would learn, its last sentence included.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

from symdistill.curation.settings import CurationSettings
from symdistill.curation.steps import check_steps
from symdistill.curation.words import ngrams, squeezed, values, words
from symdistill.records import Example, Rationale

Reason = Literal[
    "truncated",
    "unparsable",
    "wrong",
    "wrong_step",
    "too_short",
    "too_long",
    "duplicate",
    "near_duplicate",
    "not_selected",
]

REASONS: tuple[Reason, ...] = get_args(Reason)


class Verdict(NamedTuple):
    """Why a rationale is dropped: a reason and, for the reader, the detail."""

    reason: Reason
    detail: str


def fault(rationale: Rationale, example: Example | None, settings: CurationSettings, *, verify: bool) -> Verdict | None:
    """What is wrong with one rationale by itself, or None.

    `example` (None when the question is not at hand) only words the detail. A rationale without a verdict, because
    its question has no gold answer, is never `wrong`.
    """
    if rationale.truncated:
        return Verdict("truncated", "the reply was cut before its end")
    if rationale.answer is None:
        kind = f"{example.answer_type} " if example else ""
        return Verdict("unparsable", f"no {kind}answer in the reply")
    if verify and rationale.correct is False:
        expected = f", not {_clip(example.answer)}" if example and example.answer is not None else ""
        return Verdict("wrong", f"the answer is {_clip(rationale.answer)}{expected}")
    if settings.check_steps == "drop" and (step := check_steps(rationale.text).first_wrong):
        return Verdict("wrong_step", f"{_clip(step.text)} does not hold")
    length = len(rationale.text.split())
    if length < settings.min_words:
        return Verdict("too_short", f"{length} words, at least {settings.min_words} wanted")
    if settings.max_words is not None and length > settings.max_words:
        return Verdict("too_long", f"{length} words, at most {settings.max_words} wanted")
    return None


def exact_duplicates(rationales: Sequence[Rationale]) -> dict[int, Verdict]:
    """Positions of rationales that repeat an earlier one of the same question, in linear time.

    The answer belongs to the comparison: two replies may share their reasoning and conclude differently.
    """
    first: dict[tuple[str, str], int] = {}
    found = {}
    for position, rationale in enumerate(rationales):
        seen = first.setdefault((squeezed(rationale.text), squeezed(rationale.answer or "")), position)
        if seen != position:
            found[position] = Verdict("duplicate", f"of sample {rationales[seen].sample_index}")
    return found


def near_duplicates(rationales: Sequence[Rationale], threshold: float) -> dict[int, Verdict]:
    """Positions of rationales that say again what an earlier, kept one of the same question says.

    Near means a Jaccard similarity of word 3-grams of at least `threshold`, among rationales with the same answer and
    the same numbers, operators and truth values in the same order (`words.values`): chains that differ in what they
    compute are never near, however alike their words. Work is quadratic in the rationales of one question that share
    their values. A threshold of 1 switches the check off.
    """
    if threshold >= 1 or len(rationales) < 2:
        return {}
    answers = [squeezed(rationale.answer or "") for rationale in rationales]
    shared = Counter(answers)
    alike: defaultdict[tuple[str, tuple[str, ...]], list[tuple[int, list[str]]]] = defaultdict(list)
    for position, answer in enumerate(answers):
        if shared[answer] > 1:  # only those that may have a peer are taken apart
            tokens = words(rationales[position].text)
            alike[answer, values(tokens)].append((position, tokens))
    found = {}
    for peers in alike.values():
        if len(peers) < 2:
            continue
        kept: list[tuple[int, set[tuple[str, ...]]]] = []
        for position, tokens in peers:
            grams = ngrams(tokens, 3)
            for earlier, other in kept:
                similarity = _jaccard(grams, other, threshold)
                if similarity >= threshold:
                    detail = f"{similarity:.2f} similar to sample {rationales[earlier].sample_index}"
                    found[position] = Verdict("near_duplicate", detail)
                    break
            else:
                kept.append((position, grams))
    return found


def _jaccard(left: set[tuple[str, ...]], right: set[tuple[str, ...]], threshold: float) -> float:
    """Jaccard similarity; 0 where the sizes alone already rule `threshold` out, and for texts without words."""
    small, large = sorted((len(left), len(right)))
    if not small or small < threshold * large:
        return 0.0
    shared = len(left & right)
    return shared / (small + large - shared)


def _clip(text: str | None, limit: int = 80) -> str:
    shown = " ".join((text or "").split())
    return repr(shown if len(shown) <= limit else shown[: limit - 1] + "…")
