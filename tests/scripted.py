"""Requests for a scripted model, and a sampler that sends them."""

from __future__ import annotations

from symdistill import content
from symdistill.models import Price, ScriptedModel, byte_bound
from symdistill.records import Completion, Message, Sampling
from symdistill.sampling import CallLimits, Sampler

SAMPLING = Sampling(temperature=0.7, max_tokens=20)
QUICK = CallLimits(backoff_seconds=0.001, reach_seconds=0.4, reconnect_seconds=0.8)
PRICE = Price(input=1.0, output=2.0)


def wanted(questions: int = 4, samples: int = 2):
    return [
        content.request("scripted", [Message("user", f"question {q}")], SAMPLING, s)
        for q in range(questions)
        for s in range(samples)
    ]


def reply(request, prompt: int = 10, generated: int = 5) -> Completion:
    return Completion(request.key, f"reply {request.sample_index}", prompt_tokens=prompt, completion_tokens=generated)


def sampled(store, script, requests=None, *, capacity=None, delay=0.0, **options):
    """Sample once with a model of its own; the outcome and the model."""
    model = ScriptedModel(script, capacity=capacity, delay_seconds=delay)
    options = {"run": "run", "limits": QUICK, **options}
    with Sampler(store, model, **options) as sampler:
        return sampler.sample(wanted() if requests is None else requests), model


class Told:
    """A progress that remembers what it was told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int | None, int]] = []
        self.count = 0
        self.facts: dict[str, str] = {}
        self.notes: list[str] = []
        self.summary = ""

    def start(self, stage, total=None, done=0):
        self.started.append((stage, total, done))

    def advance(self, count=1, **facts):
        self.count += count
        self.facts |= facts

    def note(self, text):
        self.notes.append(text)

    def finish(self, summary=""):
        self.summary = summary


def recording_calls(calls):
    """A model that notes which requests came in one call."""

    class Noting(ScriptedModel):
        async def generate(self, requests):
            calls.append([(r.messages[0].content, r.sample_index) for r in requests])
            return await super().generate(requests)

    return Noting


def failing(*failures, then=reply):
    """Fail each request with these, one try after another, then answer."""
    tries: dict[str, int] = {}

    def script(request):
        tries[request.key] = tries.get(request.key, 0) + 1
        number = tries[request.key] - 1
        return failures[number] if number < len(failures) else then(request)

    return script


def bound_usd(request) -> float:
    return (byte_bound(request) + 2 * request.sampling.max_tokens) / 1e6
