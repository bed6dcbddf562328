"""Finished runs of a family side by side: the same but for their seeds, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.cli.main import main
from symdistill.errors import ConfigError, DataError, RunDirectoryError
from symdistill.runs.config import parse_config
from symdistill.runs.joining import family_of, join_family


def finished(path: Path, seed: int, gain: float, sections: dict[str, Any] | None = None, **direct: Any) -> Path:
    """A run of `direct` as far as it is joined: its configuration and its figures."""
    path.mkdir()
    config = parse_config({"direct": {"new_heads": 3, **direct}, "seed": seed, **(sections or {})})
    (path / "config.yaml").write_text(config.to_yaml())
    share = {"count": 5, "n": 10, "low": 0.2, "high": 0.8}
    mean = {"value": gain / 2, "low": None, "high": None, "n": 3, "heads": 2}
    metrics = {
        "family": "direct",
        "graph": {"accepted": 30, "triples": 60},
        "critic": {"held_out": {"before": share, "chosen": {"gain": gain}}},
        "reviewed": None,
        "judged_by": "critic",
        "arms": [{"label": "filtered", "accepted": {"critic": mean}, "rouge_l": None, "loss": mean}],
        "differences": [{"measure": "loss", "first": "filtered", "second": "random", "mean": mean}],
        "skew": {"teacher_to_student": 0.1},
    }
    (path / "metrics.json").write_text(json.dumps(metrics))
    return path


def test_runs_that_differ_in_their_seed_are_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = [finished(tmp_path / f"s{seed}", seed, gain) for seed, gain in ((0, 0.2), (1, 0.3), (2, 0.4))]
    assert family_of(places[0]) == "direct"
    assert family_of(tmp_path) is None
    lines = {line[0]: line[1:] for line in join_family(places)}
    assert lines["figure"][1:] == ["seeds", "seed 0", "seed 1", "seed 2"]
    assert lines["gain of the critic"] == ["0.300 [0.052, 0.548]", "3", "0.200", "0.300", "0.400"]
    assert lines["filtered − random: loss"][1:] == ["3", "0.100", "0.150", "0.200"]
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *map(str, places)])
    assert stopped.value.code == 0
    assert "gain of the critic" in capsys.readouterr().out


def test_what_cannot_be_joined_says_why(tmp_path: Path) -> None:
    first, again = (finished(tmp_path / name, 0, 0.2) for name in ("a", "b"))
    with pytest.raises(ConfigError, match="Two of the runs have the seed 0"):
        join_family([first, again])
    (again / "metrics.json").unlink()
    with pytest.raises(RunDirectoryError, match=r"has no metrics\.json yet"):
        join_family([again])


@pytest.mark.parametrize(
    ("direct", "sections", "named"),
    [
        ({"tails": 7}, {}, r"direct\.tails"),
        ({"critic": {"recall": 0.8}, "test": 0.3}, {}, r"direct\.critic\.recall, direct\.test"),
        ({}, {"evaluation": {"limit": 5}}, r"evaluation\.limit"),
        ({}, {"student": {"engine": "auto"}}, r"student\.engine"),
    ],
)
def test_runs_that_differ_in_more_are_refused_by_the_keys(
    tmp_path: Path, direct: dict[str, Any], sections: dict[str, Any], named: str
) -> None:
    first, other = finished(tmp_path / "a", 0, 0.2), finished(tmp_path / "b", 1, 0.2, sections, **direct)
    with pytest.raises(ConfigError, match=rf"differ in more than their seed \({named}\)"):
        join_family([first, other])


def test_where_a_store_lies_makes_no_difference(tmp_path: Path) -> None:
    places = finished(tmp_path / "a", 0, 0.2), finished(tmp_path / "b", 1, 0.2, {"store": str(tmp_path / "s.sqlite")})
    assert len(join_family(places)[0]) == 5


def test_figures_of_an_earlier_version_say_what_to_do(tmp_path: Path) -> None:
    place = finished(tmp_path / "a", 0, 0.2)
    metrics = json.loads((place / "metrics.json").read_text())
    del metrics["reviewed"]
    (place / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(DataError, match=r"metrics\.json are of an earlier version: there is no 'reviewed'") as caught:
        join_family([place])
    assert "Run the same configuration again" in caught.value.fix


def test_runs_of_different_kinds_are_refused_in_either_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family, methods = finished(tmp_path / "a", 0, 0.2), tmp_path / "b"
    methods.mkdir()
    (methods / "config.yaml").write_text(parse_config({"method": {"name": "std-cot"}}).to_yaml())
    for first, second in ((family, methods), (methods, family)):
        with pytest.raises(SystemExit) as stopped:
            main(["compare", str(first), str(second)])
        assert stopped.value.code != 0
        said = " ".join(capsys.readouterr().err.split())
        assert "a run of direct" in said
        assert "none of a family" in said
        assert "Join each kind by itself." in said
