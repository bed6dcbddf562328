"""From a model's name in the configuration to the model."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

from symdistill.errors import ConfigError, PrerequisiteError
from symdistill.models.base import LanguageModel
from symdistill.models.settings import TeacherSettings
from symdistill.records import Example

FORMS = {
    "openai": "openai:NAME",
    "llama_cpp": "llama_cpp:FILE.gguf",
    "transformers": "transformers:DIR_OR_HUB_ID",
    "recorded": "recorded:FILE",
    "dataset": "dataset",
}
"""The backends, and how a model of each is named."""

_ENDINGS = {".gguf": "llama_cpp", ".jsonl": "recorded", ".jsonl.gz": "recorded"}


def parse_model_name(name: str) -> tuple[str, str]:
    """`openai:gpt-4o-mini` as (`openai`, `gpt-4o-mini`); `dataset` as (`dataset`, empty).

    Raises:
        ConfigError: there is no such backend, or nothing is named after it; with the nearest form that would do.
    """
    backend, colon, rest = name.strip().partition(":")
    backend, rest = backend.strip(), rest.strip()
    if backend not in FORMS:
        raise ConfigError(f"`teacher.model: {name}` names no backend symdistill knows.", _nearest(name, backend, rest))
    if backend == "dataset":
        if colon:
            raise ConfigError(f"`teacher.model: {name}`: the dataset teacher takes no name.", "Write `dataset`.")
    elif not rest:
        raise ConfigError(f"`teacher.model: {name}` names no model.", f"Write `{FORMS[backend]}`.")
    return backend, rest


def load_teacher(settings: TeacherSettings, examples: Sequence[Example] = (), *, to_ask: bool = True) -> LanguageModel:
    """The teacher the configuration names. Weights are loaded at its first call.

    `examples` are the rows whose own rationales `teacher.model: dataset` answers with. Where it is not `to_ask`, but
    only to be known by name and to count tokens, it needs no key, and a local model is neither downloaded nor
    dequantised for that.

    Raises:
        ConfigError: no model is named, or not in a form that is known.
        PrerequisiteError: a package, a key or a model file is missing.
        DataError: the recording cannot be read.
    """
    if settings.model is None:
        raise ConfigError("`teacher.model` is not set.", f"Write one of: {', '.join(FORMS.values())}.")
    backend, rest = parse_model_name(settings.model)
    if backend == "openai":
        return _openai(rest, settings, to_ask)
    if backend == "llama_cpp":
        from symdistill.models.llama_cpp import LlamaCppModel

        return LlamaCppModel(
            Path(rest).expanduser(), slots=settings.slots, context=settings.context, threads=settings.threads
        )
    if backend == "transformers":
        if not to_ask:
            from symdistill.models.unasked import Unasked

            return Unasked(rest, trust_remote_code=settings.trust_remote_code)
        from symdistill.models.transformers_local import TransformersModel

        return TransformersModel.load(rest, batch_size=settings.slots, trust_remote_code=settings.trust_remote_code)
    if backend == "recorded":
        from symdistill.models.recorded import RecordedModel

        return RecordedModel.load(Path(rest).expanduser())
    from symdistill.models.dataset import DatasetModel

    return DatasetModel(examples)


def is_replay(settings: TeacherSettings) -> bool:
    """Whether the replies exist already, in a recording or in the rows, so that nobody is asked."""
    return settings.model is not None and parse_model_name(settings.model)[0] in ("recorded", "dataset")


def needs_key(settings: TeacherSettings) -> bool:
    """Whether the model is OpenAI's own, which answers nobody without a key."""
    return settings.model is not None and parse_model_name(settings.model)[0] == "openai" and _address(settings) is None


def missing_key(settings: TeacherSettings) -> str | None:
    """The environment variable that must hold a key before the model can be asked, and holds none."""
    return settings.api_key_env if needs_key(settings) and not _key(settings) else None


def _key(settings: TeacherSettings) -> str:
    return os.environ.get(settings.api_key_env, "").strip()


def _address(settings: TeacherSettings) -> str | None:
    """Where a server speaks the protocol; None: OpenAI's own."""
    return settings.base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or None


def _openai(model: str, settings: TeacherSettings, to_ask: bool) -> LanguageModel:
    from symdistill.models.openai_compatible import OpenAICompatibleModel

    if to_ask and missing_key(settings):
        raise PrerequisiteError(
            f"There is no key for {settings.model}: the environment variable {settings.api_key_env} is not set.",
            f"export {settings.api_key_env}=…",
        )
    return OpenAICompatibleModel(
        model,
        base_url=_address(settings),
        api_key=_key(settings) or "none",
        key_variable=settings.api_key_env,
        concurrency=settings.concurrency,
        samples_per_call=settings.samples_per_call,
        timeout_seconds=settings.timeout_seconds,
    )


def _nearest(name: str, backend: str, rest: str) -> str:
    """What to write instead of a name without a known backend."""
    for ending, likely in _ENDINGS.items():
        if name.endswith(ending):
            return f"Did you mean `{likely}:{rest or name}`?"
    close = difflib.get_close_matches(backend.lower().replace("-", "_").replace(".", "_"), FORMS, n=1)
    if close:
        return f"Did you mean `{FORMS[close[0]] if not rest else f'{close[0]}:{rest}'}`?"
    if not rest:
        return f"Did you mean `openai:{name}`? The forms are: {', '.join(FORMS.values())}."
    return f"The forms are: {', '.join(FORMS.values())}."
