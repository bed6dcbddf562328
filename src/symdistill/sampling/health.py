"""Whether the model can be asked right now: pauses the server wants, and servers that are not there."""

from __future__ import annotations

import random

from symdistill.sampling.limits import CallLimits

_PROBE_SECONDS = 0.25
_PROBE_MOST_SECONDS = 5.0
_PAUSE_SECONDS = 0.25
_PAUSE_MOST_SECONDS = 60.0


class Health:
    """The state of one model as the answers tell it. Times are seconds of one monotonic clock."""

    def __init__(self, limits: CallLimits, now: float, chance: random.Random) -> None:
        self._limits = limits
        self._chance = chance
        self._answered = False
        self._good_at = now
        self._paused_until = now
        self._pauses = 0
        self._gone_at: float | None = None
        self._probes = 0

    @property
    def gone(self) -> bool:
        """Nothing answers at the address; one call at a time finds out whether that has changed."""
        return self._gone_at is not None

    def wait(self, now: float) -> float:
        """Seconds until a call may leave; 0 when it may leave now."""
        return max(0.0, self._paused_until - now)

    def since_good(self, now: float) -> float:
        """Seconds since the last reply, or since the first call."""
        return now - self._good_at

    def answered(self, now: float) -> None:
        """A reply came."""
        self._answered = True
        self._good_at = now
        self._pauses = 0
        self._gone_at = None

    def reached(self) -> None:
        """The server said something, if only that it would not answer."""
        self._gone_at = None

    def turned_away(self, now: float, retry_after: float | None, *, counted: bool) -> bool:
        """The server wants to be left alone, for `retry_after` seconds if it said so; the whole model pauses.

        `counted` is False for calls that left before an earlier refusal was known. False: patience is at its end.
        """
        if retry_after is None:
            if not counted:
                return True
            self._pauses += 1
            longest = min(_PAUSE_MOST_SECONDS, _PAUSE_SECONDS * 2.0 ** (self._pauses - 1))
            retry_after = self._chance.uniform(longest / 2, longest)
        if now + retry_after - self._good_at > self._limits.patience_seconds:
            return False
        self._paused_until = max(self._paused_until, now + retry_after)
        return True

    def unreachable(self, started: float, now: float) -> bool:
        """No connection could be made by a call that left at `started`. False: it has been so for too long.

        Calls that left before the trouble began only confirm it: many connections at once may time out together.
        """
        if self._gone_at is None:
            self._gone_at = now
            self._probes = 0
        elif started < self._gone_at:
            return True
        patience = self._limits.reconnect_seconds if self._answered else self._limits.reach_seconds
        if now - self._gone_at >= patience:
            return False
        if self._paused_until <= now:
            delay = min(_PROBE_MOST_SECONDS, _PROBE_SECONDS * 2.0**self._probes)
            # The last probe comes when patience ends, not long after.
            self._paused_until = min(now + delay, max(now + _PROBE_SECONDS, self._gone_at + patience))
            self._probes += 1
        return True

    def backoff(self, tries: int) -> float:
        """Seconds before a request is tried again after `tries` failed ones (full jitter)."""
        longest = min(self._limits.backoff_most_seconds, self._limits.backoff_seconds * 2.0 ** (tries - 1))
        return self._chance.uniform(0.0, longest)
