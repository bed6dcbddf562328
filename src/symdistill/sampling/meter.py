"""Progress of sampling as people want to see it: rate, cost and time left."""

from __future__ import annotations

from collections import deque

from symdistill.progress import Progress
from symdistill.sampling.calls import Tally

_EVERY_SECONDS = 0.2
_OVER_SECONDS = 60.0
_NOTED_SECONDS = 5.0
_AGAIN_SECONDS = 30.0


class Meter:
    """Tells `progress` about a tally that grows, a few times a second at most."""

    def __init__(self, progress: Progress, total: int, *, priced: bool) -> None:
        self._progress = progress
        self._total = total
        self._priced = priced
        self._shown = 0
        self._next = 0.0
        self._noted_until = 0.0
        self._past: deque[tuple[float, int, int]] = deque()

    def show(self, tally: Tally, usd: float, now: float | None) -> None:
        """Report what is new since the last report. `now` None: at once, without a rate."""
        if now is not None and now < self._next:
            return
        finished = tally.finished
        facts: dict[str, str] = {}
        if now is not None:
            self._next = now + _EVERY_SECONDS
            facts |= self._rates(finished, tally.generated_tokens, now)
        if self._priced:
            facts["cost"] = dollars(usd)
        if tally.failures:
            facts["failed"] = f"{tally.failures.total():,}"
        if finished > self._shown or facts:
            self._progress.advance(finished - self._shown, **facts)
        self._shown = finished

    def waiting(self, seconds: float, now: float) -> None:
        """Say once that the model pauses for so long."""
        if seconds >= _NOTED_SECONDS and now >= self._noted_until:
            self._noted_until = now + seconds
            self._progress.note(f"The teacher does not answer right now; trying again in {seconds:,.0f} s.")

    def turned_away(self, words: str, seconds: float, patience: float, now: float) -> None:
        """Say, now and then, that the model has done nothing but turn calls away for so long."""
        if seconds >= _NOTED_SECONDS and now >= self._noted_until:
            self._noted_until = now + _AGAIN_SECONDS
            self._progress.note(
                f"The teacher has turned calls away for {duration(seconds)} ({words}); it is asked again for up to "
                f"{duration(patience)}."
            )

    def _rates(self, finished: int, tokens: int, now: float) -> dict[str, str]:
        self._past.append((now, finished, tokens))
        while now - self._past[0][0] > _OVER_SECONDS:
            self._past.popleft()
        then, finished_then, tokens_then = self._past[0]
        if now <= then or finished == finished_then:
            return {}
        rate = (finished - finished_then) / (now - then)
        facts = {"rate": f"{rate:,.1f} replies/s"}
        if tokens > tokens_then:
            facts["tokens"] = f"{(tokens - tokens_then) / (now - then):,.0f} tok/s"
        facts["left"] = duration((self._total - finished) / rate)
        return facts


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def dollars(usd: float) -> str:
    """An amount with two decimals, or as many as it takes to see it ($4.998, $0.00012)."""
    text = f"{usd:,.2f}" if usd == 0 or usd >= 100 else f"{usd:,.4f}" if usd >= 0.01 else f"{usd:.2g}"
    if "e" in text:
        text = f"{usd:.8f}"
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"${whole}.{decimals.ljust(2, '0')}"
