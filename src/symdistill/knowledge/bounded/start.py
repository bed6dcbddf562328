"""The beginning of every worker's process: take the limits, read the job, write what the worker yields.

Run as a program with the worker's file, megabytes and CPU seconds. It imports nothing of symdistill.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import sys

try:
    import resource
except ImportError:  # not on Windows: there only the parent's clock ends a worker
    resource = None  # type: ignore[assignment]

_FLUSH_EVERY = 50


def main() -> None:
    """Do the job on standard input; one JSON value a line on standard output."""
    worker, megabytes, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    if resource is not None:
        for kind, most in ((resource.RLIMIT_DATA, megabytes << 20), (resource.RLIMIT_CPU, seconds)):
            with contextlib.suppress(OSError, ValueError):  # a lower limit is set already
                resource.setrlimit(kind, (most, most))
    work = runpy.run_path(worker)["work"]
    try:
        for number, value in enumerate(work(json.load(sys.stdin))):
            sys.stdout.write(json.dumps(value) + "\n")
            if number % _FLUSH_EVERY == 0 or isinstance(value, dict):
                sys.stdout.flush()
    except MemoryError:
        sys.stdout.write('{"limit": "memory"}\n')
    except BrokenPipeError:
        sys.stderr.close()


if __name__ == "__main__":
    main()
