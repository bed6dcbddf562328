"""What decides a student's replies is part of their keys: cells of one grid that share a store never share replies
that another template or other numbers would change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from symdistill.cli.main import main
from symdistill.sampling.store import ResponseStore

pytest.importorskip("torch")

from tiny import save_tiny


@pytest.mark.parametrize(
    "key, values, marks",
    [
        ("student.template", ["chat", "plain"], {"", "+plain"}),
        ("student.dtype", ["float32", "bfloat16"], {"", "+bfloat16"}),
    ],
)
def test_each_cell_asks_for_replies_of_its_own(tmp_path: Path, key: str, values: list[str], marks: set[str]) -> None:
    save_tiny(tmp_path / "tiny")
    questions = [{"id": f"q{i}", "question": f"What is {i} + {i}?", "answer": str(2 * i)} for i in range(30)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions))
    config = {
        "task": {"path": "q.jsonl"},
        "student": {"model": "tiny", "dtype": "float32"},
        "methods": ["zero-shot"],
        "evaluation": {"max_new_tokens": 4},
        "grid": {"seeds": [0], "vary": {key: values}},
    }
    (tmp_path / "grid.yaml").write_text(json.dumps(config))
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(tmp_path / "grid.yaml"), "--output", str(tmp_path / "out")])
    assert not ended.value.code
    [path] = (tmp_path / "out").rglob("*.sqlite")
    with ResponseStore(path) as store:
        models = store.stats().models
    assert {model.model.partition("#")[2][12:] for model in models} == marks
    assert len({model.replies for model in models}) == 1
    rows = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("cells/**/metrics.json")]
    assert len(rows) == 2
    if key == "student.template":
        assert models[0].prompt_tokens != models[1].prompt_tokens
