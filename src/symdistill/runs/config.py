"""One YAML file, validated: every mistake names its key, its line and, where there is one, the key that was meant."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import Field, model_validator

from symdistill.curation.settings import CurationSettings
from symdistill.errors import ConfigError
from symdistill.evaluation.settings import EvaluationSettings
from symdistill.knowledge.settings import KnowledgeSettings
from symdistill.knowledge.trees.settings import FeatureSettings
from symdistill.methods import METHODS, Method, MethodSettings, kard, nesycd
from symdistill.methods.direct import DirectSettings
from symdistill.methods.gate_settings import GateSettings
from symdistill.methods.multilevel import MultilevelSettings
from symdistill.methods.nesycd import Nesycd, NesycdSettings
from symdistill.methods.rl import RlSettings
from symdistill.methods.skintern import Skintern, SkinternSettings
from symdistill.models.settings import TeacherSettings
from symdistill.runs.config_file import read_config
from symdistill.runs.gates import check_gate, check_sources, makes_notes, providers_in
from symdistill.runs.multilevel_filters import build_filters
from symdistill.runs.paths import absolute, change_paths, found_path, moved_along
from symdistill.runs.shared_keys import (
    NOT_IN_ANALYSIS,
    analysis_changes,
    check_batches,
    check_epochs,
    check_optimizer,
    check_pacing,
    check_replies,
    check_shared,
    check_teacher,
    key_in,
)
from symdistill.runs.usual import filled_in, label_in
from symdistill.runs.validation import Places, nearest, validated
from symdistill.settings import Settings
from symdistill.students.settings import StudentSettings
from symdistill.tasks.settings import TaskSettings
from symdistill.training.settings import LAYOUT, ORDER, TrainingSettings

# Keys that may change between two starts of one run: they decide how fast and how far, not what is computed.
TRANSPORT = frozenset(
    {
        *("base_url", "api_key_env", "concurrency", "samples_per_call", "timeout_seconds", "retries", "retry_failures"),
        *("requests_per_minute", "tokens_per_minute", "budget_usd", "budget_tokens", "price"),
        *("context", "slots", "threads", "parameters"),
    }
)


AT_INFERENCE = {"nesycd": nesycd.AT_INFERENCE, "kard": kard.AT_INFERENCE}
"""Keys of a method that may change as well: they decide how its student is asked."""

_NOTED = ("nesycd", "skintern")
"""Methods that have to do with knowledge whether they have a gate or not."""

ASKED_ONCE = ("requests", "shown", "count", "most", "temperature", "max_tokens")
"""Keys of `features` that decide which questions a run has; whatever else stands there is done anew at every start."""

RESOLVED_IN = "resolved_in"
"""A key that only the program writes, into a run's config.yaml: where the run directory was at that time."""

FAMILIES = ("direct", "multilevel")
"""Sections that stand instead of `task` and `methods`, one at most: runs of another shape (see `runs.families`)."""

GRID = "grid"
"""The section that makes a grid of a configuration (see `grid_settings`)."""

S = TypeVar("S", bound=Settings)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_A_METHOD = f"the name of a method ({', '.join(METHODS)}) or a group of keys with `name`"
_METHODS = "a list of methods, each a name or a group of keys with `name`"


