"""symdistill: turn a large language model's reasoning into a small model, with the evidence that it works.

    import symdistill as sd
    run = sd.run("symdistill.yaml", overrides={"student.model": "Qwen/Qwen2.5-0.5B"})
    run.metrics                       # rows as in metrics.json
    run.student("scotd").answer("2 + 3 =")   # Answer(text, answer)
    sd.compare("grid.yaml").result.main[0].arms   # one line a method, over all seeds

Everything here is imported on first use, so that `import symdistill` stays light.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symdistill.runs.api import FinishedRun, open_run, run
    from symdistill.runs.api import compare_grid as compare

__version__ = metadata.version("symdistill")
__all__ = ["FinishedRun", "__version__", "compare", "open_run", "run"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name in ("FinishedRun", "compare", "open_run", "run"):
        return getattr(import_module("symdistill.runs.api"), "compare_grid" if name == "compare" else name)
    raise AttributeError(f"module 'symdistill' has no attribute {name!r}")
