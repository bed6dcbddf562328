"""The response store: what goes in comes out, once, whatever happens to the process, the file or the disk."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symdistill import content
from symdistill.errors import StoreError
from symdistill.records import Completion, Failure, Message, Request, Sampling
from symdistill.sampling import ResponseStore, Spending

SAMPLING = Sampling(temperature=0.7, max_tokens=64)


def asked(question: str = "2 + 3 =", index: int = 0, model: str = "m", sampling: Sampling = SAMPLING) -> Request:
    return content.request(model, [Message("user", question)], sampling, index)


def reply(request: Request, text: str = "5", **values) -> Completion:
    return Completion(request.key, text, **values)


@pytest.fixture
def store(tmp_path):
    with ResponseStore(tmp_path / "store.sqlite") as opened:
        yield opened


words = st.text(max_size=30)
samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0, 0.0, 0.7, 1, 1.0]),
    max_tokens=st.integers(1, 9),
    top_p=st.sampled_from([1.0, 0.5]),
    stop=st.lists(words, max_size=2).map(tuple),
    logprobs=st.booleans(),
    then=st.sampled_from(["", "\nSo:", "\ud83d"]),
)
requests = st.builds(
    content.request,
    st.sampled_from(["openai:a", "llama_cpp:b"]),
    st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), words), min_size=1, max_size=2),
    samplings,
    st.integers(0, 2),
)
logprobs = st.lists(st.integers(-2_000_000, 0).map(lambda hundred_thousandths: hundred_thousandths / 1e5), max_size=4)
shares = st.integers(0, 100_000).map(lambda hundred_thousandths: hundred_thousandths / 1e5)
stretches = st.builds(
    Completion,
    key=st.just(""),
    text=words,
    reasoning=st.none() | words,
    finish_reason=st.sampled_from(["stop", "length"]),
    prompt_tokens=st.integers(0, 10**6),
    completion_tokens=st.integers(0, 10**6),
    cached_prompt_tokens=st.integers(0, 100),
    token_logprobs=st.none() | logprobs.map(tuple),
    cost_usd=st.floats(0, 10),
    seconds=st.floats(0, 100),
    top_two=st.none() | st.lists(st.tuples(shares, shares), max_size=3).map(tuple),
)
completions = st.builds(lambda reply, first: replace(reply, first=first), stretches, st.none() | stretches)
failures = st.builds(
    Failure,
    key=st.just(""),
    kind=st.sampled_from(["refused", "timeout", "server"]),
    message=words,
    attempts=st.integers(1, 9),
    cost_usd=st.floats(0, 1),
    tokens=st.integers(0, 99),
)


def answered(request: Request, answer: Completion | Failure) -> tuple[Request, Completion | Failure]:
    """The reply with the request's key, in both stretches where it has two."""
    if isinstance(answer, Completion) and answer.first is not None:
        answer = replace(answer, first=replace(answer.first, key=request.key))
    return request, replace(answer, key=request.key)


entries = st.builds(answered, requests, completions | failures)
batches = st.lists(st.lists(entries, max_size=4), max_size=5)


@given(batches)
@settings(max_examples=40, deadline=None)
def test_any_sequence_of_adds_is_readable_back(tmp_path_factory, added):
    path = tmp_path_factory.mktemp("store") / "store.sqlite"
    first: dict[str, Completion] = {}
    latest: dict[str, Failure] = {}
    spent = 0.0
    with ResponseStore(path) as store:
        for batch in added:
            repeated = []
            new = 0
            for request, answer in batch:
                spent += answer.cost_usd
                if isinstance(answer, Completion) and request.key in first:
                    repeated.append(request.key)
                    continue
                new += 1
                (first if isinstance(answer, Completion) else latest)[request.key] = answer
            result = store.add(batch, "run")
            assert (result.new, list(result.repeated)) == (new, repeated)
    keys = [request.key for batch in added for request, _ in batch] + ["r1_nothing"]
    with ResponseStore(path) as store:
        assert store.completions(keys) == first
        assert store.failures(keys) == {key: failure for key, failure in latest.items() if key not in first}
        assert store.missing(keys) == [key for key in dict.fromkeys(keys) if key not in first]
        assert math.isclose(store.spending("run").usd, spent, abs_tol=1e-9)
        assert store.verify().problems == ()


def test_the_first_reply_stands(store):
    request = asked()
    store.add([(request, reply(request, "first"))], "run")
    again = store.add([(request, reply(request, "second"))], "run")
    assert (again.new, again.repeated) == (0, (request.key,))
    assert store.completions([request.key])[request.key].text == "first"


def test_replies_come_in_the_order_asked_for(store):
    wanted = [asked(index=index) for index in (3, 1, 2)]
    store.add([(r, reply(r)) for r in sorted(wanted, key=lambda r: r.key)], "run")
    assert list(store.completions(r.key for r in wanted)) == [r.key for r in wanted]


def test_many_failures_of_one_request_are_kept_and_the_latest_counts(store):
    request = asked()
    for kind in ("timeout", "server"):
        store.add([(request, Failure(request.key, kind, kind))], "run")
    assert store.failures([request.key])[request.key].kind == "server"
    assert store.spending("run").calls == 2
    store.add([(request, reply(request))], "run")
    assert store.failures([request.key]) == {}, "a reply ends the story of its failures"


