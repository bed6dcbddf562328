"""The methods, by name. Each lives in a file of its own that can be read beside its paper."""

from __future__ import annotations

from collections.abc import Mapping

from symdistill.methods.base import Material, Method, MethodSettings
from symdistill.methods.cascod import Cascod
from symdistill.methods.few_shot import FewShot
from symdistill.methods.kard import Kard
from symdistill.methods.kb_student import KbStudent
from symdistill.methods.label_only import LabelOnly
from symdistill.methods.mt_cot import MtCot
from symdistill.methods.nesycd import Nesycd
from symdistill.methods.rl import Rl
from symdistill.methods.rules import RulesMethod
from symdistill.methods.scotd import Scotd
from symdistill.methods.skintern import Skintern
from symdistill.methods.std_cot import StdCot
from symdistill.methods.step_by_step import StepByStep
from symdistill.methods.tree import TreeMethod
from symdistill.methods.zero_shot import ZeroShot

METHODS: Mapping[str, type[Method]] = {
    "zero-shot": ZeroShot,
    "few-shot": FewShot,
    "label-only": LabelOnly,
    "std-cot": StdCot,
    "mt-cot": MtCot,
    "step-by-step": StepByStep,
    "cascod": Cascod,
    "kard": Kard,
    "scotd": Scotd,
    "nesycd": Nesycd,
    "skintern": Skintern,
    "rl": Rl,
    "tree": TreeMethod,
    "rules": RulesMethod,
    "kb-student": KbStudent,
}

__all__ = ["METHODS", "Material", "Method", "MethodSettings"]
