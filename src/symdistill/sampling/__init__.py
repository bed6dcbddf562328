"""The one door to models: every reply is stored, replayable, and paid for once."""

from symdistill.sampling.estimate import Estimate, estimate
from symdistill.sampling.exchange import Exchanged, export_store, import_recording
from symdistill.sampling.limits import Budget, CallLimits
from symdistill.sampling.prices import price_of
from symdistill.sampling.sampler import Sampled, Sampler
from symdistill.sampling.store import ResponseStore, Spending, StoreStats, Verification

__all__ = [
    "Budget",
    "CallLimits",
    "Estimate",
    "Exchanged",
    "ResponseStore",
    "Sampled",
    "Sampler",
    "Spending",
    "StoreStats",
    "Verification",
    "estimate",
    "export_store",
    "import_recording",
    "price_of",
]
