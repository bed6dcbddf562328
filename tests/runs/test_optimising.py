"""Whole runs that learn from preferences and rewards: a tiny student, what it says between trainings scripted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from hypothesis import given, settings
from hypothesis import strategies as st

from reinforced import configuration, right, students, table, wrong
from symdistill.errors import ConfigError, DataError, PrerequisiteError
from symdistill.methods.reward import Scorers
from symdistill.methods.rl import Rl, RlSettings
from symdistill.records import Example, Request
from symdistill.runs.api import FinishedRun
from symdistill.runs.config import parse_config
from symdistill.runs.optimising import gated_reward
from symdistill.runs.pipeline import price, run_all
from symdistill.tasks import check_answer
from tiny import save_tiny


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny") / "student")


def card(run: FinishedRun, *place: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.directory.path.joinpath(*place, "symdistill.json").read_text())
    return found


def half(student: str, request: Request) -> str:
    """One draw is right with a step, one without, one wrong; each round gets a little better where it is audited."""
    round_ = int(student.rpartition("-")[2])
    if request.sampling.temperature == 0:
        return right(request) if len(request.example_id) % 2 or round_ else wrong(request)
    if request.sample_index == 2:
        return wrong(request)
    return right(request, f" Way {student}, {request.sample_index}." + " 1 + 1 = 3." * request.sample_index)


@pytest.mark.parametrize(("algorithm", "kept"), [("dpo", 9), ("kto", 27)])
def test_rounds_learn_from_judged_replies_and_are_found_again(
    tmp_path: Path, tiny: Path, algorithm: str, kept: int
) -> None:
    rl = {"algorithm": algorithm, "rounds": 2}
    config = parse_config(configuration(tmp_path, tiny, rl=rl))
    with students(half):
        run = run_all(config, tmp_path / "run")
    told = table(run.directory.path)
    first, second = told["students"][:2]
    assert (first["judged"], first["threshold"]) == (0, None)
    assert (second["judged"], second["threshold"]) == (27, 0.0)
    assert (second["kept"], second["questions"]) == (kept, 9)
    assert told["settings"]["algorithm"] == algorithm
    assert (told["settings"]["beta"], told["settings"]["train_from"]) == (0.1, "previous")
    one, two = card(run, "rounds", "rl-0"), card(run, "rounds", "rl-1")
    assert two["base"] != one["base"], "a round goes on from the student before"
    assert two["weights_sha256"] != one["weights_sha256"]
    assert two["examples"] == kept
    page = run.report.read_text()
    assert f"{algorithm.upper()}: each round goes on from the student before it" in page
    weights = {p: p.stat().st_mtime_ns for p in run.directory.path.rglob("*.safetensors")}
    with students(half) as asked:
        run_all(config, tmp_path / "run")
    assert not any(model.requests for model in asked)
    assert {p: p.stat().st_mtime_ns for p in run.directory.path.rglob("*.safetensors")} == weights
    assert table(run.directory.path) == told


def test_grpo_draws_its_own_replies_and_the_audit_stands_beside(tmp_path: Path, tiny: Path) -> None:
    rl = {"algorithm": "grpo", "rounds": 1, "samples": 4, "max_tokens": 4, "reward": {"format_error": 0.3}}
    rl["training"] = {"max_steps": 2}
    config = parse_config(configuration(tmp_path, tiny, rl=rl))
    with students(lambda student, request: right(request)) as asked:
        run = run_all(config, tmp_path / "run")
        drawn = [r for model in asked for r in model.requests if r.sampling.temperature > 0]
        assert {r.sample_index for r in drawn} == {0}, "one draw a question measures it"
        path = run.directory.path
        told, weights = table(path), (path / "rounds" / "rl-1" / "model.safetensors").stat().st_mtime_ns
        run_all(config, tmp_path / "run")
    first, second = told["students"]
    assert (second["judged"], second["threshold"]) == (2 * 8, None)
    assert 0 <= second["kept"] <= second["judged"]
    assert (first["replies"], second["replies"]) == (9, 9)
    assert card(run, "rounds", "rl-1")["reinforced"]["judged"] == 16
    assert card(run, "rounds", "rl-1")["steps"] == 2
    assert table(path) == told
    assert (path / "rounds" / "rl-1" / "model.safetensors").stat().st_mtime_ns == weights


def test_a_student_that_pleases_the_reward_and_fails_the_audit_is_put_aside(tmp_path: Path, tiny: Path) -> None:
    def hacking(student: str, request: Request) -> str:
        learned = student != "rl-0"
        if request.sampling.temperature == 0:
            return wrong(request) if learned else right(request)
        return right(request, f" {student}") if learned or request.sample_index == 0 else wrong(request)

    with students(hacking):
        run = run_all(parse_config(with_rl(tmp_path, tiny, algorithm="dpo", dev_fraction=0.5)), tmp_path / "run")
    told = table(run.directory.path)
    assert (told["stopped"], told["chosen"], len(told["students"])) == ("hacking", 0, 2)
    assert card(run, "student")["weights_sha256"] == card(run, "rounds", "rl-0")["weights_sha256"]


@pytest.mark.parametrize("algorithm", ["dpo", "kto"])
def test_replies_that_are_all_alike_teach_nothing(tmp_path: Path, tiny: Path, algorithm: str) -> None:
    with students(lambda student, request: right(request)):
        run = run_all(parse_config(configuration(tmp_path, tiny, rl={"algorithm": algorithm})), tmp_path / "run")
    told = table(run.directory.path)
    assert (told["stopped"], told["chosen"], len(told["students"])) == ("nothing kept", 0, 1)


ADD = Example("add", "2 + 3 =", "5", "number", task="sums")
STYLE = st.text(max_size=60)
SHARE = st.floats(0, 1)


@settings(max_examples=60)
@given(before=STYLE, after=STYLE, cut=st.booleans(), critic=SHARE, against=SHARE, weight=SHARE)
def test_no_style_outvotes_a_wrong_answer_in_the_reward_of_grpo(
    before: str, after: str, cut: bool, critic: float, against: float, weight: float
) -> None:
    """A wrong reply with every style, and a right one with the worst of it."""
    own = {"reward": {"critic": weight, "rationale": weight, "kb_contradiction": 0.4}}
    method = Rl(RlSettings(name="rl", algorithm="grpo", **own))
    praised = Scorers(critic=lambda e, r: critic, kb_contradiction=lambda e, r: 0.0)
    blamed = Scorers(critic=lambda e, r: 0.0, kb_contradiction=lambda e, r: against)
    wrong_ = gated_reward(method, ADD, f"{before}\n2 + 4 = 6. Therefore, the answer is 6.", False, praised)
    right_ = gated_reward(method, ADD, f"{before}\n2 + 3 = 6. Therefore, the answer is 5.", cut, blamed)
    other = gated_reward(method, ADD, f"{before} 5 {after}", False, praised)
    assert wrong_ <= 0 < right_
    assert (other > 0) == check_answer(f"{before} 5 {after}", "5", "number"), "as it is judged, whatever stands around"


def with_rl(place: Path, tiny: Path, **rl: Any) -> dict[str, Any]:
    return configuration(place, tiny, rl=rl)


@pytest.mark.parametrize(
    ("rl", "said"),
    [
        ({"algorithm": "ppo"}, r"method\.algorithm"),
        ({"beta": 0.2}, "beta has no meaning for the algorithm expert-iteration"),
        ({"algorithm": "dpo", "beta": 0}, "leaves dpo nothing to learn"),
        ({"algorithm": "dpo", "beta": -1}, r"method\.beta"),
        ({"algorithm": "dpo", "train_from": "base"}, "go on from the student before"),
        ({"algorithm": "kto", "learn_teacher": True}, "learn_teacher has no meaning"),
        ({"algorithm": "grpo", "threshold": 0.5}, "threshold has no meaning"),
        ({"algorithm": "grpo", "samples": 1}, "samples must be 2 or more"),
        ({"algorithm": "grpo", "samples": 3}, r"takes 8 replies .* `samples` is 3"),
        ({"algorithm": "kto", "training": {"per_device_train_batch_size": 1}}, "compares the replies of a batch"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, tiny: Path, rl: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config(with_rl(tmp_path, tiny, **rl))


@pytest.mark.parametrize(
    ("rl", "error", "said"),
    [
        ({"critic": "nowhere"}, ConfigError, "`reward.critic` gives it no weight"),
        ({"critic": "nowhere", "reward": {"critic": 0.5}}, ConfigError, "There is no directory .*nowhere"),
        ({"critic": ".", "reward": {"critic": 0.5}}, DataError, "critic"),
        ({"graph": "nowhere", "reward": {"kb_contradiction": 0.2}}, ConfigError, "There is no directory"),
    ],
)
def test_judges_that_cannot_judge_are_refused_before_anything_is_spent(
    tmp_path: Path, tiny: Path, rl: dict[str, Any], error: type[Exception], said: str
) -> None:
    rl = {**rl, **({"critic": str(tmp_path)} if rl.get("critic") == "." else {})}
    with pytest.raises(error, match=said):
        price(parse_config(with_rl(tmp_path, tiny, **rl)), tmp_path / "run")


def test_without_trl_the_extra_is_named(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "trl" else find(name, *rest))
    with pytest.raises(PrerequisiteError, match=r"symdistill\[rl\]"):
        price(parse_config(with_rl(tmp_path, tiny, algorithm="dpo")), tmp_path / "run")


def test_the_control_runs_beside_the_arm_that_it_controls_and_nowhere_else(tmp_path: Path, tiny: Path) -> None:
    critic = save_critic(tmp_path / "critic")
    gated = {"name": "rl", "label": "gated", "algorithm": "dpo", "rounds": 1, "samples": 3, "dev_fraction": 0.5}
    own = {"threshold": 0.5, "threshold_last": 0.5, "critic": str(critic), "reward": {"only": "critic"}}
    control = {**gated, **own, "label": "control"}

    def together(*methods: dict[str, Any]) -> Any:
        settings = configuration(tmp_path, tiny, methods=list(methods))
        del settings["method"]
        return parse_config(settings)

    for alone in ([control], [control, {**gated, "algorithm": "kto"}], [control, {**control, "label": "another"}]):
        with pytest.raises(ConfigError, match="The reward of control is the critic alone"):
            price(together(*alone), tmp_path / "run")
    few = {**control, "dev_fraction": 0.25}
    with pytest.raises(DataError, match="its audit has 3 questions"):
        price(together(gated, few), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"`reward\.critic` of control has a weight, and no critic is given"):
        price(together(gated, {k: v for k, v in control.items() if k != "critic"}), tmp_path / "run")

    def script(student: str, request: Request) -> str:
        """Wrong replies please the critic, and the control's student learned them."""
        if request.sampling.temperature == 0:
            return wrong(request) if student == "control-1" else right(request)
        return f"{wrong(request)} Surely so." if request.sample_index or student == "control-1" else right(request)

    with students(script):
        run = run_all(together(gated, control), tmp_path / "run")
    found = {
        name: json.loads((run.directory.path / f"rounds-{name}.json").read_text()) for name in ("gated", "control")
    }
    assert (found["control"]["stopped"], found["control"]["chosen"]) == ("hacking", 0)
    assert found["control"]["students"][1]["kept"] > 0
    assert found["gated"]["stopped"] == "rounds"
    assert run.report.read_text().count("This is a control: a critic alone rewarded the replies") == 1


