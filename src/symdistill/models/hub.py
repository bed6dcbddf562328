"""A model of the Hugging Face hub as a local directory, or one sentence that says why there is none."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from symdistill.errors import PrerequisiteError
from symdistill.models.weights import check_directory

_FILES = ("*.json", "*.jinja", "*.model", "*.txt", "model*.safetensors")
_NETWORK = ("httpx", "httpx2", "requests", "urllib3")
"""Libraries by which the hub's client, in one version or another, speaks with the hub."""
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


def hub_snapshot(name: str, *, trust_remote_code: bool = False) -> Path:
    """Download a model of the hub, or find it downloaded; `trust_remote_code` is for its Python files.

    Raises:
        PrerequisiteError: the hub does not have it, does not give it, or cannot be reached.
        UnusableModel: what it gives is no model.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    if not sys.stderr.isatty():
        disable_progress_bars()
    wanted = [*_FILES, *(["*.py"] if trust_remote_code else [])]
    try:
        path = Path(snapshot_download(name, allow_patterns=wanted))
        if not any(path.glob("model*.safetensors")):
            path = Path(snapshot_download(name, allow_patterns=[*wanted, "pytorch_model*.bin"]))
    except Exception as problem:  # the client lets errors of several libraries through
        raise _in_words(name, problem) from problem
    check_directory(path)
    return path


def hub_is_asked() -> bool:
    """Whether the hub may be asked: not where HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants

    return not constants.HF_HUB_OFFLINE


def not_asked(name: str) -> PrerequisiteError:
    """The error for a model that is not here while the hub is not to be asked."""
    return PrerequisiteError(
        f"There is no model `{name}` on this machine, and HF_HUB_OFFLINE is set.",
        "Check the name, unset HF_HUB_OFFLINE, or name a local directory.",
    )


def _in_words(name: str, problem: Exception) -> PrerequisiteError:
    """What the client's error means for whoever named the model."""
    from huggingface_hub import constants, errors

    missing = isinstance(problem, errors.LocalEntryNotFoundError)  # it asked, and then looked on the disk in vain
    cause = problem.__cause__ if missing and problem.__cause__ is not None else problem
    if isinstance(cause, errors.OfflineModeIsEnabled):
        return not_asked(name)
    if isinstance(cause, errors.GatedRepoError):
        return PrerequisiteError(
            f"The hub gives `{name}` only to people its owner has let in.",
            f"Ask for access at {constants.ENDPOINT}/{name} and set HF_TOKEN, or name another model.",
        )
    if isinstance(cause, errors.RepositoryNotFoundError | errors.HFValidationError):
        return PrerequisiteError(
            f"There is no model `{name}`, neither on this machine nor on the hub.",
            "Check the name (on the hub it is OWNER/NAME), set HF_TOKEN if it is private, or name a local directory.",
        )
    if isinstance(cause, errors.HfHubHTTPError):
        status = cause.response.status_code
        return PrerequisiteError(
            f"The hub does not give `{name}`: it answers {status} {cause.response.reason_phrase}".rstrip() + ".",
            "Check HF_TOKEN, or name another model."
            if status in (401, 403)
            else "Run the same command later, or name a local directory.",
        )
    if isinstance(cause, ConnectionError | TimeoutError) or type(cause).__module__.partition(".")[0] in _NETWORK:
        return PrerequisiteError(
            f"There is no model `{name}` on this machine, and the hub cannot be reached ({_reason(cause)}).",
            "Check the name and the connection, or name a local directory.",
        )
    return PrerequisiteError(
        f"The model `{name}` could not be fetched from the hub ({_reason(cause)}).",
        "Run the same command again, or name a local directory.",
    )


def _reason(problem: BaseException) -> str:
    """An error's first line without its number."""
    said = getattr(problem, "strerror", None) or next(iter(str(problem).strip().splitlines()), "")
    return _ERRNO.sub("", said)[:120].rstrip(".: ") or type(problem).__name__
