"""Batched decoding for any Hugging Face causal language model.

`Decoder` keeps a pool of rows that jobs enter and leave at any step (`continuous`). What prompts have in common is
computed once (`stretches`), and attended to where it lies instead of being copied, where that saves memory traffic
(`slots`); what is a row's own lies with that of rows of like length. Each sample draws from random numbers of its own
(`drawing`), so that, up to rounding, its text does not depend on what else is in the pool. Models whose attention
cannot be exchanged go another way (`padded`).
"""

from symdistill.models.decoding.decoder import Decoder
from symdistill.models.decoding.drawing import cut_top
from symdistill.models.decoding.jobs import Decoded, Job

__all__ = ["Decoded", "Decoder", "Job", "cut_top"]