WORDED = '{functional: true, verbalise: "{head} has size {tail}"}'


def graph_of(place: Path, relations: str, held: bool) -> None:
    pytest.importorskip("pyoxigraph")
    pytest.importorskip("clingo")
    from symdistill.knowledge.triples import Batch, Triple
    from symdistill.knowledge.triples.schema import parse_schema
    from symdistill.knowledge.triples.store import TripleStore

    store = TripleStore(place, parse_schema(f"name: sizes\nrelations:\n{relations}"))
    if held:
        store.add([Triple("box", "size", "two", batch="b")], [Batch("b", "hand")])


def test_a_graph_takes_from_replies_that_contradict_it(tmp_path: Path, tiny: Path) -> None:
    graph_of(tmp_path / "graph", f"  size: {WORDED}\n", True)

    def script(student: str, request: Request) -> str:
        false = request.sample_index == 1 and request.sampling.temperature > 0
        return right(request, " The box has size nine." if false else " The box has size two.")

    rl = {"algorithm": "dpo", "rounds": 1, "graph": str(tmp_path / "graph"), "reward": {"kb_contradiction": 0.5}}
    with students(script):
        run = run_all(parse_config(with_rl(tmp_path, tiny, **rl)), tmp_path / "run")
    told = table(run.directory.path)["students"]
    assert told[0]["reward"] == pytest.approx(1.5 - 0.5 / 3)
    assert (told[1]["kept"], told[1]["questions"]) == (9, 9), "what agrees over what contradicts"
    assert told[0]["checkable"] == told[0]["replies"] == 27
    assert "The graph could check something in 36 of the 36 replies" in run.report.read_text()


