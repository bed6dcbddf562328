"""The methods, by name. Each lives in a file of its own that can be read beside its paper."""

from __future__ import annotations

from collections.abc import Mapping

from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.methods.few_shot import FewShot
from symdistill.methods.label_only import LabelOnly
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.scotd import Scotd
from symdistill.methods.std_cot import StdCot
from symdistill.methods.zero_shot import ZeroShot

METHODS: Mapping[str, type[Method]] = {
    "zero-shot": ZeroShot,
    "few-shot": FewShot,
    "label-only": LabelOnly,
    "std-cot": StdCot,
    "scotd": Scotd,
    "nesycd": Nesycd,
}

__all__ = ["METHODS", "Material", "Method", "MethodSettings"]
