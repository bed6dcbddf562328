"""A GGUF file as a Hugging Face directory: dequantised once, kept in a cache, found again by its content."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symdistill.content import file_sha256
from symdistill.errors import PrerequisiteError, UnusableModel
from symdistill.models.cache import cache_directory, making, unwritable
from symdistill.models.gguf_header import check_gguf
from symdistill.models.weights import INSTALL_TRAIN, check_directory, quiet

_WHAT = "The dequantised student"


def dequantised(path: Path) -> Path:
    """The directory with the file's weights in float32, its tokenizer and its chat template.

    The first call reads and writes the whole model; later ones find it. It is written under a temporary name and
    renamed, so two processes may do this at once and whoever is second uses what the first has made.

    Raises:
        PrerequisiteError: the file is missing or cut off, the package gguf is missing, or the cache cannot be written.
        UnusableModel: transformers cannot read this kind of model from GGUF.
    """
    check_gguf(path)
    target = _place(path)
    if target.is_dir():
        try:
            check_directory(target)
        except UnusableModel:
            shutil.rmtree(target)  # damaged from outside: made again below
        else:
            return target
    if importlib.util.find_spec("gguf") is None:
        raise PrerequisiteError("Reading a GGUF file needs the package gguf.", INSTALL_TRAIN)
    with making(target, _WHAT) as scratch:
        model, tokenizer = _read(path)
        _write(model, tokenizer, scratch)
    return target


def dequantised_before(path: Path) -> Path | None:
    """The directory that `dequantised` made of the file earlier; None where there is none, or it cannot be read."""
    try:
        target = _place(path)
        if target.is_dir():
            check_directory(target)
            return target
    except (OSError, UnusableModel):
        return None
    return None


def gguf_tokenizer(path: Path) -> Any:
    """The tokenizer of a GGUF file, read without its weights. Raises UnusableModel."""
    from transformers import AutoTokenizer

    with _readable(path):
        return AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def _place(path: Path) -> Path:
    """Where the dequantised copy of a file is kept. Reads all of the file."""
    return cache_directory() / "models" / f"{path.stem}-{file_sha256(path)[:12]}"


def _read(path: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = gguf_tokenizer(path)
    with _readable(path):
        model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    return model, tokenizer


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Read a GGUF file quietly, and say in one sentence what transformers says against it."""
    try:
        # The reader draws a progress bar that no setting switches off.
        with quiet(), contextlib.redirect_stderr(io.StringIO()):
            yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, TypeError) as problem:
        text = " ".join(str(problem).split())[:300]
        raise UnusableModel(
            f"transformers cannot read {path}: {text}", "Use a Hugging Face directory of the same model."
        ) from problem


def _write(model: Any, tokenizer: Any, directory: Path) -> None:
    """Save model and tokenizer. A model read from GGUF refuses to be saved, so its weights move into a fresh one."""
    import torch
    from safetensors import SafetensorError

    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    with torch.device("meta"):
        plain = type(model)(config)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = model.generation_config
    try:
        with quiet():
            plain.save_pretrained(directory)
            tokenizer.save_pretrained(directory)
    except (OSError, SafetensorError) as problem:
        raise unwritable(_WHAT, directory.parent, problem) from problem
