"""What is wrong with a graph, and what it is worth, as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from symdistill.cli.display import one_line
from symdistill.evaluation.figures import counted
from symdistill.evaluation.graph_metrics import (
    Population,
    Share,
    coverage,
    describe,
    independent_draws,
    novelty,
    precision_by_relation,
    recapture,
    share,
)
from symdistill.evaluation.tables import plain_text
from symdistill.knowledge.triples import Contents, Schema, Triple
from symdistill.knowledge.triples.asking import count_dropped, count_outcomes
from symdistill.knowledge.triples.findings import CONFLICTS
from symdistill.knowledge.triples.review import Decision, audit_sample, raters, standings
from symdistill.knowledge.triples.store import TripleStore
from symdistill.knowledge.triples.validate import Validation
from symdistill.runs.graphs import Outcome

_WIDTH = 150


def outcome_text(outcome: Outcome, path: Path) -> str:
    """What came of asking a teacher, on one line."""
    kept = sum(entry.kept for entry in outcome.answered)
    forms = " · ".join(f"{name} {count:,}" for name, count in count_outcomes(outcome.answered).items())
    left = " · ".join(f"{n.replace('_', ' ')} {count:,}" for n, count in count_dropped(outcome.answered).items())
    return (
        f"{counted(kept, 'phrase')} from {counted(len(outcome.answered), 'request')} ({forms}; not taken: "
        f"{left or 'nothing'}). {counted(outcome.added.new, 'new triple')} in {path}."
    )


def validation_text(found: Validation, triples: Sequence[Triple], most: int) -> str:
    """The counts of findings, the first `most` of each kind, and what of the graph is consistent."""
    lines = [f"{counted(len(triples), 'triple')}, {counted(len(found.findings), 'finding')}"]
    for kind, count in found.counts.items():
        lines.append(f"  {kind.replace('_', ' '):<18}{count:>8,}")
        some = [finding for finding in found.findings if finding.kind == kind][:most]
        lines += [f"    {finding.triples[0]}  {one_line(finding.why, _WIDTH)}" for finding in some]
        if 0 < most < count:
            lines.append(f"    and {count - most:,} more")
    if found.consistent is not None:
        sure = "no other subset is surer" if found.proven else "found so far"
        different = len({triple.id for triple in triples})
        of = f"{different:,} {'different ' if different < len(triples) else ''}triples"
        lines.append(f"Largest consistent subset: {len(found.consistent):,} of {of} ({sure}).")
    return "\n".join([*lines, *(one_line(note, 400) for note in found.notes)])


def graph_text(contents: Contents, schema: Schema, store: TripleStore | None) -> str:
    """A graph's schema and its batches."""
    where = f"graph in {store.path}, " if store else ""
    counts: dict[str, int] = {}
    for triple in contents.triples:
        counts[triple.batch] = counts.get(triple.batch, 0) + 1
    lines = [f"{where}schema `{schema.name}`, {counted(len(counts), 'batch', 'batches')}"]
    for batch in contents.batches:
        facts = (batch.origin, batch.model, batch.prompt, batch.used, batch.at)
        said = " · ".join(one_line(fact, 60) for fact in facts if fact)
        lines.append(f"  {one_line(batch.id, 40):<40} {counts.get(batch.id, 0):>9,}  {said}")
    return "\n".join(lines)


def figures_text(
    contents: Contents,
    found: Validation,
    decisions: Sequence[Decision],
    reference: Contents | None,
    *,
    seed: int = 0,
) -> str:
    """The measures of a graph, one a line, with their intervals."""
    triples = contents.triples
    judgements = standings(decisions)
    figures = describe(triples, seed=seed)
    in_conflict = {key for f in found.findings if f.kind in CONFLICTS for key in f.triples}
    malformed = {f.triples[0] for f in found.findings if f.kind not in (*CONFLICTS, "near_duplicate")}
    standing = sum(judgements.get(t.id) != "rejected" for t in triples)
    table = [
        ["triples, facts", f"{figures.triples:,}, {figures.facts:,}"],
        ["heads, nodes", f"{figures.heads:,}, {figures.nodes:,}"],
        ["distinct-1, distinct-2", f"{figures.distinct_1:.3f}, {figures.distinct_2:.3f}"],
        ["self-BLEU", f"{figures.self_bleu:.3f} of {figures.vendi_of:,} tails"],
        ["Vendi score", f"{figures.vendi:.1f} of {figures.vendi_of:,} tails"],
        ["in a conflict", _share(share(len(in_conflict), standing)) if found.consistent is not None else "–"],
        ["with a fault of their own", _share(share(len(malformed), standing))],
    ]
    for draws in independent_draws(triples, contents.batches):
        table.append(["facts there would be", _population(recapture(draws))])
    if reference is not None:
        known = {triple.fact for triple in reference.triples}
        held = coverage(triples, known)
        table += [
            ["new against the reference", _share(novelty(triples, known))],
            ["reference heads covered", _share(held.heads)],
            ["reference head–relation pairs", _share(held.pairs)],
            ["reference facts covered", _share(held.facts)],
        ]
    sampled = audit_sample(triples, decisions)
    if sampled:
        good = sum(said == "accepted" for said in sampled.values())
        table.append(["accepted, random slice", _share(share(good, len(sampled)))])
    judged = {key: value == "accepted" for key, value in judgements.items() if value != "unsure"}
    if judged:
        table.append(["accepted, all judged", _share(share(sum(judged.values()), len(judged)))])
    agreement = raters(decisions)
    for (one, other), measured in agreement.pairs.items():
        kappa = "–" if measured.kappa is None else f"{measured.kappa:.2f}"
        interval = "" if measured.low is None else f" [{measured.low:.2f}, {measured.high:.2f}]"
        name = f"{one_line(one, 30)} and {one_line(other, 30)}"
        table.append([f"kappa of {name}", f"{kappa}{interval} on {counted(measured.n, 'triple')}"])
    if agreement.alpha is not None:
        table.append(["Krippendorff's alpha", f"{agreement.alpha:.2f}"])
    lines = [f"  {name:<32}{value}" for name, value in table]
    return "\n".join([*lines, "", _relations(figures.by_relation, precision_by_relation(triples, judged))])


def _relations(counts: Mapping[str, int], precision: Mapping[str, Share]) -> str:
    head = ["relation", "facts"] + (["accepted of those judged"] if precision else [])
    table = [head]
    for relation, count in counts.items():
        row = [one_line(relation, 40), f"{count:,}"]
        if precision:
            row.append(_share(precision[relation]) if relation in precision else "–")
        table.append(row)
    return plain_text(table)


def _share(found: Share) -> str:
    if not found.n:
        return "–"
    return f"{100 * found.value:.1f}% [{100 * found.low:.1f}, {100 * found.high:.1f}] of {found.n:,}"


def _population(found: Population) -> str:
    seen = f"{found.seen:,} seen in {found.samples} draws"
    if found.total is None:
        return f"{seen}, none twice: many more"
    return f"about {found.total:,.0f} [{found.low:,.0f}, {found.high:,.0f}]; {seen}, {found.repeated:,} twice or more"
