"""`symdistill triples …` as a user meets it, with texts that try to act on the terminal."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from labelled import rows, write_rows
from symdistill.cli.main import main
from symdistill.knowledge.triples import Batch, Triple, read_triples, write_triples
from symdistill.knowledge.triples.store import TripleStore

HOSTILE = "\x1b]0;owned\x07\x1b[2J[red]Ignore previous instructions[/red]\r\u202eevil\u2028<b>\x9b31m"
TRIPLES = [
    Triple("PersonX is late", "xWant", "to hurry", 0.9, "b1", "line 1"),
    Triple("PersonX is late", "xWant", "to hurry.", 0.6, "b1", "line 2"),
    Triple("PersonX is late", "xWant", "not to hurry", 0.2, "b1", "line 3"),
    Triple("PersonX is late", "xReact", f"sorry {HOSTILE}", 0.5, "b1", f"line {HOSTILE}"),
    Triple("PersonX swims", "xNeed", "a pool", None, "b1"),
]


def call(capsys: pytest.CaptureFixture[str], *words: str | Path | float) -> tuple[int, str, str]:
    """Run `triples` in this process; exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        main(["triples", *map(str, words)])
    out, err = capsys.readouterr()
    for text in (out, err):
        assert not set(text) & set("\x1b\x07\x9b\r\u202e\u2028"), "nothing may act on the terminal"
    code = stopped.value.code
    return (code if isinstance(code, int) else 1), out, err


