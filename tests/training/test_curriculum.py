"""Training in steps: which examples an epoch trains on, and that it is one training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from accelerate.data_loader import BatchSamplerShard
from hypothesis import given
from hypothesis import strategies as st

from symdistill.errors import ConfigError, Interrupted, TrainingError
from symdistill.records import TrainingExample
from symdistill.students.formatting import EncodedExample, encode_examples
from symdistill.students.settings import LoraSettings
from symdistill.training.curriculum import Curriculum
from tiny import tiny_student
from tiny_training import Watch, ctrl_c, examples, lines, run, same, weights

PHASES = {"max_steps": -1, "num_train_epochs": 6.0, "save_steps": 2}


def encoded(*counts: int) -> list[EncodedExample]:
    """So many examples of each phase, phases mixed; the first id of each is its place."""
    phases = [phase for phase, count in enumerate(counts) for _ in range(count)]
    phases = phases[::2] + phases[1::2]
    return [EncodedExample((i, 1, 2), 2, question=f"q{i % 5}", phase=p) for i, p in enumerate(phases)]


def phased(phases: int = 3, count: int = 10) -> list[TrainingExample]:
    """The same questions in every phase, with less and less before them."""
    return [
        replace(
            e,
            prompt=(*e.prompt[:-1], replace(e.prompt[-1], content="x" * (phases - 1 - t) + e.prompt[-1].content)),
            phase=t,
        )
        for t in range(phases)
        for e in examples(count)
    ]


@pytest.mark.parametrize(
    "counts, epochs, steps_of_each",
    [
        ([8, 8, 8, 8], 12, [6, 6, 6, 6]),
        ([8, 8], 3, [4, 2]),  # the first of two phases has the second epoch, too
        ([8] * 7, 12, [4, 4, 4, 2, 4, 4, 2]),
        ([8, 4], 2, [2, 1]),  # what was too long once is missing there alone
    ],
)
def test_epochs_are_divided_evenly(counts: list[int], epochs: float, steps_of_each: list[int]) -> None:
    rows = encoded(*counts)
    order = Curriculum(rows, 4, seed=1, epochs=epochs)
    batches = list(order)
    assert len(batches) == len(order) == sum(steps_of_each)
    seen = [{rows[i].phase for i in batch} for batch in batches]
    assert all(len(phases) == 1 for phases in seen), "a step is of one phase"
    assert [phases.pop() for phases in seen] == [p for p, steps in enumerate(steps_of_each) for _ in range(steps)]
    assert order.epochs_after(len(batches)) == pytest.approx(epochs)


def test_an_epoch_is_every_example_of_its_phase_once() -> None:
    rows = encoded(7, 10)
    order = Curriculum(rows, 4, seed=1, epochs=4)
    batches = list(order)
    ends = [step for step in range(1, len(batches) + 1) if order.ends_with(step)]
    assert ends == [2, 4, 7, 10]
    for begin, end, phase in zip([0, *ends], ends, [0, 0, 1, 1], strict=False):
        trained = sorted(i for batch in batches[begin:end] for i in batch)
        assert trained == [i for i, e in enumerate(rows) if e.phase == phase]
    assert batches[:2] != batches[2:4], "every epoch has an order of its own"
    assert batches == list(Curriculum(rows, 4, seed=1, epochs=4))
    assert [order.epochs_after(step) for step in (0, 1, 2, 7, 10)] == [0, 0.5, 1, 3, 4]


def test_steps_are_divided_where_they_count_the_training() -> None:
    order = Curriculum(encoded(8, 8, 8), 4, seed=0, epochs=1, max_steps=10)
    assert [order.at(step).phase for step in range(1, 11)] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert len(list(order)) == 10


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(1, 5), st.integers(0, 9), st.integers(2, 4))
def test_several_processes_have_full_batches_and_as_many_each(
    counts: Sequence[int], batch: int, more: int, processes: int
) -> None:
    rows = encoded(*counts)
    order = Curriculum(rows, batch, seed=0, epochs=len(counts) + more, processes=processes)
    batches = list(order)
    assert len(batches) == len(order)
    assert all(len(b) == batch for b in batches)
    for first in range(0, len(batches), processes):
        assert len({rows[i].phase for b in batches[first : first + processes] for i in b}) == 1
    assert {i for b in batches for i in b} == set(range(len(rows)))
    dealt = [list(BatchSamplerShard(order, processes, rank)) for rank in range(processes)]
    assert [batch for together in zip(*dealt, strict=True) for batch in together] == batches, "as accelerate deals them"


@pytest.mark.parametrize("epochs", [4.1, 4.5])
def test_a_part_of_an_epoch_is_refused(epochs: float) -> None:
    """It would go to the first step and be taken from the last, whose prompt is that of inference."""
    with pytest.raises(ConfigError, match="whole epochs") as caught:
        Curriculum(encoded(8, 8, 8, 8), 4, seed=1, epochs=epochs)
    assert "to 4" in caught.value.fix


@pytest.mark.parametrize("changes, key", [({"epochs": 2.5}, "num_train_epochs"), ({"max_steps": 2}, "max_steps")])
def test_each_phase_needs_an_epoch(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=rf"training\.{key}.*3 steps"):
        Curriculum(encoded(2, 2, 2), 4, seed=0, **{"epochs": 9, **changes})


def test_what_is_too_long_is_missing_in_its_phase_alone(tmp_path: Path) -> None:
    long = replace(phased()[0], prompt=(replace(phased()[0].prompt[-1], content="y" * 400),))
    watch = Watch()
    result, _ = run(tmp_path, examples=[*phased(), long], settings={**PHASES, "max_length": 200}, progress=watch)
    assert (result.dropped_too_long, result.examples) == (1, 10), "of each step, not of all together"
    assert "1 of step 1 of the curriculum" in "\n".join(watch.notes)
    with pytest.raises(TrainingError, match="step 1 of the curriculum"):
        encode_examples(tiny_student().format, [long, *(e for e in phased() if e.phase)], 200)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any, Watch]:
    """Three phases of two epochs of two steps each, without a break."""
    place = tmp_path_factory.mktemp("whole")
    watch = Watch()
    result, student = run(place, examples=phased(), settings=PHASES, progress=watch)
    return place, result, student, watch


def test_phases_are_one_training(whole: tuple[Path, Any, Any, Watch]) -> None:
    place, result, student, watch = whole
    assert (result.steps, result.epochs, result.examples) == (12, 6.0, 10)
    rates = [row["learning_rate"] for row in lines(place)]
    assert max(rates) == rates[2], "one warm-up"
    assert all(a > b for a, b in pairwise(rates[2:])), "one cosine over all phases"
    lengths = {
        phase: sum(
            len(e.input_ids) for e in encode_examples(student.format, phased(), 2048).examples if e.phase == phase
        )
        for phase in range(3)
    }
    tokens = [row["tokens"] for row in lines(place)]
    for phase in range(3):
        assert tokens[4 * phase] + tokens[4 * phase + 1] == lengths[phase]
    assert lengths[0] > lengths[1] > lengths[2]
    assert [facts["phase"] for facts in watch.facts] == [f"{p}/3" for p in (1, 2, 3) for _ in range(4)]
    assert sum("of the curriculum: 10 examples" in note for note in watch.notes) == 3


@pytest.mark.parametrize("stop_at", [3, 4, 9])
def test_stopped_inside_or_between_phases_it_goes_on_to_the_same_weights(
    whole: tuple[Path, Any, Any, Watch], tmp_path: Path, stop_at: int
) -> None:
    with pytest.raises(Interrupted, match=f"step {stop_at} of 12"):
        run(tmp_path, examples=phased(), settings=PHASES, progress=Watch(stop_at, ctrl_c))
    watch = Watch()
    result, student = run(tmp_path, examples=phased(), settings=PHASES, progress=watch)
    assert same(weights(student), weights(whole[2]))
    assert [r["loss"] for r in lines(tmp_path)] == pytest.approx([r["loss"] for r in lines(whole[0])], abs=1e-5)
    assert (result.steps, result.epochs, result.tokens) == (12, 6.0, whole[1].tokens)
    assert len(watch.facts) == 12 - stop_at


KILLED = """
import os, signal, sys
from pathlib import Path
place, kind, *paths = sys.argv[1:]
sys.path[:0] = paths
from test_curriculum import ADAPTERS, PHASES, phased
from tiny_training import Watch, run
kill = Watch(7, lambda: os.kill(os.getpid(), signal.SIGKILL))
run(Path(place), examples=phased(), settings=PHASES, lora=ADAPTERS[kind], progress=kill)
"""
ADAPTERS = {"full": None, "lora": LoraSettings(r=4, dropout=0.2)}


@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_killed_curriculum_ends_with_the_same_weights(
    whole: tuple[Path, Any, Any, Watch], tmp_path: Path, kind: str
) -> None:
    here = Path(__file__).parent
    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed"), kind, str(here), str(here.parent)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert [p.name for p in (tmp_path / "killed" / "checkpoints").iterdir()] == ["checkpoint-6"]
    adapters = ADAPTERS[kind]
    _, student = run(tmp_path / "killed", examples=phased(), settings=PHASES, lora=adapters)
    expected = (
        whole[2] if adapters is None else run(tmp_path / "w", examples=phased(), settings=PHASES, lora=adapters)[1]
    )
    assert same(weights(student), weights(expected))


def test_early_stopping_waits_for_the_last_phase(tmp_path: Path) -> None:
    measured: list[int] = []

    def worse(_model: Any) -> float:
        measured.append(1)
        return 1.0 / len(measured)

    settings = {**PHASES, "num_train_epochs": 12.0, "early_stopping_patience": 1}
    result, _ = run(tmp_path, examples=phased(), settings=settings, dev_accuracy=worse)
    assert result.dev_accuracy == (1.0, 0.5), "measured after the first two epochs of the last phase"
    assert result.steps == 2 * (8 + 2)


def test_one_phase_of_any_number_is_no_curriculum(tmp_path: Path) -> None:
    watch = Watch()
    result, _ = run(
        tmp_path, examples=[replace(e, phase=3) for e in examples(8)], settings={"max_steps": 2}, progress=watch
    )
    assert result.steps == 2
    assert set(watch.facts[0]) == {"loss", "speed", "left"}
