"""The `grid` section: it makes many runs, the cells, of one configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator

from symdistill.content import canonical_json
from symdistill.settings import Settings

_Seed = Annotated[int, Field(ge=0, description="a whole number of at least 0")]
_Fraction = Annotated[float, Field(gt=0, le=1, description="a number above 0 and at most 1")]
_STUDENT = "a student's name, or a group of keys of `student` with `model`"


class GridSettings(Settings):
    """What is varied. There is a cell for every method, seed, fraction, student and value of `vary`, but where nothing
    in a method depends on one of them: an untrained student is asked once, whatever the seeds."""

    seeds: tuple[_Seed, ...] = Field(description="a list of whole numbers, such as [0, 1, 2]")
    """Seeds of the training and of what curation draws at random. The questions, their split and the teacher's
    replies depend on the run's `seed`, which all cells share."""
    fractions: tuple[_Fraction, ...] = Field(default=(1.0,), description="a list of numbers above 0 and at most 1")
    """Shares of the training questions (`task.fraction`)."""
    students: tuple[Annotated[str | Mapping[str, Any], Field(description=_STUDENT)], ...] = ()
    """Students in the place of `student.model`; a group changes single keys of `student` and may have a `label`."""
    vary: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Dotted key → its values: `teacher.samples`, or `LABEL.key` for the entry of one method."""
    baseline: str | None = None
    """The method the others are compared with; None: `label-only` where there is one, else the first."""

    @field_validator("seeds", "fractions", "students", mode="before")
    @classmethod
    def _each_once(cls, values: Any) -> Any:
        if isinstance(values, (list, tuple)):
            _refuse_repetition(values)
            if any(isinstance(value, bool) for value in values):
                raise ValueError("a list without true or false")
        return values

    @field_validator("seeds", "fractions")
    @classmethod
    def _not_empty(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            raise ValueError("a list of at least one")
        return values

    @field_validator("vary", mode="before")
    @classmethod
    def _several_values(cls, values: Any) -> Any:
        for key, listed in values.items() if isinstance(values, Mapping) else ():
            if not isinstance(listed, (list, tuple)) or not listed:
                raise ValueError(f"dotted keys with a list of values each, which `{key}` has not")
            try:
                _refuse_repetition(listed)
            except ValueError as error:
                raise ValueError(f"dotted keys with {error}, which `{key}` has not") from None
        return values


def _refuse_repetition(values: Sequence[Any]) -> None:
    told = [canonical_json(value) for value in values]
    for value in told:
        if told.count(value) > 1:
            raise ValueError(f"a list in which nothing stands twice (`{value}` does)")
