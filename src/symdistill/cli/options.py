"""The arguments several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path, typer.Argument(help="The YAML configuration.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Changes to single keys, for example training.max_steps=10.", metavar="KEY=VALUE"),
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", help="Where the run is kept; runs/NAME of the configuration by default."),
]
