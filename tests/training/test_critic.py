"""A critic: labels in, probabilities and a threshold out, and a directory that holds it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled import GOOD, heads, rows, write_rows
from symdistill.errors import DataError
from symdistill.evaluation.reliability import auroc
from symdistill.knowledge.triples import Triple, load_schema
from symdistill.knowledge.triples.review import Decision
from symdistill.students.settings import StudentSettings
from symdistill.training.critic import Critic, digest_of, fit_critic, platt, threshold_for
from symdistill.training.critic_features import open_features, word_rows
from symdistill.training.critic_labels import (
    Labelled,
    labels_of_decisions,
    read_labels,
    read_triple_labels,
    split_labels,
    text_of,
)
from symdistill.training.settings import CriticSettings
from tiny import save_tiny, tiny_tokenizer
from tiny_encoder import save_encoder

SCHEMA = load_schema("atomic")
UNSEEN = "PersonX repairs a clock"


def labels(tmp_path: Path, **changes: float) -> list[Labelled]:
    return read_labels(write_rows(tmp_path / "labels.jsonl", rows(**changes)), SCHEMA)


def texts(tails: tuple[str, ...], head: str = UNSEEN) -> list[tuple[str, str]]:
    return [text_of(Triple(head, "xWant", tail), SCHEMA) for tail in tails]


def features(kind: str, tmp_path: Path) -> tuple[str, StudentSettings | None]:
    if kind == "encoder":
        return str(save_encoder(tmp_path / "encoder")), None
    if kind in ("student", "likelihood"):
        return kind, StudentSettings(model=str(save_tiny(tmp_path / "tiny")))
    return "words", None


@pytest.mark.parametrize("kind", ["words", "student", "likelihood", "encoder"])
def test_a_critic_tells_good_from_bad_and_is_the_same_when_it_is_loaded(kind: str, tmp_path: Path) -> None:
    name, student = features(kind, tmp_path)
    known = labels(tmp_path)
    if kind != "words":  # a random model of bytes sees letters, not meaning
        known = [Labelled(f"{'aeiou' if n % 2 else 'XQZWK'} {n * n}", bool(n % 2), str(n)) for n in range(200)]
    critic, sides = fit_critic(known, CriticSettings(features=name), student=student)
    held_out = sides["held_out"]
    said, right = critic.probabilities([one.text for one in held_out]), [one.good for one in held_out]
    assert ((said >= 0) & (said <= 1)).all()
    enough = 0.75 if kind == "likelihood" else 0.9  # one figure a text, of a model that knows nothing
    assert (auroc(said.tolist(), right) or 0) > enough
    passed = critic.accepts([one.text for one in held_out])
    assert passed.any()
    assert np.array(right)[passed].mean() > enough, "of heads never seen, hardly anything bad passes"
    good = critic.probabilities(texts(GOOD))
    critic.save(tmp_path / "critic")
    assert {path.name for path in (tmp_path / "critic").iterdir()} == {
        "critic.json",
        "weights.npz",
        "learned.json",
    }
    known = {digest_of(one.text) for side in ("train", "validation") for one in sides[side]}
    assert known == Critic.load(tmp_path / "critic").learned
    assert not known & {digest_of(one.text) for one in held_out}, "those that judge it are not known to it"
    assert critic.probabilities(["a plain text", ("one", "other")]).shape == (2,), "whatever it was trained on"
    again = Critic.load(tmp_path / "critic")
    assert again.threshold == critic.threshold
    assert np.array_equal(again.probabilities(texts(GOOD)), good)
    assert again.probabilities([]).shape == (0,)


def test_plain_texts_and_pairs_may_be_labelled(tmp_path: Path) -> None:
    plain = [{"text": f"{'fine' if n % 2 else 'awful'} film {n}", "label": n % 2} for n in range(60)]
    critic, _ = fit_critic(read_labels(write_rows(tmp_path / "plain.jsonl", plain), SCHEMA), CriticSettings())
    fine, awful = critic.probabilities(["fine film", "awful film"])
    assert fine > 0.5 > awful
    pairs = [
        {"input": f"the cat number {n} sat", "text": "a cat sat" if n % 2 else "a dog ran", "label": bool(n % 2)}
        for n in range(60)
    ]
    found = read_labels(write_rows(tmp_path / "pairs.jsonl", pairs), SCHEMA)
    assert found[1].text == ("the cat number 1 sat", "a cat sat")
    critic, _ = fit_critic(found, CriticSettings())
    kept, lost = critic.probabilities([("the cat 99 sat", "a cat sat"), ("the cat 99 sat", "a dog ran")])
    assert kept > 0.5 > lost


def test_probabilities_are_calibrated_on_the_validation_labels(tmp_path: Path) -> None:
    critic, sides = fit_critic(labels(tmp_path, noise=0.2), CriticSettings())
    said = critic.probabilities([one.text for one in sides["validation"]])
    good = np.array([one.good for one in sides["validation"]])
    logits = np.log(said / (1 - said))
    assert platt(logits, good) == pytest.approx((1, 0), abs=1e-3), "calibrated once, there is nothing left to correct"
    held_out = sides["held_out"]
    far = critic.probabilities([one.text for one in held_out])
    assert abs(far.mean() - np.mean([one.good for one in held_out])) < 0.15


def test_the_threshold_depends_on_validation_labels_alone(tmp_path: Path) -> None:
    known = labels(tmp_path, noise=0.2)
    sides = split_labels(known, CriticSettings())
    held_out = {id(one) for one in sides["held_out"]}
    lying = [Labelled(o.text, not o.good, o.group, o.place, o.triple) if id(o) in held_out else o for o in known]
    one, _ = fit_critic(known, CriticSettings())
    other, _ = fit_critic(lying, CriticSettings())
    assert one.threshold == other.threshold
    assert np.array_equal(one.weights, other.weights)


@pytest.mark.parametrize("recall", [0.3, 0.5, 0.8, 1.0])
def test_the_wanted_share_of_good_validation_labels_passes(recall: float, tmp_path: Path) -> None:
    critic, sides = fit_critic(labels(tmp_path, noise=0.2), CriticSettings(recall=recall))
    good = [one.text for one in sides["validation"] if one.good]
    passed = critic.accepts(good).mean()
    assert recall <= passed <= 1
    lower = np.sort(critic.probabilities(good))
    stricter = lower[lower > critic.threshold]
    assert len(stricter) == 0 or (critic.probabilities(good) >= stricter[0]).mean() < recall


def test_a_threshold_may_be_given_outright(tmp_path: Path) -> None:
    critic, _ = fit_critic(labels(tmp_path), CriticSettings(threshold=0.9))
    assert critic.threshold == 0.9


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60).filter(lambda c: any(g for _, g in c)),
    st.floats(0.01, 1),
)
@settings(max_examples=150, deadline=None)
def test_thresholds_reach_their_recall_and_no_higher_one_does(cases: list[tuple[float, bool]], recall: float) -> None:
    said, good = np.array([p for p, _ in cases]), np.array([g for _, g in cases])
    found = threshold_for(said, good, recall)
    assert (said[good] >= found).mean() >= recall - 1e-9
    above = said[good][said[good] > found]
    assert not len(above) or (said[good] >= above.min()).mean() < recall


def test_probabilities_of_noisy_labels_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=4000) * 3
    good = rng.random(4000) < 1 / (1 + np.exp(-(0.7 * scores - 0.4)))
    slope, offset = platt(scores, good)
    assert slope == pytest.approx(0.7, abs=0.05)
    assert offset == pytest.approx(-0.4, abs=0.1)


def test_scores_that_foretell_the_contrary_say_nothing() -> None:
    scores = np.linspace(-1, 1, 100)
    slope, offset = platt(scores, scores < 0)
    assert slope == 0
    assert offset == pytest.approx(0, abs=1e-9)


def test_separable_labels_make_nobody_certain() -> None:
    slope, offset = platt(np.array([-5.0, -5, 5, 5]), np.array([False, False, True, True]))
    assert 1 / (1 + np.exp(-(slope * 5 + offset))) == pytest.approx(0.75), "Platt's targets: 3/4 of two"


@pytest.mark.parametrize(
    "lines, said",
    [
        ([{**r, "label": True} for r in rows(20)], "All 80 labels of the critic in {file} say `good`"),
        ([{**r, "label": "reject"} for r in rows(20)], "All 80 labels of the critic in {file} say `bad`"),
        (rows(4), "There are 16 labels, and a critic needs 20"),
        ([*rows(20), {**rows(20)[0], "label": not rows(20)[0]["label"]}], "contradict each other about"),
        ([{**rows(20)[0], "label": "maybe"}], "line 1: `label` is 'maybe'"),
        ([{"head": "a", "relation": "xWant", "tail": "b"}], "line 1: there is no `label`"),
        ([{"head": "a", "relation": "xWnat", "tail": "b", "label": 1}], "no relation `xWnat`"),
        ([{"head": "a", "relation": "xWant", "tail": 3, "label": 1}], "line 1: `tail` is no text"),
        ([{"text": "  ", "label": 1}], "line 1: there is no triple and no `text`"),
        ([{"text": "a", "label": 0.5}], "line 1: `label` is '0.5'"),
        ([{"text": "a", "label": float("nan")}], "line 1: `label` is 'nan'"),
    ],
)
def test_labels_that_will_not_do_are_refused(lines: list[dict[str, object]], said: str, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "l.jsonl", lines)
    with pytest.raises(DataError) as problem:
        fit_critic(read_labels(file, SCHEMA), CriticSettings())
    assert said.replace("{file}", str(file)) in str(problem.value)
    assert problem.value.fix


@pytest.mark.parametrize("text", [{"text": "PersonX sings to rest."}, {"text": "to rest", "input": "PersonX sings"}])
def test_labels_of_texts_are_none_of_triples(text: dict[str, str], tmp_path: Path) -> None:
    path = write_rows(tmp_path / "l.jsonl", [*rows(3), {**text, "label": True}])
    assert len(read_labels(path, SCHEMA)) == 13
    with pytest.raises(DataError, match="line 13 is a text") as problem:
        read_triple_labels(path, SCHEMA)
    assert "`head`" in problem.value.fix
    assert len(read_triple_labels(write_rows(path, rows(3)), SCHEMA)) == 12


@pytest.mark.parametrize("good, bad", [(1.0, 0.0), ("1.0", "0.0"), (1, 0), ("Yes", " no "), (True, "rejected")])
def test_a_label_may_be_written_in_many_ways(good: object, bad: object, tmp_path: Path) -> None:
    lines = [{"text": "a", "label": good}, {"text": "b", "label": bad}]
    assert [one.good for one in read_labels(write_rows(tmp_path / "l.jsonl", lines), SCHEMA)] == [True, False]


def test_a_side_without_one_kind_of_label_is_named(tmp_path: Path) -> None:
    few = rows(12)
    for line in few:
        line["label"] = line["head"] == few[0]["head"]
    with pytest.raises(DataError, match="part has 0 good"):
        fit_critic(read_labels(write_rows(tmp_path / "l.jsonl", few), SCHEMA), CriticSettings())


def test_no_head_is_on_two_sides_and_more_labels_move_none(tmp_path: Path) -> None:
    few, many = (
        split_labels(read_labels(write_rows(tmp_path / "l.jsonl", rows(n)), SCHEMA), CriticSettings()) for n in (40, 70)
    )
    side = {one.group: name for name, ones in many.items() for one in ones}
    assert all(side[one.group] == name for name, ones in few.items() for one in ones)
    assert sum(len({one.group for one in ones}) for ones in many.values()) == 70


def test_the_same_triple_counts_once_however_it_is_written(tmp_path: Path) -> None:
    twice = [*rows(20), {**rows(20)[0], "tail": rows(20)[0]["tail"].upper() + "."}]
    assert len(read_labels(write_rows(tmp_path / "l.jsonl", twice), SCHEMA)) == 80


def test_what_reviewers_decided_is_a_label_unless_they_disagree() -> None:
    triples = [Triple(head, "xWant", "to sleep", batch="b") for head in heads(4)]
    decisions = [
        Decision(triples[0].id, "accept", "ann"),
        Decision(triples[1].id, "reject", "ann"),
        Decision(triples[2].id, "accept", "ann"),
        Decision(triples[2].id, "reject", "bob"),
    ]
    found = labels_of_decisions(triples, decisions, SCHEMA)
    assert [(one.group, one.good) for one in found] == [(triples[0].head, True), (triples[1].head, False)]


@pytest.mark.parametrize(
    "triple, text",
    [
        (Triple("PersonX sings", "xWant", "to rest"), ("PersonX sings", "After that, PersonX wants to rest.")),
        (Triple("a bike", "MadeUpOf", "wheels"), ("a bike", "is made up of wheels")),
        (Triple("rain", "xReason", "x"), ("rain", "Part of rain is x")),
    ],
)
def test_a_triple_is_its_head_and_what_is_said_of_it(triple: Triple, text: tuple[str, str]) -> None:
    assert text_of(triple, SCHEMA)[0] == text[0]
    if triple.relation != "xReason":
        assert text_of(triple, SCHEMA) == text


def test_rows_of_words_have_length_one_and_weigh_as_their_columns() -> None:
    found = word_rows([("a cat", "a cat sat"), "", "sat"])
    lengths = [float(np.sum(found.values[a:b] ** 2)) for a, b in zip(found.starts, found.starts[1:], strict=False)]
    assert lengths == pytest.approx([1.0, 1.0, 1.0])
    weights = np.arange(1 << 16, dtype=np.float64)
    by_hand = [
        float(found.values[a:b] @ weights[found.columns[a:b]])
        for a, b in zip(found.starts, found.starts[1:], strict=False)
    ]
    assert (found @ weights).tolist() == pytest.approx(by_hand)


def damaged_card(place: Path) -> None:
    card = json.loads((place / "critic.json").read_text())
    (place / "critic.json").write_text(json.dumps({**card, "form": "critic/9"}))


def wordy_threshold(place: Path) -> None:
    card = json.loads((place / "critic.json").read_text())
    (place / "critic.json").write_text(json.dumps({**card, "threshold": "high"}))


def no_number(place: Path) -> None:
    card = json.loads((place / "critic.json").read_text())
    (place / "critic.json").write_text(json.dumps({**card, "threshold": float("nan")}))


def odd_layers(place: Path) -> None:
    card = json.loads((place / "critic.json").read_text())
    (place / "critic.json").write_text(json.dumps({**card, "layers": "first"}))


def odd_numbers(place: Path) -> None:
    card = json.loads((place / "critic.json").read_text())
    (place / "critic.json").write_text(json.dumps({**card, "dtype": "float8"}))


def square_weights(place: Path) -> None:
    np.savez_compressed(place / "weights.npz", weights=np.zeros((4, 4)))


def cut_weights(place: Path) -> None:
    (place / "weights.npz").write_bytes((place / "weights.npz").read_bytes()[:50])


def no_card(place: Path) -> None:
    (place / "critic.json").unlink()


@pytest.mark.parametrize(
    "harm, said",
    [
        (damaged_card, "another version"),
        (wordy_threshold, "a number that is none"),
        (no_number, "a number that is none"),
        (odd_layers, "value of the wrong kind"),
        (odd_numbers, "value of the wrong kind"),
        (square_weights, "no row of weights"),
        (cut_weights, "is damaged"),
        (no_card, "There is no critic in"),
    ],
)
def test_a_critic_that_cannot_be_read_is_an_error_in_words(harm, said: str, tmp_path: Path) -> None:
    critic, _ = fit_critic(labels(tmp_path), CriticSettings())
    critic.save(tmp_path / "critic")
    harm(tmp_path / "critic")
    with pytest.raises(DataError, match=said):
        Critic.load(tmp_path / "critic")


def test_a_critic_with_weights_for_other_features_says_so(tmp_path: Path) -> None:
    critic, _ = fit_critic(labels(tmp_path), CriticSettings())
    critic.save(tmp_path / "critic")
    np.savez_compressed(tmp_path / "critic" / "weights.npz", weights=np.zeros(10))
    with pytest.raises(DataError, match="10 weights for 65,536 features"):
        Critic.load(tmp_path / "critic").probabilities(["a text"])


def test_what_people_said_of_a_run_s_rounds_can_train_a_critic(tmp_path: Path) -> None:
    lines = [
        {"input": "A long text.", "output": "A text.", "label": "yes", "slice": "round"},
        {"input": "A long text.", "output": "A tale.", "label": "no"},
        {"input": "A long text.", "output": "Nobody has said.", "label": None},
    ]
    found = read_labels(write_rows(tmp_path / "audit.jsonl", lines), load_schema("atomic"))
    assert [(one.text, one.good) for one in found] == [
        (("A long text.", "A text."), True),
        (("A long text.", "A tale."), False),
    ]


def test_a_critic_refuses_other_weights_than_it_was_trained_with(tmp_path: Path) -> None:
    name, student = features("student", tmp_path)
    critic, _ = fit_critic(labels(tmp_path), CriticSettings(features=name), student=student)
    critic.save(tmp_path / "critic")
    save_tiny(tmp_path / "tiny", seed=7)
    with pytest.raises(DataError, match="has changed"):
        Critic.load(tmp_path / "critic")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("1_Pooling/config.json", '{"pooling_mode_cls_token": true}'),
        ("sentence_bert_config.json", '{"max_seq_length": 4}'),
    ],
)
def test_a_critic_refuses_an_encoder_that_reads_otherwise(tmp_path: Path, file: str, text: str) -> None:
    name, _ = features("encoder", tmp_path)
    critic, _ = fit_critic(labels(tmp_path), CriticSettings(features=name))
    critic.save(tmp_path / "critic")
    Critic.load(tmp_path / "critic")
    (Path(name) / file).write_text(text)
    with pytest.raises(DataError, match="has changed"):
        Critic.load(tmp_path / "critic")


@pytest.mark.parametrize("kind", ["student", "likelihood"])
def test_a_critic_reads_in_the_numbers_it_was_trained_with_on_any_machine(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, student = features(kind, tmp_path)
    assert student is not None
    known = [Labelled(f"{'aeiou' if n % 2 else 'XQZWK'} {n * n}", bool(n % 2), str(n)) for n in range(40)]
    said, identities = [], []
    for native in (False, True):
        monkeypatch.setattr("symdistill.models.weights.bfloat16_is_native", lambda native=native: native)
        critic, _ = fit_critic(known, CriticSettings(features=name), student=student)
        critic.save(tmp_path / f"{native}")
        said.append(critic.probabilities(texts(GOOD)))
        identities.append(critic.identity)
    assert identities[0] != identities[1]
    assert not np.array_equal(*said)
    for native, kept in zip((False, True), said, strict=True):
        monkeypatch.setattr("symdistill.models.weights.bfloat16_is_native", lambda native=native: not native)
        again = Critic.load(tmp_path / f"{native}")
        assert np.array_equal(again.probabilities(texts(GOOD)), kept)


def test_a_critic_from_before_its_numbers_were_kept_is_read_in_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, student = features("student", tmp_path)
    monkeypatch.setattr("symdistill.models.weights.bfloat16_is_native", lambda: False)
    critic, _ = fit_critic(labels(tmp_path), CriticSettings(features=name), student=student)
    critic.save(tmp_path / "critic")
    card = json.loads((tmp_path / "critic" / "critic.json").read_text())
    assert card.pop("dtype") == "float32"
    (tmp_path / "critic" / "critic.json").write_text(json.dumps(card))
    monkeypatch.setattr("symdistill.models.weights.bfloat16_is_native", lambda: True)
    again = Critic.load(tmp_path / "critic")
    assert np.array_equal(again.probabilities(texts(GOOD)), critic.probabilities(texts(GOOD)))


@pytest.mark.parametrize("kind", ["student", "likelihood"])
def test_the_template_of_a_student_says_nothing_of_its_features(kind: str, tmp_path: Path) -> None:
    place = save_tiny(tmp_path / "tiny")
    tokenizer = tiny_tokenizer()
    # Without a begin token it could hang on the template what a text stands behind.
    tokenizer.bos_token, tokenizer.eos_token = None, "<|endoftext|>"
    tokenizer.save_pretrained(place)
    seen = [
        open_features(kind, student=StudentSettings(model=str(place), template=template, dtype="float32"))
        for template in ("auto", "chat", "plain")
    ]
    assert len({one.identity for one in seen}) == 1
    rows = [one.rows(texts(GOOD)) for one in seen]
    assert all(np.array_equal(rows[0], other) for other in rows[1:])
