"""How features are found, answered and made into a tree. The command line offers each of these as an option, a run all
that is about asking in its section `features`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from symdistill.settings import Settings


class QuestionSettings(Settings):
    """Asking for questions."""

    requests: PositiveInt = 4
    """Requests for questions; each shows the teacher other inputs."""
    shown: PositiveInt = 8
    """Inputs in each request."""
    show_answers: bool | None = None
    """Whether the inputs are shown with their gold answers; None: unless knowledge of the run is fitted to the
    teacher's labels, which would then owe something to gold ones."""
    count: PositiveInt = 8
    """Questions wanted in each reply."""
    most: PositiveInt = 16
    """Questions kept in all."""


class AnswerSettings(Settings):
    """Asking for answers."""

    per_request: PositiveInt = 12
    """Questions in one request; fewer cost more requests and are answered more carefully."""
    again: NonNegativeInt = 60
    """Inputs asked about a second time, by which noise is measured; 0: it is not, and no feature is dropped for it."""


class ScreeningSettings(Settings):
    """Which features are too poor to be used."""

    least_kappa: float = Field(default=0.4, ge=-1, le=1)
    """Agreement beyond chance between two askings; 0.4 is where Landis and Koch (1977) begin to call it moderate."""
    least_pairs: PositiveInt = 10
    """Fewer inputs asked twice say nothing about a feature."""
    most_alike: float = Field(default=0.98, gt=0, le=1)
    """A feature with the same answer for a larger share of inputs tells nothing apart."""
    least_answered: float = Field(default=0.8, ge=0, le=1)
    """The share of inputs that must have an answer."""


class FeatureSettings(QuestionSettings, AnswerSettings, ScreeningSettings):
    """The `features` section: the questions of a run, asked once for all its methods."""

    questions: Path | None = None
    """A file of named questions, as `trees questions` writes them; None: the teacher is asked for some."""
    temperature: NonNegativeFloat | None = None
    """In the place of the teacher's."""
    max_tokens: PositiveInt | None = None
    """In the place of the teacher's."""


class FitSettings(Settings):
    """The tree."""

    max_depth: PositiveInt = 4
    """Questions on the way to a leaf at most."""
    min_leaf: PositiveInt | None = None
    """Training inputs in a leaf at least; None: one of a hundred, and five at least."""
    folds: int = Field(default=5, ge=0)
    """Parts for choosing the depth by cross-validation; 0 or 1: always `max_depth`."""
