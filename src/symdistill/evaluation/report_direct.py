"""A `direct` run as people read it: in the terminal and as a page. Both are made from what metrics.json holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from symdistill.evaluation.figures import NOTHING, accuracy_interval, clean, count, p_value, percent, points
from symdistill.evaluation.report import environment, write_page
from symdistill.evaluation.report_critic import (
    ONLY_ONE,
    TOO_FEW,
    calibration_sentence,
    critic_table,
    gain_text,
    share_text,
    sides_sentence,
)
from symdistill.evaluation.tables import Table, plain_text

_SHOWN = 30


def direct_text(metrics: Mapping[str, Any]) -> str:
    """The graph, the critic, the students and what tells them apart, for a terminal."""
    parts = [
        " ".join([graph_sentence(metrics), *reviewed_sentence(metrics["reviewed"])]),
        f"{sides_sentence(metrics['critic'])}\n{plain_text(critic_table(metrics['critic']))}",
        plain_text(arms_table(metrics)),
    ]
    if metrics["differences"]:
        parts.append(plain_text(differences_table(metrics)))
    return "\n\n".join([*parts, *(f"Note: {note}" for note in metrics["notes"])])


def write_direct_report(
    path: Path,
    metrics: Mapping[str, Any],
    *,
    title: str,
    created: str,
    command: str,
    config: str,
    provenance: Mapping[str, str],
    cases: Sequence[Mapping[str, Any]],
) -> None:
    """Write the page, whole or not at all.

    Raises:
        RunDirectoryError: the disk is full, or the place cannot be written.
    """
    judge = metrics["judge"]
    page = (
        environment()
        .get_template("direct.html.j2")
        .render(
            title=clean(title, 200),
            created=created,
            headlines=headlines(metrics),
            notes=metrics["notes"],
            graph=graph_sentence(metrics),
            critic={"sides": sides_sentence(metrics["critic"]), "table": critic_table(metrics["critic"])},
            only_one=ONLY_ONE,
            calibration=calibration_sentence(metrics["critic"]),
            bins=bins_table(metrics["critic"]),
            judge={"sides": sides_sentence(judge), "table": critic_table(judge)} if judge else None,
            judged_by=metrics["judged_by"],
            held_out=metrics["held_out"],
            reference=metrics["reference"],
            arms=arms_table(metrics),
            differences=differences_table(metrics),
            skew=skew_table(metrics),
            skew_sentence=skew_sentence(metrics),
            cases=list(cases)[:_SHOWN],
            command=command,
            config=config,
            provenance=provenance,
        )
    )
    write_page(page, path, "Choose a --run-dir you can write to.")


def headlines(metrics: Mapping[str, Any]) -> list[str]:
    """What was found, in a sentence each: the critic's effect on the triples, and on the student."""
    held = metrics["critic"]["held_out"]
    chosen = held["chosen"]
    found = [
        f"On {held['n']:,} labels it never saw, the critic raises the share of good triples from "
        f"{share_text(held['before'])}% to {share_text(chosen['precision'])}%, keeping "
        f"{percent(chosen['kept']['count'] / held['n'])}% of them{_by_relation(chosen)}."
        if chosen["raises_precision"]
        else f"That the critic raises the share of good triples is not shown: {share_text(held['before'])}% before, "
        f"{share_text(chosen['precision'])}% of what it passes."
    ]
    found += reviewed_sentence(metrics["reviewed"])
    controls = ("random", "matched")
    verdicts = [one for one in metrics["differences"] if one["first"] == "filtered" and one["second"] in controls]
    if metrics["circular"]:  # then what a reference says comes first
        verdicts.sort(key=lambda one: one["measure"].startswith("accepted"))
    return found + [_verdict(one, circular=metrics["circular"]) for one in verdicts]


def reviewed_sentence(found: Mapping[str, Any] | None) -> list[str]:
    """The critic on a random slice of what the teacher wrote, where people have judged one."""
    if found is None:
        return []
    chosen = found["chosen"]
    shown = _by_relation(chosen) if chosen["raises_precision"] else "; that this is more than chance is not shown"
    return [
        f"Of {found['n']:,} triples that the teacher wrote, drawn at random and judged by people, "
        f"{share_text(found['before'])}% are good; of the {chosen['kept']['count']:,} that the critic passes "
        f"{share_text(chosen['precision'])}% (gain {gain_text(chosen)}{shown})."
    ]


def _by_relation(chosen: Mapping[str, Any]) -> str:
    """That a gain is one of choosing relations, where it is shown to be no more."""
    if not chosen.get("by_kind_alone"):
        return ""
    return f", which is the choice of relations: within a relation it gains {gain_text(chosen, 'within')}"


def _verdict(one: Mapping[str, Any], *, circular: bool) -> str:
    value = _gap(one)
    others = {"random": "as many at random", "matched": "as many of each relation at random"}[one["second"]]
    if circular and one["measure"].startswith("accepted"):
        value += "; circular, see the notes"
    if not one["shown"]:
        return f"{one['measure']}: no difference is shown between filtered triples and {others} ({value})."
    better = (one["mean"]["value"] > 0) != one["measure"].startswith("loss")
    word = "better" if better else "worse"
    return f"{one['measure']}: filtered triples teach {word} than {others} ({value})."