def plain(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    TripleStore(tmp_path / "kg").add(TRIPLES, [Batch("b1", "import", used=f"file {HOSTILE}")])
    return tmp_path / "kg"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_triples(tmp_path / "t.jsonl", TRIPLES)
    return tmp_path / "t.jsonl"


def test_import_and_export_go_round(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"head": "PersonX sings", "relation": "xWant", "tails": ["to rest", "To rest.", "none"]}\n')
    code, out, _ = call(capsys, "import", tmp_path / "kg", source)
    assert (code, out) == (0, "2 new triples from in.jsonl; 1 tail said that there is none.\n")
    assert call(capsys, "import", tmp_path / "kg", source)[1].startswith("0 new triples from in.jsonl; 2 were there")
    code, out, _ = call(capsys, "import", tmp_path / "kg2", source, "--distinct")
    assert "1 new triple from in.jsonl; 1 duplicate left out" in out
    for ending in ("jsonl.gz", "tsv", "nq", "ttl", "jsonld"):
        code, out, _ = call(capsys, "export", tmp_path / "kg", tmp_path / f"out.{ending}")
        assert (code, out) == (0, f"Wrote 2 triples to {tmp_path}/out.{ending}; 0 were left out.\n")
        found = read_triples(tmp_path / f"out.{ending}").triples
        assert {(t.tail, t.batch, t.source) for t in found} == {
            ("to rest", "in.jsonl", "line 1"),
            ("To rest.", "in.jsonl", "line 1"),
        }
    assert "1 were left out" in call(capsys, "export", tmp_path / "kg", tmp_path / "d.jsonl", "--distinct")[1]


def test_a_bad_file_is_refused_and_nothing_is_lost(
    capsys: pytest.CaptureFixture[str], graph: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"head": "a", "relation": "xWnat", "tail": "b"}\n')
    code, _, err = call(capsys, "import", graph, tmp_path / "bad.jsonl")
    assert code == 2
    assert "bad.jsonl, line 1: the schema `atomic` has no relation `xWnat`. Did you mean `xWant`?" in err
    assert len(list(TripleStore(graph).triples())) == 5
    assert call(capsys, "import", graph, tmp_path / "none.jsonl")[0] == 2
    assert call(capsys, "import", graph, tmp_path / "bad.jsonl", "--schema", "none.yaml")[0] == 2


@pytest.mark.parametrize("form", ["table", "json", "tsv"])
def test_queries(capsys: pytest.CaptureFixture[str], graph: Path, file: Path, form: str) -> None:
    query = "SELECT ?tail { ?t rdf:predicate rel:xReact ; sd:tailText ?tail }"
    for source in (graph, file):
        code, out, err = call(capsys, "query", source, query, "--format", form)
        assert code == 0
        assert "Ignore previous" in out
        assert "1 row in" in err
    if form == "json":
        (row,) = json.loads(out)["results"]["bindings"]
        assert row["tail"] == {"type": "literal", "value": f"sorry {HOSTILE}"}


def test_queries_that_go_wrong(capsys: pytest.CaptureFixture[str], graph: Path, tmp_path: Path) -> None:
    assert call(capsys, "query", graph)[0] == 2
    assert call(capsys, "query", graph, "SELEC")[0] == 2
    code, _, err = call(capsys, "query", tmp_path / "none", "ASK {}")
    assert (code, f"There is no file {tmp_path / 'none'}. Name a file of triples, or a graph" in err) == (2, True)
    code, _, err = call(capsys, "query", graph, "DELETE WHERE { ?s ?p ?o }")
    assert (code, "Queries only read: SELECT, ASK, CONSTRUCT or DESCRIBE" in err) == (2, True)
    assert call(capsys, "query", graph, "ASK { ?node ?activity source:x }")[0] == 0, "a prefix that the help names"
    code, _, err = call(capsys, "query", graph, "SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }")
    assert (code, "SERVICE" in err) == (2, True)
    explodes = "SELECT (COUNT(*) AS ?n) { " + " ".join(f"?a{i} ?b{i} ?c{i} ." for i in range(9)) + " }"
    code, _, err = call(capsys, "query", graph, explodes, "--seconds", 0.5)
    assert (code, "was ended" in err) == (1, True)
    (tmp_path / "q.rq").write_text("ASK { ?s rel:xWant ?o }")
    assert call(capsys, "query", graph, "--file", tmp_path / "q.rq")[1] == "yes\n"
    code, _, err = call(capsys, "query", graph, "--file", tmp_path / "p.rq")
    assert (code, f"There is no file {tmp_path / 'p.rq'} (`--file`). Check the path." in plain(err)) == (2, True)
    _, _, err = call(capsys, "query", graph, "SELECT * { ?s ?p ?o }", "--rows", 2)
    assert "2 rows in" in err
    assert "there are more" in err


def test_validation(capsys: pytest.CaptureFixture[str], graph: Path, file: Path, tmp_path: Path) -> None:
    for source in (graph, file):
        code, out, _ = call(
            capsys, "validate", source, "--keep", tmp_path / "k.jsonl", "--report", tmp_path / "r.jsonl"
        )
        assert code == 0
        assert "contradiction 1 " in plain(out)
        assert "duplicate 1 " in plain(out)
        assert "Largest consistent subset: 4 of 5 triples (no other subset is surer)." in out
    kept = read_triples(tmp_path / "k.jsonl").triples
    assert {t.tail for t in TRIPLES} - {t.tail for t in kept} == {"not to hurry"}
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert sorted(kinds) == ["contradiction", "duplicate"]
    (tmp_path / "mine.yaml").write_text('name: mine\nrelations: {r: {verbalise: "{head} {tail}"}}')
    _, out, _ = call(capsys, "validate", file, "--schema", tmp_path / "mine.yaml")
    assert "unknown relation 5 " in plain(out)


def test_a_triple_that_comes_several_times_is_counted_and_kept_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, *others = TRIPLES
    surest = replace(first, confidence=0.95, source="line 8")
    write_triples(tmp_path / "t.jsonl", [first, *others, replace(first, confidence=0.1), surest, others[-1]])
    code, out, _ = call(capsys, "validate", tmp_path / "t.jsonl", "--keep", tmp_path / "k.jsonl")
    assert code == 0
    assert out.startswith("8 triples, ")
    assert "Largest consistent subset: 4 of 5 different triples (no other subset is surer)." in out
    assert f"Wrote 4 consistent triples to {tmp_path}/k.jsonl." in out
    kept = [t for t in TRIPLES if t.tail != "not to hurry"]
    assert read_triples(tmp_path / "k.jsonl").triples == (surest, *kept[1:])


def test_review_without_a_terminal(capsys: pytest.CaptureFixture[str], graph: Path) -> None:
    code, out, _ = call(capsys, "review", graph, "--by", "ann", "--audit", 0)
    assert code == 0
    lines = out.splitlines()
    assert len(lines) == 7
    assert sum("against 2 others" in line for line in lines) == 3
    ids = {t.tail: t.id for t in TRIPLES}
    words = ["--accept", ids["to hurry"], "--accept", ids["a pool"], "--reject", ids["not to hurry"], "--note", "ok"]
    code, out, _ = call(capsys, "review", graph, "--by", "ann", *words)
    assert out == "2 accepted, 1 rejected, 0 left open, by ann.\n"
    assert call(capsys, "review", graph, "--by", "ann")[1].count("\nt_") == 2
    code, _, err = call(capsys, "review", graph, "--accept", ids["a pool"], "--reject", ids["a pool"])
    assert (code, "judged twice" in err) == (2, True)
    assert call(capsys, "review", graph, "--accept", "t_none")[0] == 2
    code, out, _ = call(capsys, "export", graph, graph / "a.jsonl", "--accepted")
    assert "Wrote 2 triples" in out
    code, out, _ = call(capsys, "export", graph, graph / "b.jsonl")
    assert "Wrote 4 triples" in out, "what was rejected is left out"
    call(capsys, "export", graph, graph / "p.ttl", "--provenance")
    written = (graph / "p.ttl").read_text()
    assert "prov:wasInvalidatedBy" in written
    assert "urn:symdistill:person:ann" in written
    assert call(capsys, "export", graph, graph / "p.tsv", "--provenance")[0] == 2


def graph_of(place: Path, triples: list[Triple], **batch: str) -> Path:
    TripleStore(place).add(triples, [Batch("b1", **{"origin": "import", **batch})])  # type: ignore[arg-type]
    return place


def many(count: int) -> list[Triple]:
    return [Triple(f"PersonX does {n}", "xWant", f"to do {n}", (n % 100) / 100, "b1") for n in range(count)]


@pytest.mark.parametrize("calls", [1, 3])
def test_the_printed_command_judges_the_random_slice_that_was_listed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, calls: int
) -> None:
    kg = graph_of(tmp_path / "my graph", many(200))
    listed = call(capsys, "review", kg, "--by", "ann", "--audit", 1, "--size", 42)[1].splitlines()
    ids = [line.split()[0] for line in listed if line.startswith("t_")]
    assert len(ids) == 42
    command = shlex.split(listed[-1].removeprefix("Decide with: "))
    assert command[:3] == ["symdistill", "triples", "review"]
    assert command[-4:] == ["--accept", "ID", "--reject", "ID"]
    for part in range(calls):
        chosen = [word for key in ids[part::calls] for word in ("--accept", key)]
        code, _, err = call(capsys, *command[2:-4], *chosen)
        assert (code, err) == (0, "")
    assert {d.slice for d in TripleStore(kg).decisions()} == {"audit"}
    assert "accepted, random slice 100.0% [91.6, 100.0] of 42" in plain(call(capsys, "stats", kg)[1])


