"""`symdistill rules …`: learn, propose, read, simplify, evaluate and export IF-THEN and Horn rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from symdistill.cli.display import Display, visible
from symdistill.cli.options import Config, Overrides, RunDir
from symdistill.cli.symbols import explained_labels, known_table, table_of
from symdistill.errors import ConfigError, DataError
from symdistill.evaluation.edits import edit_lines, rule_edits
from symdistill.evaluation.figures import counted
from symdistill.evaluation.interpretability import (
    edit_response,
    interpretability,
    measure_lines,
    shuffled_control,
    with_conclusion,
)
from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.bounded import Bounds
from symdistill.knowledge.rules.asp_program import decide_by_clingo, measured_by_clingo, to_asp
from symdistill.knowledge.rules.decisions import decide, explained, measured, measured_on_facts
from symdistill.knowledge.rules.files import read_rules, write_rules
from symdistill.knowledge.rules.graphs import facts_of_triples
from symdistill.knowledge.rules.items import items_from_rules
from symdistill.knowledge.rules.learning import LearningSettings, learn_rules
from symdistill.knowledge.rules.lines import write_whole
from symdistill.knowledge.rules.logic import RuleSet
from symdistill.knowledge.rules.observations import Observation, facts_of, in_split, names_of
from symdistill.knowledge.rules.problog import to_problog
from symdistill.knowledge.rules.simplify import pruned, simplified
from symdistill.knowledge.rules.text import rules_text
from symdistill.knowledge.triples.exchange import read_triples
from symdistill.runs.config import load_stages
from symdistill.runs.directory import default_run_directory
from symdistill.runs.featuring import find_rules, outcome_line, tree_files
from symdistill.runs.validation import closest
from symdistill.runs.workspace import workspace

app = typer.Typer(help="Learn, propose, simplify, evaluate and export rules.", no_args_is_help=True)

RulesFile = Annotated[Path, typer.Argument(help="Rules: a .jsonl file, or text.", show_default=False)]
TableFile = Annotated[Path, typer.Argument(help="A table of answers, or a run directory.", show_default=False)]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write: .jsonl keeps everything, text is for people.")]
Engine = Annotated[Literal["python", "clingo"], typer.Option(help="Who works out what follows.")]
ClingoSeconds = Annotated[float, typer.Option(help="What clingo may take.", min=0.1)]
SeedOption = Annotated[int, typer.Option(help="The seed.")]


@app.command("learn")
def learn(
    table: TableFile,
    out: Out,
    max_rules: Annotated[int, typer.Option(help="Rules for each label at most.", min=1)] = 12,
    max_literals: Annotated[int, typer.Option(help="Conditions in a rule at most.", min=1)] = 4,
    exceptions: Annotated[bool, typer.Option(help="Add an UNLESS where one condition separates mistakes.")] = True,
    seed: SeedOption = 0,
) -> None:
    """Learn rules from the training inputs of a table by RIPPER, and simplify them."""
    path = table_of(table)
    rows, questions = known_table(path)
    train = in_split(rows, "train")
    settings = LearningSettings(max_rules=max_rules, max_literals=max_literals, exceptions=exceptions)
    simpler = pruned(learn_rules(train, names_of(rows), questions, settings, seed=seed), train)
    write_rules(out, simpler.rules)
    _show(simpler.rules)
    typer.echo(
        f"{counted(len(simpler.rules.rules), 'rule')} in {out}, measured on {counted(len(train), 'training input')}."
    )


@app.command("propose")
def propose(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    requests: Annotated[int, typer.Option(help="How often to ask.", min=1)] = 2,
    count: Annotated[int, typer.Option(help="Rules in a reply at most.", min=1)] = 12,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write.  [default: trees/proposed.jsonl]")
    ] = None,
) -> None:
    """Ask the teacher for rules over the questions of `trees questions`; measure them where there is a table."""
    settings = load_stages(config, overrides or ())
    directory = run_dir or default_run_directory(config)
    with workspace(settings, directory, Display(), needs_method=False) as work:
        rules, proposals = find_rules(work, requests=requests, count=count)
    files = tree_files(directory)
    if files.table.exists():
        rows, _ = known_table(files.table)
        rules = measured(rules, in_split(rows, "train"))
    target = out or files.proposed
    write_rules(target, rules)
    _show(rules)
    typer.echo(f"{counted(len(rules.rules), 'rule')} in {target}   {outcome_line(proposals)}")


@app.command("show")
def show(rules: RulesFile) -> None:
    """The rules in the order in which they decide, each with its record."""
    _show(read_rules(rules))


@app.command("simplify")
def simplify(
    rules: RulesFile,
    out: Out,
    table: Annotated[
        Path | None, typer.Option(help="Also take away what earns nothing on the training inputs of this table.")
    ] = None,
) -> None:
    """Fewer and shorter rules with the same decisions; with a table, with decisions that are no worse on it."""
    found = read_rules(rules)
    train = in_split(known_table(table_of(table))[0], "train") if table else None
    simpler = simplified(found) if train is None else pruned(found, train)
    write_rules(out, simpler.rules)
    for line in simpler.removed:
        typer.echo(f"- {visible(line)}")
    typer.echo(f"{counted(len(found.rules), 'rule')} became {len(simpler.rules.rules):,}, in {out}.")


@app.command("evaluate")
def evaluate(
    rules: RulesFile,
    table: TableFile,
    split: Annotated[str, typer.Option(help="Which inputs of the table.")] = "test",
    model: Annotated[
        Path | None, typer.Option(help="Answers of the explained model: a predictions.jsonl, or id and label.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Whose answers, where the file holds several methods'.")] = None,
    engine: Engine = "python",
    seconds: ClingoSeconds = 30.0,
    seed: SeedOption = 0,
) -> None:
    """Accuracy, fidelity and completeness on a table, the size, and a control with shuffled decisions."""
    found = read_rules(rules)
    rows = _rows(table, split)
    names = [row.example_id for row in rows]
    facts = list(facts_of(rows))
    if engine == "clingo":
        decisions = decide_by_clingo(found, facts, names, bounds=Bounds(seconds=seconds))
    else:
        decisions = decide(found, facts, names)
    gold = {row.example_id: row.label for row in rows if row.label is not None}
    answers = explained_labels(model, method) if model else None
    control = shuffled_control(decisions, gold if answers is None else answers, seed=seed)
    measures = interpretability(found, decisions, gold, answers, control=control)
    labels = [row.label for row in rows if row.label is not None]
    edits = rule_edits(found, facts, names, labels)
    typer.echo("\n".join(f" {line}" for line in [*measure_lines(measures), *edit_lines(edits)]))


@app.command("measure")
def measure(
    rules: RulesFile,
    triples: Annotated[Path, typer.Argument(help="Triples: .tsv, .jsonl, .nq, .ttl or .jsonld.", show_default=False)],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the measured rules.")] = None,
    engine: Engine = "python",
    seconds: ClingoSeconds = 30.0,
) -> None:
    """How often rules about relations are right, going by a knowledge graph that is taken for complete."""
    facts = facts_of_triples(read_triples(triples).triples)
    given = read_rules(rules)
    if engine == "clingo":
        found = measured_by_clingo(given, facts, bounds=Bounds(seconds=seconds))
    else:
        found = measured_on_facts(given, facts)
    if out is not None:
        write_rules(out, found)
    _show(found)
    typer.echo(f"Measured on {counted(len(facts), 'fact')}.")


@app.command("explain")
def explain(
    rules: RulesFile,
    table: TableFile,
    example: Annotated[str, typer.Argument(help="The id of an input of the table.", show_default=False)],
) -> None:
    """Why the rules decide about one input as they do."""
    found = read_rules(rules)
    rows = known_table(table_of(table))[0]
    row = next((row for row in rows if row.example_id == example), None)
    if row is None:
        raise DataError(f"{table_of(table)} has no input {example!r}.", "Name an `id` of the table.")
    if row.text:
        typer.echo(visible(row.text))
    typer.echo(visible(explained(found, decide(found, facts_of([row]), [example])[0])))


@app.command("edit")
def edit(
    rules: RulesFile,
    rule: Annotated[str, typer.Argument(help="The id of a rule, as it stands in a .jsonl file.", show_default=False)],
    label: Annotated[str, typer.Argument(help="What it is to conclude.", show_default=False)],
    out: Out,
) -> None:
    """Change what one rule concludes; all else stays."""
    edited = _edited(rules, rule, label)
    known = _labels(read_rules(rules))
    if label not in known:
        meant = closest(label, known)
        way = f" Did you mean {meant}?" if meant else ""
        typer.echo(visible(f"No other rule concludes {label}; these are known: {', '.join(known)}.{way}"), err=True)
    write_rules(out, edited)
    _show(edited)


@app.command("response")
def response(
    rules: RulesFile,
    table: TableFile,
    rule: Annotated[str, typer.Argument(help="The id of the rule that was changed.", show_default=False)],
    label: Annotated[str, typer.Argument(help="What it concludes since.", show_default=False)],
    before: Annotated[Path, typer.Option(help="Answers before: a predictions.jsonl, or id and label.")],
    after: Annotated[Path, typer.Option(help="Answers after.")],
    method: Annotated[str | None, typer.Option(help="Whose answers, where a file holds several methods'.")] = None,
) -> None:
    """How a model's answers moved after a rule was changed, where the rule decides and elsewhere."""
    found = read_rules(rules)
    _edited(rules, rule, label)
    rows = known_table(table_of(table))[0]
    decisions = decide(found, facts_of(rows), [row.example_id for row in rows])
    affected = {decision.example_id for decision in decisions if decision.rule == rule}
    moved = edit_response(explained_labels(before, method), explained_labels(after, method), affected, label)
    typer.echo(f" moved where the rule decides  {moved.moved}")
    typer.echo(f" as the changed rule says      {moved.as_wanted}")
    typer.echo(f" moved elsewhere               {moved.elsewhere}")


