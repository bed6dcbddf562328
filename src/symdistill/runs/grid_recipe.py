"""What decides that two runs of a method are seeds of one method: all that it learns and answers by, but for seeds, for
how much of the data it learns from, and for where its files lie."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from symdistill.content import content_key
from symdistill.methods import Method
from symdistill.methods.nesycd import AT_INFERENCE, Nesycd
from symdistill.runs.config import TRANSPORT, RunConfig
from symdistill.runs.gates import given_gate, looks_up, makes_notes, source_of
from symdistill.runs.grid_concern import depends
from symdistill.runs.grid_state import content_of
from symdistill.runs.paths import change_paths
from symdistill.runs.workspace import base_at
from symdistill.settings import Settings
from symdistill.training.settings import LAYOUT

_DECODING = {"greedy", "self_consistency", "temperature", "max_new_tokens"}
_SECTIONS = ("teacher", "training", "curation", "evaluation")


def recipe_of(config: RunConfig, label: str) -> str:
    """The content key of the recipe of the method of a run that has this label.

    A section that does not concern the method has no part in it, and an entry that changes a section is as good as the
    section that says so. A file counts by its name, a knowledge base by its items.
    """
    config = _with_names(config)
    methods = {method.label: method for method in (*config.build_methods(), *config.build_providers())}
    method = methods[label]
    made = _made(config, method)
    made["task"] = config.task.model_dump(mode="json", exclude={"fraction"})
    made["student"] = config.student.model_dump(mode="json", exclude={"batch_size"})
    made["evaluation"] = config.evaluation_for(method).model_dump(mode="json", include=_DECODING)
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
    return content_key("g5", made)


def _with_names(config: RunConfig) -> RunConfig:
    """A configuration with each path as what is told of it."""

    def told(key: str, path: str, certain: bool) -> str:
        if key == "knowledge.path" or key.endswith(".knowledge"):
            base = base_at(Path(path))
            return content_of(base) if base.exists() else path
        return Path(path).name

    return RunConfig.model_validate(change_paths(config.model_dump(mode="json"), told))


def _made(config: RunConfig, method: Method, *, asked: bool = True) -> dict[str, Any]:
    """What decides what a method learns and, unless it only has notes written, how it is asked."""
    settings = method.settings
    own = settings.model_dump(mode="json", exclude={*_SECTIONS, "label", "knowledge"})
    if not asked:
        left_out = ("gate", *(AT_INFERENCE if isinstance(method, Nesycd) else ()))
        own = {key: value for key, value in own.items() if key not in left_out}
    for name in ("general", "warm_start", "analysis"):
        if name in own:
            own[name] = {k: v for k, v in own[name].items() if k not in (*TRANSPORT, *LAYOUT, "seed")}
    made: dict[str, Any] = {"method": own}
    if method.trains:
        made["training"] = _without(config.training_for(method), {*LAYOUT, "seed"})
    if method.needs == "rationales":
        made["teacher"] = _without(config.teacher_for(method), TRANSPORT)
        made["curation"] = _without(config.curation_for(method), {"seed"})
    return made


def _without(section: Settings, keys: Collection[str]) -> dict[str, Any]:
    return section.model_dump(mode="json", exclude=set(keys))
