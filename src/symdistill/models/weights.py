"""Loading a causal language model with Hugging Face transformers: a directory, a hub id, or a GGUF file.

Whatever is named becomes a local directory first. What cannot work is refused before any weights are read: a
directory that is no model, a file that was cut off, a name that is neither a path nor on the hub. Nothing is printed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from symdistill import content
from symdistill.errors import PrerequisiteError, UnusableModel
from symdistill.models.chat import Template, template_kind

Dtype = Literal["auto", "float32", "bfloat16"]

INSTALL_TRAIN = "pip install 'symdistill[train]'"
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?$")
_WEIGHTS = "model.safetensors"
_WEIGHTS_INDEX = "model.safetensors.index.json"
_OTHER_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")
_BESIDE_WEIGHTS = (
    "config.json",
    "chat_template.jinja",
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)
"""Files that decide replies like the weights do; *.model (SentencePiece) and *.py (code of its own) do as well."""

_MAX_HEADER = 100_000_000
"""Bytes; the limit safetensors itself sets for a header."""


def require_transformers() -> None:
    """Raises PrerequisiteError where torch or transformers is not installed."""
    missing = [p for p in ("torch", "transformers") if importlib.util.find_spec(p) is None]
    if missing:
        raise PrerequisiteError(f"Local models need {' and '.join(missing)}, not installed here.", INSTALL_TRAIN)


def model_directory(where: str | Path, *, trust_remote_code: bool = False) -> Path:
    """The local directory of the model `where` names: a directory itself, a GGUF file's dequantised copy, or a hub
    id's snapshot. A path wins over a hub id of the same name.

    Raises:
        PrerequisiteError: nothing is there, the hub does not answer, or a GGUF file is not whole.
        UnusableModel: the directory is not a model, or a weights file was cut off.
    """
    require_transformers()
    path = Path(where).expanduser()
    if path.is_dir():
        check_directory(path)
        return path
    if path.suffix.lower() == ".gguf":
        from symdistill.models.dequantise import dequantised

        return dequantised(path)
    if path.exists():
        raise UnusableModel(
            f"{path} is a file, but not a GGUF file.", "Name a model directory, a .gguf file or a hub id."
        )
    if not is_hub_id(str(where)):
        raise PrerequisiteError(f"There is no model at {where}.", "Name a model directory, a .gguf file or a hub id.")
    from symdistill.models.hub import hub_snapshot

    return hub_snapshot(str(where), trust_remote_code=trust_remote_code)


def is_hub_id(name: str) -> bool:
    """Whether a name could be a model on the hub; whether it is there, the hub knows."""
    return bool(_HUB_ID.match(name))


def model_name(where: str | Path, directory: Path) -> str:
    """The name content keys know the model by: `transformers:`, what it is called, and a fingerprint of its files.

    Of a model that is asked otherwise than in float32 and with its usual template, marks follow (`answering_marks`).
    """
    called = str(where) if not Path(where).expanduser().exists() else directory.resolve().name
    return f"transformers:{called}#{directory_fingerprint(directory)}"


def answering_marks(directory: Path, template: Template, dtype: Dtype, trust_remote_code: bool = False) -> str:
    """What a model's name holds beside its files, because it decides replies: `+plain` for a template that is not the
    tokenizer's own, and the numbers where they are not float32, `+bfloat16`. `auto` is looked up on this machine.

    Raises:
        UnusableModel: the tokenizer cannot be read.
    """
    numbers = resolved_dtype(dtype)
    return template_mark(directory, template, trust_remote_code) + ("" if numbers == "float32" else f"+{numbers}")


def template_mark(directory: Path, template: Template, trust_remote_code: bool = False) -> str:
    """The template's part of `answering_marks`. `plain` is the usual format of a tokenizer without a template."""
    if template != "plain":
        return ""
    tokenizer = load_tokenizer(directory, trust_remote_code=trust_remote_code)
    return "" if template_kind(tokenizer) == "plain" else "+plain"


def check_directory(path: Path) -> None:
    """Make sure a directory holds a config, whole weights and a tokenizer, and say what is missing if not.

    Raises:
        UnusableModel: it is not a model directory, or a weights file was cut off.
    """
    names = {p.name for p in path.iterdir()}
    missing = []
    if "config.json" not in names:
        missing.append("config.json")
    if not names & {_WEIGHTS, _WEIGHTS_INDEX, *_OTHER_WEIGHTS}:
        missing.append(_WEIGHTS)
    if not names & {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json"}:
        missing.append("tokenizer.json")
    if missing:
        adapter = " It holds a LoRA adapter without its base model." if "adapter_config.json" in names else ""
        raise UnusableModel(
            f"{path} is not a model directory: {', '.join(missing)} missing.{adapter}",
            "Name a directory written by `save_pretrained`, with the tokenizer beside the weights.",
        )
    for file in weight_files(path):
        if file.suffix == ".safetensors":
            check_safetensors(file)


def weight_files(path: Path) -> list[Path]:
    """The weight files of a model directory, in order. Raises UnusableModel for an index that names a missing shard."""
    if (path / _WEIGHTS).is_file():
        return [path / _WEIGHTS]
    index = path / _WEIGHTS_INDEX
    if not index.is_file():
        return [path / name for name in _OTHER_WEIGHTS if (path / name).is_file()]
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, AttributeError) as problem:
        raise UnusableModel(f"{index} is not a weights index ({problem}).", "Copy the model again.") from problem
    absent = [name for name in shards if not (path / name).is_file()]
    if absent:
        raise UnusableModel(f"{path} lacks the weights file {absent[0]}.", "Copy the model again, all of its files.")
    return [path / name for name in shards]


