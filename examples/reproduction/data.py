"""Public questions with real teachers' chains of thought, as the runs of docs/REPRODUCTION.md use them.

    git clone https://github.com/suzgunmirac/BIG-Bench-Hard
    git clone https://github.com/kojima-takeshi188/zero_shot_cot
    git clone https://github.com/openai/grade-school-math
    git clone https://github.com/allenai/contrast-sets
    python examples/reproduction/data.py --bbh BIG-Bench-Hard --zero-shot-cot zero_shot_cot \
        --gsm8k grade-school-math --contrast-sets contrast-sets

BIG-Bench-Hard (MIT) brings 3-shot chains of thought by code-davinci-002, one a question; zero_shot_cot the logs of
zero-shot chains by text-davinci-002. The worked solutions of GSM8K's training questions (MIT) are a corpus to retrieve
passages from; no mix asks one of its questions. The contrast sets of IMDB bring film reviews, and the smallest edits
that turn their sentiment: 200 pairs of the test part are kept to be judged on, the originals of all others to learn
from, without rationales; `imdb-short.jsonl` has those of at most 150 words. Each task of a mix is split 4:1 into train
and test by one seeded shuffle. Written are one file a mix: so many training questions of each task, drawn with a seed,
and its test questions; tasks without training questions are out of domain. Benchmark data: it must never appear in
training corpora.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = dict[str, Any]

LABELS = {
    "boolean_expressions",
    "causal_judgement",
    "formal_fallacies",
    "navigate",
    "sports_understanding",
    "web_of_lies",
}
TEXTS = {"dyck_languages", "word_sorting"}
NUMBERS = {"object_counting", "multistep_arithmetic_two"}
JUDGED_PAIRS = 200
SHORT = 150
LOGGED = {
    "svamp": "number",
    "multiarith": "number",
    "addsub": "number",
    "coin_flip": "label",
    "last_letters": "text",
    "commonsense_qa": "choice",
}
LOG_FILES = {"commonsense_qa": "commonsensqa"}
OPTION = re.compile(r"\(([A-E])\) ")
CHOICES_OF_BBH = (
    "date_understanding",
    "disambiguation_qa",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction_five_objects",
    "logical_deduction_seven_objects",
    "logical_deduction_three_objects",
    "movie_recommendation",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "temporal_sequences",
    "tracking_shuffled_objects_five_objects",
    "tracking_shuffled_objects_seven_objects",
    "tracking_shuffled_objects_three_objects",
)
BBH = tuple(f"bbh/{name}" for name in sorted([*LABELS, *TEXTS, *NUMBERS, *CHOICES_OF_BBH]))


@dataclass(frozen=True)
class Mix:
    """Training and test questions of each task; None: all of them."""

    train: Mapping[str, int | None]
    test: Mapping[str, int | None]


MIXES = {
    "nesycd": Mix(
        train={
            "bbh/boolean_expressions": 200,
            "bbh/object_counting": 200,
            "bbh/sports_understanding": 200,
            "bbh/tracking_shuffled_objects_three_objects": 200,
        },
        test={
            "bbh/boolean_expressions": None,
            "bbh/object_counting": None,
            "bbh/sports_understanding": None,
            "bbh/tracking_shuffled_objects_three_objects": None,
            "bbh/logical_deduction_three_objects": None,
            "svamp": 60,
        },
    ),
    "methods": Mix(
        train={"coin_flip": 100, "bbh/sports_understanding": 100, "multiarith": 100},
        test={"coin_flip": 70, "bbh/sports_understanding": None, "multiarith": 70, "svamp": 40},
    ),
    "commonsense": Mix(train={"commonsense_qa": 300}, test={"commonsense_qa": 200}),
    "bbh": Mix(train=dict.fromkeys(BBH), test=dict.fromkeys(BBH)),
}


def bbh_task(clone: Path, name: str) -> Iterator[Row]:
    """The questions of one BIG-Bench-Hard task in order, each with what code-davinci-002 wrote."""
    examples = json.loads((clone / "bbh" / f"{name}.json").read_text(encoding="utf-8"))["examples"]
    folder = clone / "code-davinci-002-outputs" / "code-davinci-002-cot"
    outputs = json.loads((folder / f"{name}_few_shot_template_0-255000.json").read_text(encoding="utf-8"))["outputs"]
    kinds = {"label": LABELS, "number": NUMBERS, "text": TEXTS}
    kind = next((kind for kind, names in kinds.items() if name in names), "choice")
    for number, (example, output) in enumerate(zip(examples, outputs, strict=True)):
        prompt = output["input"]
        yield {
            "id": f"bbh/{name}/{number:03d}",
            "task": f"bbh/{name}",
            "instruction": prompt.partition("\n\nQ:")[0].strip(),
            "question": example["input"].strip(),
            "answer": example["target"].strip(),
            "answer_type": kind,
            "rationales": [output["prediction"].strip()],
        }


def logged_task(clone: Path, name: str) -> Iterator[Row]:
    """The questions of one log in order, each with what text-davinci-002 wrote after "Let's think step by step"."""
    text = (clone / "log" / f"{LOG_FILES.get(name, name)}_zero_shot_cot.log").read_text(encoding="utf-8")
    block = re.compile(
        r"^Q: (?P<question>.*?)\nA: Let's think step by step\.(?P<chain>.*?)\npred_before : .*?\nGT : (?P<gold>.*?)\n",
        re.DOTALL | re.MULTILINE,
    )
    for number, found in enumerate(block.finditer(text)):
        question, _, options = found["question"].partition(" Answer Choices: ")
        letters_and_texts = [part.strip() for part in OPTION.split(options)[1:]]
        choices = dict(zip(letters_and_texts[::2], letters_and_texts[1::2], strict=True))
        yield {
            "id": f"{name}/{number:04d}",
            "task": name,
            "question": question.strip(),
            **({"choices": choices} if choices else {}),
            "answer": found["gold"].strip(),
            "answer_type": LOGGED[name],
            "rationales": [found["chain"].strip()],
        }


def split(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Four fifths to train on, one to test on, each in the order of the source."""
    order = list(range(len(rows)))
    random.Random(0).shuffle(order)
    test = set(order[: len(rows) // 5])
    parts: tuple[list[Row], list[Row]] = ([], [])
    for number, row in enumerate(rows):
        parts[number in test].append({**row, "split": "test" if number in test else "train"})
    return parts


def rows_of(mix: Mix, bbh: Path, logs: Path) -> Iterator[Row]:
    """The rows of a mix: of each task the training questions, then its test questions."""
    draw = random.Random(0)
    for task, wanted in mix.test.items():
        found = bbh_task(bbh, task.removeprefix("bbh/")) if task.startswith("bbh/") else logged_task(logs, task)
        train, test = split(list(found))
        if task in mix.train:
            wanted_to_learn = mix.train[task]
            yield from train if wanted_to_learn is None else draw.sample(train, wanted_to_learn)
        yield from test if wanted is None else draw.sample(test, wanted)


def worked_solutions(clone: Path) -> Iterator[Row]:
    """GSM8K's training questions with their solutions, without the marks for a calculator."""
    with (clone / "grade_school_math" / "data" / "train.jsonl").open(encoding="utf-8") as file:
        for number, row in enumerate(map(json.loads, file)):
            solution = re.sub(r"<<.*?>>", "", row["answer"]).replace("####", "The answer is")
            yield {"id": f"gsm8k/{number:04d}", "text": f"{row['question']} {' '.join(solution.split())}."}


def contrast_sets(clone: Path) -> Iterator[Row]:
    """Film reviews to learn from, and pairs of a review and its edit to be judged on."""
    pairs = []
    for part in ("dev", "test"):
        texts = [(clone / "IMDb" / "data" / f"{part}_{kind}.tsv") for kind in ("original", "contrast")]
        readers = [csv.DictReader(path.open(encoding="utf-8"), delimiter="\t") for path in texts]
        for number, (original, edit) in enumerate(zip(*readers, strict=True)):
            pairs.append((f"imdb/{part}/{number:03d}", original, edit))
    judged = {key for key, _, _ in random.Random(0).sample([p for p in pairs if "/test/" in p[0]], JUDGED_PAIRS)}
    for key, original, edit in pairs:
        yield review(key, original, "test" if key in judged else "train")
        if key in judged:
            yield {**review(f"{key}/contrast", edit, "test"), "contrast_of": key}


def short_reviews(reviews: list[Row]) -> list[Row]:
    """Those of at most `SHORT` words, of pairs both."""
    long = {row.get("contrast_of", row["id"]) for row in reviews if len(row["question"].split()) > SHORT}
    return [row for row in reviews if row.get("contrast_of", row["id"]) not in long]


def review(key: str, row: Mapping[str, str], part: str) -> Row:
    return {
        "id": key,
        "task": "imdb",
        "instruction": "Is the sentiment of this film review positive or negative?",
        "question": row["Text"].replace("<br />", " ").strip(),
        "answer": row["Sentiment"].lower(),
        "answer_type": "label",
        "split": part,
    }


def write(path: Path, rows: list[Row]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bbh", type=Path, required=True, help="a clone of suzgunmirac/BIG-Bench-Hard")
    parser.add_argument("--zero-shot-cot", type=Path, required=True, help="a clone of kojima-takeshi188/zero_shot_cot")
    parser.add_argument("--gsm8k", type=Path, help="a clone of openai/grade-school-math, for the corpus")
    parser.add_argument("--contrast-sets", type=Path, help="a clone of allenai/contrast-sets")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "data")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for name, mix in MIXES.items():
        rows = list(rows_of(mix, given.bbh, given.zero_shot_cot))
        path = given.output / f"{name}.jsonl"
        write(path, rows)
        train = sum(row["split"] == "train" for row in rows)
        print(f"{path}: {train} train, {len(rows) - train} test")
    if given.gsm8k:
        documents = list(worked_solutions(given.gsm8k))
        write(given.output / "gsm8k-solutions.jsonl", documents)
        print(f"{given.output / 'gsm8k-solutions.jsonl'}: {len(documents)} documents")
    if given.contrast_sets:
        reviews = list(contrast_sets(given.contrast_sets))
        for name, kept in {"imdb": reviews, "imdb-short": short_reviews(reviews)}.items():
            write(given.output / f"{name}.jsonl", kept)
            pairs = sum("contrast_of" in row for row in kept)
            print(f"{given.output / name}.jsonl: {len(kept) - 2 * pairs} train, {pairs} pairs")


if __name__ == "__main__":
    main()
