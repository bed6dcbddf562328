"""A model in this process that is only spoken of: its name and its price are wanted, and nobody is going to ask it."""

from __future__ import annotations

from collections.abc import Sequence

from symdistill.errors import CallFailed, PrerequisiteError
from symdistill.models.base import Capacity, byte_bound
from symdistill.models.local_copies import check_model
from symdistill.models.weights import answering_marks, model_name
from symdistill.records import Completion, Request


class Unasked:
    """`where` is a directory, a GGUF file or a hub id, as for `TransformersModel.load`, whose `name` it has. Of a model
    that would have to be downloaded or dequantised first nobody knows the whole name, and no stored reply is its own.

    Raises:
        PrerequisiteError, UnusableModel: as `check_model`.
    """

    capacity = Capacity()

    def __init__(self, where: str, *, trust_remote_code: bool = False) -> None:
        copy = check_model(where)
        marks = answering_marks(copy, "auto", "auto", trust_remote_code) if copy else ""
        self.name = f"{model_name(where, copy)}{marks}" if copy else f"transformers:{where}"

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Raises PrerequisiteError."""
        raise PrerequisiteError(f"{self.name} was named without being loaded.", "Open it with `to_ask=True`.")

    async def close(self) -> None:
        return None
