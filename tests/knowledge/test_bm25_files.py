from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from symdistill.errors import DataError
from symdistill.knowledge import Bm25Index, terms

TEXTS = ["one fish two fish", "red fish, blue fish", "1,234 boats and 3.5 oars", "", "half a pair \ud800", "naïve été"]
QUERY = "a red fish on 3.5 boats, été"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    Bm25Index.build(TEXTS, k1=0.9, b=0.4).save(tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize("mmap", [True, False])
def test_a_loaded_index_finds_what_the_built_one_finds(saved: Path, mmap: bool) -> None:
    index = Bm25Index.load(saved, mmap=mmap)
    built = Bm25Index.build(TEXTS, k1=0.9, b=0.4)
    assert (len(index), index.k1, index.b) == (6, 0.9, 0.4)
    assert index.search(QUERY, 6) == built.search(QUERY, 6)
    assert len(index.search(QUERY, 6)) == 5


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("texts", [[], [""], ["?"]])
def test_an_index_without_words_is_saved_and_loaded(texts: list[str], mmap: bool, tmp_path: Path) -> None:
    Bm25Index.build(texts).save(tmp_path / "index")
    index = Bm25Index.load(tmp_path / "index", mmap=mmap)
    assert len(index) == len(texts)
    assert index.search("fish", 3) == []


def test_a_loaded_index_can_be_saved_elsewhere(saved: Path, tmp_path: Path) -> None:
    Bm25Index.load(saved).save(tmp_path / "deep" / "copy")
    for file in saved.iterdir():
        assert (tmp_path / "deep" / "copy" / file.name).read_bytes() == file.read_bytes()


def test_saving_again_replaces_the_index_under_its_readers(saved: Path) -> None:
    before = Bm25Index.load(saved)
    expected = before.search(QUERY, 6)
    Bm25Index.build(["another fish"]).save(saved)
    assert before.search(QUERY, 6) == expected
    assert len(Bm25Index.load(saved)) == 1
    assert [path.name for path in saved.parent.iterdir()] == ["index"]


def test_an_index_saved_over_itself_stays_whole(saved: Path) -> None:
    index = Bm25Index.load(saved)
    expected = index.search(QUERY, 6)
    index.save(saved)
    assert Bm25Index.load(saved, mmap=False).search(QUERY, 6) == expected


def test_a_save_that_fails_leaves_the_old_index_and_nothing_else(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        with pytest.raises(DataError, match="no space left"):
            Bm25Index.build(["another fish"]).save(saved)
    assert [path.name for path in saved.parent.iterdir()] == ["index"]
    assert len(Bm25Index.load(saved, mmap=False)) == len(TEXTS)


def test_what_is_no_index_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear …")
    (tmp_path / "file").write_text("words")
    for place in ("letters", "file"):
        with pytest.raises(DataError, match="not a BM25 index"):
            Bm25Index.build(TEXTS).save(tmp_path / place)
    assert (tmp_path / "letters" / "dear.txt").read_text() == "Dear …"
    with pytest.raises(DataError, match="Cannot write"):
        Bm25Index.build(TEXTS).save(tmp_path / "file" / "index")


def manifest_with(**values: object) -> Callable[[Path], None]:
    def change(index: Path) -> None:
        manifest = json.loads((index / "index.json").read_text())
        (index / "index.json").write_text(json.dumps(manifest | values))

    return change


def cut(name: str) -> Callable[[Path], None]:
    return lambda index: (index / name).write_bytes((index / name).read_bytes()[:-4])


def replaced(name: str, array: np.ndarray) -> Callable[[Path], None]:
    def change(index: Path) -> None:
        np.save(index / name, array)
        manifest = json.loads((index / "index.json").read_text())
        manifest["files"][name]["bytes"] = (index / name).stat().st_size
        (index / "index.json").write_text(json.dumps(manifest))

    return change


DAMAGE = {
    "cut": (cut("data.csc.index.npy"), "damaged: data.csc.index.npy has"),
    "cut vocabulary": (cut("vocab.index.json"), "damaged: vocab.index.json has"),
    "missing": (lambda index: (index / "maxima.npy").unlink(), "damaged: maxima.npy is missing"),
    "not JSON": (lambda index: (index / "index.json").write_text("{"), "damaged: index.json is not JSON"),
    "a list": (lambda index: (index / "index.json").write_text("[]"), "damaged: index.json names no version"),
    "no files": (manifest_with(files=3), "damaged"),
    "no manifest": (lambda index: (index / "index.json").unlink(), "is not a BM25 index"),
    "nothing": (shutil.rmtree, "is not a BM25 index"),
    "later": (manifest_with(version=99), "later version"),
    "later terms": (manifest_with(tokenizer=99), "later version"),
    "earlier": (manifest_with(version=0), "earlier version"),
    "other counts": (manifest_with(postings=3), "damaged: its files do not belong together"),
    "falling offsets": (replaced("indptr.csc.index.npy", np.array([0, 5, 3])), "damaged: its files do not belong"),
    "another type": (replaced("maxima.npy", np.array([1.0, 2.0])), "damaged: maxima.npy holds 1-dimensional float64"),
    "objects": (replaced("maxima.npy", np.array([{}, None], dtype=object)), "damaged"),
}


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_index_is_refused_and_named(name: str, mmap: bool, saved: Path) -> None:
    damage, message = DAMAGE[name]
    damage(saved)
    if not mmap and name in ("falling offsets", "another type", "objects"):
        message = "has changed since it was written"  # the checksum speaks first
    with pytest.raises(DataError, match=message) as caught:
        Bm25Index.load(saved, mmap=mmap)
    assert str(saved) in caught.value.message
    assert caught.value.fix


def scribble(index: Path, value: int) -> None:
    """Overwrite the last posting's text, which no check of sizes can see."""
    rows = np.load(index / "indices.csc.index.npy", mmap_mode="r+")
    rows[-1] = value
    rows.flush()


def test_changed_bytes_are_found_when_everything_is_read(saved: Path) -> None:
    scribble(saved, 0)
    with pytest.raises(DataError, match=r"indices.csc.index.npy has changed"):
        Bm25Index.load(saved, mmap=False)


def test_a_posting_outside_the_index_is_found_when_it_is_met(saved: Path) -> None:
    scribble(saved, 2**30)
    index = Bm25Index.load(saved)
    assert index.search("fish", 3)
    with pytest.raises(DataError, match="damaged: a posting points outside"):
        index.search("été", 3)


def test_the_library_bm25s_opens_the_directory(saved: Path) -> None:
    bm25s = pytest.importorskip("bm25s")
    other = bm25s.BM25.load(saved, mmap=True)
    index = Bm25Index.load(saved)
    for query in (QUERY, "fish", "half a pair"):
        known = [term for term in terms(query) if term in other.vocab_dict]
        assert index.scores(query, range(6)) == pytest.approx(other.get_scores(known), rel=1e-5)
