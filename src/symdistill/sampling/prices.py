"""What a model's tokens cost, from the price list that is installed (no network) or the user's own figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from symdistill.models.settings import Price

OFFICIAL_URL = "https://api.openai.com/v1"
FREE = Price(input=0.0, output=0.0)
_FREE_KINDS = ("llama_cpp", "transformers", "vllm", "recorded", "dataset", "scripted")
_TOKENS = 1000


def price_of(model: str, price: Price | None = None, base_url: str | None = None) -> Price | None:
    """The price of `model` (as `teacher.model` names it), None when nobody knows.

    `price`, the user's own, goes before the list. Models that run here, and replies that exist already, are free. A
    server at another address than OpenAI's is looked up by that address; one on this machine may stand before a paid
    service, so it is not taken to be free. A price that changes over the day is that of the dearest hour, one that
    rises with the length of the prompt that of short ones.
    """
    if price is not None:
        return price
    kind, _, name = model.partition(":")
    if kind in _FREE_KINDS:
        return FREE
    if kind != "openai" or not name:
        return None
    return _listed(name, base_url or OFFICIAL_URL)


def _listed(name: str, url: str) -> Price | None:
    import genai_prices

    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    def of(**tokens: int) -> float:
        usage = genai_prices.Usage(**tokens)
        hours = (midnight + timedelta(hours=hour) for hour in range(24))
        calculated = (
            genai_prices.calc_price(usage, name, provider_api_url=url, genai_request_timestamp=hour) for hour in hours
        )
        return float(max(price.total_price for price in calculated) * 1_000_000 / _TOKENS)

    try:
        return Price(input=of(input_tokens=_TOKENS), output=of(output_tokens=_TOKENS))
    except LookupError:
        return None
