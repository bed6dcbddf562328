"""The constraints file pins what the extras need, directly or through other packages, and nothing else."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = [line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[0] != "#"]


def requirements(name: str, extra: str) -> list[Requirement]:
    """What a package asks for by itself (no extra) or because of one extra; nothing of one that is not installed."""
    if name == "symdistill":
        return [Requirement(r) for r in (PROJECT["optional-dependencies"][extra] if extra else PROJECT["dependencies"])]
    try:
        found = [Requirement(r) for r in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError:
        return []
    if not extra:
        return [r for r in found if r.marker is None or "extra" not in str(r.marker)]
    return [r for r in found if r.marker is not None and f'extra == "{extra}"' in str(r.marker)]


def needed() -> set[str]:
    """The names of all packages the extras need, for whatever Python and system."""
    todo = [("symdistill", extra) for extra in ("", *PROJECT["optional-dependencies"])]
    seen = set(todo)
    while todo:
        for requirement in requirements(*todo.pop()):
            name = canonicalize_name(requirement.name)
            new = {(name, extra) for extra in ("", *requirement.extras)} - seen
            seen |= new
            todo += new
    return {name for name, _ in seen}


def test_every_pinned_package_is_needed() -> None:
    pinned = [canonicalize_name(line.partition("==")[0]) for line in PINNED]
    assert pinned == sorted(set(pinned))
    assert set(pinned) - needed() == set()


def test_what_the_project_names_is_pinned() -> None:
    pinned = {canonicalize_name(line.partition("==")[0]) for line in PINNED}
    named = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    direct = {canonicalize_name(Requirement(text).name) for group in named for text in group}
    assert direct - pinned == {"symdistill"}
    assert "torch==2.13.0" in PINNED
