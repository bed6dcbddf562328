"""Knowledge that people can read: items, the base that keeps them, how they are made, refined, measured and found.

`KnowledgeBase` holds `KnowledgeItem`s with every version they ever had; `building` makes them from a student's
mistakes, `refinement` merges and flags them, `utility` tells from measured `Use`s what each is worth, and a
`Retriever` finds those for a question. `Bm25Index` finds the texts that fit a query best among up to millions.
"""

from symdistill.knowledge.base import KnowledgeBase
from symdistill.knowledge.bm25 import Bm25Index, Hit
from symdistill.knowledge.items import KnowledgeItem, Provenance, Use
from symdistill.knowledge.retrieval import Retriever
from symdistill.knowledge.terms import terms

__all__ = ["Bm25Index", "Hit", "KnowledgeBase", "KnowledgeItem", "Provenance", "Retriever", "Use", "terms"]
