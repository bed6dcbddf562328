"""The layers of the design: a module imports from itself or from what stands above it, and nothing heavy at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "symdistill"
LAYERS = [
    *("errors", "records", "content", "settings", "progress", "prompts", "tasks", "models", "sampling", "curation"),
    *("knowledge", "students", "training", "evaluation", "methods", "runs", "serving", "cli"),
]
HEAVY = [
    *("torch", "transformers", "peft", "accelerate", "datasets", "pyarrow", "openai", "xllamacpp", "sklearn"),
    *("aiohttp", "ctranslate2", "pandas", "wittgenstein", "pyoxigraph", "clingo", "trl"),
]


def imported(path: Path) -> set[str]:
    """The dotted names a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the layer"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def layer_of(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_from_layers_above_it(path: Path) -> None:
    layer = layer_of(path)
    if layer in ("__init__", "__main__"):
        return
    assert layer in LAYERS, f"{layer} has no place in the layers"
    below = set(LAYERS[LAYERS.index(layer) + 1 :])
    wrong = {n for n in imported(path) if n.startswith("symdistill.") and n.split(".")[1] in below}
    assert not wrong, f"{path} imports downward: {sorted(wrong)}"


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE)))
def test_no_grab_bag_modules(path: Path) -> None:
    assert path.stem not in ("utils", "helpers", "common", "misc")


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    check = (
        "import sys, symdistill, symdistill.cli.main, symdistill.runs.config, symdistill.methods\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
