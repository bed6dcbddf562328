"""The first two stages: buy the teacher's replies that are not stored yet, and choose what the student learns."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from symdistill import content
from symdistill.curation import Difficulty, curate, read_dropped, read_rationales
from symdistill.curation.batches import Batch, curate_batches
from symdistill.curation.files import lines_written
from symdistill.curation.rationales import note_missing_reasoning, reply_to
from symdistill.curation.settings import CurationSettings
from symdistill.errors import ConfigError, DataError
from symdistill.methods import Method
from symdistill.models.base import LanguageModel
from symdistill.models.registry import load_teacher
from symdistill.models.settings import Price, TeacherSettings
from symdistill.prompts import Demonstration, teacher_messages
from symdistill.records import Completion, Example, Failure, Rationale, Request, Sampling
from symdistill.runs.directory import forget, write_text
from symdistill.runs.quoting import Quote, quote
from symdistill.runs.workspace import Workspace
from symdistill.sampling.limits import Budget, CallLimits
from symdistill.sampling.prices import price_of
from symdistill.sampling.sampler import Sampled, Sampler

_QUESTIONS_AT_A_TIME = 200
_MUCH = 50_000
"""Replies that several processes curate faster than one, their start included."""
_MOST = 8
"""Processes at most: one more reads the store for all of them."""


@dataclasses.dataclass(frozen=True)
class Pool:
    """The replies to the training questions that some methods of a run learn from, and where what is kept and dropped
    of them is written. Methods that change nothing of `teacher`, or the same, share one."""

    teacher: TeacherSettings
    demonstrations: tuple[Demonstration, ...]
    learners: tuple[Method, ...]
    rationales: Path
    dropped: Path
    curation: Path


def pools(work: Workspace) -> list[Pool]:
    """The pools of a run, at least one. The files of those after the first carry the name of their first method."""
    groups: dict[TeacherSettings, list[Method]] = {}
    for method in work.learners:
        groups.setdefault(work.config.teacher_for(method), []).append(method)
    found: list[Pool] = []
    for teacher, learners in groups.items() or [(work.config.teacher, [])]:
        files = work.directory.pool(learners[0].label if found else "")
        found.append(Pool(teacher, work.demonstrations_of(teacher), tuple(learners), *files))
    return found


def pool_of(work: Workspace, method: Method) -> Pool | None:
    """The pool a method learns from; None where it needs no rationales."""
    wanted = work.config.teacher_for(method)
    return next((own for own in pools(work) if own.teacher == wanted and own.learners), None)


def teacher_requests(work: Workspace, model: str) -> list[Request]:
    """Every reply the methods want from the teacher, pool by pool and question by question, tasks kept together so that
    a backend can reuse what their prompts share. What several pools want stands there once."""
    ordered = sorted(work.task.train, key=lambda e: e.task)
    wanted = (request for own in pools(work) for e in ordered for request in requests_about(work, model, e, own))
    return list({(request.key, request.example_id): request for request in wanted}.values())


def requests_about(work: Workspace, model: str, example: Example, own: Pool | None = None) -> list[Request]:
    """The replies wanted about one training question, for one pool; None: the first."""
    own = own or pools(work)[0]
    teacher = own.teacher
    sampling = Sampling(
        temperature=teacher.temperature,
        max_tokens=teacher.max_tokens,
        top_p=teacher.top_p,
        top_k=teacher.top_k,
        seed=work.config.seed,
        stop=teacher.stop,
        logprobs=teacher.logprobs,
    )
    messages = teacher_messages(
        example,
        instruction=teacher.instruction,
        demonstrations=own.demonstrations,
        show_answer=teacher.show_answer,
    )
    return content.samples(model, messages, sampling, range(samples_of(teacher, example)), example.id)


def held_out_requests(work: Workspace, model: str) -> list[Request]:
    """One greedy reply to each held-out question; of a `dataset` teacher, those whose row carries one."""
    teacher = work.config.teacher
    sampling = Sampling(max_tokens=teacher.max_tokens, seed=work.config.seed, stop=teacher.stop)
    held_out = work.task.evaluation[: work.config.evaluation.limit]
    asked = [e for e in held_out if e.rationales or teacher.model != "dataset"]
    return [
        content.request(
            model,
            teacher_messages(e, instruction=teacher.instruction, demonstrations=work.demonstrations),
            sampling,
            0,
            e.id,
        )
        for e in sorted(asked, key=lambda e: e.task)
    ]


def samples_of(teacher: TeacherSettings, example: Example) -> int:
    """How many replies are wanted about an example; a row that carries rationales offers what it carries."""
    wanted = teacher.samples
    if teacher.model == "dataset":
        return min(wanted or len(example.rationales), len(example.rationales))
    return wanted or 1


def open_teacher(work: Workspace, *, to_ask: bool = True) -> LanguageModel:
    """The teacher the configuration names. Raises ConfigError, PrerequisiteError or ModelError."""
    return load_teacher(work.config.teacher, [*work.task.train, *work.task.evaluation], to_ask=to_ask)


def teacher_price(work: Workspace, settings: TeacherSettings | None = None) -> Price | None:
    """What the teacher's tokens cost, None when nobody knows."""
    teacher = settings or work.config.teacher
    return price_of(teacher.model or "", teacher.price, teacher.base_url)


