"""Named questions in a file that people edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symdistill.errors import DataError
from symdistill.knowledge.rules.logic import is_name
from symdistill.knowledge.trees.features import named_after, read_features, write_features

QUESTIONS = {"acting": "Does it praise the acting: yes?", "boring": 'Is it "boring", or # dull?', "q_3": "☃ é?"}


def test_questions_are_read_back_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "questions.yaml"
    write_features(path, QUESTIONS, ["left out: too noisy\nand more"])
    assert list(read_features(path).items()) == list(QUESTIONS.items())
    assert path.read_text().endswith("# left out: too noisy and more\n")


def test_people_write_plain_lines(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text("acting: Is the acting praised?\n\n# later\nbored: Is it\n  dull?\n")
    assert read_features(tmp_path / "q.yaml") == {"acting": "Is the acting praised?", "bored": "Is it dull?"}


@pytest.mark.parametrize(
    "content, problem",
    [
        ("", "holds no questions"),
        ("- a\n- b", "holds no questions"),
        ("acting: Good?\nacting: Bad?", "line 2: `acting` stands there twice"),
        ("acting: Good?\nIs it: good?", "line 2: 'Is it' cannot be the name"),
        ("label: Good?", "'label' cannot be the name"),
        ("and: Good?", "'and' cannot be the name"),
        ("acting:\n", "line 1: a name and its question"),
        ("acting: [a]\n", "line 1: a name and its question"),
        ("acting: Good?\nboring: 'open", "not valid YAML"),
        ("a: !!python/object:os.system x\n", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(content)
    if not problem:  # a tag says nothing here: the text is the question
        assert read_features(path) == {"a": "x"}
        return
    with pytest.raises(DataError) as raised:
        read_features(path)
    assert problem in raised.value.message
    assert raised.value.message.startswith(str(path))


@pytest.mark.parametrize(
    "text, name",
    [
        ("Does the review praise the acting of the lead?", "review_praise_acting_lead"),
        ("Is it?", "is_it"),
        ("3D effects?", "q_3d_effects"),
        ("电影好看吗？", "feature"),
        ("Label?", "label_2"),
        ("and or?", "and_or"),
    ],
)
def test_a_name_is_made_of_the_words_that_tell(text: str, name: str) -> None:
    assert named_after(text) == name


@given(st.text(), st.lists(st.text(alphabet="ab"), max_size=3))
def test_a_name_is_always_usable_and_new(text: str, taken: list[str]) -> None:
    name = named_after(text, taken)
    assert is_name(name)
    assert name not in taken
    assert named_after(text, [*taken, name]) != name
