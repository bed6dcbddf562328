"""LLMLingua-2 (Pan et al. 2024), the compressor of the SKIntern paper, by the package `llmlingua`.

A small encoder that was trained to tell which words of a text can go. Its weights are a directory the user names;
nothing is asked of a hub. The package tells by the directory's path how the encoder's tokens make words, and counts
tokens with a vocabulary of tiktoken, which that package downloads once (`TIKTOKEN_CACHE_DIR` names a copy).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from symdistill.errors import ConfigError, PrerequisiteError

INSTALL = "pip install 'symdistill[llmlingua]'"
_KNOWN = ("xlm-roberta-large", "bert-base-multilingual-cased")


def check_llmlingua(directory: Path) -> None:
    """Make sure the package and the encoder are there, without loading them.

    Raises:
        PrerequisiteError: the package is not installed.
        ConfigError: `directory` is none, or its path does not say which encoder it holds.
    """
    if not directory.is_dir():
        raise ConfigError(
            f"There is no directory {directory} (`compressor_model`).", "Name one that holds an encoder of LLMLingua-2."
        )
    if not any(name in str(directory) for name in _KNOWN):
        raise ConfigError(
            f"llmlingua does not know which encoder {directory} holds (`compressor_model`).",
            f"Call the directory by its model: its path has to hold {' or '.join(_KNOWN)}.",
        )
    if importlib.util.find_spec("llmlingua") is None:
        raise PrerequisiteError("`compressor: llmlingua2` needs the package llmlingua.", INSTALL)


def load_llmlingua(directory: Path) -> Callable[[Sequence[str], float], list[str]]:
    """A function of texts and a rate that leaves about that share of each text's tokens. 1 is all, 0 nothing.

    Raises:
        PrerequisiteError, ConfigError: as `check_llmlingua`; or the package cannot start.
    """
    check_llmlingua(directory)
    import torch
    from llmlingua import PromptCompressor

    try:
        compressor: Any = PromptCompressor(
            model_name=str(directory),
            use_llmlingua2=True,
            device_map="cuda" if torch.cuda.is_available() else "cpu",
            model_config={"trust_remote_code": False, "local_files_only": True},
        )
    except Exception as problem:  # whatever tiktoken, requests and transformers raise between them
        reason = " ".join(str(problem).split())[:200]
        raise PrerequisiteError(
            f"llmlingua cannot start with {directory} ({reason}).",
            "Check the directory, and that tiktoken has its vocabulary: connect once, or set TIKTOKEN_CACHE_DIR.",
        ) from problem

    def compress(texts: Sequence[str], rate: float) -> list[str]:
        if rate >= 1 or rate <= 0:
            return [text if rate >= 1 else "" for text in texts]
        return [
            str(compressor.compress_prompt([text], rate=rate)["compressed_prompt"]).strip() if text.strip() else ""
            for text in texts
        ]

    return compress
