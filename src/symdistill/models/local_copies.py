"""Where a model lies on this machine already, as a Hugging Face directory. Nothing is downloaded, dequantised or
asked."""

from __future__ import annotations

from pathlib import Path

from symdistill.models.dequantise import dequantised_before
from symdistill.models.gguf_header import check_gguf
from symdistill.models.hub import hub_is_asked, not_asked
from symdistill.models.weights import check_directory, is_hub_id, model_directory, require_transformers


def check_model(where: str | Path) -> Path | None:
    """Make sure of what can be known of a model without the hub; its `local_copy`.

    Raises:
        PrerequisiteError: a package or the file is not there, a GGUF file is not whole, or the model is not here and
            the hub is not to be asked (HF_HUB_OFFLINE).
        UnusableModel: a directory is not a model.
    """
    require_transformers()
    path = Path(where).expanduser()
    if path.suffix.lower() == ".gguf":
        check_gguf(path)
    elif path.is_dir():
        check_directory(path)
    elif path.exists() or not is_hub_id(str(where)):
        model_directory(where)  # says what is wrong with it
    found = local_copy(where)
    if found is None and not path.exists() and not hub_is_asked():
        raise not_asked(str(where))
    return found


def local_copy(where: str | Path) -> Path | None:
    """The directory a model would be loaded from: itself, what was made of a GGUF file, or what was downloaded of a
    hub id before. None where it would have to be made or fetched first, or there is no such model."""
    path = Path(where).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        return dequantised_before(path) if path.suffix.lower() == ".gguf" else None
    return _snapshot(str(where)) if is_hub_id(str(where)) else None


def _snapshot(name: str) -> Path | None:
    from huggingface_hub import snapshot_download

    try:
        path = Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError):  # its error for what is not there is both
        return None
    return path if (path / "config.json").is_file() else None