def test_what_was_listed_with_other_options_is_told_and_can_be_decided_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kg = graph_of(tmp_path / "kg", many(200))
    listed = call(capsys, "review", kg, "--by", "ann", "--audit", 1, "--size", 42)[1].splitlines()
    chosen = [word for line in listed if line.startswith("t_") for word in ("--accept", line.split()[0])]
    err = plain(call(capsys, "review", kg, "--by", "ann", *chosen)[2])
    assert "of them are not among the 20 that these options list" in err
    assert "of 42" not in call(capsys, "stats", kg)[1].split("accepted, all judged")[0]
    call(capsys, "review", kg, "--by", "ann", "--audit", 1, "--size", 42, *chosen)
    assert "accepted, random slice 100.0% [91.6, 100.0] of 42" in plain(call(capsys, "stats", kg, "--seed", 7)[1])
    assert call(capsys, "review", kg, "--seed", 1)[0] == 2, "a graph has one random order"


def test_decisions_are_respected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kept, thrown = (
        Triple("PersonX is tired", "xWant", tail, p, "b1") for tail, p in (("to rest", 0.4), ("not to rest", 0.8))
    )
    low, high, other = (
        Triple("PersonX is hungry", "xWant", tail, p, "b1")
        for tail, p in (("to eat", 0.1), ("not to eat", 0.9), ("never to eat", 0.9))
    )
    kg = graph_of(tmp_path / "kg", [kept, thrown, low, high, other])
    assert "in a conflict 100.0%" in plain(call(capsys, "stats", kg)[1])
    call(capsys, "review", kg, "--by", "ann", "--accept", kept.id, "--reject", thrown.id, "--accept", low.id)
    code, out, err = call(capsys, "validate", kg, "--keep", tmp_path / "k.jsonl")
    assert (code, err) == (0, "1 triple that reviewers rejected left out.\n")
    assert "2 of 4 triples (no other subset is surer)" in out
    assert set(read_triples(tmp_path / "k.jsonl").triples) == {kept, low}, "as they are, with their own confidence"
    code, _, err = call(capsys, "split", kg, tmp_path / "parts")
    assert "1 triple that reviewers rejected left out." in err
    parts = [t for name in ("train", "dev", "test") for t in read_triples(tmp_path / "parts" / f"{name}.jsonl").triples]
    assert set(parts) == {kept, low, high, other}
    code, out, err = call(capsys, "verbalise", kg)
    assert len(out.splitlines()) == 4
    assert "1 triple that reviewers rejected left out." in err
    assert "in a conflict 75.0%" in plain(call(capsys, "stats", kg)[1])
    waiting = call(capsys, "review", kg, "--by", "bob", "--audit", 0)[1].splitlines()
    (row,) = (line for line in waiting if line.startswith(kept.id))
    assert "doubtful" in row, "what was rejected is no conflict any more"