def teacher_sampler(work: Workspace, model: LanguageModel, settings: TeacherSettings | None = None) -> Sampler:
    """A sampler with the teacher's limits and budget. Raises ConfigError for a budget without a known price.

    `settings` None: those of the run's teacher. All that a run asks of teachers counts against one budget.
    """
    teacher = settings or work.config.teacher
    return Sampler(
        work.store,
        model,
        run=work.account,
        turn=lambda: work.alone("teacher"),
        told=work.count_replies,
        limits=CallLimits(
            retries=teacher.retries,
            requests_per_minute=teacher.requests_per_minute,
            tokens_per_minute=teacher.tokens_per_minute,
        ),
        budget=Budget(usd=teacher.budget_usd, tokens=teacher.budget_tokens),
        price=teacher_price(work, teacher),
        retry_failures=teacher.retry_failures,
        progress=work.progress,
    )


def all_requests(work: Workspace, model: str) -> list[Request]:
    """What is wanted from the teacher in all: rationales to learn from and, if asked for, answers to be judged by."""
    wanted = teacher_requests(work, model) if work.needs_teacher else []
    return wanted + (held_out_requests(work, model) if work.config.evaluation.teacher else [])


def sample_teacher(work: Workspace) -> Sampled:
    """Buy what is not stored yet.

    Raises:
        BudgetExhausted, ServerUnreachable, AccessDenied, Interrupted: everything bought so far is stored.
    """
    work.check()
    model = open_teacher(work)
    requests = all_requests(work, model.name)
    if not requests:
        if not work.needs_teacher:
            raise ConfigError(
                "No method of this configuration uses a teacher.", "Add `std-cot` or `scotd` to `methods`."
            )
        raise DataError("No training question brings a rationale of its own.", "Set `teacher.model` to a teacher.")
    work.progress.note(f" teacher    {model.name}")
    with teacher_sampler(work, model) as sampler:
        return sampler.sample(requests)


def price_teacher(work: Workspace) -> Quote | None:
    """What `sample_teacher` would buy; None when no teacher is asked. Asks no model and writes nothing.

    Raises as `quote`.
    """
    work.check()
    if not work.config.teacher.model:
        return None
    model = open_teacher(work, to_ask=False)
    return quoted(work, model, all_requests(work, model.name))


def quoted(
    work: Workspace,
    model: LanguageModel,
    requests: Sequence[Request],
    teacher: TeacherSettings | None = None,
    *,
    guessed: Collection[str] = (),
) -> Quote:
    """`quote` for a run, with the replies it has. `teacher` None: the run's."""
    there = work.config.store or work.directory.store
    store = work.store if there.exists() else None
    return quote(requests, store, model, teacher or work.config.teacher, account=work.account, guessed=guessed)


def pooled_curation(work: Workspace, pool: Pool) -> tuple[CurationSettings, bool]:
    """The curation all methods of a pool share, and whether it is exactly what each of them wants.

    Where methods differ (one keeps wrong answers, one selects), the pool keeps what any of them may want and each
    curates it once more for itself.
    """
    own = [work.config.curation_for(m) for m in pool.learners]
    own = own or [work.config.curation.model_copy(update={"verify": work.config.curation.verify is not False})]
    if all(settings == own[0] for settings in own):
        return own[0], True
    verify = all(settings.verify for settings in own)
    return work.config.curation.model_copy(update={"verify": verify, "select": "all"}), False


