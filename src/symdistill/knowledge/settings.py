"""The `knowledge` section: the base that is read, and how items are found in it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from symdistill.knowledge.items import Kind
from symdistill.settings import Settings


class RetrievalSettings(Settings):
    """Which items stand before a question: `top_k` of each of `kinds`, among the active ones."""

    method: Literal["bm25", "dense", "hybrid"] = "bm25"
    """`dense`: cosine similarity of sentence embeddings; `hybrid`: both, joined by reciprocal-rank fusion."""
    top_k: PositiveInt = 1
    """Items of each kind before a question."""
    kinds: tuple[Kind, ...] = ("summary", "supplementary")
    """Kinds of items that are looked up."""
    query: tuple[Literal["task", "question"], ...] = ("task", "question")
    """What is asked with: the task's name and description, the question with its options."""
    query_words: PositiveInt = 512
    """Words of the query that count, from its beginning."""
    keys: tuple[Literal["question", "task", "title", "text"], ...] = ("question", "task", "text")
    """What an item is found by: the questions it came from (each apart, the best one counts), its task, title, text."""
    max_words: PositiveInt | None = None
    """Words of all items before a question; an item that would pass it gives way to the next best that fits."""
    exclude_own: bool = True
    """Leave one out: a question does not find what came from it alone, and no other item by way of itself."""
    exclude_leaking: bool = True
    """A question does not find an item that leaks its answer or copies it, whatever other sources the item has."""
    embedding_model: Path | None = None
    """A sentence-transformers directory, for `dense` and `hybrid`."""

    @model_validator(mode="after")
    def _says_enough(self) -> RetrievalSettings:
        for name in ("kinds", "query", "keys"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} must name something, and nothing twice")
        if self.method != "bm25" and self.embedding_model is None:
            raise ValueError(f"method {self.method} needs embedding_model, a sentence-transformers directory")
        return self


class KnowledgeSettings(Settings):
    """Where the knowledge comes from."""

    path: Path | None = None
    """A knowledge base that is there already; None: the run's own."""
    retrieval: RetrievalSettings = Field(default_factory=RetrievalSettings)
