"""Finished runs of a family side by side: the same but for their seeds, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from symdistill.cli.main import main
from symdistill.errors import ConfigError, RunDirectoryError
from symdistill.runs.config import parse_config
from symdistill.runs.joining import family_of, join_family


def finished(path: Path, seed: int, gain: float, **direct: Any) -> Path:
    """A run of `direct` as far as it is joined: its configuration and its figures."""
    path.mkdir()
    config = parse_config({"direct": {"new_heads": 3, **direct}, "seed": seed})
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
    assert lines["figure"][1:] == ["seed 0", "seed 1", "seed 2"]
    assert lines["gain of the critic"] == ["0.300 [0.052, 0.548]", "0.200", "0.300", "0.400"]
    assert lines["filtered − random: loss"][1:] == ["0.100", "0.150", "0.200"]
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *map(str, places)])
    assert stopped.value.code == 0
    assert "gain of the critic" in capsys.readouterr().out


def test_what_cannot_be_joined_says_why(tmp_path: Path) -> None:
    first, again = (finished(tmp_path / name, 0, 0.2) for name in ("a", "b"))
    with pytest.raises(ConfigError, match="Two of the runs have the seed 0"):
        join_family([first, again])
    other = finished(tmp_path / "c", 1, 0.2, tails=7)
    with pytest.raises(ConfigError, match=r"differ in more than their seed \(direct\)"):
        join_family([first, other])
    (again / "metrics.json").unlink()
    with pytest.raises(RunDirectoryError):
        join_family([again])