class RunConfig(Settings):
    """The whole configuration of a run. `method` names one method, `methods` several to compare on the same data."""

    task: TaskSettings = TaskSettings()
    teacher: TeacherSettings = TeacherSettings()
    curation: CurationSettings = CurationSettings()
    knowledge: KnowledgeSettings = KnowledgeSettings()
    features: FeatureSettings = FeatureSettings()
    method: Mapping[str, Any] | None = Field(default=None, description=_A_METHOD)
    """The run's only method."""
    methods: tuple[Annotated[Mapping[str, Any], Field(description=_A_METHOD)], ...] = Field(
        default=(), description=_METHODS
    )
    """Several methods, compared on the same questions."""
    student: StudentSettings = StudentSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    store: Path | None = None
    """A response store shared by several runs; None: the run's own."""
    seed: int = Field(default=0, ge=0)
    """Of everything that is drawn at random: the split, the teacher's replies, the training."""
    direct: DirectSettings | None = None
    multilevel: MultilevelSettings | None = None

    @property
    def family(self) -> str | None:
        """The one of `FAMILIES` that this is a run of; None for a run of methods."""
        return next((name for name in FAMILIES if getattr(self, name) is not None), None)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """`method: scotd` means `{name: scotd}`, and more of the kind (see `usual`)."""
        return filled_in(data) if isinstance(data, Mapping) else data

    def build_methods(self, places: Places | None = None) -> list[Method]:
        """The run's methods with their settings checked.

        Raises:
            ConfigError: no method, both `method` and `methods`, an unknown name or key, two with one label, or
                settings that do not fit together.
        """
        places = places or Places()
        built = self.named_methods(places)
        for where, method in built.items():
            self._check(method, where, places)
        check_sources(built, [*built.values(), *self.build_providers(places)], self.knowledge.path, places)
        learn = {where: m for where, m in built.items() if m.needs == "rationales"}
        check_replies([(where, m, self.curation_for(m).rationale_from) for where, m in learn.items()], places)
        return list(built.values())

    def named_methods(self, places: Places) -> dict[str, Method]:
        """The run's methods by the place of their entries, as far as each entry tells by itself.

        Raises:
            ConfigError: no method, both `method` and `methods`, an unknown name or key, or two with one label.
        """
        if self.family is not None:
            raise ConfigError(
                f"A run of `{self.family}` has no methods, and a grid is of methods.",
                "`symdistill run CONFIG seed=0 --run-dir runs/s0` does all of it; run other seeds so, and join them: "
                "symdistill compare runs/s0 runs/s1",
            )
        if self.method is not None and self.methods:
            raise ConfigError("Both `method` and `methods` are set.", "Keep one of them.")
        entries = self._entries()
        if not entries:
            raise ConfigError(
                f"No method is named{places.at('method')}.",
                f"Add `method: {{name: …}}` with one of {', '.join(METHODS)}.",
            )
        built = {where: self.method_of(entry, where, places) for where, entry in entries.items()}
        labels = [m.label for m in built.values()]
        for label in labels:
            if labels.count(label) > 1:
                raise ConfigError(f"Two methods are called `{label}`.", "Give one of them a `label`.")
        return built

    def build_providers(self, places: Places | None = None) -> list[Method]:
        """The methods that have notes written for the gates of others and do nothing else (`knowledge: {name: …}`).

        Raises:
            ConfigError: an entry is wrong, has no notes written, or has the label of another one.
        """
        places, found = places or Places(), []
        for where, source in providers_in(self._entries(), places).items():
            method = self.method_of(source, where, places)
            self._check(method, where, places)
            if not makes_notes(method):
                raise ConfigError(
                    f"`{where}`{places.at(where)} is {method.label}, which has no notes written.",
                    "Name a nesycd or skintern method, or the path of a knowledge base.",
                )
            found.append(method)
        return found

    def _entries(self) -> dict[str, Mapping[str, Any]]:
        """The entries of the run's methods, by where they stand."""
        if self.methods:
            return {f"methods.{number}": entry for number, entry in enumerate(self.methods)}
        return {} if self.method is None else {"method": self.method}

    def where_of(self, method: Method) -> str:
        """The place of a method's entry, also of one that only has notes written for others."""
        for where, entry in self._entries().items():
            if label_in(entry) == method.label:
                return where
            source = entry.get("knowledge")
            if isinstance(source, Mapping) and label_in(source) == method.label:
                return f"{where}.knowledge"
        raise KeyError(method.label)

    def key_for(self, method: Method, section: str, name: str) -> str:
        """Where the key of a section stands that holds for a method: in its entry, or in the section."""
        changes: Mapping[str, Any] = getattr(method.settings, section)
        return key_in(section, name, changes, f"{self.where_of(method)}.{section}")

    def method_of(self, entry: Mapping[str, Any], where: str, places: Places) -> Method:
        """The method of an entry, as far as that tells by itself. Raises ConfigError."""
        name = entry.get("name")
        at = places.at(f"{where}.name")
        if name is None:
            raise ConfigError(f"`{where}`{at} names no method.", f"Add `name:` with one of {', '.join(METHODS)}.")
        if not isinstance(name, str) or name not in METHODS:
            raise ConfigError(f"Unknown method `{name}` in `{where}.name`{at}.", nearest(str(name), METHODS))
        settings: MethodSettings = validated(METHODS[name].settings_type, entry, places, prefix=where)
        return METHODS[name](settings, student_instruction=self.student.instruction)

    def _check(self, method: Method, where: str, places: Places) -> None:
        """Raises ConfigError where the run's sections, as a method changes them, are not what it needs."""
        settings = method.settings
        for section, values in (
            ("teacher", self.teacher),
            ("training", self.training),
            ("curation", self.curation),
            ("evaluation", self.evaluation),
        ):
            _override(values, getattr(settings, section), f"{where}.{section}", places)
        check_shared(settings, where, places)
        if isinstance(settings, NesycdSettings | SkinternSettings):
            _analysing(self.teacher, settings, where, places)
        if isinstance(settings, RlSettings):
            check_batches(_override(self.training, settings.round_training(), f"{where}.training"), settings, where)
        if isinstance(settings, SkinternSettings):
            key, changes = f"{where}.training", settings.training
            check_epochs(_override(self.training, changes, key), settings.steps, f"{where}.steps", changes, key, places)
        check_gate(method, where, places)
        for section in ("training", "general", "warm_start"):
            own: Mapping[str, Any] | None = getattr(settings, section, None)
            if own is not None:
                key = f"{where}.{section}"
                changed = _override(self.training, own, key, places)
                check_optimizer(changed, own, key, places)
                check_pacing(changed, method, own, key, places)
        check_teacher(method, where, places)

    def teacher_for(self, method: Method) -> TeacherSettings:
        """The `teacher` section as this method changes it, for its replies to the training questions."""
        return _override(self.teacher, method.settings.teacher, f"{method.label}.teacher")

    def training_for(self, method: Method) -> TrainingSettings:
        """The `training` section as this method changes it."""
        return _override(self.training, method.settings.training, f"{method.label}.training")

    def analysis_for(self, method: Nesycd | Skintern) -> TeacherSettings:
        """The `teacher` section as it holds for the questions about a student's mistakes, or about solutions."""
        return _analysing(self.teacher, method.settings, method.label)

    def curation_for(self, method: Method) -> CurationSettings:
        """The `curation` section as this method changes it, with `verify` decided."""
        section = _override(self.curation, method.settings.curation, f"{method.label}.curation")
        if section.verify is None:
            section = section.model_copy(update={"verify": method.verify})
        return section

    def evaluation_for(self, method: Method) -> EvaluationSettings:
        """The `evaluation` section as this method changes it, with the votes it asks for where nothing is said."""
        section = _override(self.evaluation, method.settings.evaluation, f"{method.label}.evaluation")
        if section.self_consistency is None and method.votes:
            section = section.model_copy(update={"self_consistency": method.votes})
        return section

    def identity(self, directory: Path | None = None) -> dict[str, Any]:
        """What makes two configurations the same run: everything but transport, budgets, layout and evaluation.

        A file counts by where it lies, seen from the run directory: the same from every working directory, and the
        same after the project has moved with its runs. What is in it has keys of its own (replies, students).
        """

        def seen(key: str, path: str, certain: bool) -> str:
            path = _absolute(key, path, certain)
            return os.path.relpath(path, absolute(directory)) if directory and os.path.isabs(path) else path

        whole = change_paths(self.model_dump(mode="json"), seen)
        whole["teacher"] = {k: v for k, v in whole["teacher"].items() if k not in TRANSPORT}
        for free in ("evaluation", "store"):
            whole.pop(free)
        whole = {key: value for key, value in whole.items() if key not in FAMILIES or value is not None}
        if audit := whole.get("multilevel", {}).get("audit"):
            audit["auditor"] = {k: v for k, v in audit["auditor"].items() if k not in TRANSPORT}
        whole["features"] = {key: whole["features"][key] for key in ASKED_ONCE}
        if whole["features"] == FeatureSettings().model_dump(mode="json", include=set(ASKED_ONCE)):
            del whole["features"]  # so is this one
        entries = [whole["method"] or {}, *whole["methods"]]
        usual = whole["knowledge"] == KnowledgeSettings().model_dump(mode="json")  # it is younger than some runs
        if usual or not any(entry.get("name") in _NOTED or entry.get("gate") is not None for entry in entries):
            del whole["knowledge"]
        entries += [entry["knowledge"] for entry in entries if isinstance(entry.get("knowledge"), dict)]
        for entry in entries:
            entry.pop("evaluation", None)
            if not isinstance(entry.get("knowledge"), dict):
                entry.pop("knowledge", None)
            if "gate" in entry:  # what a student learns hangs on the questions that are kept apart for it alone
                gate = entry["gate"] if isinstance(entry["gate"], dict) else {}
                entry["gate"] = {"dev_fraction": gate.get("dev_fraction", GateSettings().dev_fraction)}
            for key in AT_INFERENCE.get(str(entry.get("name")), ()):
                entry.pop(key, None)
            if "analysis" in entry:
                kept = {k: v for k, v in entry.pop("analysis").items() if k not in TRANSPORT}
                entry |= {"analysis": kept} if kept else {}
        for section in (whole, *entries):
            for name in ("training", "general", "warm_start"):
                if name in section:
                    section[name] = {k: v for k, v in section[name].items() if k not in LAYOUT}
        if whole["training"]["curriculum"] == "none":  # keys younger than some runs
            whole["training"] = {k: v for k, v in whole["training"].items() if k not in ORDER}
        whole["student"].pop("batch_size")
        engine = whole["student"].pop("engine")
        if engine == "ctranslate2" and any(entry.get("name") == "nesycd" for entry in entries):
            whole["student"]["engine"] = engine  # its mistakes are what is learned from
        return whole

    def missing(self) -> dict[str, str]:
        """The keys whose file or directory is not there, with its path."""
        absent: dict[str, str] = {}

        def look(key: str, path: str, certain: bool) -> str:
            if certain and not os.path.exists(path):
                absent[key] = path
            return path

        change_paths(self.model_dump(mode="json"), look)
        return absent

    def to_yaml(self, directory: Path | None = None) -> str:
        """The resolved configuration; it holds no secret, since keys are named by environment variable.

        For a run directory its paths are absolute, and it says where that directory is (see `RESOLVED_IN`).
        """
        data = self.model_dump(mode="json", exclude={name for name in FAMILIES if getattr(self, name) is None})
        if directory is not None:
            data = {RESOLVED_IN: absolute(directory), **change_paths(data, _absolute)}
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _analysing(
    teacher: TeacherSettings, settings: NesycdSettings | SkinternSettings, prefix: str, places: Places | None = None
) -> TeacherSettings:
    """The teacher as it is asked for notes, about mistakes or about solutions."""
    for key in NOT_IN_ANALYSIS:
        if key in settings.analysis:
            raise ConfigError(
                f"`{prefix}.analysis.{key}`{places.at(f'{prefix}.analysis.{key}') if places else ''} has no meaning.",
                "About each question the teacher is asked once, in a wording of its own.",
            )
    return _override(teacher, analysis_changes(settings), f"{prefix}.analysis", places)


