"""Methods compared on the questions of tasks they learned from, and of others, apart."""

from __future__ import annotations

import csv
import io

import pytest

from grid_cases import a_grid, answered, bits, cell, check_tables
from symdistill.evaluation.grid import gather
from symdistill.evaluation.grid_tables import domains_table, grid_csv, grid_latex, grid_markdown, pairs_table
from symdistill.evaluation.seeds import seed_difference


def apart_out_of_domain(seeds: int = 1, **changes):
    """200 questions, every other one of a task in domain: both methods know half of those, and `far` the others too."""
    rows = {"near": [i % 4 == 0 for i in range(200)], "far": [i % 4 == 0 or i % 2 == 1 for i in range(200)]}
    tasks = ("sums", "navigate")
    made = [
        cell(method, [answered(method, right, tasks=tasks)], seed=s)
        for method, right in rows.items()
        for s in range(seeds)
    ]
    return gather(made, baseline="near", **changes)


def test_domains_are_compared_apart():
    """Two methods that are equal on what was learned from, and not on the rest."""
    result = apart_out_of_domain()
    [panel] = result.panels
    [inside], [outside] = panel.inside.against, panel.outside.against
    assert (
        (inside.first.method, inside.second.method) == (outside.first.method, outside.second.method) == ("far", "near")
    )
    assert (inside.found.difference, inside.found.p) == (0, 1)
    assert inside.found.low < 0 < inside.found.high
    assert (outside.found.difference, outside.found.p) == (1, pytest.approx(2 / 2**100))
    far, near = (next(arm for arm in panel.arms if arm.method == method).verdicts for method in ("far", "near"))
    assert outside.found == seed_difference(far[:, columns(result, "navigate")], near[:, columns(result, "navigate")])
    assert panel.against[0].found.difference == 0.5, "which of the two domains it is about, the whole cannot tell"
    [inside_pair], [outside_pair] = panel.inside.pairs, panel.outside.pairs
    assert (inside_pair.found, outside_pair.found) == (inside.found, outside.found)


def columns(result, task: str) -> list[int]:
    """Places of a task's questions among the sorted ids: even numbers belong to sums, odd ones to navigate."""
    return [
        at
        for at, i in enumerate(sorted(f"q{n}" for n in range(result.n)))
        if (int(i[1:]) % 2 == 1) == (task == "navigate")
    ]


def test_each_domain_is_a_family_of_tests_of_its_own():
    [panel, *_] = gather(a_grid(n=60)).panels
    for part in (panel.inside, panel.outside):
        assert (len(part.against), len(part.pairs)) == (7, 8 * 7 // 2)
        for found in (part.against, part.pairs):
            least = min(found, key=lambda one: one.found.p)
            assert least.p_holm == pytest.approx(min(1, len(found) * least.found.p))


def test_one_seed_borrows_luck_within_its_domain():
    """The seeds of `steady` differ out of domain alone, so that is where one seed of `left` says less."""
    rows = [[i % 2 == 0 or i % 100 < 50 + 30 * s for i in range(200)] for s in range(3)]
    tasks = ("sums", "navigate")
    made = [cell("steady", [answered("steady", right, tasks=tasks)], seed=s) for s, right in enumerate(rows)]
    left = cell("left", [answered("left", [True] * 200, tasks=tasks)])
    [panel] = gather([*made, left], baseline="steady").panels
    [inside], [outside] = panel.inside.against, panel.outside.against
    assert inside.first.answers_inside.luck.variance == 0 < outside.first.answers_outside.luck.variance
    alone = seed_difference(outside.first.answers_outside.verdicts, outside.second.answers_outside.verdicts)
    assert outside.found.high - outside.found.low > alone.high - alone.low


def test_differences_by_domain_are_in_every_table():
    result = apart_out_of_domain()
    [panel] = result.panels
    head, near, far = domains_table(panel, result)
    assert head[2:] == ["in domain, vs near (95%)", "p in", "out of domain, vs near (95%)", "p out"]
    assert near[2:] == ["–", "", "–", ""]
    assert (far[2].partition(" ")[0], far[3], far[4].partition(" ")[0], far[5]) == ("0.0", "1", "+100.0", "<.001")
    assert "| far | greedy | 0.0 [" in grid_markdown(result, "t")
    assert r"\label{tab:domains-0}" in grid_latex(result, "t")
    check_tables(grid_latex(result, "t"))
    first, second = csv.DictReader(io.StringIO(grid_csv(result)))
    assert (first["in_domain_difference"], first["out_of_domain_p_holm"]) == ("", "")
    assert [float(second[f"{part}_difference"]) for part in ("in_domain", "out_of_domain")] == [0, 1]
    assert float(second["in_domain_difference_low"]) < 0 < float(second["in_domain_difference_high"])
    assert float(second["in_domain_p_holm"]) == 1 > float(second["out_of_domain_p_holm"]) > 0
    assert pairs_table(panel)[0][5:] == ["in domain", "p in (Holm)", "out of domain", "p out (Holm)"]
    assert pairs_table(panel)[1][6::2] == ["1", "<.001"]


def test_without_two_domains_nothing_is_compared_by_domain():
    for tasks in (("sums",), ("navigate",)):
        result = gather([cell(m, [answered(m, bits("1100"), tasks=tasks)]) for m in ("near", "far")])
        [panel] = result.panels
        assert (panel.inside.against, panel.outside.pairs, domains_table(panel, result)) == ((), (), [])
        assert "In and out of domain" not in grid_markdown(result, "t")
        assert len(pairs_table(panel)[0]) == 5
        assert "in_domain_difference" in grid_csv(result), "columns are the same for every grid"


def test_a_method_whose_tasks_are_not_known_stands_in_no_domain():
    result = apart_out_of_domain()
    stray = cell("stray", [answered("stray", [True] * 200, tasks=("sums", "navigate"))], train_tasks=None)
    result = gather([*result.cells, stray], baseline="near")
    [panel] = result.panels
    assert [one.first.method for one in panel.outside.against] == ["far"]
    assert domains_table(panel, result)[3][2:] == ["–", "", "–", ""]
    assert pairs_table(panel)[2][5:] == ["–", "", "–", ""]
