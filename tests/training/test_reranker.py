"""The reranker: its objective to the letter, and that it learns what BM25 cannot know."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from planted import questions, save_word_encoder, save_word_student, write_corpus
from symdistill.errors import DataError, TrainingError
from symdistill.evaluation.recall import RankedCase, recall_rows
from symdistill.knowledge.passages import (
    PassageIndex,
    RankingCase,
    Reading,
    passage_index,
    passage_query,
    ranking_case,
    rationale_query,
)
from symdistill.training.rankers import Reranker, Vectors, similarity
from symdistill.training.reranker import RankerBase, kl_loss, train_reranker
from symdistill.training.settings import RerankerSettings

LEARNED, HELD_OUT = 96, 48


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("planted")


@pytest.fixture(scope="module")
def index(place: Path) -> PassageIndex:
    return passage_index(write_corpus(place / "corpus.jsonl"), place / "passages", 128)


@pytest.fixture(scope="module")
def student(place: Path) -> RankerBase:
    return RankerBase(save_word_student(place / "student"), is_encoder=False)


@pytest.fixture(scope="module")
def cases(index: PassageIndex) -> list[RankingCase]:
    return [ranking_case(index, example, rationale, 8) for example, rationale in questions(LEARNED)]


def test_kl_is_that_of_the_definition() -> None:
    bm25 = torch.tensor([3.0, 1.0, 0.0], dtype=torch.float64)
    scores = torch.tensor([0.2, 0.9, -0.4], dtype=torch.float64)
    wanted, given = np.exp(bm25.numpy() / 2.0), np.exp(scores.numpy() / 0.5)
    wanted, given = wanted / wanted.sum(), given / given.sum()
    found = float(kl_loss(bm25, scores, 2.0, torch.tensor(0.5, dtype=torch.float64)))
    assert found == pytest.approx(float((wanted * np.log(wanted / given)).sum()), abs=1e-12)
    assert float(kl_loss(bm25, bm25, 1.0, torch.tensor(1.0))) == pytest.approx(0, abs=1e-12)


def test_its_gradient_is_p_less_q_over_the_temperature() -> None:
    bm25 = torch.tensor([5.0, 0.5, 2.0, 0.0], dtype=torch.float64)
    tau = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    scores = torch.tensor([0.1, 0.7, -0.2, 0.4], dtype=torch.float64, requires_grad=True)
    kl_loss(bm25, scores, 1.5, tau).backward()
    wanted, given = torch.softmax(bm25 / 1.5, -1), torch.softmax(scores.detach() / 0.3, -1)
    assert torch.allclose(scores.grad, (given - wanted) / 0.3, atol=1e-12)
    assert torch.autograd.gradcheck(lambda s, t: kl_loss(bm25, s, 1.5, t), (scores, tau))


@pytest.mark.parametrize("key", ["tau_rationale", "tau_score"])
@pytest.mark.parametrize("value", [0, -3])
def test_a_temperature_that_is_not_above_nought_is_refused(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        RerankerSettings(**{key: value})


def test_scores_are_those_of_the_definition() -> None:
    question = Vectors(torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]]), torch.tensor([[1.0, 3.0, 0.0]]))
    passages = Vectors(
        torch.tensor([[[2.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, 5.0]]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    )
    # Both tokens of the question are in the first passage; of the second only the first token counts.
    assert similarity("late-interaction", question, passages).tolist() == pytest.approx([1.0, (-1 + 3 * 0) / 4])
    pooled = np.array([1.0, 6.0]) / np.sqrt(37)
    wanted = [float(pooled @ np.array([2.0, 1.0]) / np.sqrt(5)), float(-pooled[0])]
    assert similarity("bi-encoder", question, passages).tolist() == pytest.approx(wanted)


def alone(_: Reranker) -> float:
    """BM25 counts nothing."""
    return 0.0


def recall(index: PassageIndex, ranker: Reranker | None) -> float:
    """Recall@3 on questions that were not learned from."""
    reading = Reading(index, passages=3, candidates=24, ranker=ranker)
    ranked = []
    for example, rationale in questions(HELD_OUT, seed=7):
        best = [hit.index for hit in index.search(rationale_query(rationale), 3)]
        found = reading.ranking(passage_query(example), 3)
        ranked.append(RankedCase(example.id, [best], found, None, found))
    return recall_rows(ranked, [3])[0].before.value


@pytest.mark.parametrize("interaction", ["late-interaction", "bi-encoder"])
def test_it_learns_which_passages_belong_to_a_question_without_its_words(
    place: Path, index: PassageIndex, student: RankerBase, cases: list[RankingCase], interaction: str
) -> None:
    settings = RerankerSettings(num_epochs=12, learning_rate=0.02, width=32)
    ranker = train_reranker(
        cases,
        index.__getitem__,
        student,
        interaction,
        settings,
        place / interaction,
        fingerprint="a",
        checkpoint=place / "checkpoint",
        mix=alone,
    )
    before, after = recall(index, None), recall(index, ranker)
    assert before < 0.2
    assert after > before + 0.3
    assert ranker.card["loss"][-1] < ranker.card["loss"][0]
    assert ranker.card["tau_score"] > 0
    assert ranker.card["lexical"] == 0


def test_an_encoder_is_trained_whole_and_kept_with_its_tokenizer(
    place: Path, index: PassageIndex, cases: list[RankingCase]
) -> None:
    base = RankerBase(save_word_encoder(place / "encoder"), is_encoder=True)
    settings = RerankerSettings(num_epochs=10, learning_rate=3e-3, sampled=None)
    ranker = train_reranker(
        cases,
        index.__getitem__,
        base,
        "bi-encoder",
        settings,
        place / "over-encoder",
        fingerprint="a",
        checkpoint=place / "checkpoint",
        mix=alone,
    )
    assert recall(index, ranker) > recall(index, None) + 0.2
    shutil.rmtree(base.directory)
    assert recall(index, Reranker.load(place / "over-encoder")) == recall(index, ranker)
    assert not list((place / "over-encoder").rglob("*.bin"))


@pytest.mark.parametrize("interaction", ["late-interaction", "bi-encoder"])
@pytest.mark.parametrize("over_encoder", [False, True])
def test_what_a_score_takes_is_counted(
    tmp_path: Path,
    index: PassageIndex,
    student: RankerBase,
    cases: list[RankingCase],
    interaction: str,
    over_encoder: bool,
) -> None:
    base = RankerBase(save_word_encoder(tmp_path / "encoder"), is_encoder=True) if over_encoder else student
    settings = RerankerSettings(num_epochs=1, width=16)
    ranker = train_reranker(
        cases[:8],
        index.__getitem__,
        base,
        interaction,
        settings,
        tmp_path / "ranker",
        fingerprint="a",
        checkpoint=tmp_path / "checkpoint",
        mix=alone,
    )
    query, passages = "filler1 ask2x filler3", [index[0], index[5]]
    asked, said = 3, [len(p.shown.split()) for p in passages]
    width, vectors = 16, [2 * 16 * 16 * tokens for tokens in (asked, *said)]
    if over_encoder:
        config = json.loads((base.directory / "config.json").read_text())
        width, layers, inner = config["hidden_size"], config["num_hidden_layers"], config["intermediate_size"]
        each = 4 * (width * width + width) + 2 * width * inner + inner + width + 2 * 2 * width
        weights = layers * each + (width * width + width) + 2 * width  # the pooler, and the norm of the embeddings
        vectors = [2 * weights * n + 4 * layers * width * n * n for n in (asked, *said)]
    products = 2 * width * (2 if interaction == "bi-encoder" else asked * sum(said))
    for _ in range(2):
        before = ranker.operations
        ranker.similarities(query, passages)
        assert ranker.operations - before == pytest.approx(sum(vectors) + products), "each time the same"


def test_training_again_replaces_what_was_there(
    tmp_path: Path, index: PassageIndex, student: RankerBase, cases: list[RankingCase]
) -> None:
    def train(fingerprint: str, epochs: int) -> dict[str, object]:
        settings = RerankerSettings(num_epochs=epochs)
        options = {"fingerprint": fingerprint, "checkpoint": tmp_path / "c", "mix": alone}
        target = tmp_path / "r"
        return dict(
            train_reranker(cases[:8], index.__getitem__, student, "bi-encoder", settings, target, **options).card
        )

    first, second = train("a", 1), train("b", 3)
    assert (len(first["loss"]), len(second["loss"])) == (1, 3)
    assert Reranker.load(tmp_path / "r").card == second
    assert second["fingerprint"] == "b"
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


class Stop(Exception):
    """Ends a training from outside."""


class StopsAfter:
    """A progress that ends the program after some steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def start(self, stage: str, total: int | None = None, done: int = 0) -> None: ...

    def note(self, text: str) -> None: ...

    def finish(self, summary: str = "") -> None: ...

    def advance(self, count: int = 1, **facts: str) -> None:
        self.left -= 1
        if not self.left:
            raise Stop


