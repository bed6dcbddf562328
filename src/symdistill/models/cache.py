"""Models made from other files: made once, kept under a name that tells their content, and found again."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from symdistill.errors import PrerequisiteError


def cache_directory() -> Path:
    """$SYMDISTILL_CACHE, or symdistill's directory in the user's cache."""
    own = os.environ.get("SYMDISTILL_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "symdistill"


@contextmanager
def making(target: Path, what: str) -> Iterator[Path]:
    """An empty directory, which becomes `target` where the block ends well and is gone where it does not.

    Two processes may do this at once: whoever is second uses what the first has made. `what` names it in errors.

    Raises:
        PrerequisiteError: the place cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as problem:
        raise unwritable(what, target.parent, problem) from problem
    try:
        yield scratch
        _put_in_place(scratch, target, what)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def unwritable(what: str, directory: Path, problem: Exception) -> PrerequisiteError:
    """The error for something made that cannot be kept in `directory`."""
    reason = (problem.strerror if isinstance(problem, OSError) else None) or str(problem)
    return PrerequisiteError(
        f"{what} cannot be written to {directory} ({reason}).",
        "Make room there, or set SYMDISTILL_CACHE to a directory with room that you can write."
        if directory.is_relative_to(cache_directory())
        else "Make room there, in a directory that you can write.",
    )


def _put_in_place(scratch: Path, target: Path, what: str) -> None:
    try:
        os.chmod(scratch, 0o755)
        scratch.rename(target)
    except OSError as problem:
        if problem.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return  # another process was quicker, with the same content
        raise unwritable(what, target.parent, problem) from problem
