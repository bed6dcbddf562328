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


def test_options_of_a_logged_question_are_its_choices(data: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    question = "Q: Where (if at all) is it? Answer Choices: (A) in a box (B) on (C) top (D) a b (E) E"
    text = f"{question}\nA: Let's think step by step. Here.\npred_before : B.\npred_after : B\nGT : B\n"
    (tmp_path / "log" / "commonsensqa_zero_shot_cot.log").write_text(text)
    assert list(data.logged_task(tmp_path, "commonsense_qa")) == [
        {
            "id": "commonsense_qa/0000",
            "task": "commonsense_qa",
            "question": "Where (if at all) is it?",
            "choices": {"A": "in a box", "B": "on", "C": "top", "D": "a b", "E": "E"},
            "answer": "B",
            "answer_type": "choice",
            "rationales": ["Here."],
        }
    ]


def test_every_task_of_big_bench_hard_is_there_once(data: ModuleType) -> None:
    assert len(data.BBH) == len(set(data.BBH)) == 27
    assert set(data.MIXES["bbh"].train) == set(data.MIXES["bbh"].test) == set(data.BBH)


def test_a_mix_draws_from_train_and_keeps_the_test_questions(
    data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = data.Mix(train={"bbh/navigate": 4, "svamp": None}, test={"bbh/navigate": None, "svamp": 1})
    monkeypatch.setattr(data, "MIXES", {"small": mix})
    arguments = ["--bbh", bbh(tmp_path / "b", 20), "--zero-shot-cot", logs(tmp_path / "z"), "--output", tmp_path]
    monkeypatch.setattr(sys, "argv", ["data.py", *map(str, arguments)])
    data.main()
    rows = [json.loads(line) for line in (tmp_path / "small.jsonl").read_text().splitlines()]
    parts = [(row["task"], row["split"]) for row in rows]
    assert [parts.count(p) for p in dict.fromkeys(parts)] == [4, 4, 4, 1]
    assert len({row["id"] for row in rows}) == 13
    assert "small.jsonl: 8 train, 5 test" in capsys.readouterr().out


def contrast_sets(place: Path, pairs: int) -> Path:
    """Reviews of one word more each; of the last, only the edit is a long one."""
    (place / "IMDb" / "data").mkdir(parents=True)
    for part in ("dev", "test"):
        for kind, label in (("original", "Positive"), ("contrast", "Negative")):
            lines = ["Sentiment\tText"]
            for n in range(pairs):
                text = f'{part} {n} the ""{kind}""' + " word" * (200 if kind == "contrast" and n == pairs - 1 else n)
                lines.append(f'{label}\t"{text}<br />end"')
            (place / "IMDb" / "data" / f"{part}_{kind}.tsv").write_text("\n".join(lines))
    return place


def test_contrast_sets_are_judged_in_pairs_and_learned_from_by_the_originals_of_others(
    data: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "JUDGED_PAIRS", 4)
    rows = list(data.contrast_sets(contrast_sets(tmp_path, 6)))
    learned, judged = ([row for row in rows if row["split"] == part] for part in ("train", "test"))
    assert (len(learned), len(judged)) == (8, 8)
    assert not any("contrast_of" in row for row in learned)
    edits = {row["contrast_of"]: row for row in judged if "contrast_of" in row}
    assert set(edits) == {row["id"] for row in judged if "contrast_of" not in row}
    assert all("/test/" in key for key in edits)
    assert {row["answer"] for row in edits.values()} == {"negative"}
    assert rows[0]["question"] == 'dev 0 the "original" end'
    short = data.short_reviews(rows)
    long = {"imdb/test/005", "imdb/test/005/contrast"}
    assert [row for row in rows if row not in short] == [row for row in rows if row["id"] in long]
    monkeypatch.setattr(data, "SHORT", 0)
    assert data.short_reviews(rows) == []
