"""Questions that are too long for the student: wrong for every method, and an end of the evaluation for none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from symdistill.errors import CallFailed
from symdistill.knowledge.corpus import Passage
from symdistill.knowledge.items import KnowledgeItem
from symdistill.knowledge.passages import Search
from symdistill.methods.base import Ask, Knowledge, Material, Method
from symdistill.methods.cascod import Cascod, CascodSettings
from symdistill.methods.gate import Gate, WithKnowledge
from symdistill.methods.kard import Kard, KardSettings
from symdistill.methods.std_cot import StdCot, StdCotSettings
from symdistill.models.base import Capacity
from symdistill.prompts import cue
from symdistill.records import Completion, Example, Request, Sampling
from symdistill.sampling import ResponseStore, Sampler

ITEM = KnowledgeItem("k_1", "summary", "Count.", "Count.", "sums", provenance=())
PASSAGES = (Passage("p_1", "One passage."), Passage("p_2", "Another passage."))


class Small:
    """A student that takes no prompt with a word of `too_long`, and is never sure."""

    name = "small"
    capacity = Capacity(batch=8)

    def __init__(self, *too_long: str) -> None:
        self._too_long = too_long

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Completion | CallFailed:
        if any(word in request.messages[-1].content for word in self._too_long):
            return CallFailed("rejected", "The prompt has 900 tokens, and small takes 512 in all.")
        gated = request.sampling.go_on_above > 0
        first = Completion(request.key, "Steps.") if request.sampling.then else None
        return Completion(
            request.key,
            cue("5"),
            prompt_tokens=5,
            completion_tokens=5,
            finish_reason="unsure" if gated else "stop",
            top_two=((0.6, 0.4),) if gated else None,
            first=None if gated else first,
        )

    def count_tokens(self, request: Request) -> int:
        return 5

    async def close(self) -> None:
        pass


class Found:
    """Knowledge for the questions that `fits` says."""

    def __init__(self, fits: Callable[[Example], bool]) -> None:
        self._fits = fits

    def retrieve_many(self, examples: Sequence[Example]) -> list[list[KnowledgeItem]]:
        return [[ITEM] if self._fits(example) else [] for example in examples]


class Shelf:
    """The same passages for every question."""

    def search(self, example: Example) -> Search:
        return Search(PASSAGES, 0.0, 0.0)


def std_cot() -> Method:
    return StdCot(StdCotSettings(name="std-cot"))


def kard() -> Method:
    method = Kard(KardSettings(name="kard", corpus=Path("c.jsonl")))
    reading: Any = Shelf()
    method.prepare(Material((), reading=reading))
    return method


def cascod() -> Method:
    return Cascod(CascodSettings(name="cascod"))


def behind(mode: Any, method: Method, fits: Callable[[Example], bool] = lambda _: True) -> Method:
    retriever: Any = Found(fits)
    return WithKnowledge(method, Gate(mode, 60.0), Knowledge((ITEM,), retriever), "gated")


def is_long(example: Example) -> bool:
    return "LONG" in example.question


METHODS: dict[str, Callable[[], Method]] = {
    "std-cot": std_cot,
    "kard": kard,
    "cascod": cascod,
    "always": lambda: behind("always", std_cot()),
    "always, kard": lambda: behind("always", kard()),
    "always, cascod": lambda: behind("always", cascod()),
    "confidence": lambda: behind("confidence", std_cot()),
    "confidence, cascod": lambda: behind("confidence", cascod()),
    "confidence, the only one without items": lambda: behind("confidence", std_cot(), lambda e: not is_long(e)),
    "confidence, the only one with items": lambda: behind("confidence", std_cot(), is_long),
    "never": lambda: behind("never", std_cot()),
}


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Callable[[Small], Ask]]:
    opened: list[Sampler] = []

    def ask(model: Small) -> Ask:
        sampler = Sampler(ResponseStore(tmp_path / f"{len(opened)}.sqlite"), model, run="run")
        opened.append(sampler)
        return lambda requests: sampler.sample(requests).completions

    yield ask
    for sampler in opened:
        sampler.close()


def questions(count: int, *long: int) -> list[Example]:
    return [Example(f"e{i}", f"A {'LONG' if i in long else 'short'} question {i}", "5", "number") for i in range(count)]


@pytest.mark.parametrize("name", METHODS)
def test_one_of_six_has_no_reply_and_the_others_have_theirs(name: str, asking: Callable[[Small], Ask]) -> None:
    replies = METHODS[name]().answer(asking(Small("LONG")), "small", questions(6, 3), Sampling(max_tokens=64))
    assert [len(reply.completions) for reply in replies] == [1, 1, 1, 0, 1, 1]


@pytest.mark.parametrize("name", METHODS)
def test_that_all_are_too_long_is_an_error_and_says_what_helps(name: str, asking: Callable[[Small], Ask]) -> None:
    with pytest.raises(CallFailed, match="takes 512 in all") as caught:
        METHODS[name]().answer(asking(Small("LONG")), "small", questions(6, *range(6)), Sampling(max_tokens=64))
    assert "longer context" in caught.value.fix
    assert "teacher" not in caught.value.fix


@pytest.mark.parametrize("name", METHODS)
def test_long_questions_at_the_beginning_leave_the_others_their_replies(
    name: str, asking: Callable[[Small], Ask]
) -> None:
    """More of them than after which a sampler gives up."""
    replies = METHODS[name]().answer(asking(Small("LONG")), "small", questions(70, *range(60)), Sampling(max_tokens=64))
    assert [len(reply.completions) for reply in replies] == [0] * 60 + [1] * 10


def test_what_stands_before_a_question_is_what_is_left_out(asking: Callable[[Small], Ask]) -> None:
    gated = behind("always", kard())
    [bare] = gated.answer(asking(Small("Count.", "passage")), "small", questions(1), Sampling(max_tokens=64))
    assert (len(bare.completions), bare.knowledge, bare.passages) == (1, (), ())
    [read] = gated.answer(asking(Small("Count.", "Another")), "small", questions(1), Sampling(max_tokens=64))
    assert (len(read.completions), read.knowledge, read.passages) == (1, (), PASSAGES[:1])


def test_another_failure_is_not_one_of_length() -> None:
    def broken(requests: Sequence[Request]) -> dict[str, Completion]:
        raise CallFailed("server", "Every request failed: out of order.")

    for method in (kard(), behind("always", std_cot()), behind("confidence", std_cot())):
        with pytest.raises(CallFailed, match="out of order"):
            method.answer(broken, "small", questions(2), Sampling(max_tokens=64))
