"""The optimizers that `training.optim` may name, known without importing transformers."""

from __future__ import annotations

import importlib.util

PLAIN = ("adamw_torch_fused", "adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop")
"""Those that need nothing but torch and transformers."""

_PACKAGES = {
    "bitsandbytes": (
        *("adamw_bnb_8bit", "adamw_8bit", "ademamix", "ademamix_8bit", "lion_8bit", "lion_32bit"),
        *("paged_adamw_32bit", "paged_adamw_8bit", "paged_ademamix_32bit", "paged_ademamix_8bit"),
        *("paged_lion_32bit", "paged_lion_8bit", "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit"),
    ),
    "torchao": ("adamw_torch_4bit", "adamw_torch_8bit"),
    "torchdistx": ("adamw_anyprecision",),
    "torch_xla": ("adamw_torch_xla",),
    "torch_npu": ("adamw_torch_npu_fused",),
    "lomo_optim": ("lomo", "adalomo"),
    "grokadamw": ("grokadamw",),
    "schedulefree": ("schedule_free_radam", "schedule_free_adamw", "schedule_free_sgd"),
    "optimi": ("stable_adamw",),
}

OPTIMIZERS = (*PLAIN, *(name for names in _PACKAGES.values() for name in names))
"""All that can be named. GaLore's and APOLLO's, which transformers has as well, want to be told which layers they are
for, and there is no key for that."""


def missing_package(optimizer: str) -> str | None:
    """The module an optimizer needs and that is not installed."""
    module = next((module for module, names in _PACKAGES.items() if optimizer in names), None)
    return module if module is not None and importlib.util.find_spec(module) is None else None
