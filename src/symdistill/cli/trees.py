"""`symdistill trees …`: questions from a teacher, their answers, a shallow tree over them, and why it decides so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symdistill.cli.display import Display, one_line, visible
from symdistill.cli.options import Config, Overrides, RunDir, check_ending
from symdistill.cli.symbols import explained_labels, known_table, table_of
from symdistill.cli.tables import show_price
from symdistill.errors import DataError
from symdistill.evaluation.edits import edit_lines, rule_edits
from symdistill.evaluation.figures import counted
from symdistill.evaluation.interpretability import interpretability, measure_lines, shuffled_control
from symdistill.evaluation.report import write_page
from symdistill.evaluation.report_symbolic import SymbolicSummary, agreements, render_symbolic, rules_in_words
from symdistill.evaluation.tree_drawing import tree_document, tree_svg
from symdistill.knowledge.rules.decisions import decide
from symdistill.knowledge.rules.files import write_rules
from symdistill.knowledge.rules.lines import write_whole
from symdistill.knowledge.rules.observations import Observation, facts_of, in_split, names_of
from symdistill.knowledge.trees.fitting import fit_tree
from symdistill.knowledge.trees.settings import AnswerSettings, FitSettings, QuestionSettings, ScreeningSettings
from symdistill.knowledge.trees.tree import Leaf, Node, Tree, read_tree, write_tree
from symdistill.runs.config import load_stages
from symdistill.runs.directory import default_run_directory, write_json
from symdistill.runs.featuring import (
    TreeFiles,
    ask_questions,
    find_questions,
    outcome_line,
    price_answers,
    price_questions,
    tree_files,
)
from symdistill.runs.workspace import look_at, workspace

app = typer.Typer(help="Find features, have them answered, fit a tree and read it.", no_args_is_help=True)

TableFile = Annotated[Path, typer.Argument(help="A table of answers, or a run directory.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what it would cost; ask no model.")]


@app.command("questions")
def questions(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    requests: Annotated[int, typer.Option(help="How often to ask, each time with other inputs.", min=1)] = 4,
    count: Annotated[int, typer.Option(help="Questions wanted in a reply.", min=1)] = 8,
    most: Annotated[int, typer.Option(help="Questions kept in all.", min=1)] = 16,
    show_answers: Annotated[
        bool | None,
        typer.Option(
            help="Show gold answers with the inputs.  [default: unless a method is fitted to the teacher's labels]"
        ),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Ask the teacher for yes/no questions that tell the answers apart; write trees/questions.yaml, to be edited."""
    loaded = load_stages(config, overrides or ())
    directory = run_dir or default_run_directory(config)
    settings = QuestionSettings(requests=requests, count=count, most=most, show_answers=show_answers)
    if dry_run:
        with look_at(loaded, directory, Display()) as look:
            show_price(price_questions(look, settings))
        return
    with workspace(loaded, directory, Display(), needs_method=False) as work:
        found, proposals = find_questions(work, settings)
    for name, question in found.items():
        typer.echo(f" {name}: {one_line(question, 160)}")
    typer.echo(f"{counted(len(found), 'question')} in {tree_files(directory).questions}   {outcome_line(proposals)}")


