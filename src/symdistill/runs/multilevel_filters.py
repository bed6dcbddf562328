"""The filters of a multilevel run, from the entries of its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from symdistill.curation.pairs import (
    FILTERS,
    CriticFilter,
    EntailmentFilter,
    PairFilter,
    SimilarityFilter,
    VerifyFilter,
    filter_name,
)
from symdistill.errors import ConfigError
from symdistill.methods.multilevel import MultilevelSettings
from symdistill.runs.validation import Places, nearest, validated


def build_filters(settings: MultilevelSettings, places: Places | None = None) -> list[PairFilter]:
    """The filters of a section, checked.

    Raises:
        ConfigError: an unknown name or key, the same filter twice where that has no meaning, or an audit by what
            selects.
    """
    places = places or Places()
    built = [_build(entry, f"multilevel.filters.{at}", places) for at, entry in enumerate(settings.filters)]
    for at, one in enumerate(built):
        if any(type(one) is type(other) for other in built[:at]):
            raise ConfigError(
                f"`multilevel.filters`{places.at(f'multilevel.filters.{at}')} has `{filter_name(one)}` twice.",
                "Keep one of them.",
            )
    audit = settings.audit
    auditor = audit_filter(settings, places)
    by_gold = audit is not None and audit.by == "gold" and any(isinstance(one, VerifyFilter) for one in built)
    if by_gold or (auditor is not None and any(_one_judge(auditor, one) for one in built)):
        shown = f"`{filter_name(auditor)}`" if auditor else "the gold answers"
        raise ConfigError(
            f"`multilevel.audit`{places.at('multilevel.audit')} grades by {shown}, which `filters` select by: all that "
            "is kept would be right.",
            "Audit by something that does not select.",
        )
    return built


def audit_filter(settings: MultilevelSettings, places: Places | None = None) -> PairFilter | None:
    """The filter that audits, where one does. Raises ConfigError."""
    if settings.audit is None or settings.audit.filter is None:
        return None
    found = _build(settings.audit.filter, "multilevel.audit.filter", places or Places())
    if isinstance(found, SimilarityFilter):
        raise ConfigError("`multilevel.audit.filter` cannot be `similarity`.", "It says nothing about being right.")
    return found


def _one_judge(first: PairFilter, second: PairFilter) -> bool:
    """Whether two filters judge by the same: two critics of one training do, two models where they lie in one
    directory."""
    if isinstance(first, CriticFilter) and isinstance(second, CriticFilter):
        return first.path == second.path or _one_training(first.path, second.path)
    if isinstance(first, EntailmentFilter) and isinstance(second, EntailmentFilter):
        return first.model == second.model
    return type(first) is type(second)


def _one_training(first: Path, second: Path) -> bool:
    """Whether two critics are one, whatever their thresholds. What is no critic is for others to refuse."""
    from symdistill.training.critic import CARD, same_critic

    return all((place / CARD).exists() for place in (first, second)) and same_critic(first, second)


def _build(entry: Mapping[str, Any], where: str, places: Places) -> PairFilter:
    name = entry.get("name")
    if not isinstance(name, str) or name not in FILTERS:
        said = "names no filter" if name is None else f"names no filter we know, `{name}`"
        raise ConfigError(f"`{where}`{places.at(where)} {said}.", nearest(str(name), list(FILTERS)))
    return validated(FILTERS[name], entry, places, prefix=where)
