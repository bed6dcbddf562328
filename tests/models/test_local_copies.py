"""Models that are only spoken of: what is known of them without the hub, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import huggingface_hub

from symdistill.errors import PrerequisiteError, UnusableModel
from symdistill.models import TeacherSettings, load_teacher
from symdistill.models.local_copies import check_model, local_copy
from tiny import save_tiny


@pytest.fixture
def downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The one model, `some/model`, that was downloaded before; the hub itself must not be asked."""
    place = save_tiny(tmp_path / "snapshot")

    def snapshot(name: str, *, local_files_only: bool = False, **_: Any) -> str:
        assert local_files_only, "the hub is asked"
        if name != "some/model":
            raise huggingface_hub.errors.LocalEntryNotFoundError(name)
        return str(place)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return place


def test_what_is_here_is_found(downloaded: Path, tmp_path: Path) -> None:
    assert local_copy("some/model") == downloaded
    assert local_copy(downloaded) == downloaded
    assert local_copy("other/model") is None
    assert local_copy(tmp_path / "none.gguf") is None


def test_what_only_the_hub_knows_is_let_pass_unless_it_is_not_to_be_asked(
    downloaded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_model("some/model") == downloaded
    assert check_model("other/model") is None
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert check_model("some/model") == downloaded
    with pytest.raises(PrerequisiteError, match="HF_HUB_OFFLINE is set"):
        check_model("other/model")


def test_what_cannot_be_a_model_is_refused(downloaded: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnusableModel, match="not a model directory"):
        check_model(tmp_path / "empty")
    with pytest.raises(PrerequisiteError, match=r"none\.gguf"):
        check_model(tmp_path / "none.gguf")


def test_a_teacher_that_is_not_to_be_asked_is_not_downloaded(downloaded: Path) -> None:
    """It has the name it would have; of one that is not here nobody knows all of that."""
    known = load_teacher(TeacherSettings(model="transformers:some/model"), to_ask=False)
    assert known.name.startswith("transformers:some/model#")
    assert load_teacher(TeacherSettings(model="transformers:other/model"), to_ask=False).name.endswith("other/model")
    here = f"transformers:{downloaded}"
    assert (
        load_teacher(TeacherSettings(model=here), to_ask=False).name == load_teacher(TeacherSettings(model=here)).name
    )
