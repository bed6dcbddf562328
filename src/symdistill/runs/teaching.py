"""The first two stages: buy the teacher's replies that are not stored yet, and choose what the student learns."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from symdistill import content
from symdistill.curation import Curated, curate, rationales, read_rationales, write_dropped, write_rationales
from symdistill.curation.settings import CurationSettings
from symdistill.errors import ConfigError, DataError
from symdistill.methods import Method
from symdistill.models.base import LanguageModel
from symdistill.models.registry import load_teacher
from symdistill.models.settings import Price
from symdistill.prompts import teacher_messages
from symdistill.records import Example, Rationale, Request, Sampling
from symdistill.runs.directory import forget, write_json
from symdistill.runs.workspace import Workspace
from symdistill.sampling.estimate import Estimate, estimate
from symdistill.sampling.limits import Budget, CallLimits
from symdistill.sampling.prices import price_of
from symdistill.sampling.sampler import Sampled, Sampler


def teacher_requests(work: Workspace, model: str) -> list[Request]:
    """Every reply the configuration wants from the teacher, question by question, tasks kept together so that a
    backend can reuse what their prompts share."""
    teacher = work.config.teacher
    sampling = Sampling(
        temperature=teacher.temperature,
        max_tokens=teacher.max_tokens,
        top_p=teacher.top_p,
        top_k=teacher.top_k,
        seed=work.config.seed,
        stop=teacher.stop,
        logprobs=teacher.logprobs,
    )
    requests = []
    for example in sorted(work.task.train, key=lambda e: e.task):
        messages = teacher_messages(
            example,
            instruction=teacher.instruction,
            demonstrations=work.demonstrations,
            show_answer=teacher.show_answer,
        )
        requests += [
            content.request(model, messages, sampling, index, example.id) for index in range(samples_of(work, example))
        ]
    return requests


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


def samples_of(work: Workspace, example: Example) -> int:
    """How many replies are wanted about an example; a row that carries rationales offers what it carries."""
    wanted = work.config.teacher.samples
    if work.config.teacher.model == "dataset":
        return min(wanted or len(example.rationales), len(example.rationales))
    return wanted or 1


def open_teacher(work: Workspace) -> LanguageModel:
    """The teacher the configuration names. Raises ConfigError, PrerequisiteError or ModelError."""
    return load_teacher(work.config.teacher, [*work.task.train, *work.task.evaluation])


def teacher_price(work: Workspace) -> Price | None:
    """What the teacher's tokens cost, None when nobody knows."""
    teacher = work.config.teacher
    return price_of(teacher.model or "", teacher.price, teacher.base_url)


def teacher_sampler(work: Workspace, model: LanguageModel) -> Sampler:
    """A sampler with the teacher's limits and budget. Raises ConfigError for a budget without a known price."""
    teacher = work.config.teacher
    return Sampler(
        work.store,
        model,
        run=work.key,
        limits=CallLimits(
            retries=teacher.retries,
            requests_per_minute=teacher.requests_per_minute,
            tokens_per_minute=teacher.tokens_per_minute,
        ),
        budget=Budget(usd=teacher.budget_usd, tokens=teacher.budget_tokens),
        price=teacher_price(work),
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


def price_teacher(work: Workspace) -> Estimate | None:
    """What `sample_teacher` would buy; None when no teacher is asked. Asks no model and writes nothing."""
    work.check()
    if not work.config.teacher.model:
        return None
    model = open_teacher(work)
    there = work.config.store or work.directory.store
    return estimate(
        all_requests(work, model.name),
        work.store if there.exists() else None,
        model,
        price=teacher_price(work),
        retry_failures=work.config.teacher.retry_failures,
    )


def pooled_curation(work: Workspace) -> tuple[CurationSettings, bool]:
    """The curation all methods share, and whether it is exactly what each of them wants.

    Where methods differ (one keeps wrong answers, one selects), the pool keeps what any of them may want and each
    curates it once more for itself.
    """
    own = [work.config.curation_for(m) for m in work.learners]
    own = own or [work.config.curation.model_copy(update={"verify": work.config.curation.verify is not False})]
    if all(settings == own[0] for settings in own):
        return own[0], True
    verify = all(settings.verify for settings in own)
    return work.config.curation.model_copy(update={"verify": verify, "select": "all"}), False


def curate_replies(work: Workspace) -> Curated:
    """Turn the stored replies into rationales and write down what was kept and what was dropped, and why."""
    work.check()
    model = open_teacher(work)
    requests = teacher_requests(work, model.name)
    replies = work.store.completions([r.key for r in requests])
    if not replies:
        raise DataError("The store holds no reply of this teacher yet.", "Run `symdistill sample` first.")
    settings, _ = pooled_curation(work)
    found = rationales(work.task.train, requests, replies, settings, work.progress)
    curated = curate(found, work.task.train, settings, verify=bool(settings.verify), seed=work.config.seed)
    directory = work.directory
    forget(directory.curation)  # until it is written anew, rationales.jsonl does not count as edited by hand
    write_rationales(directory.rationales, curated.kept)
    write_dropped(directory.dropped, curated.dropped)
    write_json(
        directory.curation,
        {
            "teacher": model.name,
            "requested": len(requests),
            "replies": len(replies),
            "failures": dict(Counter(f.kind for f in work.store.failures([r.key for r in requests]).values())),
            "cost_usd": sum(c.cost_usd for c in replies.values()),
            "prompt_tokens": sum(c.prompt_tokens for c in replies.values()),
            "completion_tokens": sum(c.completion_tokens for c in replies.values()),
            "settings": settings.model_dump(mode="json"),
            "rationales_sha256": content.file_sha256(directory.rationales),
            "difficulty": [dataclasses.asdict(row) for row in curated.difficulty],
        },
    )
    dropped = Counter(d.reason for d in curated.dropped)
    reasons = " · ".join(f"{reason} {count:,}" for reason, count in dropped.most_common()) or "nothing dropped"
    work.progress.start("curation")
    work.progress.finish(f"kept {len(curated.kept):,} of {len(found):,} rationales   {reasons}")
    return curated


def edited_by_hand(work: Workspace) -> bool:
    """Whether rationales.jsonl has changed since curation wrote it. Raises RunDirectoryError."""
    directory = work.directory
    if not directory.rationales.exists() or not directory.curation.exists():
        return False
    written = directory.read_json(directory.curation).get("rationales_sha256")
    return written is not None and content.file_sha256(directory.rationales) != written


def pool(work: Workspace) -> list[Rationale]:
    """The rationales of the run's file, hand edits included; none when no method wants any."""
    if not work.needs_teacher:
        return []
    if not work.directory.rationales.exists():
        curate_replies(work)
    found = list(read_rationales(work.directory.rationales))
    known = {e.id for e in work.task.train}
    stray = next((r.example_id for r in found if r.example_id not in known), None)
    if stray is not None:
        raise DataError(
            f"{work.directory.rationales} has a rationale for `{stray}`, which is no training question.",
            "Correct its `id`, or take the row out; held-out questions are never learned from.",
        )
    return found


def kept_for(work: Workspace, method: Method, rationales: Sequence[Rationale]) -> list[Rationale]:
    """What of the pool a method learns from."""
    _, shared = pooled_curation(work)
    if shared or method.needs != "rationales":
        return list(rationales)
    settings = work.config.curation_for(method)
    return curate(rationales, work.task.train, settings, verify=bool(settings.verify), seed=work.config.seed).kept
