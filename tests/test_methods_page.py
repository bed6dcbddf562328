"""docs/METHODS.md: every method has its section, and every snippet is a configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from symdistill.methods import METHODS
from symdistill.runs.config import parse_config

PAGE = (Path(__file__).parent.parent / "docs" / "METHODS.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KEYS = re.compile(r"^(?=[a-z_]+:)", re.MULTILINE)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_section_and_a_row(name: str) -> None:
    assert f"\n## {name}\n" in PAGE
    assert f"| [`{name}`](#{name}) |" in PAGE


@pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda text: str(text.splitlines()[0]))
def test_every_snippet_is_a_configuration(snippet: str) -> None:
    """A snippet may show several forms of `method`, one after the other."""
    parts = [yaml.safe_load(part) for part in KEYS.split(snippet) if part.strip()]
    shared = {key: value for part in parts for key, value in part.items() if key != "method"}
    forms = [part for part in parts if "method" in part] or [{}]
    for form in forms:
        assert parse_config({**shared, **form}).build_methods()
