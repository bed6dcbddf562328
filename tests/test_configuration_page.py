"""docs/configuration.md: it is what the settings classes say, and every key a user can write is on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from symdistill.curation.pairs import FILTERS
from symdistill.methods import METHODS, MethodSettings
from symdistill.runs.config import GRID, RunConfig, parse_config
from symdistill.runs.grid_settings import GridSettings
from symdistill.runs.validation import known_keys, section_of

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def keys_under(heading: str) -> list[str]:
    """The keys of the table that follows a heading."""
    [after] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return re.findall(r"^\| `(\w+)` \| ", after, re.MULTILINE)


def places() -> list[tuple[str, str]]:
    """Every key, with the heading it has to stand under."""
    found = [(key.rpartition(".")[0] or "Sections", key.rpartition(".")[2]) for key in known_keys(RunConfig)]
    found += [("Sections", GRID), *((GRID, key) for key in known_keys(GridSettings))]
    for key in known_keys(MethodSettings):
        section, _, name = key.rpartition(".")
        found.append((f"method.{section}" if section else "Methods", name))
    for method, kind in METHODS.items():
        for key in known_keys(kind.settings_type):
            section, _, name = key.rpartition(".")
            if key.partition(".")[0] != "source" and key.partition(".")[0] not in MethodSettings.model_fields:
                found.append((f"{method}.{section}" if section else method, name))
    for one, filter_ in FILTERS.items():
        found += [(one, key) for key in known_keys(filter_) if key != "name"]
    return found


def test_the_page_is_not_stale() -> None:
    made = subprocess.run(
        [sys.executable, "-c", "import runpy; print(runpy.run_path('docs/make_configuration.py')['page'](), end='')"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert made.stdout == PAGE, "run `make docs`"


@pytest.mark.parametrize("heading", sorted({heading for heading, _ in places()}))
def test_every_key_is_on_the_page(heading: str) -> None:
    wanted = [key for place, key in places() if place == heading]
    assert set(wanted) <= set(keys_under(heading))


@pytest.mark.parametrize(
    "heading, key, says",
    [
        ("teacher", "retry_failures", "| true or false | `false` | Ask again"),
        ("training", "max_steps", "| a whole number above 0, or -1"),
        ("training", "early_stopping_patience", "| a whole number above 0 | *none* | Stop after so many epochs"),
        ("curation", "near_duplicates", "| a number above 0 and at most 1 | `0.9` |"),
        ("knowledge.retrieval", "kinds", "| `[summary, supplementary]` |"),
        (
            "student",
            "lora",
            "| a group of keys | *none* | None: every weight is trained. See [student.lora](#studentlora)",
        ),
        ("kard", "corpus", "| a path | *must be given* |"),
        ("nesycd", "gate", "| `confidence`, `always` or `never` | `confidence` |"),
        ("kb-student", "source", "| `tree`, `rules` or a group of keys with `name` |"),
        ("rules", "max_rules", "| `12` | For each label. |"),
    ],
)
def test_a_row_says_what_the_key_takes(heading: str, key: str, says: str) -> None:
    assert key in keys_under(heading)
    [row] = re.findall(
        rf"^#+ {re.escape(heading)}\n(?:(?!^#).)*?^(\| `{key}` \|[^\n]*)", PAGE, re.MULTILINE | re.DOTALL
    )
    assert says in row


def test_every_link_within_the_page_leads_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\(#([^)]+)\)", PAGE)) <= anchors


def test_the_example_is_a_configuration() -> None:
    [snippet] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    config = parse_config(yaml.safe_load(snippet))
    assert [m.label for m in config.build_methods()] == ["std-cot", "scotd"]
    assert section_of(RunConfig.model_fields["student"].annotation) is type(config.student)
