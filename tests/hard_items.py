"""Knowledge items as hypothesis draws them, with the texts that files and terminals find hard."""

from __future__ import annotations

from hypothesis import strategies as st

from symdistill.knowledge.items import KnowledgeItem, Provenance, Use

HARD = (
    *("---", "---\nid: k_0\n---\nover", "- a: b", "title: x", "#no comment", "'", '"', "null", "yes", "12", "1e3"),
    *(
        "  leading",
        "trailing  ",
        "\ttab",
        "a\r\nb",
        "a\rb",
        "\n",
        "\n\n\nx\n\n",
        "x\n",
        "",
        " ",
        "é\u0301",
        "日本語の項目",
    ),
    *(
        "\ufeffmark",
        "\x00\x1b[31m",
        "a\u2028b\x85c",
        "😀",
        "x" * 5000,
        "<script>",
        "!!python/object:x",
        "&a *a",
        "{[%@`",
    ),
    "2024-01-01",
)
texts = st.sampled_from(HARD) | st.text(max_size=40) | st.lists(st.sampled_from(HARD), max_size=3).map("\n".join)
words = st.text(max_size=12)
sources = st.builds(Provenance, words, words, texts, texts, words, words, words, words)
flags = st.lists(
    st.sampled_from(["leaks_answer", "copies_question", "too_long", "truncated", "contradiction", "merged"]),
    unique=True,
    max_size=3,
).map(tuple)
items = st.builds(
    KnowledgeItem,
    id=st.from_regex(r"k_[0-9a-f]{2}", fullmatch=True),
    kind=st.sampled_from(["summary", "supplementary", "triple", "rule"]),
    title=texts,
    text=texts,
    task=words,
    status=st.sampled_from(["active", "review", "retired"]),
    provenance=st.lists(sources, max_size=2).map(tuple),
    flags=flags,
)
several = st.lists(items, max_size=5, unique_by=lambda item: item.id)
uses = st.builds(
    Use,
    item_id=st.from_regex(r"k_[0-9a-f]{2}", fullmatch=True),
    version=st.integers(1, 3),
    example_id=words,
    question=texts,
    run=words,
    student=words,
    correct_with=st.booleans(),
    correct_without=st.booleans(),
    reply_with=texts,
    reply_without=texts,
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "title": texts,
        "text": texts.filter(str.strip),
        "status": st.sampled_from(["active", "retired"]),
        "flags": flags,
    },
)