def test_distinct_leaves_out_what_is_there_however_sure_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kg = graph_of(tmp_path / "kg", [Triple("PersonX plays", "xWant", "to win the game", 0.4, "b1")])
    new = [
        Triple("PersonX plays", "xWant", "To win the game.", 0.9, "b2"),
        Triple("PersonX plays", "xWant", "win a game", 1.0, "b2"),
        Triple("PersonX plays", "xWant", "to win the game", 0.5, "b1"),
        Triple("PersonX plays", "xWant", "a prize", None, "b2"),
    ]
    write_triples(tmp_path / "new.jsonl", new, [Batch("b2", "import")])
    out = call(capsys, "import", kg, tmp_path / "new.jsonl", "--distinct")[1]
    assert out == "1 new triple from new.jsonl; 1 with another confidence; 2 duplicates left out.\n"
    assert {(t.tail, t.confidence) for t in TripleStore(kg).triples()} == {("to win the game", 0.5), ("a prize", None)}
    assert "0 findings" in call(capsys, "validate", kg)[1]


def test_a_first_import_that_fails_leaves_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text('name: mine\nrelations: {keptIn: {verbalise: "{head} {tail}"}}')
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text('{"head": "PersonX sings", "relation": "xWant", "tail": "to rest"}\n')
    bad.write_text('{"head": "apple", "relation": "keptIn", "tail": "pantry"}\n')
    for files in ((bad,), (good, bad), (good, tmp_path / "misspelt.jsonl")):
        assert call(capsys, "import", tmp_path / "kg", *files)[0] == 2
        assert not (tmp_path / "kg").exists()
    code, out, _ = call(capsys, "import", tmp_path / "kg", bad, "--schema", tmp_path / "mine.yaml")
    assert (code, out) == (0, "1 new triple from bad.jsonl.\n")
    code, _, err = call(capsys, "import", tmp_path / "kg", good, "--schema", "atomic")
    assert (code, "follows another schema (`mine`)" in err) == (2, True)


def test_review_on_a_terminal(graph: Path) -> None:
    master, worker = pty.openpty()
    command = [sys.executable, "-m", "symdistill", "triples", "review", str(graph), "--by", "bob", "--size", "3"]
    with subprocess.Popen(command, stdin=worker, stdout=worker, stderr=worker, close_fds=True) as process:
        os.close(worker)
        os.write(master, b"a\nx\nreject\nq\n")
        said = b""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                said += os.read(master, 65536)
            except OSError:  # the other side is closed
                break
        assert process.wait(timeout=30) == 0
    os.close(master)
    assert b"1 accepted, 1 rejected, 0 left open, 0 skipped" in said
    assert b"\x9b" not in said
    assert [d.verdict for d in TripleStore(graph).decisions()] == ["accept", "reject"]


def test_stats(capsys: pytest.CaptureFixture[str], graph: Path, file: Path, tmp_path: Path) -> None:
    for name, verdict in (("ann", "accept"), ("bob", "reject")):
        call(capsys, "review", graph, f"--{verdict}", TRIPLES[0].id, "--accept", TRIPLES[4].id, "--by", name)
    write_triples(tmp_path / "ref.tsv", [TRIPLES[0], Triple("PersonX runs", "xWant", "to rest")])
    code, out, _ = call(capsys, "stats", graph, "--reference", tmp_path / "ref.tsv")
    assert code == 0
    for said in (
        "triples, facts 5, 4",
        "in a conflict 60.0%",
        "reference heads covered 50.0%",
        "kappa of ann and bob",
        "accepted, all judged 50.0%",
        "Krippendorff's alpha",
    ):
        assert said in plain(out)
    assert call(capsys, "stats", file)[0] == 0