def check_safetensors(file: Path) -> None:
    """Compare a safetensors file's length with what its header promises. Raises UnusableModel."""
    size = file.stat().st_size
    with file.open("rb") as data:
        head = data.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        if length > min(_MAX_HEADER, size - 8):
            raise UnusableModel(f"{file} is cut off or not a safetensors file ({size:,} bytes).", "Copy it again.")
        try:
            entries = json.loads(data.read(length))
            ends = [v["data_offsets"][1] for k, v in entries.items() if k != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as problem:
            raise UnusableModel(f"{file} has a damaged header ({problem}).", "Copy it again.") from problem
    needed = 8 + length + max(ends, default=0)
    if size < needed:
        raise UnusableModel(f"{file} is truncated: {size:,} of {needed:,} bytes.", "Copy it again.")


def directory_fingerprint(path: Path) -> str:
    """Twelve hexadecimal digits of the SHA-256 of all files that decide what a model in this directory replies:
    config, template, tokenizer, end tokens, code and weights. Reads all of them."""
    digest = hashlib.sha256()
    others = sorted([*path.glob("*.model"), *path.glob("*.py")])
    for file in [*(path / name for name in _BESIDE_WEIGHTS), *others, *weight_files(path)]:
        if file.is_file():
            digest.update(f"{file.name} {content.file_sha256(file)}\n".encode())
    return digest.hexdigest()[:12]


def load_pretrained(directory: Path, *, dtype: Dtype = "auto", trust_remote_code: bool = False) -> tuple[Any, Any]:
    """The model, in evaluation mode on the best device, and its tokenizer. For `auto` see `inference_dtype`.

    Raises:
        PrerequisiteError: torch or transformers is missing.
        UnusableModel: the model cannot be loaded, or its tokenizer does not fit its embedding.
    """
    require_transformers()
    import torch
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {"trust_remote_code": trust_remote_code, "local_files_only": True}
    weights = getattr(torch, resolved_dtype(dtype))
    tokenizer = load_tokenizer(directory, trust_remote_code=trust_remote_code)
    with quiet(), readable_errors(directory):
        config = load_config(directory, trust_remote_code=trust_remote_code)
        check_vocabulary(config.get_text_config().vocab_size, tokenizer, directory)
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=weights, **options)
    check_vocabulary(int(model.get_input_embeddings().weight.shape[0]), tokenizer, directory)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def load_tokenizer(directory: Path, *, trust_remote_code: bool = False) -> Any:
    """The model's tokenizer. Raises UnusableModel."""
    require_transformers()
    from transformers import AutoTokenizer

    with quiet(), readable_errors(directory):
        return AutoTokenizer.from_pretrained(directory, trust_remote_code=trust_remote_code, local_files_only=True)


def load_generation_config(directory: Path, config: Any) -> Any:
    """The generation config that stands beside the model, else the one that follows from its `config`."""
    from transformers import GenerationConfig

    if not (directory / "generation_config.json").is_file():
        return GenerationConfig.from_model_config(config)
    with quiet(), readable_errors(directory):
        return GenerationConfig.from_pretrained(directory, local_files_only=True)


def end_tokens(generation_config: Any) -> list[int]:
    """The tokens that end a reply; none where there is no generation config."""
    ends = getattr(generation_config, "eos_token_id", None)
    if ends is None:
        return []
    return [int(e) for e in ends] if isinstance(ends, (list, tuple)) else [int(ends)]


def load_config(directory: Path, *, trust_remote_code: bool = False) -> Any:
    """The model's transformers config, without its weights. Raises UnusableModel."""
    require_transformers()
    from transformers import AutoConfig

    with quiet(), readable_errors(directory):
        return AutoConfig.from_pretrained(directory, trust_remote_code=trust_remote_code, local_files_only=True)


def inference_dtype() -> Literal["float32", "bfloat16"]:
    """bfloat16 where the hardware multiplies it natively, else float32."""
    return "bfloat16" if bfloat16_is_native() else "float32"


def resolved_dtype(dtype: Dtype) -> Literal["float32", "bfloat16"]:
    """What `dtype` means on this machine."""
    return inference_dtype() if dtype == "auto" else dtype


def bfloat16_is_native() -> bool:
    """Whether the GPU, or else the CPU, has bfloat16 instructions. Emulated bfloat16 is slower than float32."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def check_vocabulary(rows: int, tokenizer: Any, where: object) -> None:
    """Every token must have an embedding row; rows to spare (padded vocabularies) do no harm. Raises UnusableModel."""
    if len(tokenizer) > rows:
        raise UnusableModel(
            f"The tokenizer of {where} knows {len(tokenizer):,} tokens, but the model has {rows:,} embedding rows.",
            "Use the tokenizer the model was trained with, or resize the model's embeddings and save it again.",
        )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' progress bars and warnings off the terminal, and put its settings back afterwards."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(transformers|peft|accelerate|torch)\b")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def readable_errors(where: Path) -> Iterator[None]:
    """Say in one sentence what transformers says in ten."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, AttributeError, TypeError) as problem:
        text = " ".join(str(problem).split())[:300]
        if "trust_remote_code" in text:
            raise UnusableModel(
                f"The model in {where} brings code of its own.", "Set `trust_remote_code: true` if you trust it."
            ) from problem
        raise UnusableModel(f"The model in {where} cannot be loaded: {text}", "Check the model's files.") from problem
