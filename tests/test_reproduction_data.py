"""`examples/reproduction/data.py` on clones of the two sources in small."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parent.parent / "examples" / "reproduction" / "data.py"


@pytest.fixture(scope="module")
def data() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reproduction_data", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def bbh(place: Path, questions: int) -> Path:
    (place / "bbh").mkdir(parents=True)
    examples = [{"input": f"Is {n} even?", "target": "yes" if n % 2 == 0 else "no"} for n in range(questions)]
    (place / "bbh" / "navigate.json").write_text(json.dumps({"examples": examples}))
    folder = place / "code-davinci-002-outputs" / "code-davinci-002-cot"
    folder.mkdir(parents=True)
    outputs = [
        {"input": f"Say it.\n\nQ: shown\nA: yes.\n\nQ: Is {n} even?\nA: Let's think", "prediction": f" Look at {n}. "}
        for n in range(questions)
    ]
    (folder / "navigate_few_shot_template_0-255000.json").write_text(json.dumps({"outputs": outputs}))
    return place


def logs(place: Path) -> Path:
    (place / "log").mkdir(parents=True)
    blocks = [
        f"*\n{n}st data\n1_th_sampling\nQ: What is {n} + 1?\nA: Let's think step by step. \n\nOne more than {n}.\n"
        f"Therefore, the answer (arabic numerals) is {n + 1}.\npred_before :  {n + 1}.\npred_after : {n + 1}\n"
        f"pred_list : ['{n + 1}']\npred_mode : {n + 1}\nGT : {n + 1}\n*\n"
        for n in range(5)
    ]
    (place / "log" / "svamp_zero_shot_cot.log").write_text("".join(blocks))
    return place


def test_rows_hold_question_answer_and_the_teachers_chain(data: ModuleType, tmp_path: Path) -> None:
    row = list(data.bbh_task(bbh(tmp_path, 3), "navigate"))[1]
    assert row == {
        "id": "bbh/navigate/001",
        "task": "bbh/navigate",
        "instruction": "Say it.",
        "question": "Is 1 even?",
        "answer": "no",
        "answer_type": "label",
        "rationales": ["Look at 1."],
    }
    rows = list(data.logged_task(logs(tmp_path), "svamp"))
    assert [row["answer"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[2]["rationales"] == ["One more than 2.\nTherefore, the answer (arabic numerals) is 3."]


def test_a_mix_draws_from_train_and_keeps_the_test_questions(
    data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = data.Mix(train={"bbh/navigate": 4}, test={"bbh/navigate": None, "svamp": 1})
    monkeypatch.setattr(data, "MIXES", {"small": mix})
    arguments = ["--bbh", bbh(tmp_path / "b", 20), "--zero-shot-cot", logs(tmp_path / "z"), "--output", tmp_path]
    monkeypatch.setattr(sys, "argv", ["data.py", *map(str, arguments)])
    data.main()
    rows = [json.loads(line) for line in (tmp_path / "small.jsonl").read_text().splitlines()]
    parts = [(row["task"], row["split"]) for row in rows]
    assert [parts.count(p) for p in dict.fromkeys(parts)] == [4, 4, 1]
    assert len({row["id"] for row in rows}) == 9
    assert "small.jsonl: 4 train, 5 test" in capsys.readouterr().out