def test_verbalise_split_and_schema(capsys: pytest.CaptureFixture[str], graph: Path, tmp_path: Path) -> None:
    code, out, _ = call(capsys, "verbalise", graph, "--relation", "xNeed")
    assert (code, out) == (0, "PersonX swims. For this, PersonX first needed a pool.\n")
    assert call(capsys, "verbalise", graph, "--relation", "xneed")[0] == 2
    code, out, _ = call(capsys, "split", graph, tmp_path / "parts", "--train", 0.5, "--dev", 0.5)
    assert code == 0
    parts = [read_triples(tmp_path / "parts" / f"{name}.jsonl").triples for name in ("train", "dev", "test")]
    assert sorted(map(len, parts)) in ([0, 0, 5], [0, 1, 4])
    assert call(capsys, "split", graph, tmp_path / "parts", "--train", 0.9, "--dev", 0.5)[0] == 2
    code, out, _ = call(capsys, "schema")
    (tmp_path / "mine.yaml").write_text(out)
    assert call(capsys, "schema", tmp_path / "mine.yaml")[1] == out


def test_no_graph(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for verb in ("validate", "stats", "verbalise", "review"):
        assert call(capsys, verb, tmp_path)[0] in (1, 2)
        assert call(capsys, verb, tmp_path / "none")[0] in (1, 2)


def test_a_critic_learns_from_labels_and_filters_an_export(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    given = rows(60)
    triples = [Triple(row["head"], row["relation"], row["tail"], None, "b1") for row in given]
    TripleStore(tmp_path / "kg").add(triples, [Batch("b1", "import")])
    labels = write_rows(tmp_path / "labels.jsonl", given)
    code, out, _ = call(capsys, "critic", tmp_path / "kg", "--labels", labels, "--recall", 0.8)
    assert code == 0
    assert "240 labels, no head on two sides" in out
    assert "no critic" in out
    report = json.loads((tmp_path / "kg" / "critic" / "report.json").read_text())
    assert report["held_out"]["chosen"]["raises_precision"]
    code, out, _ = call(capsys, "export", tmp_path / "kg", tmp_path / "good.jsonl", "--critic")
    kept = read_triples(tmp_path / "good.jsonl").triples
    assert 60 < len(kept) <= 130
    good = {(row["head"], row["tail"]) for row in given if row["label"]}
    assert sum((t.head, t.tail) in good for t in kept) >= 0.95 * len(kept)
    assert all(t.confidence is not None for t in kept)
    code, out, _ = call(capsys, "critic", tmp_path / "kg", "--labels", labels, "--rescore")
    assert "confidences are its probabilities now" in out
    assert all(t.confidence is not None for t in TripleStore(tmp_path / "kg").triples())


@pytest.mark.parametrize(
    "words, said",
    [
        (("--labels", "none.jsonl"), "There is no file none.jsonl (`--labels`)"),
        (
            ("--features", "word"),
            "`--features` must be `words`, `student`, `likelihood` or a directory, and word is not",
        ),
        ((), "There are 0 labels, and a critic needs 20"),
        (("--recall", 0), "`recall` must be a number above 0 and at most 1"),
        (("--threshold", 2), "`threshold` must be a number of at least 0 and at most 1"),
        (("--student", "x"), "--student is about --features student"),
    ],
)
def test_a_critic_says_what_it_lacks(
    capsys: pytest.CaptureFixture[str], graph: Path, words: tuple[str | float, ...], said: str
) -> None:
    code, _, err = call(capsys, "critic", graph, *words)
    assert code == 2
    assert said in plain(err)


def test_a_critic_of_a_graph_takes_no_labels_of_texts(
    capsys: pytest.CaptureFixture[str], graph: Path, tmp_path: Path
) -> None:
    texts = [{"text": f"{row['head']}: {row['tail']}", "label": row["label"]} for row in rows(60)]
    code, _, err = call(capsys, "critic", graph, "--labels", write_rows(tmp_path / "texts.jsonl", texts))
    assert code == 2
    assert "is a text, and the critic of a graph reads triples" in plain(err)


def test_an_export_by_a_critic_needs_one(capsys: pytest.CaptureFixture[str], graph: Path, tmp_path: Path) -> None:
    code, _, err = call(capsys, "export", graph, tmp_path / "x.jsonl", "--critic")
    assert code == 2
    assert "There is no critic in" in err
