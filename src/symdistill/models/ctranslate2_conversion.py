"""A Hugging Face model as CTranslate2 wants it: converted once by CTranslate2's own converter, kept, found again.

The converter knows models by the class of their config and reads of it what it needs. What it does not read it does
not refuse either (another activation, heads of another width), so the model is converted in float32 first and compared
with the original on a few tokens.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from symdistill.errors import PrerequisiteError, UnusableModel
from symdistill.models.cache import cache_directory, making, unwritable
from symdistill.models.weights import directory_fingerprint, load_pretrained, quiet, require_transformers

Numbers = Literal["int8", "float32"]

INSTALL = "pip install 'symdistill[ctranslate2]'"
USE_TORCH = "Set `student.engine: torch`."
PROBE_TEXT = "There are 12 red and 7 blue marbles. 12 + 7 = 19. Therefore, the answer is 19."
_WHAT = "The student for CTranslate2"
_TOLERANCE = 1e-3
"""The norm of the difference of all logits, at most, as a share of the norm of the original's about their means."""


def ctranslate2_installed() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("ctranslate2") is not None


def require_ctranslate2() -> None:
    """Raises PrerequisiteError where ctranslate2, torch or transformers is not installed."""
    if not ctranslate2_installed():
        raise PrerequisiteError("The engine ctranslate2 needs the package ctranslate2, not installed here.", INSTALL)
    require_transformers()


def converted(
    directory: Path, *, numbers: Numbers = "int8", into: Path | None = None, trust_remote_code: bool = False
) -> Path:
    """The directory with the model in CTranslate2's format, its weights in `numbers`.

    The first call converts and compares, later ones find it. It is kept in `into`, else in the cache, under a name with
    the fingerprint of the original.

    Raises:
        PrerequisiteError: a package is missing, or the place cannot be written.
        UnusableModel: CTranslate2 does not know the architecture, or computes something else with it.
    """
    require_ctranslate2()
    mark = f"ctranslate2-{numbers}-{directory_fingerprint(directory)}"
    target = into / mark if into else cache_directory() / "models" / f"{directory.resolve().name}-{mark}"
    if target.is_dir():
        return target
    with making(target, _WHAT) as scratch:
        _convert(directory, scratch, "float32", trust_remote_code)
        _compare(directory, scratch, trust_remote_code)
        if numbers != "float32":
            _convert(directory, scratch, numbers, trust_remote_code)
    return target


def open_generator(place: Path, numbers: Numbers) -> Any:
    """The converted model, loaded, on all cores that this process may use. Raises UnusableModel."""
    import ctranslate2
    import torch

    try:
        return ctranslate2.Generator(str(place), compute_type=numbers, intra_threads=torch.get_num_threads())
    except (RuntimeError, ValueError) as problem:
        raise UnusableModel(
            f"CTranslate2 cannot load {place}: {_one_line(problem)}", f"Delete {place}; it is made anew."
        ) from problem


def read_vocabulary(place: Path) -> list[str]:
    """The converted model's tokens by id: it takes prompts as such texts. Raises UnusableModel where two are alike."""
    try:
        tokens: list[str] = json.loads((place / "vocabulary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UnusableModel(
            f"{place} has no vocabulary that can be read ({problem}).", f"Delete {place}; it is made anew."
        ) from problem
    if len(set(tokens)) < len(tokens):
        raise UnusableModel("CTranslate2 cannot tell all tokens of this tokenizer apart.", USE_TORCH)
    return tokens


def _convert(directory: Path, target: Path, numbers: Numbers, trust_remote_code: bool) -> None:
    from ctranslate2.converters import TransformersConverter

    converter = TransformersConverter(str(directory), trust_remote_code=trust_remote_code)
    try:
        with quiet():
            converter.convert(str(target), quantization=numbers, force=True)
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError, TypeError, NotImplementedError) as problem:
        if isinstance(problem, OSError) and problem.errno is not None:
            raise unwritable(_WHAT, target.parent, problem) from problem
        raise UnusableModel(f"CTranslate2 cannot convert {directory}: {_one_line(problem)}", USE_TORCH) from problem


def _compare(directory: Path, place: Path, trust_remote_code: bool) -> None:
    """Both models' logits for a few tokens, in float32. Raises UnusableModel where they are not those of one model."""
    import numpy as np
    import torch

    model, tokenizer = load_pretrained(directory, dtype="float32", trust_remote_code=trust_remote_code)
    ids: Sequence[int] = tokenizer(PROBE_TEXT, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        wanted = model(torch.tensor([ids], device=model.device)).logits[0].float().cpu().numpy()
    vocabulary = read_vocabulary(place)
    try:
        found = np.array(open_generator(place, "float32").forward_batch([[vocabulary[i] for i in ids]]))[0]
        off = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted - wanted.mean(axis=-1, keepdims=True)))
    except (RuntimeError, ValueError) as problem:
        raise UnusableModel(
            f"CTranslate2 cannot compute what it made of {directory}: {_one_line(problem)}", USE_TORCH
        ) from problem
    if not off <= _TOLERANCE:
        raise UnusableModel(
            f"CTranslate2 computes something else than PyTorch with {directory}: its logits are {off:.0%} off.",
            USE_TORCH,
        )


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())[:300]
