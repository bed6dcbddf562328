"""Knowledge: what stands in a student's prompt, and how it is found.

`Bm25Index` finds the texts that fit a query best among up to millions of them.
"""

from symdistill.knowledge.bm25 import Bm25Index, Hit
from symdistill.knowledge.terms import terms

__all__ = ["Bm25Index", "Hit", "terms"]
