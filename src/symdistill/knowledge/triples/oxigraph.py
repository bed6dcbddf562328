"""pyoxigraph, or an error that says how to get it. Imported on use."""

from __future__ import annotations

from symdistill.errors import PrerequisiteError

try:
    import pyoxigraph as ox
except ImportError as error:
    raise PrerequisiteError(
        "Querying a graph and reading or writing RDF needs pyoxigraph.", "pip install 'symdistill[kg]'"
    ) from error

__all__ = ["ox"]
