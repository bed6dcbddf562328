"""The base of every settings section, and how secrets stay out of files.

Sections live with their owners (`tasks.settings`, `models.settings`, …) and are put together in `runs.config`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen group of settings: an unknown key is an error, a value is never guessed from a wrong type."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)
