"""Prices: the user's own, the installed list, free, or unknown; never a guess."""

from __future__ import annotations

import pytest

from symdistill.models import Price
from symdistill.sampling import price_of

OWN = Price(input=7.0, output=9.0)
FREE = Price(input=0.0, output=0.0)


@pytest.mark.parametrize(
    "model, price, base_url, expected",
    [
        ("openai:gpt-4o-mini", None, None, Price(input=0.15, output=0.6)),
        ("openai:gpt-4o-mini", None, "https://api.openai.com/v1", Price(input=0.15, output=0.6)),
        ("openai:gpt-4o-mini", OWN, None, OWN),
        ("openai:no-such-model", None, None, None),
        ("openai:gpt-4o-mini", None, "http://127.0.0.1:8080/v1", None),
        ("openai:gpt-4o-mini", None, "https://llm.example.org/v1", None),
        ("openai:anything", FREE, "http://127.0.0.1:8080/v1", FREE),
        ("llama_cpp:some/file.gguf", None, None, FREE),
        ("transformers:some/directory", None, None, FREE),
        ("recorded:some/file.jsonl.gz", None, None, FREE),
        ("dataset", None, None, FREE),
        ("unheard-of:x", None, None, None),
    ],
)
def test_price_of(model, price, base_url, expected):
    assert price_of(model, price, base_url) == expected


def test_a_service_at_its_own_address_is_priced_by_that_address():
    price = price_of("openai:deepseek-chat", None, "https://api.deepseek.com/v1")
    assert price is not None
    assert 0 < price.input < price.output
