"""A run's knowledge graph: a teacher is asked once for everything, and what it says is in the graph."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from loopback import LoopbackServer
from symdistill.cli.main import main
from symdistill.errors import ConfigError, DataError
from symdistill.knowledge.triples import Batch, Triple, canonical_hash, write_triples
from symdistill.knowledge.triples.store import TripleStore
from symdistill.runs.config import load_config, parse_config
from symdistill.runs.graphs import Wanted, generate, graph_of, read_heads, read_texts
from symdistill.runs.workspace import workspace


def reply(prompt: str, seed: int) -> str:
    """A teacher that knows a few things and numbers them."""
    if "more of the same form" in prompt:
        return "1. PersonX sings in a choir\n2. PersonX waters the plants\n3. PersonX forgets an umbrella"
    if "Write the facts." in prompt:
        return "rain | Causes | wet streets\nsnow | Causes | cold feet"
    return "Sure!\n1. to rest\n2. none\n3. to celebrate"


@pytest.fixture
def server():
    with LoopbackServer(reply=reply) as running:
        yield running


def config_for(server: LoopbackServer, tmp_path: Path) -> Path:
    path = tmp_path / "kg.yaml"
    teacher = {"model": "openai:teacher", "base_url": server.base_url, "temperature": 0.7}
    path.write_text(json.dumps({"teacher": teacher}))
    return path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")

    def run(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["triples", *map(str, words)])
        code = stopped.value.code
        return (code if isinstance(code, int) else 1), capsys.readouterr().out

    return run


def test_generating_buys_nothing_twice(call, server: LoopbackServer, tmp_path: Path) -> None:
    config, run = config_for(server, tmp_path), tmp_path / "run"
    (tmp_path / "heads.txt").write_text("PersonX bakes bread\n\nPersonX bakes bread\n")
    words = ("generate", config, "--run-dir", run, "--heads", tmp_path / "heads.txt", "--new-heads", 2)
    words = (*words, "--relation", "xWant", "--relation", "xAttr", "--samples", 2)
    code, out = call(*words)
    assert code == 0
    assert out.startswith("3 heads. ")
    served = server.served
    assert served == 1 + 3 * 2 * 2, "one request for heads, then head by relation by sample"
    store = TripleStore(run / "graph", create=False)
    triples = list(store.triples())
    assert len(triples) == 3 * 2 * 2 * 2
    assert {t.tail for t in triples} == {"to rest", "to celebrate"}
    assert len({t.batch for t in triples}) == 2
    assert all(t.source.startswith("r1_") for t in triples)
    assert (run / "graph" / "heads.txt").read_text().split("\n")[:3] == [
        *("PersonX bakes bread", "PersonX sings in a choir", "PersonX waters the plants"),
    ]
    assert {b.model for b in store.batches()} == {"openai:teacher"}
    assert {b.run for b in store.batches()} == {"run"}
    assert call("export", run, tmp_path / "p.ttl", "--provenance")[0] == 0
    assert "prov:wasInformedBy <urn:symdistill:run:run>" in (tmp_path / "p.ttl").read_text()
    before = canonical_hash(triples)
    code, out = call(*words)
    assert (code, server.served) == (0, served), "everything was in the store"
    assert canonical_hash(store.triples()) == before
    asked = [json.loads(line) for line in (run / "graph" / "asked.jsonl").read_text().splitlines()]
    assert len(asked) == served
    assert [reason for _, reason in asked[-1]["dropped"]] == ["not_listed", "nothing"]
    code, out = call("stats", run)
    assert code == 0
    assert "facts there would be            about 12 [12, 12]; 12 seen in 2 draws, 12 twice or more" in out


def test_extracting_from_texts_and_rationales(call, server: LoopbackServer, tmp_path: Path) -> None:
    config, run = config_for(server, tmp_path), tmp_path / "run"
    (tmp_path / "text.txt").write_text("The rain made the streets wet.\n\nHe had snow on his feet, and they were cold.")
    code, out = call("extract", config, "--run-dir", run, "--text", tmp_path / "text.txt", "--relation", "Causes")
    assert (code, out[:8]) == (0, "2 texts.")
    assert "not in text 2" in out
    store = TripleStore(run / "graph", create=False)
    assert {(t.head, t.tail) for t in store.triples()} == {("rain", "wet streets"), ("snow", "cold feet")}
    assert (store.batches()[0].used, store.batches()[0].run) == ("text.txt", "run")
    assert call("extract", config, "--run-dir", run)[0] == 2, "no rationales yet"
    row = {"id": "q1", "question": "?", "rationale": "Because of rain the streets are wet.", "answer": "a"}
    (run / "rationales.jsonl").write_text(json.dumps(row))
    code, out = call("extract", config, "--run-dir", run, "--relation", "Causes")
    assert (code, out[:7]) == (0, "1 text.")
    assert len(list(store.triples())) == 3


def test_a_reply_that_is_gone_is_found(call, server: LoopbackServer, tmp_path: Path) -> None:
    config, run = config_for(server, tmp_path), tmp_path / "run"
    words = ("generate", config, "--run-dir", run, "--new-heads", 1, "--relation", "xWant")
    assert call(*words)[0] == 0
    for source in (run, run / "graph"):
        code, out = call("validate", source)
        assert (code, "provenance" in out) == (0, False)
    store = TripleStore(run / "graph", create=False)
    (batch,) = store.batches()
    store.add([Triple("PersonX sings", "xWant", "a stage", 0.5, batch.id, "r1_gone")])
    for source in (run, run / "graph"):
        out = call("validate", source)[1]
        assert "provenance               1" in out
        assert "no reply is stored for its request 'r1_gone'" in out
    file = tmp_path / "t.jsonl"
    write_triples(file, store.triples(), store.batches())
    assert "provenance" not in call("validate", file)[1], "nobody knows where the replies of a file are"
    for place in (run, run / "store.sqlite"):
        assert "provenance               1" in call("validate", file, "--store", place)[1]
    assert call("validate", file, "--store", tmp_path / "none.sqlite")[0] == 2


def test_a_graph_beside_any_other_file_is_no_runs(call, tmp_path: Path) -> None:
    TripleStore(tmp_path / "graph").add(
        [Triple("PersonX sings", "xWant", "to rest", None, "t", "r1_x")], [Batch("t", "teacher")]
    )
    assert "0 findings" in call("validate", tmp_path / "graph")[1]


def test_an_unknown_relation_is_told_before_anything_is_bought(
    call, server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, run = config_for(server, tmp_path), tmp_path / "run"
    (tmp_path / "t.txt").write_text("The rain made the streets wet.")
    generating, extracting = ("generate", config, "--new-heads", 2), ("extract", config, "--text", tmp_path / "t.txt")
    for words in (generating, extracting):
        for more in ((), ("--dry-run",)):
            assert call(*words, "--run-dir", run, "--relation", "nope", *more)[0] == 2
    assert server.served == 0
    assert not (run / "graph").exists()
    with (
        workspace(load_config(config), tmp_path / "b", needs_method=False) as work,
        pytest.raises(DataError, match="no relation `nope`"),
    ):
        generate(work, graph_of(work), Wanted(new_heads=2, relations=("nope",)))
    assert server.served == 0


def test_a_dry_run_prices_the_schema_of_the_graph(call, server: LoopbackServer, tmp_path: Path) -> None:
    config, run = config_for(server, tmp_path), tmp_path / "run"
    (tmp_path / "mine.yaml").write_text(
        "name: kitchen\nheads: [apple]\nrelations:\n"
        '  keptIn: {verbalise: "{head} is kept in the {tail}"}\n  besides: {verbalise: "{head} is besides {tail}"}\n'
    )
    (tmp_path / "heads.txt").write_text("pear\nbread\n")
    words = ("generate", config, "--run-dir", run, "--heads", tmp_path / "heads.txt")
    assert call(*words, "--schema", tmp_path / "mine.yaml", "--relation", "keptIn")[0] == 0
    assert server.served == 2
    assert "To buy: 2 of 4 replies" in call(*words, "--dry-run")[1]
    assert "To buy: 0 of 2 replies" in call(*words, "--relation", "keptIn", "--dry-run")[1]
    assert call(*words, "--schema", "atomic", "--dry-run")[0] == 2, "the graph follows another one"
    (tmp_path / "t.txt").write_text("The apple is in the pantry.")
    code, _ = call(
        "extract", config, "--run-dir", run, "--text", tmp_path / "t.txt", "--relation", "besides", "--dry-run"
    )
    assert code == 0


def test_a_dry_run_asks_nobody(call, server: LoopbackServer, tmp_path: Path) -> None:
    config = config_for(server, tmp_path)
    words = ("generate", config, "--run-dir", tmp_path / "run", "--new-heads", 10, "--relation", "xWant", "--dry-run")
    code, out = call(*words)
    assert (code, server.served) == (0, 0)
    assert "To buy: 12 of 12 replies" in out
    assert not (tmp_path / "run" / "graph").exists()


def test_without_a_teacher_or_a_head(server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with (
        workspace(parse_config({}), tmp_path / "a", needs_method=False) as work,
        pytest.raises(ConfigError, match="No teacher"),
    ):
        generate(work, graph_of(work), Wanted(("PersonX sings",)))
    teacher = {"model": "openai:teacher", "base_url": server.base_url}
    config = parse_config({"teacher": teacher})
    with (
        workspace(config, tmp_path / "b", needs_method=False) as work,
        pytest.raises(DataError, match="There is no head to ask about"),
    ):
        generate(work, graph_of(work), Wanted(("a chair",), relations=("xWant",)))
    assert server.served == 0


def test_files_of_heads_and_texts(tmp_path: Path) -> None:
    (tmp_path / "h.txt").write_text("\ufeffa\n b \n\na\n")
    assert read_heads(tmp_path / "h.txt") == ("a", "b")
    (tmp_path / "t.jsonl").write_text('{"id": "p", "text": "one"}\n{"text": "two"}\n')
    assert read_texts(tmp_path / "t.jsonl") == {"p": "one", "line 2": "two"}
    (tmp_path / "t.jsonl").write_text('{"id": "p"}\n')
    with pytest.raises(DataError, match="line 1: there is no `text`"):
        read_texts(tmp_path / "t.jsonl")


def test_a_missing_file_is_told_with_its_key_and_the_one_that_was_meant(tmp_path: Path) -> None:
    (tmp_path / "heads.txt").write_text("a\n")
    for read in (read_heads, read_texts):
        with pytest.raises(DataError) as caught:
            read(tmp_path / "haeds.txt", "direct.heads")
        told = f"There is no file {tmp_path / 'haeds.txt'} (`direct.heads`). Did you mean {tmp_path / 'heads.txt'}?"
        assert str(caught.value) == told
    with pytest.raises(DataError, match=r"Cannot read .*: Is a directory\. Name a text file"):
        read_heads(tmp_path)


def test_hostile_replies_are_kept_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    hostile = 'to say \x1b[2J "quoted" <b> \\ . <urn:x> \u202e'
    with LoopbackServer(reply=lambda prompt, seed: f"1. {hostile}") as server:
        teacher = {"model": "openai:teacher", "base_url": server.base_url}
        with workspace(parse_config({"teacher": teacher}), tmp_path / "run", needs_method=False) as work:
            generate(work, graph_of(work), Wanted(("PersonX sings",), relations=("xWant",)))
    (triple,) = TripleStore(tmp_path / "run" / "graph").triples()
    assert isinstance(triple, Triple)
    assert triple.tail == hostile
