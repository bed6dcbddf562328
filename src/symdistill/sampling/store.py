"""The response store: every reply ever bought, addressed by the content of its request.

One SQLite file, append-only (triggers refuse anything else), in write-ahead mode: a killed process loses nothing that
was committed, and several processes may write. Replies that arrive together are committed in one transaction with
what they cost.

Log-probabilities are kept to five decimals, as 32-bit integers.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from symdistill import content
from symdistill.errors import StoreError
from symdistill.models.recording import Entry, messages_from, messages_json
from symdistill.records import Completion, Failure, Request
from symdistill.sampling.database import Database
from symdistill.sampling.rows import completion_from, completion_row, failure_row, parsed_sampling, sampling_json
from symdistill.sampling.schema import SCHEMA

_CHUNK = 10_000
_KNOWN_PROMPTS = 100_000
_COMPLETION = (
    "key, text, reasoning, finish_reason, prompt_tokens, completion_tokens, cached_prompt_tokens, logprobs, "
    "cost_usd, seconds, top_two, first"
)
_FAILURE = "key, kind, message, attempts, cost_usd, tokens"
_LATEST_FAILURES = (
    "id = (SELECT max(id) FROM failures AS f WHERE f.key = failures.key) "
    "AND NOT EXISTS (SELECT 1 FROM completions AS c WHERE c.key = failures.key)"
)


@dataclass(frozen=True, slots=True)
class Added:
    """What an `add` did: how many rows are new, and the keys that were there already (the first reply stands)."""

    new: int
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run has spent so far, reservations of calls that never came back included. `calls` counts requests."""

    usd: float = 0.0
    tokens: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class ModelStats:
    """What the store holds of one model."""

    model: str
    replies: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float


