"""Write docs/configuration.md from the settings classes; `tests/test_configuration_page.py` fails when it is stale."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from symdistill.curation.pairs import FILTERS
from symdistill.methods import METHODS, MethodSettings
from symdistill.runs.config import FAMILIES, GRID, RunConfig
from symdistill.runs.grid_settings import GridSettings
from symdistill.runs.validation import expected, section_of

PAGE = Path(__file__).parent / "configuration.md"
HEAD = """# Configuration

Made from the program's settings by `make docs`; do not edit by hand.

A configuration is a YAML file. Its keys stand in sections, which nest: `student.lora.r` is the key `r` of the group
`lora` in the section `student`. Every section and nearly every key may be left out and then has the default below;
where that is *none*, the description says what is done. `symdistill init` writes a file with the keys most people want
to look at.

```yaml
task: {path: questions.jsonl}
teacher: {model: dataset}
methods:
  - std-cot                              # a method by its name
  - {name: scotd, training: {max_steps: 200}}   # or with keys of its own
student:
  model: smollm2-135m
  lora: {r: 16}
```

On the command line `symdistill run CONFIG training.max_steps=10 student.lora.r=8` changes single keys of the file, the
values in YAML (`student.lora=null` takes the group away); entries of a list count from 0:
`methods.1.training.max_steps=50`. In Python the same is `overrides={"training.max_steps": 10}`. An unknown key and a
value of the wrong type are errors that name the key, its line and what was expected. What a path is relative to is told
in [Bring your own data, teacher, student](your-own.md).
"""
METHODS_HEAD = """## Methods

`method` is one entry, `methods` a list of them. An entry is the name of a method or a group of keys with `name`; the
methods themselves are described in [Methods](METHODS.md).
"""
FILTERS_HEAD = """### Filters of multilevel

`multilevel.filters` is a list of filters, each a name or a group of keys with `name`; `multilevel.audit.filter` is one.
"""
Row = tuple[str, str, str, str]


def group_of(annotation: Any) -> type[BaseModel] | None:
    """The settings class of a group of keys; None where the value is no group, or a group of one of several kinds."""
    kinds = [kind for kind in getattr(annotation, "__args__", ()) if isinstance(kind, type)]
    return section_of(annotation) if sum(issubclass(kind, BaseModel) for kind in kinds) < 2 else None


def docstrings(settings: type[BaseModel]) -> dict[str, str]:
    """What is written below each field of a settings class, those it inherits among them."""
    found: dict[str, str] = {}
    for kind in reversed(settings.__mro__):
        if not (issubclass(kind, BaseModel) and kind.__module__.startswith("symdistill.")):
            continue
        [node] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        body = getattr(node, "body", [])
        for field, below in pairwise(body):
            said = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(said, str):
                found[field.target.id] = said
    return found


def shown(value: Any) -> str:
    """A default as it is written in YAML."""
    if value is None:
        return "*none*"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (list, tuple)):
        return f"`[{', '.join(map(str, value))}]`"
    if isinstance(value, dict):
        return "`{}`"
    return "*empty*" if value == "" else f"`{value}`"


def cell(text: str) -> str:
    """Text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def rows(settings: type[BaseModel], names: Collection[str], place: str) -> Iterator[Row]:
    """A row for each of the fields: its name, type, default and docstring. A group of keys has a table of its own."""
    said = docstrings(settings)
    for name in names:
        field = settings.model_fields[name]
        kind = expected(field.annotation, (field, *field.metadata))
        default = field.get_default(call_default_factory=True) if not field.is_required() else ...
        group = group_of(field.annotation)
        what = cell(said.get(name, ""))
        if group is not None:
            what = f"{what} See [{place}{name}](#{anchor(place + name)}).".strip()
        if default is ...:
            told = "*must be given*"
        elif isinstance(default, BaseModel):
            told = "its defaults"
        else:
            told = shown(default)
        yield f"`{name}`", cell(kind), told, what


def anchor(heading: str) -> str:
    """The anchor that a heading has on a page."""
    return heading.lower().replace(".", "").replace(" ", "-")


def table(found: Collection[Row]) -> str:
    """The rows as a table of Markdown."""
    lines = ["| key | type | default | |", "|---|---|---|---|", *(f"| {' | '.join(row)} |" for row in found)]
    return "\n".join(lines) + "\n"


def section(settings: type[BaseModel], place: str) -> Iterator[str]:
    """A section that stands at `place`, with the groups in it."""
    names = list(settings.model_fields)
    about = cell(settings.__doc__ or "")
    heading = f"{'###' if '.' in place else '##'} {place}"
    yield f"{heading}\n\n{about}\n\n{table(list(rows(settings, names, f'{place}.')))}"
    for name in names:
        inner = group_of(settings.model_fields[name].annotation)
        if inner is not None:
            yield from section(inner, f"{place}.{name}")


def methods() -> Iterator[str]:
    """What every entry of `methods` may hold, and what each method adds."""
    shared = list(rows(MethodSettings, MethodSettings.model_fields, "method."))
    yield METHODS_HEAD + "\n" + table(shared)
    yield from section(group_of(MethodSettings.model_fields["gate"].annotation) or MethodSettings, "method.gate")
    for name, method in METHODS.items():
        kind = method.settings_type
        fields, usual = kind.model_fields, MethodSettings.model_fields
        own = [key for key in fields if key not in usual or fields[key].annotation != usual[key].annotation]
        own = [key for key in own if key != "name"]
        title = f"### {name}\n\nSee [Methods](METHODS.md#{name})."
        if not own:
            yield f"{title} It has no keys of its own.\n"
            continue
        yield f"{title} {cell(kind.__doc__ or '')}\n\n{table(list(rows(kind, own, f'{name}.')))}"
        for key in own:
            inner = group_of(fields[key].annotation)
            if inner is not None:
                yield from section(inner, f"{name}.{key}")


def filters() -> Iterator[str]:
    """What the filters of a multilevel run may be told."""
    yield FILTERS_HEAD
    for name, kind in FILTERS.items():
        own = [key for key in kind.model_fields if key != "name"]
        about = f"#### {name}\n\n{cell(kind.__doc__ or '')}\n"
        yield f"{about}\n{table(list(rows(kind, own, '')))}" if own else about


def page() -> str:
    """The whole page."""
    groups = {name: group_of(field.annotation) for name, field in RunConfig.model_fields.items()}
    top = list(rows(RunConfig, RunConfig.model_fields, ""))
    top.append((f"`{GRID}`", "a group of keys", "*none*", f"Many runs of one configuration. See [{GRID}](#{GRID})."))
    parts = [HEAD, f"## Sections\n\n{table(top)}"]
    for name, group in groups.items():
        if name in FAMILIES:
            continue
        if group is not None:
            parts += section(group, name)
        elif name == "methods":
            parts += methods()
    parts += section(GridSettings, GRID)
    for name in FAMILIES:
        group = groups[name]
        parts += section(group, name) if group is not None else ()
    parts += filters()
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