def facts_together(work: Workspace, model: str) -> dict[str, Any]:
    """What a curation.json says about the replies of one pool, about those of all pools; a reply counts once."""
    requests = {request.key: request for request in teacher_requests(work, model)}
    found, failed = work.store.completions(requests), work.store.failures(requests)
    return {
        "requested": len(requests),
        "replies": len(found),
        "failures": dict(Counter(one.kind for key, one in failed.items() if key not in found)),
        "cost_usd": sum(reply.cost_usd for reply in found.values()),
        "prompt_tokens": sum(reply.prompt_tokens for reply in found.values()),
        "completion_tokens": sum(reply.completion_tokens for reply in found.values()),
    }


class StoredReplies:
    """The teacher's stored replies to the training questions, those of one pool, a few questions at a time.

    May be iterated again; the counts are those of the last time.
    """

    def __init__(self, work: Workspace, model: str, own: Pool) -> None:
        self._work = work
        self._model = model
        self._pool = own
        self._clear()

    def _clear(self) -> None:
        self.requested = self.answered = self.replies = self.prompt_tokens = self.completion_tokens = 0
        self.cost_usd = 0.0
        self.failures: Counter[str] = Counter()
        self._counted: dict[str, int] = {}

    def __iter__(self) -> Iterator[Batch]:
        self._clear()
        store, train = self._work.store, self._work.task.train
        for start in range(0, len(train), _QUESTIONS_AT_A_TIME):
            questions = train[start : start + _QUESTIONS_AT_A_TIME]
            asked = [requests_about(self._work, self._model, example, self._pool) for example in questions]
            keys = dict.fromkeys(r.key for requests in asked for r in requests)
            found = store.completions(keys)
            failed = store.failures(key for key in keys if key not in found) if len(found) < len(keys) else {}
            batch = []
            for example, requests in zip(questions, asked, strict=True):
                self._count(requests, found, failed)
                batch.append((example, [reply_to(r, found[r.key]) for r in requests if r.key in found]))
            yield batch

    def _count(self, requests: list[Request], found: Mapping[str, Completion], failed: Mapping[str, Failure]) -> None:
        """Add up what is stored; two questions asked in the same words share their replies, which count once."""
        self.requested += len(requests)
        self.answered += sum(request.key in found for request in requests)
        if not requests:
            return
        known = self._counted.get(requests[0].key, 0)
        self._counted[requests[0].key] = max(known, len(requests))
        for request in requests[known:]:
            if reply := found.get(request.key):
                self.replies += 1
                self.cost_usd += reply.cost_usd
                self.prompt_tokens += reply.prompt_tokens
                self.completion_tokens += reply.completion_tokens
            elif failure := failed.get(request.key):
                self.failures[failure.kind] += 1


def curate_replies(work: Workspace, processes: int | None = None) -> None:
    """Turn the stored replies into rationales and write down what was kept and what was dropped, and why.

    Memory does not grow with the replies but for a row of `curation.json` a question. `processes` None: one for each
    core where there is much to do.
    """
    for own in pools(work):
        curate_pool(work, own, processes)


def curate_pool(work: Workspace, own: Pool, processes: int | None = None) -> None:
    """As `curate_replies`, for one pool."""
    work.check()
    model = open_teacher(work)
    settings, _ = pooled_curation(work, own)
    stored = StoredReplies(work, model.name, own)
    curated = curate_batches(
        stored,
        settings,
        verify=bool(settings.verify),
        seed=drawing_seed(work, settings),
        processes=processes or _worth_processes(work, settings, own.teacher),
    )
    difficulty: list[str] = []
    dropped: Counter[str] = Counter()
    without_reasoning = 0
    work.progress.start("curation", len(work.task.train))
    with lines_written(own.dropped) as drop, lines_written(own.rationales) as keep:
        for batch in curated:
            keep(batch.kept)
            drop(batch.dropped)
            without_reasoning += batch.without_reasoning
            for row in batch.difficulty:
                difficulty.append(_difficulty_row(row))
                dropped.update(row.dropped)
            work.progress.advance(len(batch.difficulty))
        if not stored.replies:
            raise DataError("The store holds no reply of this teacher yet.", "Run `symdistill sample` first.")
        forget(own.curation)  # until it is written anew, the rationales do not count as edited by hand
    facts = {
        "teacher": model.name,
        "requested": stored.requested,
        "replies": stored.replies,
        "failures": dict(stored.failures),
        "cost_usd": stored.cost_usd,
        "prompt_tokens": stored.prompt_tokens,
        "completion_tokens": stored.completion_tokens,
        "settings": settings.model_dump(mode="json"),
        "rationales_sha256": content.file_sha256(own.rationales),
    }
    rows = ",\n    ".join(difficulty)
    head = json.dumps(facts, ensure_ascii=False, indent=2, allow_nan=False).removesuffix("\n}")
    write_text(own.curation, f'{head},\n  "difficulty": [\n    {rows}\n  ]\n}}\n')
    reasons = " · ".join(f"{reason} {count:,}" for reason, count in dropped.most_common()) or "nothing dropped"
    work.progress.finish(f"kept {stored.answered - dropped.total():,} of {stored.answered:,} rationales   {reasons}")
    note_missing_reasoning(settings, without_reasoning, stored.answered, work.progress)