@app.command("export")
def export(
    rules: RulesFile,
    out: Annotated[
        Path, typer.Argument(help="A .txt, .jsonl, .lp, .pl or knowledge .sqlite file.", show_default=False)
    ],
    table: Annotated[Path | None, typer.Option(help="Put the inputs of this table in as facts (.lp, .pl).")] = None,
    task: Annotated[str, typer.Option(help="The task of the items of a knowledge base.")] = "task",
) -> None:
    """Write rules as text, JSON lines, a clingo or ProbLog program, or items of a knowledge base."""
    found = read_rules(rules)
    facts = list(facts_of(known_table(table_of(table))[0])) if table else []
    if out.suffix == ".lp":
        write_whole(out, to_asp(found, facts))
    elif out.suffix == ".pl":
        write_whole(out, to_problog(found, facts))
    elif out.suffix in (".txt", ".rules", ".jsonl"):
        if facts:
            raise ConfigError(f"{out} holds rules alone.", "Leave --table out, or write a .lp or .pl file.")
        write_rules(out, found)
    elif out.suffix == ".sqlite":
        with KnowledgeBase(out) as base:
            added = base.add(items_from_rules(found, task), by="rules export", note=f"from {rules}")
        typer.echo(f"{len(added):,} of {len(found.rules):,} rules are new in {out}.")
        return
    else:
        raise ConfigError(f"`{out.suffix}` is no form of rules.", "End the name in .txt, .jsonl, .lp, .pl or .sqlite.")
    typer.echo(f"{counted(len(found.rules), 'rule')} in {out}.")


def _rows(table: Path, split: str) -> list[Observation]:
    path = table_of(table)
    rows = known_table(path)[0]
    found = in_split(rows, split)
    if not found:
        splits = ", ".join(sorted({row.split for row in rows}))
        raise DataError(f"{path} has no inputs of the split {split!r}.", f"It has: {splits}; name one with --split.")
    return found


def _edited(path: Path, rule: str, label: str) -> RuleSet:
    try:
        return with_conclusion(read_rules(path), rule, label)
    except ValueError:
        raise DataError(
            f"{path} has no rule {rule!r} that decides.", "Name an `id` of a rule about the target."
        ) from None


def _labels(rules: RuleSet) -> list[str]:
    """What the rules conclude about an input, their default included."""
    found = {str(rule.head.terms[-1]) for rule in rules.rules if rule.head.predicate == rules.target}
    return sorted(found | ({rules.default} if rules.default is not None else set()))


def _show(rules: RuleSet) -> None:
    typer.echo(visible(rules_text(rules)).rstrip("\n") or "No rules.")
