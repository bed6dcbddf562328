"""Models behind one protocol: something that answers a few requests at a time.

Every backend is imported when it is used.
"""

from symdistill.models.base import Capacity, LanguageModel, byte_bound
from symdistill.models.reasoning import split_reasoning
from symdistill.models.registry import load_teacher, parse_model_name
from symdistill.models.scripted import ScriptedModel
from symdistill.models.settings import Price, TeacherSettings

__all__ = [
    "Capacity",
    "LanguageModel",
    "Price",
    "ScriptedModel",
    "TeacherSettings",
    "byte_bound",
    "load_teacher",
    "parse_model_name",
    "split_reasoning",
]