def test_an_add_is_all_or_nothing(store):
    good, bad = asked(index=0), asked(index=1)
    with pytest.raises(ValueError, match="does not belong"):
        store.add([(good, reply(good)), (bad, reply(good))], "run", usd=1.0)
    assert store.missing([good.key]) == [good.key]
    assert store.spending("run") == Spending()


def test_spending_is_by_run_and_counts_what_stands_on_no_reply(store):
    one, two = asked(index=0), asked(index=1)
    store.add([(one, reply(one, prompt_tokens=5, completion_tokens=7, cost_usd=0.25))], "a", usd=0.5, tokens=100)
    store.add([(two, Failure(two.key, "refused", "no", cost_usd=0.125, tokens=3))], "a", usd=-0.25, tokens=-50)
    store.add([], "b", usd=9.0, tokens=9)
    assert store.spending("a") == Spending(0.625, 65, 2)
    assert store.spending("b") == Spending(9.0, 9, 0)
    assert store.spending("unknown") == Spending()


def test_numbers_of_one_value_are_one_request():
    for one, other in ((Sampling(temperature=1), Sampling(temperature=1.0)), (Sampling(top_p=True), Sampling())):
        assert asked(sampling=one).key == asked(sampling=other).key


@pytest.mark.parametrize(
    "given_, stored",
    [((-0.123456789, -1.0), (-0.12346, -1.0)), ((-math.inf, math.nan), (-20000.0, -20000.0)), ((), ())],
)
def test_log_probabilities_are_kept_to_five_decimals(store, given_, stored):
    request = asked()
    store.add([(request, reply(request, token_logprobs=given_))], "run")
    assert store.completions([request.key])[request.key].token_logprobs == stored


def test_text_without_utf_8_and_with_zeros_survives(store):
    request = asked("half a pair \ud83d and \x00", sampling=Sampling(stop=("\udc00",)))
    store.add([(request, reply(request, "a\ud800b\x00c"))], "run")
    assert store.completions([request.key])[request.key].text == "a\ufffdb\x00c"
    assert store.verify().sound
    assert [r for r, _ in store.entries()] == [request]


def test_both_stretches_of_a_reply_are_kept_alike(store):
    request = asked(sampling=replace(SAMPLING, then="\nSo:"))
    odd = {"text": "a\ud800b\x00c", "token_logprobs": (-0.123456789, -math.inf), "top_two": ((0.123456789, 0.1),)}
    store.add([(request, reply(request, first=reply(request, **odd), **odd))], "run")
    found = store.completions([request.key])[request.key]
    assert found.first is not None
    assert replace(found, first=None) == found.first
    assert found.first.text == "a\ufffdb\x00c"
    assert [r for r, _ in store.entries()] == [request]
    assert store.verify().sound


def test_a_store_from_before_there_were_two_stretches_takes_them(tmp_path):
    path = tmp_path / "store.sqlite"
    old, new = asked(index=0), asked(index=1)
    with ResponseStore(path) as store:
        store.add([(old, reply(old, "old"))], "run")
    before = sqlite3.connect(path)
    before.execute("ALTER TABLE completions DROP COLUMN first")
    before.execute("PRAGMA user_version = 2")
    before.close()
    with ResponseStore(path) as store:
        store.add([(new, reply(new, " 5.", first=reply(new, "2 and 3.")))], "run")
        found = store.completions([old.key, new.key])
    assert [c.first.text if c.first else None for c in found.values()] == [None, "2 and 3."]


@pytest.mark.parametrize("table", ["prompts", "completions", "failures", "charges"])
@pytest.mark.parametrize("change", ["UPDATE {} SET rowid = rowid", "DELETE FROM {}"])
def test_what_is_written_cannot_be_changed(store, table, change):
    one, two = asked(index=0), asked(index=1)
    store.add([(one, reply(one)), (two, Failure(two.key, "refused", "no"))], "run", usd=1.0)
    if table == "prompts":
        change = change.replace("rowid = rowid", "key = key")
    other = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        other.execute(change.format(table))
    other.close()


def test_verify_finds_content_that_was_changed(store):
    one, two = asked("2 + 3 ="), asked("2 + 4 =")
    store.add([(one, reply(one)), (two, Failure(two.key, "server", "x"))], "run")
    assert store.verify().sound
    other = sqlite3.connect(store.path)
    for trigger in ("prompts_update", "failures_update"):
        other.execute(f"DROP TRIGGER {trigger}")
    other.execute("UPDATE prompts SET messages = replace(messages, '2 + 3', '9 + 9')")
    other.execute("UPDATE failures SET sample_index = 7")
    other.commit()
    other.close()
    problems = store.verify().problems
    assert len(problems) == 3
    assert any(one.key in problem for problem in problems)
    assert any(two.key in problem for problem in problems)


