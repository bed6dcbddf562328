"""Knowledge as triples: schemas, files, a store that answers SPARQL, validation, review.

`TripleStore` keeps `Triple`s on disk under a `Schema`; `read_triples` and `write_triples` are the files they travel in;
`validate` finds what is wrong; `review_queue` says what people should look at. `asking` makes the requests that let a
teacher write triples, and reads its replies.
"""

from symdistill.knowledge.triples.exchange import Contents, read_triples, write_triples
from symdistill.knowledge.triples.records import Batch, Triple, canonical_hash
from symdistill.knowledge.triples.schema import Schema, load_schema

__all__ = ["Batch", "Contents", "Schema", "Triple", "canonical_hash", "load_schema", "read_triples", "write_triples"]
