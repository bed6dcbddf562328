"""Batches of questions, in one process or in several: the lines a list would have given."""

from __future__ import annotations

import pytest

from symdistill.curation import CurationSettings, curate, rationales
from symdistill.curation.batches import curate_batches
from symdistill.curation.files import line
from symdistill.curation.rationales import reply_to
from symdistill.errors import ConfigError
from symdistill.records import Completion, Example, Request, Sampling

SELECTIONS = ["all", "random", "likelihood", "open-endedness"]


def replies(number: int) -> tuple[Example, list[tuple[Request, Completion]]]:
    """A question, and as many replies as its number says, right and wrong, alike and not."""
    example = Example(f"q{number}", f"What is {number} + 4?", str(number + 4), "number", task=f"t{number % 2}")
    found = []
    for index in range(number % 6):
        total = number + 4 + (index == 3)
        opening = ("So", "Well,", "So", "We add:", "I think that")[(number + index) % 5]
        text = f"{opening} {number} + 4 = {total}, for four more make {total}. Therefore, the answer is {total}."
        request = Request(f"k{number}-{index}", "m", (), Sampling(), index, example.id)
        thinking = "Four more." if index % 2 else None
        found.append((request, Completion(request.key, text, thinking, token_logprobs=(-1.0, -float(index)))))
    return example, found


QUESTIONS = [replies(number) for number in range(23)]


def batches(size: int):
    read = [(example, [reply_to(*pair) for pair in found]) for example, found in QUESTIONS]
    return [read[start : start + size] for start in range(0, len(read), size)]


def expected(settings: CurationSettings):
    examples = [example for example, _ in QUESTIONS]
    pairs = [pair for _, found in QUESTIONS for pair in found]
    read = rationales(examples, [r for r, _ in pairs], {c.key: c for _, c in pairs}, settings)
    return curate(read, examples, settings, verify=True, seed=5)


def assert_as_expected(size: int, settings: CurationSettings, processes: int) -> None:
    outcomes = list(curate_batches(batches(size), settings, verify=True, seed=5, processes=processes))
    wanted = expected(settings)
    assert b"".join(o.kept for o in outcomes) == b"".join(map(line, wanted.kept))
    assert b"".join(o.dropped for o in outcomes) == b"".join(map(line, wanted.dropped))
    assert [row for o in outcomes for row in o.difficulty] == wanted.difficulty
    assert sum(o.without_reasoning for o in outcomes) == sum(c.reasoning is None for _, f in QUESTIONS for _, c in f)


@pytest.mark.parametrize("select", [*SELECTIONS, "diversity"])
@pytest.mark.parametrize("size", [1, 4, 50])
def test_batches_have_the_outcome_of_a_list(size: int, select: str) -> None:
    assert_as_expected(size, CurationSettings(select=select, budget=2, rationale_from="both"), processes=1)


@pytest.mark.parametrize("select", SELECTIONS)
def test_processes_change_nothing(select: str) -> None:
    assert_as_expected(2, CurationSettings(select=select, budget=2), processes=2)


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_names_its_cause_whichever_process_met_it(processes: int) -> None:
    example, found = QUESTIONS[5]
    mute = [reply_to(request, Completion(request.key, completion.text)) for request, completion in found]
    outcomes = curate_batches(
        [*batches(4), [(example, mute)]],
        CurationSettings(select="likelihood"),
        verify=True,
        seed=0,
        processes=processes,
    )
    with pytest.raises(ConfigError, match="likelihood needs token log-probabilities") as caught:
        list(outcomes)
    assert "teacher.logprobs" in caught.value.fix


def test_a_reader_may_stop_early() -> None:
    outcomes = curate_batches(batches(1), CurationSettings(), verify=True, seed=0, processes=2)
    assert next(outcomes).difficulty[0].id == "q0"
    outcomes.close()
