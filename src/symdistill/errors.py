"""Every error symdistill raises on purpose, as one tree.

    SymdistillError                 a message, where it happened, and what to do next
    ├── ConfigError                 a key, a type or a value of the configuration            exit 2
    ├── DataError                   a file of questions, rationales or recordings            exit 2
    ├── PrerequisiteError           a package, a key or a model file that is not there       exit 2
    ├── RunDirectoryError           a run directory of another configuration, or in use      exit 2
    ├── StoreError                  a store of replies or knowledge: locked, full, newer     exit 1
    │   └── DamagedStore            a part of the file cannot be read                        exit 1
    ├── ModelError                  a model cannot be asked                                  exit 1
    │   ├── UnusableModel           what is named is no model, or not a whole one            exit 2
    │   ├── CallFailed              one call brought no answer (typed by `kind`)             exit 1
    │   ├── ServerUnreachable       nothing answers at that address                          exit 1
    │   ├── AccessDenied            the server refused the key or the model name             exit 1
    │   └── RecordingMissing        a recorded teacher has no reply for a request            exit 2
    ├── BudgetExhausted             the next reply would pass the budget                     exit 3
    ├── LimitReached                a query or a solver passed its limit of time or memory   exit 1
    ├── TrainingError               nothing to learn from, or training went wrong            exit 1
    └── Interrupted                 Ctrl-C; what was finished is kept                        exit 130

`message` says what happened and where; `fix` says what to do next. The command line prints both on one line and
shows a traceback with `--debug` only. Exit 2 means that something asked for or given has to change first; 1, that
something failed on the way.
"""

from __future__ import annotations

from typing import ClassVar, Literal

FailureKind = Literal[
    "refused",  # the model declined, or a content filter cut the reply: paid for, never an answer
    "empty",  # the server answered without a choice, or with no text at all
    "malformed",  # the answer was not the JSON the protocol promises
    "timeout",  # no answer in time: it may have been paid for
    "dropped",  # the connection broke after the request had left: it may have been paid for
    "unreachable",  # no connection could be made: nothing was paid for
    "server",  # the server reported a fault of its own (5xx)
    "rate_limited",  # the server asked to come back later (429)
    "rejected",  # the server does not accept this request (400, 413, 422)
]

TRANSIENT: frozenset[FailureKind] = frozenset(
    {"empty", "malformed", "timeout", "dropped", "unreachable", "server", "rate_limited"}
)
"""Kinds worth another try; `refused` and `rejected` would only be refused again."""


class SymdistillError(Exception):
    """Base of the tree. `str(error)` is the message followed by the fix."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip()


class ConfigError(SymdistillError):
    """A key, type or value of the configuration is wrong."""

    exit_code = 2


class DataError(SymdistillError):
    """A file of questions, rationales or recordings cannot be used as it is."""

    exit_code = 2


class PrerequisiteError(SymdistillError):
    """Something that must be installed or set is not; `fix` is the command that provides it."""

    exit_code = 2


class RunDirectoryError(SymdistillError):
    """The run directory belongs to another configuration or to a running process."""

    exit_code = 2


class StoreError(SymdistillError):
    """A store of replies or of knowledge is damaged, locked, of a newer schema, or cannot be written."""


class DamagedStore(StoreError):
    """The file of a store is cut short or overwritten; some of it may still be read."""


class ModelError(SymdistillError):
    """A model cannot be loaded or asked."""


class UnusableModel(ModelError):
    """What is named as a model is none, was cut off, or lacks what a student needs."""

    exit_code = 2


class CallFailed(ModelError):
    """One call to a model brought no usable answer.

    `retry_after` is what the server asked for, in seconds. `charged` says whether the call may have been paid for all
    the same: a time-out or a dropped connection may, a refusal is, and so is what tokens were counted for.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retry_after: float | None = None,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        super().__init__(message)
        self.kind: FailureKind = kind
        self.retry_after = retry_after
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens

    @property
    def transient(self) -> bool:
        return self.kind in TRANSIENT

    @property
    def charged(self) -> bool:
        counted = self.prompt_tokens + self.completion_tokens > 0
        return counted or self.kind in ("refused", "empty", "malformed", "timeout", "dropped")


class ServerUnreachable(ModelError):
    """Nothing answers at the model's address."""


class AccessDenied(ModelError):
    """The server refused the key, or does not know the model."""


class RecordingMissing(ModelError):
    """A recorded teacher holds no reply for a request; the message names the key."""

    exit_code = 2


class BudgetExhausted(SymdistillError):
    """The next reply would pass the budget. Everything bought so far is stored."""

    exit_code = 3


class LimitReached(SymdistillError):
    """A query or a solver passed its limit of time or memory and was ended. Nothing was changed."""


class TrainingError(SymdistillError):
    """There is nothing to learn from, or the student cannot be trained."""


class Interrupted(SymdistillError):
    """The user stopped the run; what was finished is kept and the same command goes on."""

    exit_code = 130