@pytest.mark.parametrize(
    ("relations", "held", "said"),
    [
        (f"  size: {WORDED}\n", False, "it holds no triple"),
        (f"  also: {WORDED}\n  size: {WORDED}\n", True, "no relation whose wording"),
    ],
)
def test_a_graph_that_can_contradict_nothing_is_refused(
    tmp_path: Path, tiny: Path, relations: str, held: bool, said: str
) -> None:
    graph_of(tmp_path / "graph", relations, held)
    rl = {"algorithm": "dpo", "graph": str(tmp_path / "graph"), "reward": {"kb_contradiction": 0.5}}
    with pytest.raises(ConfigError, match=f"can never contradict a reply: .*{said}"):
        price(parse_config(with_rl(tmp_path, tiny, **rl)), tmp_path / "run")


def save_critic(place: Path) -> Path:
    """It likes "Surely", and says so of every reply that has it, the wrong ones too."""
    pytest.importorskip("sklearn")
    from symdistill.training.critic import fit_critic
    from symdistill.training.critic_labels import Labelled
    from symdistill.training.settings import CriticSettings

    labelled = [
        Labelled((f"Count {n} and more.", f"It is {n}. {'Surely so.' if good else 'Perhaps.'}"), good, f"g{n}")
        for n in range(60)
        for good in (True, False)
    ]
    fit_critic(labelled, CriticSettings())[0].save(place)
    return place


