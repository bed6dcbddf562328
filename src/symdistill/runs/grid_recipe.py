"""What a configuration comes to for a method: all that it learns and answers by, but for seeds and for how much of the
data it learns from. Two cells of a grid that come to the same are one; so are, but for where their files lie, runs that
are seeds of one method."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from symdistill.content import content_key
from symdistill.methods import Method
from symdistill.methods.nesycd import Nesycd, NesycdSettings
from symdistill.methods.rl import RlSettings
from symdistill.methods.skintern import Skintern
from symdistill.runs.config import TRANSPORT, RunConfig
from symdistill.runs.gates import given_gate, looks_up, makes_notes, source_of
from symdistill.runs.grid_concern import depends
from symdistill.runs.grid_state import content_of
from symdistill.runs.idle import beside_notes, without_idle
from symdistill.runs.paths import change_paths
from symdistill.runs.shared_keys import NOT_IN_ANALYSIS
from symdistill.runs.validation import validated
from symdistill.runs.workspace import base_at
from symdistill.settings import Settings
from symdistill.training.settings import LAYOUT, TrainingSettings

_DECODING = {"greedy", "self_consistency", "temperature", "max_new_tokens"}
_BY_CONTENT = ("corpus", "critic", "demonstrations")
_SECTIONS = ("teacher", "training", "curation", "evaluation")


def recipe_of(config: RunConfig, label: str) -> str:
    """The content key of the recipe of the method of a run that has this label.

    A corpus, a critic, demonstrations and a knowledge base count by what is in them, every other file by its name.
    """
    return content_key("g6", comes_to(_with_contents(config), label))


def comes_to(config: RunConfig, label: str) -> dict[str, Any]:
    """All that decides what the method of this label learns and answers, but for seeds and the share of the data.

    A section that does not concern the method has no part in it, an entry that changes a section is as good as the
    section that says so, and a key that means nothing beside the others does not count.
    """
    methods = {method.label: method for method in (*config.build_methods(), *config.build_providers())}
    method = methods[label]
    made = _made(config, method)
    made["task"] = config.task.model_dump(mode="json", exclude={"fraction"})
    made["student"] = config.student.model_dump(mode="json", exclude={"batch_size"})
    made["evaluation"] = _decoding(config, method)
    if depends(method, "knowledge", False):
        made["knowledge"] = config.knowledge.model_dump(mode="json")
    if depends(method, "features", False):
        made["features"] = config.features.model_dump(mode="json")
        made["teacher"] = _without(config.teacher, TRANSPORT)
    if given_gate(method) and looks_up(method):
        makers = [one for one in methods.values() if makes_notes(one)]
        source = source_of(method, [one.label for one in makers], config.knowledge.path)
        given = next((one for one in makers if one.label == source), None)
        made["behind"] = str(source) if given is None else _made(config, given, asked=False)
    return made


def _with_contents(config: RunConfig) -> RunConfig:
    """A configuration with each path as what is told of it."""

    def told(key: str, path: str, certain: bool) -> str:
        if key == "knowledge.path" or key.endswith(".knowledge"):
            base = base_at(Path(path))
            return content_of(base) if base.exists() else path
        there = Path(path).expanduser()
        if key.rpartition(".")[2] in _BY_CONTENT and there.exists():
            return content_of(there)
        return there.name

    return RunConfig.model_validate(change_paths(config.model_dump(mode="json"), told))


def _made(config: RunConfig, method: Method, *, asked: bool = True) -> dict[str, Any]:
    """What decides what a method learns and, unless it only has notes written, how it is asked."""
    settings = method.settings
    own = without_idle(settings.model_dump(mode="json", exclude={*_SECTIONS, "label", "knowledge"}))
    if not asked:
        own = {key: value for key, value in own.items() if key not in beside_notes(settings.name)}
    for name, changes in _trainings(method).items():
        if asked or name in own:
            section = validated(TrainingSettings, {**config.training.model_dump(), **changes})
            left_out = {*LAYOUT, "seed", *(("curriculum_steps",) if section.curriculum == "none" else ())}
            own[name] = _without(section, left_out)
    if isinstance(method, (Nesycd, Skintern)) and makes_notes(method):
        own["analysis"] = {
            key: value
            for key, value in _without(config.analysis_for(method), TRANSPORT).items()
            if key not in NOT_IN_ANALYSIS
        }
    made: dict[str, Any] = {"method": own}
    if method.needs == "rationales":
        made["teacher"] = _without(config.teacher_for(method), TRANSPORT)
        made["curation"] = _without(config.curation_for(method), {"seed"})
    return made


def _trainings(method: Method) -> dict[str, Mapping[str, Any]]:
    """What each training of a method changes of `training`, by the key of its entry."""
    settings = method.settings
    if isinstance(settings, RlSettings):
        return {"training": settings.round_training(), "warm_start": {**settings.training, **settings.warm_start}}
    found = {"training": settings.training} if method.trains else {}
    return {**found, "general": settings.general} if isinstance(settings, NesycdSettings) else found


def _decoding(config: RunConfig, method: Method) -> dict[str, Any]:
    section = config.evaluation_for(method)
    votes = (section.self_consistency or 0) > 1
    return section.model_dump(mode="json", include=_DECODING if votes else {"max_new_tokens"})


def _without(section: Settings, keys: Collection[str]) -> dict[str, Any]:
    return section.model_dump(mode="json", exclude=set(keys))
