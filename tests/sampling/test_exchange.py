"""Export and import: a recorded teacher travels as a file and comes out of a store as it went into the other."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill import content
from symdistill.errors import DataError
from symdistill.models.recording import read_recording
from symdistill.records import Completion, Failure, Message, Sampling
from symdistill.sampling import Exchanged, ResponseStore, export_store, import_recording

words = st.text(max_size=20)
requests = st.builds(
    content.request,
    st.sampled_from(["a", "b"]),
    st.lists(st.builds(Message, st.just("user"), words), min_size=1, max_size=2),
    st.builds(
        Sampling,
        temperature=st.sampled_from([0.0, 0.7]),
        stop=st.lists(words, max_size=1).map(tuple),
        then=st.sampled_from(["", "\nSo:"]),
    ),
    st.integers(0, 2),
)
stretches = st.builds(
    Completion,
    key=st.just(""),
    text=words,
    reasoning=st.none() | words,
    prompt_tokens=st.integers(0, 99),
    token_logprobs=st.none() | st.lists(st.floats(-30, 0), max_size=3).map(tuple),
    cost_usd=st.floats(0, 1),
    top_two=st.none() | st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=3).map(tuple),
)
failures = st.builds(Failure, key=st.just(""), kind=st.sampled_from(["refused", "server"]), message=words)
entries = st.builds(
    lambda r, a, first: (r, replace(a, key=r.key) if isinstance(a, Failure) else replace(a, key=r.key, first=first)),
    requests,
    stretches | failures,
    st.none() | stretches,
)


def entry(index: int, model: str = "m", text: str = "5"):
    request = content.request(model, [Message("user", "2 + 3 =")], Sampling(temperature=0.7), index)
    return request, Completion(request.key, text, prompt_tokens=4, completion_tokens=1)


def failed(index: int, kind: str = "refused"):
    request = entry(index)[0]
    return request, Failure(request.key, kind, "no", 2)


@given(st.lists(entries, min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_export_import_export_gives_the_same_bytes(tmp_path_factory, added):
    folder = tmp_path_factory.mktemp("exchange")
    with ResponseStore(folder / "one.sqlite") as one, ResponseStore(folder / "two.sqlite") as two:
        one.add(added, "run")
        out = export_store(one, folder / "one.jsonl.gz")
        into = import_recording(two, folder / "one.jsonl.gz")
        assert (into.replies, into.failures, into.repeated) == (out.replies, out.failures, 0)
        assert import_recording(two, folder / "one.jsonl.gz") == Exchanged(0, 0, out.replies + out.failures)
        export_store(two, folder / "two.jsonl.gz")
        assert list(one.entries()) == list(two.entries())
        assert two.verify().sound
    assert (folder / "one.jsonl.gz").read_bytes() == (folder / "two.jsonl.gz").read_bytes()


def test_the_order_of_buying_does_not_show(tmp_path):
    added = [entry(index) for index in range(5)]
    for name, order in (("one", added), ("two", added[::-1])):
        with ResponseStore(tmp_path / f"{name}.sqlite") as store:
            for item in order:
                store.add([item], name)
            export_store(store, tmp_path / f"{name}.jsonl.gz")
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


def test_the_header_says_what_made_it(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as store:
        store.add([entry(0), entry(1), failed(2)], "run")
        export_store(store, tmp_path / "r.jsonl.gz", note="bought in May")
    with gzip.open(tmp_path / "r.jsonl.gz", "rt", encoding="utf-8") as file:
        header = json.loads(file.readline())
    assert header == {
        "format": "symdistill-recording",
        "version": 1,
        "models": ["m"],
        "settings": [{"temperature": 0.7}],
        "replies": 2,
        "failures": 1,
        "note": "bought in May",
    }


@pytest.mark.parametrize(
    "chosen, keys",
    [
        ({}, {"m0", "m1", "n0"}),
        ({"model": "m"}, {"m0", "m1"}),
        ({"run": "second"}, {"m1", "n0"}),
        ({"model": "m", "run": "second"}, {"m1"}),
    ],
)
def test_a_model_or_a_run_can_be_chosen(tmp_path, chosen, keys):
    named = {"m0": entry(0), "m1": entry(1), "n0": entry(0, "n")}
    with ResponseStore(tmp_path / "store.sqlite") as store:
        store.add([named["m0"]], "first")
        store.add([named["m1"], named["n0"]], "second")
        export_store(store, tmp_path / "r.jsonl", **chosen)
    assert set(read_recording(tmp_path / "r.jsonl").replies) == {named[name][0].key for name in keys}


def test_what_was_written_without_prompts_is_not_imported(tmp_path):
    with ResponseStore(tmp_path / "one.sqlite") as store:
        store.add([entry(0), failed(1)], "run")
        assert export_store(store, tmp_path / "r.jsonl", prompts=False) == Exchanged(1, 1)
    with pytest.raises(DataError, match="without prompts") as refused:
        import_recording(tmp_path / "two.sqlite", tmp_path / "r.jsonl")
    assert "recorded:" in refused.value.fix
    assert not (tmp_path / "two.sqlite").exists()


def test_nothing_to_export_is_said(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as store:
        store.add([entry(0)], "run")
        with pytest.raises(DataError, match="no replies of other"):
            export_store(store, tmp_path / "r.jsonl", model="other")
        with pytest.raises(DataError, match="Cannot write"):
            export_store(store, tmp_path / "nowhere" / "r.jsonl")
    assert not (tmp_path / "r.jsonl").exists()


def test_only_what_was_never_answered_travels_as_a_failure(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as store:
        store.add([failed(0, "server"), failed(1, "server"), failed(1, "refused")], "run")
        store.add([entry(0)], "run")
        export_store(store, tmp_path / "r.jsonl")
    recording = read_recording(tmp_path / "r.jsonl")
    assert list(recording.replies) == [entry(0)[0].key]
    assert [failure.kind for failure in recording.failures.values()] == ["refused"]


def test_what_is_in_the_store_stays(tmp_path):
    with ResponseStore(tmp_path / "one.sqlite") as one, ResponseStore(tmp_path / "two.sqlite") as two:
        one.add([entry(0, text="theirs"), entry(1, text="theirs"), failed(2)], "run")
        export_store(one, tmp_path / "r.jsonl")
        two.add([entry(0, text="ours"), entry(2, text="ours")], "run")
        assert import_recording(two, tmp_path / "r.jsonl") == Exchanged(1, 0, 2)
        texts = {r.sample_index: reply.text for r, reply in two.entries()}
        assert texts == {0: "ours", 1: "theirs", 2: "ours"}
        assert two.spending("run").calls == 2, "imported replies weigh on no run's budget"


def test_nothing_is_imported_from_a_file_with_one_bad_line(tmp_path):
    path = tmp_path / "r.jsonl"
    with ResponseStore(tmp_path / "one.sqlite") as one:
        one.add([entry(0)], "run")
        export_store(one, path)
    path.write_text(path.read_text() + path.read_text().splitlines()[1].replace("2 + 3", "3 + 3") + "\n")
    with ResponseStore(tmp_path / "two.sqlite") as two:
        with pytest.raises(DataError, match="line 3"):
            import_recording(two, path)
        assert two.stats().replies == 0
