"""Questions made on the spot by reasoning-gym: seeded, offline, as many as wanted, as hard as wanted.

The package's generators seed their n-th question with `seed + n`, so neighbouring seeds give the same questions one
place further on. The seeds used here are hashes, far from one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.tasks.columns import Draft
from symdistill.tasks.settings import TaskSettings

PREFIX = "reasoning-gym:"

_TRIES = 20
"""Questions made for one that is wanted, before a generator counts as exhausted."""


def procedural_names(settings: TaskSettings) -> list[str]:
    """The generators that `task.name` lists, in order."""
    names = [name.strip() for name in settings.name.removeprefix(PREFIX).split(",")]
    return list(dict.fromkeys(name for name in names if name))


def make_drafts(settings: TaskSettings, seed: int) -> tuple[list[Draft], list[str]]:
    """`task.size` different questions spread evenly over the generators, and notes on what fell short.

    With `task.eval_options` the share `task.eval_fraction` of them is made with these options and marked as test.

    Raises:
        ConfigError: a generator or an option does not exist, or there is no one right answer to check.
        PrerequisiteError: reasoning-gym is not installed.
    """
    names = procedural_names(settings)
    if not names:
        raise ConfigError(f"`task.name: {settings.name}` names no generator.", f"For example {PREFIX}chain_sum.")
    options = _options(settings.options, names, "task.options")
    harder = _options(settings.eval_options, names, "task.eval_options")
    drafts: list[Draft] = []
    notes: list[str] = []
    for place, name in enumerate(names):
        size = settings.size // len(names) + (place < settings.size % len(names))
        held_out = round(size * settings.eval_fraction) if settings.eval_options else 0
        seen: set[str] = set()
        plans = [("train" if held_out else None, options[name], size - held_out)]
        if held_out:
            plans.append(("test", {**options[name], **harder[name]}, held_out))
        for split, chosen, wanted in plans:
            made = _distinct(name, chosen, wanted, _seed(seed, name, split), seen, split)
            if len(made) < wanted:
                notes.append(f"{name} has only {len(made):,} different questions with these options, not {wanted:,}.")
            drafts += made
    return drafts, notes


def _distinct(
    name: str, options: Mapping[str, Any], wanted: int, seed: int, seen: set[str], split: str | None
) -> list[Draft]:
    drafts: list[Draft] = []
    unanswered = 0
    for entry in _entries(name, options, wanted * _TRIES, seed):
        question, answer = str(entry["question"]).strip(), entry["answer"]
        if answer is None or not str(answer).strip():
            unanswered += 1
        elif question not in seen:
            seen.add(question)
            answer = str(answer).strip()
            drafts.append(Draft(f"{PREFIX}{name}", question, answer=answer, value=answer, task=name, split=split))
        if len(drafts) == wanted:
            break
        if not drafts and unanswered >= _TRIES:
            raise ConfigError(f"{PREFIX}{name} has no single right answer to check.", "Choose another generator.")
    return drafts


def _entries(name: str, options: Mapping[str, Any], count: int, seed: int) -> Iterator[Mapping[str, Any]]:
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise PrerequisiteError(
            f"{PREFIX}{name} needs reasoning-gym.", "pip install 'symdistill[reasoning-gym]'"
        ) from error
    if name not in DATASETS:
        raise ConfigError(f"reasoning-gym has no generator `{name}`.", _nearest(name, sorted(DATASETS)))
    known = [f.name for f in fields(DATASETS[name][1]) if f.name not in ("seed", "size")]
    for option in options:
        if option not in known:
            hint = f"{_nearest(option, known)} {name} takes {', '.join(known)}." if known else f"{name} takes none."
            raise ConfigError(f"The generator {name} has no option `{option}`.", hint)
    try:
        made = reasoning_gym.create_dataset(name, size=count, seed=seed, **options)
        for at in range(count):
            yield made[at]
    except (AssertionError, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError) as error:
        given = ", ".join(f"{option}={value!r}" for option, value in options.items()) or "its defaults"
        raise ConfigError(
            f"The generator {name} does not accept {given}: {str(error) or type(error).__name__}.",
            "Change `task.options` or `task.eval_options`.",
        ) from error


def _options(given: Mapping[str, Any], names: list[str], key: str) -> dict[str, dict[str, Any]]:
    """Options by generator: those under a generator's name are its own, the others hold for all."""
    own = {name: given[name] for name in names if name in given}
    for name, value in own.items():
        if not isinstance(value, Mapping):
            raise ConfigError(
                f"`{key}.{name}` should be a set of options.", f"Write {key}: {{{name}: {{option: value}}}}."
            )
    shared = {option: value for option, value in given.items() if option not in own}
    return {name: {**shared, **own.get(name, {})} for name in names}


def _seed(seed: int, name: str, split: str | None) -> int:
    digest = hashlib.sha256(f"{seed}\n{name}\n{split or ''}".encode()).hexdigest()
    return int(digest[:8], 16) & 0x7FFFFFFF


def _nearest(name: str, known: list[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Did you mean `{close[0]}`?" if close else f"Some there are: {', '.join(known[:12])}."