@pytest.mark.parametrize("weight", [None, 0.0, 0.5])
def test_bm25_counts_as_the_mix_says(
    tmp_path: Path, index: PassageIndex, student: RankerBase, cases: list[RankingCase], weight: float | None
) -> None:
    seen: list[list[float]] = []
    shown, bm25 = [index[i] for i in range(4)], np.array([8.0, 4.0, 2.0, 0.0])
    query = questions(1, seed=3)[0][0].question

    def mix(ranker: Reranker) -> float | None:
        seen.append(ranker.similarities(query, shown).tolist())
        return weight

    settings, options = RerankerSettings(num_epochs=1), {"fingerprint": "a", "checkpoint": tmp_path / "c"}
    target = tmp_path / "r"
    train_reranker(cases[:8], index.__getitem__, student, "late-interaction", settings, target, mix=mix, **options)
    ranker = Reranker.load(target)
    assert ranker.similarities(query, shown).tolist() == pytest.approx(seen[0])
    wanted = bm25 / 8 if weight is None else np.array(seen[0]) + weight * bm25 / 8
    assert ranker.scores(query, shown, bm25).tolist() == pytest.approx(wanted.tolist(), abs=1e-6)


@pytest.mark.parametrize("is_encoder", [False, True])
def test_stopped_it_goes_on_from_the_last_whole_epoch_and_ends_the_same(
    tmp_path: Path, index: PassageIndex, student: RankerBase, cases: list[RankingCase], is_encoder: bool
) -> None:
    base = RankerBase(save_word_encoder(tmp_path / "encoder"), is_encoder=True) if is_encoder else student

    def train(name: str, progress: StopsAfter | None = None) -> Reranker:
        return train_reranker(
            cases[:32],
            index.__getitem__,
            base,
            "late-interaction",
            RerankerSettings(num_epochs=4, batch_size=8, sampled=6),
            tmp_path / name,
            fingerprint="a",
            checkpoint=tmp_path / "checkpoints" / f"{name}.safetensors",
            mix=alone,
            progress=progress,
        )

    whole = train("whole")
    with pytest.raises(Stop):
        train("parts", StopsAfter(11))
    kept = tmp_path / "checkpoints" / "parts.safetensors"
    assert kept.exists()
    assert not (tmp_path / "parts").exists()
    again = StopsAfter(10_000)
    parts = train("parts", again)
    assert 10_000 - again.left == 8, "two of four epochs were done"
    assert parts.card["loss"] == pytest.approx(whole.card["loss"])
    query = questions(1, seed=3)[0][0].question
    shown, bm25 = [index[i] for i in range(8)], np.arange(8.0)
    assert np.allclose(parts.scores(query, shown, bm25), whole.scores(query, shown, bm25), atol=1e-5)
    assert not kept.exists()


