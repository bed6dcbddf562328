"""Contenders that take turns, each in a process of its own: all see the same machine, none another's memory."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def contest_parser(description: str | None) -> argparse.ArgumentParser:
    """The options every contest takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="scenarios whose name contains this")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--contenders", type=lambda text: text.split(","), help="only these, separated by commas")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--contender", help=argparse.SUPPRESS)  # what a process of its own is told
    return parser


def hold(
    scenarios: Sequence[Any],
    arguments: argparse.Namespace,
    contend: Callable[[str, Any], dict[str, Any]],
    report: Callable[[Any, dict[str, list[dict[str, Any]]]], dict[str, Any]],
    passed_on: Sequence[str] = ("rows",),
) -> None:
    """Have the contenders of each scenario take turns and report on them.

    A scenario has a `name` and `contenders`. `contend` does one contender's part, in its process; `report` is given
    what every round of each brought. The options named in `passed_on` reach the processes.
    """
    chosen = [s for s in scenarios if arguments.only in s.name]
    if arguments.contender:
        print(json.dumps(contend(arguments.contender, chosen[0])))
        return
    options = [
        f"--{name.replace(chr(95), chr(45))}={value}" for name in passed_on if (value := getattr(arguments, name))
    ]
    found = {}
    for scenario in chosen:
        names = [n for n in scenario.contenders if not arguments.contenders or n in arguments.contenders]
        results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for _ in range(arguments.rounds):
            for name in names:
                command = [sys.executable, sys.argv[0], "--only", scenario.name, "--contender", name, *options]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    print(f"{scenario.name}: {name} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
                    continue
                results[name].append(json.loads(done.stdout.strip().splitlines()[-1]))
        found[scenario.name] = report(scenario, {name: r for name, r in results.items() if r})
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