def _absolute(key: str, path: str, certain: bool) -> str:
    """A path that may be a name on the hub is one only where something is there."""
    return absolute(path) if certain or os.path.exists(path) else path


def _override(section: S, changes: Mapping[str, Any], prefix: str, places: Places | None = None) -> S:
    """A section with single keys changed, checked again."""
    return validated(type(section), {**section.model_dump(), **changes}, places, prefix=prefix) if changes else section


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and check a configuration file; `overrides` are `dotted.key=value` with the value in YAML.

    Relative paths in the file are taken from the file's folder if they exist there, else from the working directory;
    with those in overrides it is the other way round.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown or stands twice, a value has the wrong type.
    """
    data, places = read_config(path, overrides)
    return parse_config(data, places, base=path.parent)


def load_stages(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """`load_config` for a command that does one stage of a run of methods.

    Raises:
        ConfigError: also where the configuration is of a family, which has stages of its own.
    """
    config = load_config(path, overrides)
    if config.family is not None:
        raise ConfigError(
            f"{path} is a run of `{config.family}`, which has no task and no methods.",
            f"`symdistill run {path}` does all of it, and goes on where it stopped.",
        )
    return config


def parse_config(
    data: Mapping[str, Any], places: Places | None = None, *, base: Path = Path(), whole: bool = True
) -> RunConfig:
    """Check a configuration given as nested mappings; where it is not `whole`, what its methods need is not looked at.
    Raises ConfigError."""
    places = places or Places("the configuration")
    if GRID in data:
        raise ConfigError(
            f"`{GRID}`{places.at(GRID)} makes many runs of one configuration.",
            "Use `symdistill compare`, or take the section out.",
        )
    before = data.get(RESOLVED_IN)
    if isinstance(before, str):
        data = {key: value for key, value in data.items() if key != RESOLVED_IN}

    def found(key: str, path: str, certain: bool) -> str:
        if isinstance(before, str) and not places.overridden(key):
            path = moved_along(path, before, base)
        here, there = (Path(), base) if places.overridden(key) else (base, Path())
        return found_path(path, here, there, certain=certain)

    config = validated(RunConfig, change_paths(data, found), places)
    check_optimizer(config.training, {}, "training", places)
    if not _VARIABLE.fullmatch(config.teacher.api_key_env):
        raise ConfigError(  # what was given is not repeated: it may be the key itself
            f"`teacher.api_key_env` in {places.where} is not the name of an environment variable.",
            "Name the variable that holds the key, for example OPENAI_API_KEY; keys never stand in files.",
        )
    if config.family is not None:
        _check_family(config, config.family, places)
    elif whole and (config.method is not None or config.methods):
        config.build_methods(places)
    return config


def _check_family(config: RunConfig, family: str, places: Places) -> None:
    """Raises ConfigError where a section says something that a run of this family does not look at."""
    if config.multilevel is not None:
        build_filters(config.multilevel, places)
    usual = RunConfig()
    others = [name for name in FAMILIES if name != family]
    for name in ("task", "method", "methods", "curation", "knowledge", "features", *others):
        if getattr(config, name) != getattr(usual, name):
            raise ConfigError(
                f"`{name}`{places.at(name)} has no meaning in a run of `{family}`.",
                f"Take it out, or take `{family}` out.",
            )
    if config.training.curriculum != "none":
        raise ConfigError(
            f"`training.curriculum`{places.at('training.curriculum')} has no meaning in a run of `{family}`.",
            "Take it out.",
        )