def test_a_critic_reads_the_replies_of_a_round_together(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from symdistill.training.critic import Critic

    batches: list[int] = []
    probabilities = Critic.probabilities

    def counted(self: Critic, texts: Any) -> Any:
        batches.append(len(texts))
        return probabilities(self, texts)

    monkeypatch.setattr(Critic, "probabilities", counted)
    rl = {"rounds": 1, "critic": str(save_critic(tmp_path / "critic")), "reward": {"critic": 1.0}}
    batches.clear()
    with students(half):
        run_all(parse_config(with_rl(tmp_path, tiny, **rl)), tmp_path / "run")
    assert len(batches) == 2, "once a student"
    assert batches[0] == 27


def test_a_step_of_grpo_that_asks_more_questions_than_there_are_is_refused_at_once(tmp_path: Path, tiny: Path) -> None:
    rl = {"algorithm": "grpo", "samples": 2, "training": {"gradient_accumulation_steps": 5}}
    with pytest.raises(ConfigError, match="One step of rl asks 20 questions, and there are 9"), students() as asked:
        run_all(parse_config(with_rl(tmp_path, tiny, **rl)), tmp_path / "run")
    assert not asked
    assert not (tmp_path / "run" / "rounds").exists(), "before student 0 is trained"


def test_a_critic_adds_to_right_replies_alone(tmp_path: Path, tiny: Path) -> None:
    save_critic(tmp_path / "critic")

    def script(student: str, request: Request) -> str:
        if request.sampling.temperature == 0 or request.sample_index == 1:
            return right(request)
        return right(request, " Surely so.") if request.sample_index == 0 else f"{wrong(request)} Surely so."

    rl = {"algorithm": "dpo", "rounds": 1, "critic": str(tmp_path / "critic"), "reward": {"critic": 1.0}}
    with students(script):
        run = run_all(parse_config(with_rl(tmp_path, tiny, **rl)), tmp_path / "run")
    told = table(run.directory.path)["students"]
    assert told[0]["reward"] > 1.0 + 1 / 3 * 0.5, "two of three are right, and one of those is praised"
    assert told[1]["kept"] == 9, "the praised right reply over the wrong one that is praised as well"
