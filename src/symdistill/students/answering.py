"""A student that is asked: the one place where an engine is opened for it."""

from __future__ import annotations

from pathlib import Path

from symdistill.models.base import LocalModel
from symdistill.students.settings import Engine, StudentSettings


def open_for_answering(
    settings: StudentSettings, where: Path, engine: Engine = "torch", *, trained: bool = False
) -> LocalModel:
    """The model in the directory `where`, to be asked as `settings` say. What an engine makes of a `trained` student
    is kept in that student's directory, and goes with it; of any other model in the cache.

    Raises:
        PrerequisiteError: a package is missing, or what an engine makes cannot be written.
        ModelError: the directory is not a model, or none that the engine can compute.
    """
    if engine == "ctranslate2":
        from symdistill.models.ctranslate2_local import CTranslate2Model

        return CTranslate2Model.load(
            where,
            into=where if trained else None,
            batch_size=settings.batch_size,
            template=settings.template,
            trust_remote_code=settings.trust_remote_code,
        )
    from symdistill.models.transformers_local import TransformersModel

    return TransformersModel.load(
        where,
        batch_size=settings.batch_size,
        dtype=settings.dtype,
        template=settings.template,
        trust_remote_code=settings.trust_remote_code,
    )