def drawing_seed(work: Workspace, settings: CurationSettings) -> int:
    """The seed of what curation draws at random."""
    return work.config.seed if settings.seed is None else settings.seed


def _worth_processes(work: Workspace, settings: CurationSettings, teacher: TeacherSettings) -> int:
    """How many processes curation is spread over: one, unless there is much to do and the program allows more.

    A process of its own imports the program's main module again, which only symdistill's own command and an
    interactive session are known to bear. An embedding model would be loaded by each.
    """
    main = sys.modules["__main__"]
    name = getattr(getattr(main, "__spec__", None), "name", None) or Path(getattr(main, "__file__", "symdistill")).stem
    ours = name.partition(".")[0] == "symdistill"
    much = sum(samples_of(teacher, example) for example in work.task.train) >= _MUCH
    return min(_cores(), _MOST) if ours and much and settings.embedding_model is None else 1


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _difficulty_row(row: Difficulty) -> str:
    """A question's row of `curation.json`, on one line."""
    values = {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    return json.dumps(values, ensure_ascii=False)


def edited_by_hand(work: Workspace, own: Pool) -> bool:
    """Whether the rationales of a pool have changed since curation wrote them. Raises RunDirectoryError."""
    if not own.rationales.exists() or not own.curation.exists():
        return False
    written = work.directory.read_json(own.curation).get("rationales_sha256")
    return written is not None and content.file_sha256(own.rationales) != written


def pool(work: Workspace) -> list[Rationale]:
    """The rationales of the run's (first) file, hand edits included; none when no method wants any."""
    return read_pool(work, pools(work)[0]) if work.needs_teacher else []


def read_pool(work: Workspace, own: Pool) -> list[Rationale]:
    """The rationales of a pool, hand edits included. Raises DataError where one is about no training question."""
    if not own.rationales.exists():
        curate_pool(work, own)
    found = list(read_rationales(own.rationales))
    known = {e.id for e in work.task.train}
    stray = next((r.example_id for r in found if r.example_id not in known), None)
    if stray is not None:
        raise DataError(
            f"{own.rationales} has a rationale for `{stray}`, which is no training question.",
            "Correct its `id`, or take the row out; held-out questions are never learned from.",
        )
    return found


def kept_for(work: Workspace, method: Method, rationales: Sequence[Rationale]) -> list[Rationale]:
    """What a method learns from: of `rationales`, those of the first pool, or of its own where it has another."""
    own = pool_of(work, method)
    if own is None or method.needs != "rationales":
        return list(rationales)
    if own != pools(work)[0]:
        rationales = read_pool(work, own)
    _, shared = pooled_curation(work, own)
    if shared:
        return list(rationales)
    settings = work.config.curation_for(method)
    samples = [*rationales, *(counted_only(own) if settings.select == "open-endedness" else ())]
    seed = drawing_seed(work, settings)
    return curate(samples, work.task.train, settings, verify=bool(settings.verify), seed=seed).kept


def counted_only(own: Pool) -> list[Rationale]:
    """What the shared curation dropped. How open a question is shows in all its samples (METHODS, section 2), so they
    are counted; marked as cut, none of them is learned after all."""
    dropped = read_dropped(own.dropped) if own.dropped.exists() else ()
    return [dataclasses.replace(d.rationale, truncated=True) for d in dropped]
