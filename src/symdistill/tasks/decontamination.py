"""Training questions that give an evaluation question away, found and taken out.

Two rules, applied to the words of the questions (case, spacing and sentence punctuation do not count):

*exact*    the training question is an evaluation question, with the same options where it has any;
*8-gram*   at least 60% of an evaluation question's own words stand in the training question, in runs of eight or
           more, and so do all its numbers.

"Own" is the point. Questions made from one template ("State the final answer to the following arithmetic problem: …")
share most of their 8-grams and are different questions all the same; a rule that counts every shared 8-gram would
remove whole tasks. So a run of eight words that stands in more than 3 evaluation questions, or in more than 5 and more
than 2% of a task's training questions, is template: its words are nobody's own. What is left is compared. Where less
than a quarter of a question is left, or never eight words in a row, as in short sums, only an exact copy counts. And a
question with other numbers is another question.

A question and its declared contrast twins count as one question here, so that edits of one another are not taken for a
template.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Literal

from symdistill.records import Example

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]
    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

RUN = 8
"""Words in a run."""
SHARE = 0.6
"""Share of an evaluation question's own words, in shared runs, from which on a training question is removed."""
_OWN_SHARE = 0.25
"""Share of its words that must be a question's own for runs to say anything about it."""
_EVAL_COUNT = 3
_TRAIN_COUNT = 5
_TRAIN_SHARE = 0.02
_TABLE_BITS = 24

# One Chinese or Japanese character, a number, a word, or a sign that is not sentence punctuation.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff]|\d+(?:[.,]\d+)*|[^\W\d\u3040-\u30ff\u3400-\u9fff]+|[^\w\s.,;:?\"'`“”‘’]"
)
_ASCII_TOKEN = re.compile(r"[a-z_]+|\d+(?:[.,]\d+)*|[^\w\s.,;:?\"'`]")


@dataclass(frozen=True, slots=True)
class Overlap:
    """A training question that was removed, the evaluation question it gives away, and how much of it (0 to 1)."""

    id: str
    eval_id: str
    kind: Literal["exact", "8-gram"]
    share: float


def decontaminate(
    train: Sequence[Example], evaluation: Sequence[Example]
) -> tuple[tuple[Example, ...], tuple[Overlap, ...]]:
    """The training questions that stay, and what was removed, in the order of `train`."""
    if not train or not evaluation:
        return tuple(train), ()
    tokens = {"train": [_tokens(e.question) for e in train], "eval": [_tokens(e.question) for e in evaluation]}
    same: dict[str, str] = {}
    for example, words in zip(evaluation, tokens["eval"], strict=True):
        same.setdefault(_exact_key(example, words), example.id)
    removed: dict[int, Overlap] = {}
    for at, (example, words) in enumerate(zip(train, tokens["train"], strict=True)):
        found = same.get(_exact_key(example, words))
        if found is not None:
            removed[at] = Overlap(example.id, found, "exact", 1.0)
    for at, other, share in _shared_runs(train, tokens["train"], evaluation, tokens["eval"]):
        if at not in removed and share >= SHARE and _numbers(tokens["eval"][other]) <= _numbers(tokens["train"][at]):
            removed[at] = Overlap(train[at].id, evaluation[other].id, "8-gram", round(share, 3))
    kept = tuple(example for at, example in enumerate(train) if at not in removed)
    return kept, tuple(removed[at] for at in sorted(removed))


def _tokens(question: str) -> list[str]:
    if question.isascii():
        return _ASCII_TOKEN.findall(question.lower())
    return _TOKEN.findall(unicodedata.normalize("NFKC", question).replace("−", "-").casefold())


def _numbers(words: Sequence[str]) -> set[str]:
    return {word for word in words if word[0].isdecimal()}


def _exact_key(example: Example, words: Sequence[str]) -> str:
    options = sorted(" ".join(_tokens(text)) for text in (example.choices or {}).values())
    return "\n".join([" ".join(words), *options])


def _shared_runs(
    train: Sequence[Example],
    train_tokens: Sequence[Sequence[str]],
    evaluation: Sequence[Example],
    eval_tokens: Sequence[Sequence[str]],
) -> list[tuple[int, int, float]]:
    """Training question, evaluation question, and the share of the latter's own words that the former holds in runs.

    Both by index; each training question at most once, with the evaluation question it holds most of.
    """
    import numpy as np

    vocabulary: defaultdict[str, int] = defaultdict(count().__next__)
    theirs = _Runs(eval_tokens, vocabulary)
    ours = _Runs(train_tokens, vocabulary)
    met = ours.whole & _among(ours.grams, theirs.grams)
    family = _numbered([example.contrast_of or example.id for example in evaluation])
    template = np.concatenate(
        [
            _frequent(theirs.grams[theirs.whole], family[theirs.owner[theirs.whole]], _EVAL_COUNT),
            *_template_of_tasks(ours.grams[met], ours.owner[met], _numbered([example.task for example in train])),
        ]
    )
    their_own = theirs.own(template)
    at, place = _meetings(theirs, their_own, ours, ours.own(template) & met)
    if not len(at):
        return []
    other = theirs.owner[place]
    new_pair = np.concatenate([[True], (at[1:] != at[:-1]) | (other[1:] != other[:-1])])
    reach = np.minimum(np.append(place[1:] - place[:-1], RUN), RUN)
    reach[np.append(new_pair[1:], True)] = RUN
    first = np.flatnonzero(new_pair)
    at, other, covered = at[first], other[first], np.add.reduceat(reach, first)
    size = theirs.own_words(their_own)[other]
    share = covered / size
    telling = size >= _OWN_SHARE * np.fromiter(map(len, eval_tokens), dtype=np.int64)[other]
    order = np.lexsort((other, -share * telling, at))
    best = order[np.concatenate([[True], at[order][1:] != at[order][:-1]])]
    best = best[telling[best]]
    return list(zip(at[best].tolist(), other[best].tolist(), share[best].tolist(), strict=True))


