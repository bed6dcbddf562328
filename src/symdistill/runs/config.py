"""One YAML file, validated: every mistake names its key, its line and, where there is one, the key that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from symdistill.curation.settings import CurationSettings
from symdistill.errors import ConfigError
from symdistill.evaluation.settings import EvaluationSettings
from symdistill.methods import METHODS, Method, MethodSettings
from symdistill.models.settings import TeacherSettings
from symdistill.settings import Settings
from symdistill.students.settings import StudentSettings
from symdistill.tasks.settings import TaskSettings
from symdistill.training.settings import TrainingSettings

# Keys that may change between two starts of one run: they decide how fast and how far, not what is computed.
TRANSPORT = frozenset(
    {
        *("base_url", "api_key_env", "concurrency", "samples_per_call", "timeout_seconds", "retries", "retry_failures"),
        *("requests_per_minute", "tokens_per_minute", "budget_usd", "budget_tokens", "price"),
        *("context", "slots", "threads"),
    }
)


S = TypeVar("S", bound=Settings)


class RunConfig(Settings):
    """The whole configuration of a run. `method` names one method, `methods` several to compare on the same data."""

    task: TaskSettings = TaskSettings()
    teacher: TeacherSettings = TeacherSettings()
    curation: CurationSettings = CurationSettings()
    method: Mapping[str, Any] | None = None
    methods: tuple[Mapping[str, Any], ...] = ()
    student: StudentSettings = StudentSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    store: Path | None = None
    """A response store shared by several runs; None: the run's own."""
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        """`method: scotd` means `method: {name: scotd}`; the same holds in `methods`."""
        if not isinstance(data, Mapping):
            return data
        data = dict(data)
        if isinstance(data.get("method"), str):
            data["method"] = {"name": data["method"]}
        if isinstance(data.get("methods"), (list, tuple)):
            data["methods"] = [{"name": m} if isinstance(m, str) else m for m in data["methods"]]
        elif isinstance(data.get("methods"), str):
            data["methods"] = [{"name": data["methods"]}]
        return data

    def build_methods(self) -> list[Method]:
        """The run's methods with their settings checked.

        Raises:
            ConfigError: no method, both `method` and `methods`, an unknown name or key, or two with one label.
        """
        if self.method is not None and self.methods:
            raise ConfigError("Both `method` and `methods` are set.", "Keep one of them.")
        many = bool(self.methods)
        entries = list(self.methods) or ([self.method] if self.method is not None else [])
        if not entries:
            raise ConfigError("No method is named.", f"Add `method: {{name: …}}` with one of {', '.join(METHODS)}.")
        built = [self._build(entry, f"methods.{i}" if many else "method") for i, entry in enumerate(entries)]
        labels = [m.label for m in built]
        for label in labels:
            if labels.count(label) > 1:
                raise ConfigError(f"Two methods are called `{label}`.", "Give one of them a `label`.")
        return built

    def _build(self, entry: Mapping[str, Any], where: str) -> Method:
        name = str(entry.get("name", ""))
        if name not in METHODS:
            raise ConfigError(f"Unknown method `{name}` in `{where}.name`.", nearest(name, METHODS))
        kind = METHODS[name]
        try:
            settings: MethodSettings = kind.settings_type.model_validate(dict(entry))
        except ValidationError as error:
            raise _config_error(error, kind.settings_type, prefix=where) from error
        method = kind(settings, student_instruction=self.student.instruction)
        self.training_for(method)
        self.curation_for(method)
        self.evaluation_for(method)
        return method

    def training_for(self, method: Method) -> TrainingSettings:
        """The `training` section as this method changes it."""
        return _override(self.training, method.settings.training, f"training (of {method.label})")

    def curation_for(self, method: Method) -> CurationSettings:
        """The `curation` section as this method changes it, with `verify` decided."""
        section = _override(self.curation, method.settings.curation, f"curation (of {method.label})")
        if section.verify is None:
            section = section.model_copy(update={"verify": method.verify})
        return section

    def evaluation_for(self, method: Method) -> EvaluationSettings:
        """The `evaluation` section as this method changes it, with the votes it asks for where nothing is said."""
        section = _override(self.evaluation, method.settings.evaluation, f"evaluation (of {method.label})")
        if section.self_consistency is None and method.votes:
            section = section.model_copy(update={"self_consistency": method.votes})
        return section

    def identity(self) -> dict[str, Any]:
        """What makes two configurations the same run: everything but transport, budgets and evaluation."""
        whole = self.model_dump(mode="json")
        whole["teacher"] = {k: v for k, v in whole["teacher"].items() if k not in TRANSPORT}
        for free in ("evaluation", "store"):
            whole.pop(free)
        for entry in [whole["method"] or {}, *whole["methods"]]:
            entry.pop("evaluation", None)
        whole["student"].pop("batch_size")
        return whole

    def to_yaml(self) -> str:
        """The resolved configuration; it holds no secret, since keys are named by environment variable."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _override(section: S, changes: Mapping[str, Any], where: str) -> S:
    """A section with single keys changed, checked again."""
    if not changes:
        return section
    try:
        return type(section).model_validate({**section.model_dump(), **changes})
    except ValidationError as error:
        raise _config_error(error, type(section), prefix=where) from error


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and check a configuration file; `overrides` are `dotted.key=value` with the value in YAML.

    Relative paths in the file are taken from the working directory if they exist there, else from the file's folder.

    Raises:
        ConfigError: the file is missing or not YAML, a key is unknown, a value has the wrong type.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        beside = [str(p) for p in sorted(path.parent.glob("*.y*ml"))] if path.parent.is_dir() else []
        raise ConfigError(f"There is no file {path}.", nearest(str(path), beside) or _INIT) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}: {error}.", "A configuration is a UTF-8 YAML file.") from error
    try:
        data = yaml.safe_load(text)
        lines = dict(_key_lines(yaml.compose(text)))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise ConfigError(
            f"{path}{at}: {problem}.", "Check the indentation and the quotes around that line."
        ) from error
    except ValueError as error:  # a date that is none, which the parser does not make an error of its own
        raise ConfigError(f"{path}: {error}.", "Put quotes around text that looks like a date.") from error
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is a {type(data).__name__}, not a set of keys.", _INIT)
    for override in overrides:
        _apply(data, override)
    return parse_config(data, where=str(path), lines=lines, base=path.parent)


def parse_config(
    data: Mapping[str, Any],
    *,
    where: str = "the configuration",
    lines: Mapping[str, int] | None = None,
    base: Path = Path(),
) -> RunConfig:
    """Check a configuration given as nested mappings. Raises ConfigError."""
    try:
        config = RunConfig.model_validate(data)
    except ValidationError as error:
        raise _config_error(error, RunConfig, where=where, lines=lines or {}) from error
    config = _resolve_paths(config, base)
    if config.method or config.methods:
        config.build_methods()
    return config


_INIT = "`symdistill init` writes a commented one."
_PATHS = {"task": ("path", "eval_path"), "teacher": ("demonstrations",)}


def _resolve_paths(config: RunConfig, base: Path) -> RunConfig:
    """Paths that exist only beside the configuration file are made to point there."""

    def found(path: Path) -> Path:
        path = path.expanduser()
        return base / path if not path.exists() and (base / path).exists() else path

    changes: dict[str, Any] = {}
    for section, names in _PATHS.items():
        values = getattr(config, section)
        update: dict[str, Any] = {n: found(p) for n in names if (p := getattr(values, n)) is not None}
        if section == "teacher" and values.model and ":" in values.model:
            backend, rest = values.model.split(":", 1)
            if backend in ("recorded", "llama_cpp", "transformers"):
                update["model"] = f"{backend}:{found(Path(rest))}"
        changes[section] = values.model_copy(update=update)
    student = config.student
    if (base / student.model).exists() and not Path(student.model).exists():
        student = student.model_copy(update={"model": str(base / student.model)})
    return config.model_copy(update={**changes, "student": student})


def _apply(data: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"`{override}` is not an override.", "Write key=value, for example training.max_steps=10.")
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"The value of `{key}` is not YAML: {text}.", "Quote it for the shell.") from error
    if isinstance(value, str):
        value = _number(value)
    place: Any = data
    for part in parts[:-1]:
        if isinstance(place, list):
            index = _index(part, place, key)
            if not isinstance(place[index], (dict, list)):
                place[index] = {"name": place[index]}
            place = place[index]
            continue
        inner = place.get(part)
        if part == "method" and isinstance(inner, str):
            inner = {"name": inner}
        if not isinstance(inner, (dict, list)):
            inner = {}
        place[part] = inner
        place = inner
    if isinstance(place, list):
        place[_index(parts[-1], place, key)] = value
    else:
        place[parts[-1]] = value


def _index(part: str, place: list[Any], key: str) -> int:
    if not part.isdigit() or int(part) >= len(place):
        raise ConfigError(f"`{key}`: `{part}` is not one of the {len(place)} entries.", "Entries count from 0.")
    return int(part)


def _number(text: str) -> Any:
    """YAML 1.1 reads 2e-4 as text; people mean a number."""
    try:
        return float(text) if "e" in text.lower() and not text.isalpha() else text
    except ValueError:
        return text


def _key_lines(node: Any, prefix: str = "") -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            path = f"{prefix}{key.value}"
            yield path, key.start_mark.line + 1
            yield from _key_lines(value, path + ".")
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            path = f"{prefix}{index}"
            yield path, value.start_mark.line + 1
            yield from _key_lines(value, path + ".")


def nearest(name: str, known: Mapping[str, Any] | Sequence[str]) -> str:
    """`Did you mean …?`, or the list of what there is, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    if close:
        return f"Did you mean `{close[0]}`?"
    return f"Known: {', '.join(known)}." if known else ""


