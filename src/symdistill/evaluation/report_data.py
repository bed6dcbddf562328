"""What a report is made from, gathered by whoever knows the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from symdistill.evaluation.calibration import Calibration
from symdistill.evaluation.comparison import Comparison
from symdistill.evaluation.metrics import MetricRow
from symdistill.evaluation.recall import RecallRow
from symdistill.evaluation.report_symbolic import SymbolicSummary
from symdistill.knowledge.items import KnowledgeItem
from symdistill.knowledge.utility import Lift
from symdistill.records import Example, Prediction


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """What was asked: questions to train on and to be judged on; `removed` training questions resembled a test
    question; `unlabelled` test questions carry no answer. `question` and `answer` are one of them, to show."""

    name: str
    train: int
    test: int
    removed: int = 0
    unlabelled: int = 0
    question: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class TeacherSummary:
    """Who was asked, how (`settings`, in words), and what it took. `failures` counts by kind. `bought` replies
    were new in this run (None: not known), the others in the store; `cost_usd` and tokens are of all of them."""

    model: str
    settings: str
    requested: int
    replies: int
    bought: int | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    generated_tokens: int = 0
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class NotesCost:
    """What the notes of a knowledge base took that was built for `method`: replies of the teacher, whoever bought
    them."""

    method: str
    replies: int
    tokens: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class CurationSummary:
    """What became of the teacher's replies for `methods`. `shares_kept` holds, for each task, the share of its
    samples that was kept, one number a training question."""

    methods: Sequence[str]
    kept: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    shares_kept: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrainingHistory:
    """The lines of `training.jsonl` of one method: step, loss, learning_rate, tokens, seconds (the last two so far)."""

    method: str
    points: Sequence[Mapping[str, float]]
    examples: int | None = None


@dataclass(frozen=True, slots=True)
class MethodAnswers:
    """Every prediction of one method decoded in one way."""

    method: str
    decoding: str
    samples: int
    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class ItemUse:
    """A knowledge item and how it did. `uses` counts the held-out questions it was put before the student for, each
    once; `lift` is what that changed where it was measured against the same questions without the item."""

    item: KnowledgeItem
    uses: int
    lift: Lift | None = None


@dataclass(frozen=True, slots=True)
class TurnedQuestion:
    """A dev question whose verdict knowledge changed: the titles of the items shown, and both replies."""

    example_id: str
    task: str
    question: str
    gold: str
    titles: Sequence[str]
    reply_without: str
    reply_with: str


@dataclass(frozen=True, slots=True)
class KnowledgeSummary:
    """The knowledge base of a run and what it changed for `student` on `asked` dev questions.

    `statuses` and `kinds` count items; `errors` counts the training questions the first student got wrong, `analysed`
    those of them the teacher wrote something usable about (None: not known, a base that was there before). `items` are
    the items that were used; the most used are shown. `turned_right` and `turned_wrong` are all questions that were
    wrong without knowledge and right with it, and the other way round; five of each are shown.
    """

    path: str
    student: str
    statuses: Mapping[str, int]
    kinds: Mapping[str, int] = field(default_factory=dict)
    errors: int | None = None
    analysed: int | None = None
    items: Sequence[ItemUse] = ()
    asked: int = 0
    turned_right: Sequence[TurnedQuestion] = ()
    turned_wrong: Sequence[TurnedQuestion] = ()


@dataclass(frozen=True, slots=True)
class CalibrationSummary:
    """The calibration of the gate of `method`. `in_use` is the threshold the method answered the held-out questions
    with, where that is not the one chosen here."""

    method: str
    calibration: Calibration
    in_use: float | None = None

    @property
    def set_apart(self) -> float | None:
        """The threshold in use where it is another than the chosen one."""
        return None if self.in_use == self.calibration.threshold else self.in_use


@dataclass(frozen=True, slots=True)
class RetrievalSummary:
    """What `method` reads: the best `read` of `passages` (of `words` words each, from `documents`), which BM25 finds
    or, out of its `candidates`, a reranker. `reranker` is what its reranker.json says; it learned from `learned_from`
    questions, how much BM25 counts beside it was chosen on `chosen_on`, and `rows` are measured on yet others."""

    method: str
    corpus: str
    passages: int
    documents: int
    words: int
    read: int
    candidates: int
    reranker: Mapping[str, Any] | None = None
    learned_from: int = 0
    chosen_on: int = 0
    rows: Sequence[RecallRow] = ()


@dataclass(frozen=True, slots=True)
class RoundRow:
    """One student of a method that learns from its own replies, 0 being that before the first round.

    It learned from `kept` of the `judged` replies of the student before it, about `questions` questions, those with a
    reward of `threshold` or more; `novel` of them were neither the teacher's nor kept in an earlier round. Where it
    learned from preferences, `kept` counts those; where it drew the replies itself, those in a group of different
    rewards. `audited` of
    `audit` questions apart from all that were answered right. Of the `replies` drawn from it for training questions
    `right` were right and `unique` different; `solved` of `asked` questions had a right one; `reward` is their mean.
    `checkable` of them said something that the graph of the reward can check (None: it has no graph).
    """

    student: int
    audited: int
    audit: int
    replies: int
    right: int
    unique: int
    asked: int
    solved: int
    reward: float
    threshold: float | None = None
    judged: int = 0
    kept: int = 0
    questions: int = 0
    novel: int = 0
    checkable: int | None = None


@dataclass(frozen=True, slots=True)
class RoundsSummary:
    """The students of the method `method`, why there were no more of them, and which was `chosen`.

    `algorithm` says how they learned, held by `beta` to the student before. Where the reward was not `gated`, a wrong
    reply could have any.
    """

    method: str
    stopped: str
    chosen: int
    rows: Sequence[RoundRow]
    algorithm: str = "expert-iteration"
    beta: float = 0.0
    gated: bool = True


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything the page says.

    `command` repeats the run; `config` is the resolved configuration as YAML. `rows` are all rows of `metrics.json`.
    `examples` are the evaluated questions by id, `teacher_rationales` the teacher's reply to such a question where
    there is one. `provenance` names versions, seeds and content keys. `notes` are sentences worth reading first.
    """

    title: str
    command: str
    config: str
    student: str = ""
    created: date | None = None
    tasks: Sequence[TaskSummary] = ()
    teacher: TeacherSummary | None = None
    noted: Sequence[NotesCost] = ()
    curation: Sequence[CurationSummary] = ()
    histories: Sequence[TrainingHistory] = ()
    rows: Sequence[MetricRow] = ()
    comparison: Comparison | None = None
    answers: Sequence[MethodAnswers] = ()
    examples: Mapping[str, Example] = field(default_factory=dict)
    teacher_rationales: Mapping[str, str] = field(default_factory=dict)
    knowledge: KnowledgeSummary | None = None
    calibrations: Sequence[CalibrationSummary] = ()
    retrievals: Sequence[RetrievalSummary] = ()
    reinforced: Sequence[RoundsSummary] = ()
    symbolic: Sequence[SymbolicSummary] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the texts is shown: failures for each task and in all, characters of a text, lines of a table,
    knowledge items, questions turned either way, and calibrations."""

    failures_a_task: int = 8
    failures: int = 72
    text: int = 1600
    listed: int = 60
    items: int = 10
    turned: int = 5
    calibrations: int = 6
