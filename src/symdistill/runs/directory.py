"""A run directory: what it holds, who may write in it, and how a file in it is whole or absent.

config.yaml        the resolved configuration          manifest.json     versions, seeds, content keys of inputs
store.sqlite       every reply, teacher's and student's  training.jsonl  one line an optimiser step
rationales.jsonl   what curation kept                  dropped.jsonl     what it dropped, and why
rationales-LABEL.jsonl, dropped-LABEL.jsonl, curation-LABEL.json   the same for methods with a `teacher` of their own
knowledge.sqlite   items from a student's mistakes     knowledge.json    what became of each mistake
compression.jsonl  what a student makes of each note, for those that fade
difficulty.jsonl   what the untrained student loses on each example, for a curriculum by loss
passages/KEY/      a corpus cut into passages, and its index  rerankers/LABEL/  what orders them for a question
retrieval-LABEL.json  how much of what rationales find their questions find
general/LABEL/     the student that made the mistakes  calibration-LABEL.json  a gate's threshold, and how it was found
rounds/LABEL-N/    the students on the way, 0 before the first round  rounds-LABEL.json  how they did
student/           (or students/LABEL/ for several methods) weights, tokenizer, template
lineage.jsonl, kept.jsonl, audit.jsonl, rounds.json  what a `multilevel` run wrote and learned (see `runs.multilevel`)
predictions.jsonl  every answer with its raw samples   metrics.json      the table
engine.json        what `student.engine: auto` came to
report.html        the evidence, for people
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from symdistill.content import content_key
from symdistill.errors import RunDirectoryError, SymdistillError
from symdistill.runs.config import RunConfig, parse_config
from symdistill.runs.paths import absolute
from symdistill.runs.validation import Places
from symdistill.training.settings import TrainingSettings


class RunDirectory:
    """The files of one run. `open` claims it for this process; `load` only reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

        self.config = path / "config.yaml"
        self.manifest = path / "manifest.json"
        self.store = path / "store.sqlite"
        self.rationales = path / "rationales.jsonl"
        self.dropped = path / "dropped.jsonl"
        self.curation = path / "curation.json"
        self.knowledge = path / "knowledge.sqlite"
        self.training = path / "training.jsonl"
        self.predictions = path / "predictions.jsonl"
        self.metrics = path / "metrics.json"
        self.engine = path / "engine.json"
        self.report = path / "report.html"
        self.checkpoints = path / "checkpoints"
        self._work = (self.store, self.rationales, self.training, self.predictions, self.checkpoints)

    def pool(self, label: str = "") -> tuple[Path, Path, Path]:
        """Rationales, dropped ones, and facts about both: the run's, or those of a method with replies of its own."""

        def named(path: Path) -> Path:
            return path.with_name(f"{path.stem}-{label}{path.suffix}") if label else path

        return named(self.rationales), named(self.dropped), named(self.curation)

    def student(self, label: str, *, alone: bool) -> Path:
        """Where a method's student is kept: `student/` when it is the run's only trained method."""
        return self.path / "student" if alone else self.path / "students" / label

    def general(self, label: str) -> Path:
        """Where the first student of a method is kept whose mistakes another one learns from."""
        return self.path / "general" / label

    def calibration(self, label: str) -> Path:
        """What was found on the dev questions about the gate of a method."""
        return self.path / f"calibration-{label}.json"

    def round(self, label: str, number: int) -> Path:
        """Where a method that learns in rounds keeps the student of one, 0 being that before the first."""
        return self.path / "rounds" / f"{label}-{number}"

    def rounds(self, label: str) -> Path:
        """What was found about the students of each round."""
        return self.path / f"rounds-{label}.json"

    def reranker(self, label: str) -> Path:
        """Where the reranker of a method is kept."""
        return self.path / "rerankers" / label

    def retrieval(self, label: str) -> Path:
        """What was found about the passages a method reads."""
        return self.path / f"retrieval-{label}.json"

    @contextlib.contextmanager
    def claimed(self, config: RunConfig) -> Iterator[RunDirectory]:
        """Make the directory, or go on in it, as the only process that writes there.

        Raises:
            RunDirectoryError: another process works in it, it belongs to another configuration, or it cannot be
                written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise cannot_write(self.path, error) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise cannot_write(self.path, error) from error
                lock.seek(0)
                owner = lock.read().strip()
                raise RunDirectoryError(
                    f"Another symdistill process{f' ({owner})' if owner else ''} works in {self.path}.",
                    "Wait for it, stop it, or choose another --run-dir.",
                ) from None
            lock.truncate(0)
            lock.write(f"process {os.getpid()}")
            lock.flush()
            self.check(config)
            write_text(self.config, config.to_yaml(self.path))
            yield self

    def check(self, config: RunConfig) -> None:
        """Raise RunDirectoryError where the directory holds a run of another configuration."""
        if not self.config.exists():
            return
        before, now = self.load_config().identity(self.path), config.identity(self.path)
        if before == now or not any(p.exists() for p in self._work):
            return  # nothing was bought or made here yet: a configuration that was corrected goes on
        changed = sorted(_differences(before, now))
        if changed == ["training.max_length"] and config.family is not None and not self.metrics.exists():
            return  # found to be too small after the teacher was paid: what was bought and judged here still holds
        for key, path in config.missing().items():
            if key in changed:
                raise RunDirectoryError(
                    f"There is no {path} (`{key}`), and the run in {self.path} was made with another path.",
                    f"Start from the directory the path is meant from, or use {self.config}, which works from any.",
                )
        shown = ", ".join(f"`{k}`" for k in changed[:4]) + (" and more" if len(changed) > 4 else "")
        raise RunDirectoryError(
            f"{self.path} holds a run of another configuration (different: {shown}).",
            f"Choose another --run-dir, undo the change, or delete {self.path}; "
            "with `store:` set to one file, several runs share what was bought.",
        )

    def load_config(self) -> RunConfig:
        """The resolved configuration the run was made with. Raises RunDirectoryError."""
        try:
            data = yaml.safe_load(self.config.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise RunDirectoryError(
                f"{self.path} is not a run directory: it has no config.yaml.", "Name one that `symdistill run` made."
            ) from None
        except (OSError, ValueError, yaml.YAMLError) as error:
            mark, said = getattr(error, "problem_mark", None), getattr(error, "problem", None)
            reason = f"{said}, line {mark.line + 1}" if mark and said else str(error)
            raise RunDirectoryError(
                f"Cannot read {self.config}: {reason}.", "Restore it or start a new run."
            ) from error
        if not isinstance(data, dict):
            raise RunDirectoryError(f"{self.config} is not a set of keys.", "Restore it or start a new run.")
        return parse_config(data, Places(str(self.config)), base=self.path)

    @property
    def command(self) -> str:
        """What repeats the run, or goes on with it, from any working directory."""
        return shlex.join(["symdistill", "run", absolute(self.config), "--run-dir", absolute(self.path)])

    def read_json(self, path: Path) -> Any:
        """A JSON file of the run. Raises RunDirectoryError with what to run when it is not there."""
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunDirectoryError(
                f"{self.path} has no {path.name} yet.", "Finish the run: `symdistill run CONFIG --run-dir DIR`."
            ) from None
        except (OSError, ValueError) as error:
            raise RunDirectoryError(f"Cannot read {path}: {error}.", "Run `symdistill evaluate` again.") from error

    def read_rows(self, path: Path) -> list[dict[str, Any]]:
        """The rows of a JSONL file of the run; a file that is not there has none."""
        if not path.exists():
            return []
        rows = []
        for number, line in enumerate(path.read_text(encoding="utf-8").removesuffix("\n").split("\n"), 1):
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise RunDirectoryError(f"{path}, line {number}: {error}.", "Run that stage again.") from error
        return rows


ANOTHER_RUN_DIR = "Choose a --run-dir you can write to."


def cannot_write(path: Path, error: OSError, fix: str = ANOTHER_RUN_DIR) -> SymdistillError:
    """The error for a directory or file that cannot be written, in the user's words; `fix` says where else to."""
    if error.errno == errno.ENOSPC:
        return RunDirectoryError(
            f"The disk is full while writing {path}.",
            "Free some space and run the same command: what was done is kept.",
        )
    reason = error.strerror or str(error)
    return RunDirectoryError(f"Cannot write {path}: {reason}.", fix)