def known_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every dotted key a settings class accepts."""
    keys = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        inner = section_of(field.annotation)
        if inner is not None:
            keys += known_keys(inner, f"{prefix}{name}.")
    return keys


def section_of(annotation: Any) -> type[BaseModel] | None:
    """The settings class inside an annotation such as `LoraSettings | None`."""
    options = getattr(annotation, "__args__", (annotation,))
    return next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)


def _config_error(
    error: ValidationError,
    model: type[BaseModel],
    *,
    where: str = "",
    prefix: str = "",
    lines: Mapping[str, int] | None = None,
) -> ConfigError:
    """The first problem pydantic found, in our words."""
    first = error.errors(include_url=False)[0]
    place = [str(p) for p in first["loc"]]
    key = ".".join(place)
    shown = f"{prefix}.{key}" if prefix else key
    line = (lines or {}).get(key)
    at = (f" in {where}" if where else "") + (f", line {line}" if line else "")
    if first["type"] == "extra_forbidden":
        known = known_keys(model)
        siblings = [k for k in known if k.rpartition(".")[0] == key.rpartition(".")[0]]
        close = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
        close = close or [k for k in known if k.rpartition(".")[2] == place[-1]][:1]
        own = f"{prefix}." if prefix else ""
        fix = f"Did you mean `{own}{close[0]}`?" if close else f"Known here: {', '.join(siblings)}."
        if prefix.startswith("method") and not close:
            fix += " Training and evaluation keys have sections of their own."
        return ConfigError(f"Unknown key `{shown}`{at}.", fix)
    value = first.get("input")
    given = f" (given: {value!r})" if isinstance(value, (str, int, float, bool, type(None))) else ""
    message = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return ConfigError(f"`{shown}`{at} should be {message}{given}.", "Change the value and run again.")