def graph_sentence(metrics: Mapping[str, Any]) -> str:
    """How many triples were written, what was left out, what passed."""
    graph = metrics["graph"]
    lost = ", ".join(f"{number:,} {reason}" for reason, number in graph["lost"].items() if number)
    share = percent(graph["accepted"] / graph["triples"]) if graph["triples"] else NOTHING
    return (
        f"{graph['written']:,} triples written; left out: {lost or 'none'}. Of {graph['triples']:,} about "
        f"{graph['heads']:,} heads the critic passes {graph['accepted']:,} ({share}%)."
    )


def arms_table(metrics: Mapping[str, Any]) -> Table:
    """One line a student, the teacher's own tails below them."""
    judges = list(metrics["teacher"]["accepted"])
    compared = metrics["reference"]["triples"] > 0
    header = ["student", "triples", "steps", "epochs", *(f"accepted by {name} (95%)" for name in judges), "different"]
    if compared:
        header += ["loss (95%)", "ROUGE-L (95%)", "exact (95%)"]
    table = [header]
    for arm in metrics["arms"]:
        line = [arm["label"], count(arm["examples"]), count(arm["steps"]), count(arm["epochs"])]
        line += [_share(arm["accepted"][name]) for name in judges] + [percent(arm["different"])]
        table.append(line + ([_plain(arm["loss"]), _share(arm["rouge_l"]), _share(arm["exact"])] if compared else []))
    teacher = metrics["teacher"]
    asked, pairs = teacher["pairs"], metrics["held_out"]["pairs"]
    name = "teacher" if asked == pairs else f"teacher ({asked:,} of {pairs:,} pairs)"
    line = [name, NOTHING, NOTHING, NOTHING, *(_share(teacher["accepted"][name]) for name in judges)]
    line.append(percent(teacher["different"]))
    table.append(line + ([NOTHING, _share(teacher["rouge_l"]), _share(teacher["exact"])] if compared else []))
    return table


def differences_table(metrics: Mapping[str, Any]) -> Table:
    """Two students a line, on the same heads and relations."""
    table = [["measure", "student", "against", "difference (95%)", "rows", "p", "p (Holm)"]]
    for one in metrics["differences"]:
        line = [one["measure"], one["first"], one["second"], _gap(one), count(one["mean"]["n"])]
        ps = (one["p"], one["adjusted"])
        told = [NOTHING if p is None else p_value(p).removeprefix("p").removeprefix("=") for p in ps]
        table.append([*line, *told])
    return table


def bins_table(report: Mapping[str, Any]) -> Table:
    """Probabilities beside the share that was good."""
    table = [["probability", "texts", "said", "good (95%)"]]
    for part in report["held_out"]["bins"]:
        between = f"{part['least']:.2f}–{part['most']:.2f}"
        good = accuracy_interval(part["accuracy"], part["low"], part["high"])
        table.append([between, count(part["n"]), percent(part["confidence"]), good])
    return table


def skew_table(metrics: Mapping[str, Any]) -> Table:
    """Of each relation its share of what is good, and the share of it that is good: teacher, graph, student."""
    names = ("teacher", "graph", "student")
    table = [["relation", *(f"share: {name}" for name in names), *(f"good: {name}" for name in names)]]
    for row in metrics["skew"]["relations"]:
        line = [row["relation"], *(percent(row[f"share_{name}"]) for name in names)]
        good = [row[f"good_{name}"] for name in names]
        table.append(line + [NOTHING if value is None else percent(value) for value in good])
    return table


def skew_sentence(metrics: Mapping[str, Any]) -> str:
    """How far the spreads of relations are apart."""
    skew = metrics["skew"]
    return (
        f"{skew['pairs']:,} held-out heads and relations the teacher wrote about, too. Of what the "
        f"{metrics['judged_by']} accepts there, {percent(skew['teacher_to_graph'])}% would have to move to "
        f"another relation to get from the teacher's spread to the filtered graph's, and "
        f"{percent(skew['graph_to_student'])}% from there to that of the student {skew['student']}."
    )


def _share(mean: Mapping[str, Any] | None) -> str:
    if mean is None:
        return NOTHING
    if mean["low"] is None:
        return percent(mean["value"])
    return accuracy_interval(mean["value"], mean["low"], mean["high"])


def _plain(mean: Mapping[str, Any] | None) -> str:
    if mean is None:
        return NOTHING
    return f"{mean['value']:.3f}" + ("" if mean["low"] is None else f" [{mean['low']:.3f}, {mean['high']:.3f}]")


def _gap(one: Mapping[str, Any]) -> str:
    mean, loss = one["mean"], one["measure"].startswith("loss")
    names = ("value",) if mean["low"] is None else ("value", "low", "high")
    signed = [f"{mean[name]:+.3f}".replace("-", "−") if loss else points(mean[name]) for name in names]
    return f"{signed[0]} {TOO_FEW}" if mean["low"] is None else f"{signed[0]} [{signed[1]}, {signed[2]}]"