@app.command("annotate")
def annotate(
    config: Config,
    overrides: Overrides = None,
    run_dir: RunDir = None,
    limit: Annotated[
        int | None, typer.Option(help="Inputs of train, and as many held-out ones.  [default: all]", min=1)
    ] = None,
    per_request: Annotated[int, typer.Option(help="Questions in one request.", min=1)] = 12,
    again: Annotated[int, typer.Option(help="Training inputs asked about twice, to measure noise.", min=0)] = 60,
    least_kappa: Annotated[
        float, typer.Option(help="Agreement beyond chance that a feature needs.", min=-1, max=1)
    ] = 0.4,
    by: Annotated[
        str | None, typer.Option(help="Who answers, if not the teacher; a student is transformers:DIRECTORY.")
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Have the questions answered about every input; drop those that are noisy; write trees/table.jsonl."""
    loaded = load_stages(config, overrides or ())
    directory = run_dir or default_run_directory(config)
    settings = AnswerSettings(per_request=per_request, again=again)
    if dry_run:
        with look_at(loaded, directory, Display()) as look:
            show_price(price_answers(look, settings, limit=limit, answered_by=by))
        return
    with workspace(loaded, directory, Display(), needs_method=False) as work:
        screening = ScreeningSettings(least_kappa=least_kappa)
        table, noise, kept = ask_questions(work, settings, screening, limit=limit, answered_by=by)
    for one in noise:
        agreement = "not asked again"
        if one.agreement is not None:
            kappa = one.agreement.kappa
            agreement = "all alike" if kappa is None else f"kappa {kappa:.2f}"
        reason = kept.dropped.get(one.name)
        verdict = f"dropped, {reason}" if reason else "kept"
        typer.echo(f" {one.name:<32} yes {one.yes:>4.0%}  answered {one.answered:>4.0%}  {agreement:<15}  {verdict}")
    typer.echo(
        f"{counted(len(table), 'input')} with {len(kept.kept):,} of {len(noise):,} features in "
        f"{tree_files(directory).table}."
    )


@app.command("fit")
def fit(
    table: TableFile,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A folder.  [default: the table's]")] = None,
    max_depth: Annotated[int, typer.Option(help="Questions in a row at most.", min=1, max=12)] = 4,
    min_leaf: Annotated[
        int | None, typer.Option(help="Training inputs in a leaf at least.  [default: 1%, but 5]", min=1)
    ] = None,
    folds: Annotated[int, typer.Option(help="Parts to choose the depth by; 0: always --max-depth.", min=0)] = 5,
    labels: Annotated[
        Path | None,
        typer.Option(help="Fit to these labels (a predictions.jsonl, or id and label), not to the table's."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="Whose labels, where the file holds several methods'.")] = None,
    seed: Annotated[int, typer.Option(help="The seed.")] = 0,
) -> None:
    """Fit a shallow tree on the training inputs; write tree.json, tree.svg, rules.jsonl and measures.json."""
    path = table_of(table)
    rows, asked = known_table(path)
    said = explained_labels(labels, method) if labels else None
    learned = rows if said is None else [_relabelled(row, said) for row in rows]
    settings = FitSettings(max_depth=max_depth, min_leaf=min_leaf, folds=folds)
    fitted = fit_tree(in_split(learned, "train"), names_of(rows), asked, settings, seed=seed)
    tree, files = fitted.tree, TreeFiles(out or path.parent)
    for depth, (mean, error) in fitted.by_depth.items():
        typer.echo(f" depth {depth}: accuracy {100 * mean:.1f} ± {100 * error:.1f} in cross-validation")
    write_tree(files.tree, tree, by_depth={str(depth): pair for depth, pair in fitted.by_depth.items()}, seed=seed)
    write_whole(files.drawing, tree_document(tree))
    write_rules(files.rules, tree.rules())
    typer.echo("\n".join(_outline(tree, tree.root, "")))
    measures, pages = {}, []
    for split in sorted({row.split for row in rows}):
        found = _summary(tree, in_split(rows, split), said, seed, split)
        measures[split] = found.as_json()
        pages.append(found)
        typer.echo(f"{split}: {counted(len(in_split(rows, split)), 'input')}")
        typer.echo("\n".join(f" {line}" for line in [*measure_lines(found.measures), *edit_lines(found.edits)]))
    write_json(files.measures, measures)
    write_page(render_symbolic(pages, "How well the tree explains"), files.page, "Name another folder with --out.")
    typer.echo(f"Tree {files.tree}   Drawing {files.drawing}   Rules {files.rules}   Report {files.page}")


@app.command("show")
def show(tree: Annotated[Path, typer.Argument(help="A tree.json.", show_default=False)]) -> None:
    """A tree as an outline."""
    found = read_tree(tree)
    typer.echo("\n".join(_outline(found, found.root, "")))


@app.command("draw")
def draw(
    tree: Annotated[Path, typer.Argument(help="A tree.json.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="The SVG file to write.", show_default=False)],
    title: Annotated[str, typer.Option(help="Its title.")] = "Decision tree",
) -> None:
    """Draw a tree as an SVG file."""
    check_ending(out, ".svg")
    write_whole(out, tree_document(read_tree(tree), title))
    typer.echo(f"Drawing {out}")


@app.command("explain")
def explain(
    tree: Annotated[Path, typer.Argument(help="A tree.json.", show_default=False)],
    table: TableFile,
    example: Annotated[str, typer.Argument(help="The id of an input of the table.", show_default=False)],
) -> None:
    """Why a tree decides about one input as it does, and what would change that."""
    path = table_of(table)
    row = next((row for row in known_table(path)[0] if row.example_id == example), None)
    if row is None:
        raise DataError(f"{path} has no input {example!r}.", "Name an `id` of the table.")
    if row.text:
        typer.echo(visible(row.text))
    typer.echo(visible(read_tree(tree).explain(row.answers)))


def _relabelled(row: Observation, labels: dict[str, str]) -> Observation:
    return Observation(row.example_id, row.answers, labels.get(row.example_id), row.split, row.text)


def _summary(
    tree: Tree, rows: list[Observation], said: dict[str, str] | None, seed: int, split: str
) -> SymbolicSummary:
    """How well a tree explains on the inputs of a split: their labels and, where there is a model, what that `said`."""
    rules, facts = tree.rules(), list(facts_of(rows))
    gold = {row.example_id: row.label for row in rows if row.label is not None}
    decisions = decide(rules, facts, [row.example_id for row in rows])
    against = {"the labels": gold} if said is None else {"the model": said}
    control = shuffled_control(decisions, gold if said is None else said, seed=seed)
    return SymbolicSummary(
        method=f"{split}: {counted(len(rows), 'input')}",
        kind="a tree",
        labels="table" if said is None else "model",
        kept=names_of(rows),
        dropped={},
        rules=rules_in_words(rules),
        measures=interpretability(rules, decisions, gold, said, depth=tree.depth, control=control),
        agreements=agreements(rules, decisions, against, seed=seed),
        edits=rule_edits(rules, facts, [row.example_id for row in rows], list(gold.values())),
        drawing=tree_svg(tree),
    )


def _outline(tree: Tree, node: Node, indent: str) -> list[str]:
    if isinstance(node, Leaf):
        total, right = sum(node.counts.values()), node.counts.get(node.label, 0)
        return [f"{indent}→ {one_line(node.label, 60)}  ({right:,} of {total:,})"]
    return [
        f"{indent}{one_line(tree.question(node.feature), 120)}",
        f"{indent}  yes:",
        *_outline(tree, node.yes, indent + "    "),
        f"{indent}  no:",
        *_outline(tree, node.no, indent + "    "),
    ]