def test_stats_count(store):
    one, two, three = (asked(index=i) for i in range(3))
    other = asked(model="n")
    store.add([(one, reply(one, prompt_tokens=2, completion_tokens=3, cost_usd=0.5)), (other, reply(other))], "a")
    store.add([(two, reply(two))], "b")
    store.add([(three, Failure(three.key, "timeout", "slow"))], "b")
    stats = store.stats()
    assert (stats.prompts, stats.replies, stats.failures, stats.runs) == (1, 3, {"timeout": 1}, {"a": 2, "b": 1})
    assert [(m.model, m.replies, m.prompt_tokens, m.completion_tokens, m.cost_usd) for m in stats.models] == [
        ("m", 2, 2, 3, 0.5),
        ("n", 1, 0, 0, 0.0),
    ]
    assert stats.bytes > 0


# What can be wrong with the file


def damaged(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00" + b"\x07" * 5000)


def no_database(path: Path) -> None:
    path.write_text("question,answer\n" * 500)


def cut_short(path: Path) -> None:
    with ResponseStore(path) as store:
        store.add([(r, reply(r, "x" * 2000)) for r in (asked(index=i) for i in range(50))], "run")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_later_version(path: Path) -> None:
    ResponseStore(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


def of_another_program(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE recipes (name TEXT)")
    db.close()


def a_directory(path: Path) -> None:
    path.mkdir()


def below_a_file(path: Path) -> None:
    path.parent.joinpath("file").write_text("")


@pytest.mark.parametrize(
    "spoil, name, said",
    [
        (damaged, "store.sqlite", "damaged"),
        (no_database, "store.sqlite", "damaged"),
        (cut_short, "store.sqlite", "damaged"),
        (of_later_version, "store.sqlite", "later version"),
        (of_another_program, "store.sqlite", "another program"),
        (a_directory, "store.sqlite", "cannot open"),
        (below_a_file, "file/store.sqlite", "cannot make the directory"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_clear_error(tmp_path, spoil, name, said):
    spoil(tmp_path / "store.sqlite")
    with pytest.raises(StoreError) as caught, ResponseStore(tmp_path / name) as store:
        store.verify()
    assert said in str(caught.value).lower()
    assert str(tmp_path) in caught.value.message
    assert caught.value.fix


def test_pages_overwritten_in_the_middle_are_found(tmp_path):
    path = tmp_path / "store.sqlite"
    wanted = [asked(index=i) for i in range(200)]
    with ResponseStore(path) as store:
        store.add([(r, reply(r, "x" * 500)) for r in wanted], "run")
    content_ = bytearray(path.read_bytes())
    content_[8192:40960] = b"\xff" * (40960 - 8192)
    path.write_bytes(content_)
    with pytest.raises(StoreError, match=r"(?i)damaged"), ResponseStore(path) as store:
        store.completions(r.key for r in wanted)


FILL_THE_DISK = """
import resource, signal, sys
from symdistill import content
from symdistill.errors import StoreError
from symdistill.records import Completion, Message, Sampling
from symdistill.sampling import ResponseStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
with ResponseStore(sys.argv[1]) as store:
    try:
        for index in range(10_000):
            request = content.request("m", [Message("user", "q")], Sampling(), index)
            store.add([(request, Completion(request.key, "x" * 1000))], "run")
            print(request.key)
    except StoreError as error:
        print(error, file=sys.stderr)
"""


def test_a_full_disk_is_a_clear_error_and_nothing_stored_is_lost(tmp_path):
    path = tmp_path / "store.sqlite"
    done = subprocess.run([sys.executable, "-c", FILL_THE_DISK, path], capture_output=True, text=True, check=False)
    written = done.stdout.split()
    assert len(written) > 20
    assert "Cannot write" in done.stderr
    assert "kept" in done.stderr
    assert "disk space" in done.stderr
    with ResponseStore(path) as store:
        assert store.missing(written) == []
        assert store.verify().sound


def test_a_store_locked_too_long_is_a_clear_error(tmp_path):
    path = tmp_path / "store.sqlite"
    with ResponseStore(path, busy_seconds=0.1) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        request = asked()
        with pytest.raises(StoreError, match=r"locked .* for 0\.1 s"):
            store.add([(request, reply(request))], "run")
        assert store.missing([request.key]) == [request.key], "reading goes on"
        other.execute("ROLLBACK")
        assert store.add([(request, reply(request))], "run").new == 1
        other.close()


WRITE = """
import sys
from symdistill import content
from symdistill.records import Completion, Message, Sampling
from symdistill.sampling import ResponseStore
with ResponseStore(sys.argv[1]) as store:
    for index in range(100):
        request = content.request("m", [Message("user", sys.argv[2])], Sampling(), index)
        store.add([(request, Completion(request.key, "x"))], sys.argv[2])
"""


def test_processes_may_write_at_once_into_a_new_store(tmp_path):
    path = tmp_path / "store.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, path, name]) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with ResponseStore(path) as store:
        assert store.stats().runs == {"a": 100, "b": 100, "c": 100}
        assert store.verify().sound


def test_threads_may_share_a_store(store):
    def write(name: str) -> None:
        for index in range(50):
            request = asked(name, index)
            store.add([(request, reply(request))], name)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.stats().replies == 200