def test_what_the_first_epochs_took_is_counted_when_it_goes_on(
    tmp_path: Path, index: PassageIndex, student: RankerBase, cases: list[RankingCase]
) -> None:
    checkpoint = tmp_path / "c.safetensors"

    def train(progress: StopsAfter | None = None) -> Reranker:
        settings = RerankerSettings(num_epochs=3, batch_size=8)
        options = {"fingerprint": "a", "checkpoint": checkpoint, "mix": alone, "progress": progress}
        return train_reranker(
            cases[:16], index.__getitem__, student, "late-interaction", settings, tmp_path / "r", **options
        )

    with pytest.raises(Stop):
        train(StopsAfter(3))
    with safe_open(checkpoint, framework="pt") as file:
        told, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    assert float(told["seconds"]) > 0
    save_file(tensors, checkpoint, metadata={**told, "seconds": "1000.0"})
    assert 1000 < train().card["seconds"] < 1000 + 120


def test_a_checkpoint_that_cannot_be_read_costs_its_epochs_alone(
    tmp_path: Path, index: PassageIndex, student: RankerBase, cases: list[RankingCase]
) -> None:
    checkpoint = tmp_path / "c.safetensors"
    checkpoint.write_bytes(b"\x10torn")
    settings = RerankerSettings(num_epochs=2)
    ranker = train_reranker(
        cases[:8],
        index.__getitem__,
        student,
        "bi-encoder",
        settings,
        tmp_path / "r",
        fingerprint="a",
        checkpoint=checkpoint,
        mix=alone,
    )
    assert len(ranker.card["loss"]) == 2


def test_with_nothing_to_order_it_says_what_to_do(tmp_path: Path, index: PassageIndex, student: RankerBase) -> None:
    lone = RankingCase("q", "filler0", (3,), (1.0,), 1)
    with pytest.raises(TrainingError, match="several passages"):
        train_reranker(
            [lone],
            index.__getitem__,
            student,
            "bi-encoder",
            RerankerSettings(),
            tmp_path / "r",
            fingerprint="a",
            checkpoint=tmp_path / "c",
            mix=alone,
        )


def test_one_that_is_not_there_or_damaged_is_named(
    tmp_path: Path, index: PassageIndex, student: RankerBase, cases: list[RankingCase]
) -> None:
    with pytest.raises(DataError, match="no reranker"):
        Reranker.load(tmp_path / "nowhere")
    train_reranker(
        cases[:8],
        index.__getitem__,
        student,
        "bi-encoder",
        RerankerSettings(num_epochs=1),
        tmp_path / "r",
        fingerprint="a",
        checkpoint=tmp_path / "c",
        mix=alone,
    )
    weights = tmp_path / "r" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(DataError, match="damaged"):
        Reranker.load(tmp_path / "r")
    (tmp_path / "r" / "reranker.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match="damaged"):
        Reranker.load(tmp_path / "r")