@contextlib.contextmanager
def replacing(path: Path, fix: str = ANOTHER_RUN_DIR) -> Iterator[IO[str]]:
    """Write a text file under a temporary name beside it and rename it: it is whole, or it is what it was before.
    `fix` is what to do where the place cannot be written.

    Raises:
        RunDirectoryError: the disk is full, or the place cannot be written.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False, encoding="utf-8"
        ) as file:
            temporary = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        temporary = None
    except OSError as error:
        raise cannot_write(path, error, fix) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def forget(path: Path) -> None:
    """Delete a file that may not be there. Raises RunDirectoryError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str, fix: str = ANOTHER_RUN_DIR) -> None:
    """Replace a file with `text`, atomically. Raises RunDirectoryError, which advises `fix`."""
    with replacing(path, fix) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Replace a file with `value` as indented JSON, atomically. Raises RunDirectoryError."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Replace a file with one JSON object a line, atomically. Raises RunDirectoryError."""
    with replacing(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def share_folder(source: Path, target: Path, apart: str) -> None:
    """Put a folder in a second place, whole or not at all, but for the file called `apart`: files are linked, or copied
    where that is not possible. Raises RunDirectoryError."""
    scratch = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(source, scratch, copy_function=_link, ignore=shutil.ignore_patterns(apart))
        shutil.rmtree(target, ignore_errors=True)
        scratch.rename(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def default_run_directory(config_path: Path) -> Path:
    """`runs/NAME` for a configuration called NAME.yaml."""
    return Path("runs") / config_path.stem


def identity_key(config: RunConfig, directory: Path) -> str:
    """The content key of a run's configuration; replies bought for a run carry it. That of a family has
    the usual value of what may change on the way (`RunDirectory.check`): one budget holds for all that the run buys."""
    whole = config.identity(directory)
    if config.family is not None:
        whole["training"] = whole["training"] | {"max_length": TrainingSettings().max_length}
    return content_key("c1", whole)


def _differences(before: Any, now: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in before.keys() | now.keys():
            yield from _differences(before.get(key), now.get(key), f"{prefix}{key}.")
    elif before != now:
        yield prefix.rstrip(".")
