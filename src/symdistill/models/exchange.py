"""Another attention for a model, for a while, through transformers' registry of attention functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_BY_LENGTH = frozenset({"dynamic", "longrope"})


@contextmanager
def exchanged_attention(model: Any, name: str) -> Iterator[None]:
    """Within the block every part of the model uses the attention function registered as `name`."""
    found: list[Any] = [getattr(module, "config", None) for module in model.modules()]
    configs = {id(config): config for config in found if hasattr(config, "_attn_implementation")}
    before = [(config, config._attn_implementation) for config in configs.values()]
    try:
        for config, _ in before:
            config._attn_implementation = name
        yield
    finally:
        for config, attention in before:
            config._attn_implementation = attention


def positions_stand_alone(config: Any) -> bool:
    """Whether a token's rotation depends on its own position alone.

    Dynamic and long-range rotary embeddings look at the longest position of all rows computed together, so that what
    a row computes would depend on its neighbours.
    """
    found = getattr(config.get_text_config(), "rope_parameters", None) or {}
    several = [found, *(v for v in found.values() if isinstance(v, Mapping))] if isinstance(found, Mapping) else []
    return not any(p.get("rope_type") in _BY_LENGTH for p in several)