def _meetings(theirs: _Runs, their_own: Flags, ours: _Runs, our_own: Flags) -> tuple[Integers, Integers]:
    """Every training question that holds a run of an evaluation question, and where that run begins among theirs.

    Sorted, without repetitions.
    """
    import numpy as np

    their_places, our_places = np.flatnonzero(their_own), np.flatnonzero(our_own)
    their_places = their_places[np.argsort(theirs.grams[their_places])]
    our_places = our_places[np.argsort(ours.grams[our_places])]  # in order, so that the search stays near its last hit
    known, sought = theirs.grams[their_places], ours.grams[our_places]
    low, high = np.searchsorted(known, sought, "left"), np.searchsorted(known, sought, "right")
    times = high - low
    begin = np.repeat(low - np.cumsum(times) + times, times)
    place = their_places[begin + np.arange(len(begin))]
    span = len(theirs.grams) + 1
    found = np.unique(np.repeat(ours.owner[our_places], times) * span + place)
    return found // span, found % span


class _Runs:
    """Every run of eight words of many questions laid end to end, as 64-bit hashes."""

    def __init__(self, questions: Sequence[Sequence[str]], vocabulary: defaultdict[str, int]) -> None:
        import numpy as np

        numbers = map(vocabulary.__getitem__, chain.from_iterable(questions))
        words = _mixed(np.fromiter(numbers, dtype=np.uint64))
        lengths = np.fromiter(map(len, questions), dtype=np.int64)
        self.owner_of_words: Integers = np.repeat(np.arange(len(questions)), lengths)
        runs = max(0, len(words) - RUN + 1)
        self.grams: Hashes = np.zeros(runs, dtype=np.uint64)
        for step in range(RUN):
            self.grams = _mixed(self.grams + words[step : step + runs])
        self.owner: Integers = self.owner_of_words[:runs]
        self.whole: Flags = self.owner == self.owner_of_words[RUN - 1 : RUN - 1 + runs]

    def own(self, template: Hashes) -> Flags:
        """The runs inside one question that hold no word of a template."""
        import numpy as np

        covered = self._covered(_among(self.grams, template) & self.whole)
        before = np.concatenate([[0], np.cumsum(covered)])
        own: Flags = self.whole & (before[RUN:] == before[: len(self.grams)])
        return own

    def own_words(self, own: Flags) -> Integers:
        """How many words of each question stand in such runs, up to the last question that has any."""
        import numpy as np

        return np.bincount(self.owner_of_words[self._covered(own)])

    def _covered(self, runs: Flags) -> Flags:
        import numpy as np

        edges = np.zeros(len(self.owner_of_words) + 1, dtype=np.int64)
        starts = np.flatnonzero(runs)
        edges[starts] += 1
        edges[starts + RUN] -= 1
        covered: Flags = np.cumsum(edges)[:-1] > 0
        return covered


def _mixed(values: Hashes) -> Hashes:
    """A bijection of 64-bit words that spreads neighbouring values (multiply and shift, twice)."""
    import numpy as np

    values = (values + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xD6E8FEB86659FD93)
    values = (values ^ (values >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    return values ^ (values >> np.uint64(32))


def _among(values: Hashes, known: Hashes) -> Flags:
    """Which values are known: their leading bits are looked up first, so that few have to be sorted."""
    import numpy as np

    rest = np.uint64(64 - _TABLE_BITS)
    table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
    table[known >> rest] = True
    found: Flags = table[values >> rest]
    found[found] = np.isin(values[found], known)
    return found


def _frequent(grams: Hashes, question: Integers, most: float) -> Hashes:
    """The runs that stand in more than `most` different questions."""
    import numpy as np

    once = np.unique(_mixed(grams) ^ _mixed(question.astype(np.uint64)), return_index=True)[1]
    found, counts = np.unique(grams[once], return_counts=True)
    frequent: Hashes = found[counts > most]
    return frequent


def _template_of_tasks(grams: Hashes, owner: Integers, task: Integers) -> Iterator[Hashes]:
    import numpy as np

    task_of_gram = task[owner]
    for number, size in enumerate(np.bincount(task).tolist()):
        inside = task_of_gram == number
        yield _frequent(grams[inside], owner[inside], max(_TRAIN_COUNT, _TRAIN_SHARE * size))


def _numbered(names: Sequence[str]) -> Integers:
    import numpy as np

    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.int64)