@dataclass(frozen=True, slots=True)
class StoreStats:
    """What the store holds. `failures` counts, by kind, requests that have brought no answer yet."""

    prompts: int
    replies: int
    models: tuple[ModelStats, ...]
    failures: dict[str, int]
    runs: dict[str, int]
    bytes: int


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of `verify`: rows looked at, and every problem in words."""

    checked: int
    problems: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.problems


class ResponseStore:
    """The store in the file `path`, made when it is not there.

    Safe to use from several threads. Every method raises StoreError when the file is damaged, locked for longer than
    `busy_seconds`, or cannot be read or written.
    """

    def __init__(self, path: str | Path, *, busy_seconds: float = 30.0) -> None:
        self.path = Path(path)
        self._db = Database(self.path, SCHEMA, busy_seconds=busy_seconds)
        self._known_prompts: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Closing twice is allowed."""
        self._db.close()

    def completions(self, keys: Iterable[str]) -> dict[str, Completion]:
        """The stored replies of `keys`, in their order; keys without one are left out."""
        wanted = dict.fromkeys(keys)
        select = f"SELECT {_COMPLETION} FROM completions"
        # Reading the file from end to end is faster than looking up a large part of it.
        if len(wanted) >= _CHUNK and 4 * len(wanted) > (self._db.read("SELECT max(id) FROM completions")[0][0] or 0):
            found = {row[0]: completion_from(row) for row in self._db.read(select) if row[0] in wanted}
        else:
            found = {row[0]: completion_from(row) for row in self._lookup(select, wanted)}
        return {key: found[key] for key in wanted if key in found}

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` that have no reply, in their order, each once."""
        wanted = list(dict.fromkeys(keys))
        there = {row[0] for row in self._lookup("SELECT key FROM completions", wanted)}
        return [key for key in wanted if key not in there]

    def failures(self, keys: Iterable[str]) -> dict[str, Failure]:
        """The latest failure of each of `keys` that has one and no reply."""
        wanted = list(keys)
        rows = self._lookup(f"SELECT {_FAILURE} FROM failures", wanted, f"AND {_LATEST_FAILURES}")
        found = {row[0]: Failure(*row) for row in rows}
        return {key: found[key] for key in wanted if key in found}

    def add(
        self, replies: Sequence[tuple[Request, Completion | Failure]], run: str, *, usd: float = 0.0, tokens: int = 0
    ) -> Added:
        """Write replies, and what they cost, in one transaction: all of it or nothing.

        `usd` and `tokens` are charged to the run beside what stands on the replies: positive to reserve before a call
        or to book an attempt that brought nothing, negative to take a reservation back. A reply that is there already
        is not written a second time, but was paid for a second time: what it took is charged to the run as well.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        new = 0
        repeated = []
        prompts = set()
        with self._db.writing() as db:
            for request, reply in replies:
                if request.key != reply.key:
                    raise ValueError(f"the reply {reply.key} does not belong to the request {request.key}")
                prompt = content.prompt_key(request.messages)
                if prompt not in self._known_prompts and prompt not in prompts:
                    row = (prompt, messages_json(request.messages))
                    db.execute("INSERT INTO prompts VALUES (?, ?) ON CONFLICT DO NOTHING", row)
                    prompts.add(prompt)
                place = (request.key, prompt, request.model, sampling_json(request.sampling), request.sample_index)
                if isinstance(reply, Completion):
                    written = db.execute(_INSERT_COMPLETION, (*place, *completion_row(reply), run, now)).rowcount
                    if not written:
                        repeated.append(request.key)
                        usd += reply.cost_usd
                        tokens += reply.prompt_tokens + reply.completion_tokens
                else:
                    written = db.execute(_INSERT_FAILURE, (*place, *failure_row(reply), run, now)).rowcount
                new += written
            if usd or tokens:
                db.execute(
                    "INSERT INTO charges (run, usd, tokens, created_at) VALUES (?, ?, ?, ?)", (run, usd, tokens, now)
                )
        if len(self._known_prompts) > _KNOWN_PROMPTS:
            self._known_prompts.clear()
        self._known_prompts |= prompts
        return Added(new, tuple(repeated))

    def spending(self, run: str) -> Spending:
        """What `run` has spent in all its processes so far."""
        sums = (
            "SELECT total(cost_usd), total(prompt_tokens) + total(completion_tokens), count(*) FROM completions "
            "WHERE run = ?1 UNION ALL "
            "SELECT total(cost_usd), total(tokens), count(*) FROM failures WHERE run = ?1 UNION ALL "
            "SELECT total(usd), total(tokens), 0 FROM charges WHERE run = ?1"
        )
        rows = self._db.read(sums, (run,))
        # A reservation and its return may leave a rounding error of the last digit.
        usd = max(0.0, round(sum(row[0] for row in rows), 12))
        return Spending(usd, max(0, int(sum(row[1] for row in rows))), sum(row[2] for row in rows))

    def entries(self, *, model: str | None = None, run: str | None = None) -> Iterator[Entry]:
        """Every request with its reply or, where there is none, its latest failure.

        Sorted by prompt, model, sampling parameters and sample index, whatever the order they were bought in.
        """
        chosen = "(?1 IS NULL OR model = ?1) AND (?2 IS NULL OR run = ?2)"
        place = "prompt, model, sampling, sample_index"
        query = (
            # Columns of their own for both tables: a shared one would give its type to the other's values.
            f"SELECT messages, t.* FROM ("
            f"SELECT {place}, 0 AS failed, {_COMPLETION}, NULL, NULL, NULL, NULL, NULL "
            f"FROM completions WHERE {chosen} UNION ALL "
            f"SELECT {place}, 1, key, {'NULL, ' * 11}{_FAILURE[5:]} "
            f"FROM failures WHERE {chosen} AND {_LATEST_FAILURES}"
            f") AS t JOIN prompts ON prompts.key = t.prompt ORDER BY prompt, model, sampling, failed, sample_index"
        )
        for messages, _, name, sampling, index, failed, *row in self._db.stream(query, (model, run)):
            reply = Failure(row[0], *row[12:]) if failed else completion_from(row[:12])
            try:
                request = Request(
                    reply.key, name, messages_from(json.loads(messages)), parsed_sampling(sampling), index
                )
            except (ValueError, TypeError) as problem:
                raise StoreError(
                    f"The response store {self.path} holds a row that cannot be read ({reply.key}: {problem}).",
                    "`symdistill store verify` lists all of them.",
                ) from None
            yield request, reply

    def stats(self) -> StoreStats:
        """Counts, tokens and cost of what is stored."""
        models = self._db.read(
            "SELECT model, count(*), sum(prompt_tokens), sum(completion_tokens), sum(cost_usd) "
            "FROM completions GROUP BY model ORDER BY model"
        )
        failures = self._db.read(
            f"SELECT kind, count(*) FROM failures WHERE {_LATEST_FAILURES} GROUP BY kind ORDER BY 1"
        )
        runs = self._db.read("SELECT run, count(*) FROM completions GROUP BY run ORDER BY run")
        return StoreStats(
            prompts=self._db.read("SELECT count(*) FROM prompts")[0][0],
            replies=sum(row[1] for row in models),
            models=tuple(ModelStats(*row) for row in models),
            failures={row[0]: row[1] for row in failures},
            runs={row[0]: row[1] for row in runs},
            bytes=self._db.bytes,
        )

    def verify(self) -> Verification:
        """Check the file, and recompute every key from the content it stands for."""
        problems = [f"file: {row[0]}" for row in self._db.stream("PRAGMA integrity_check") if row[0] != "ok"]
        problems += [f"{row[0]}: row {row[1]} has no prompt" for row in self._db.stream("PRAGMA foreign_key_check")]
        checked = 0
        for key, messages in self._db.stream("SELECT key, messages FROM prompts"):
            checked += 1
            if _computed(lambda text=messages: content.prompt_key(messages_from(json.loads(text)))) != key:
                problems.append(f"prompt {key}: its content has another key")
        for table in ("completions", "failures"):
            query = (
                f"SELECT t.id, t.key, t.model, messages, sampling, sample_index FROM {table} AS t "
                f"JOIN prompts ON prompts.key = t.prompt"
            )
            for number, key, *place in self._db.stream(query):
                checked += 1
                if _computed(lambda place=place: _request_key(*place)) != key:
                    problems.append(f"{table} row {number}, {key}: its content has another key")
        return Verification(checked, tuple(problems))

    def _lookup(self, select: str, keys: Collection[str], more: str = "") -> Iterator[tuple[Any, ...]]:
        keys = list(keys)
        for start in range(0, len(keys), _CHUNK):
            chunk = json.dumps(keys[start : start + _CHUNK])
            yield from self._db.read(f"{select} WHERE key IN (SELECT value FROM json_each(?)) {more}", (chunk,))


_INSERT_COMPLETION = (
    f"INSERT INTO completions (key, prompt, model, sampling, sample_index, {_COMPLETION.removeprefix('key, ')}, run, "
    f"created_at) VALUES ({', '.join('?' * 18)}) ON CONFLICT DO NOTHING"
)
_INSERT_FAILURE = (
    f"INSERT INTO failures (key, prompt, model, sampling, sample_index, {_FAILURE.removeprefix('key, ')}, run, "
    f"created_at) VALUES ({', '.join('?' * 12)})"
)


def _request_key(model: str, messages: str, sampling: str, index: int) -> str:
    return content.request(model, messages_from(json.loads(messages)), parsed_sampling(sampling), index).key


def _computed(key: Any) -> str | None:
    """The key, or None where the content does not even parse."""
    try:
        return str(key())
    except (ValueError, TypeError):
        return None
