"""The prompts computed so far, and the beginnings they share."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from symdistill.models.decoding.attention import Stretch
from symdistill.models.decoding.network import Network
from symdistill.models.decoding.prefixes import SHARED_TOKENS, Prompt, shared_prefixes

PREFILL_TOKENS = 1_024
"""Prompt tokens, padding included, computed in one forward pass: enough to keep a processor busy, in little memory."""

_SHARE_FROM = 4_096
"""Tokens of copies, over all rows, from which on rows attend to one shared stretch instead."""
_KEPT_BEGINNINGS, _KEPT_PROMPTS = 4, 2
"""Beginnings and prompts that nobody waits for and that are kept, for the requests that come next."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A prompt that `rows` rows need, and the lengths of its beginnings that others have too, with their rows."""

    prompt: Prompt
    rows: int
    beginnings: tuple[tuple[int, int], ...]

    @property
    def own_tokens(self) -> int:
        """Tokens after the last beginning that others have too."""
        return len(self.prompt) - (self.beginnings[-1][0] if self.beginnings else 0)


def wanted(prompts: Sequence[Prompt], *, share: bool) -> dict[Prompt, Wanted]:
    """What a list of prompts, one a row, has in common; no beginnings where `share` is off."""
    rows = Counter(prompts)
    cuts = shared_prefixes(rows) if share else dict.fromkeys(rows, ())
    followers: Counter[Prompt] = Counter()
    for prompt, lengths in cuts.items():
        for length in lengths:
            followers[prompt[:length]] += rows[prompt]
    return {p: Wanted(p, rows[p], tuple((cut, followers[p[:cut]]) for cut in cuts[p])) for p in rows}


class Stretches:
    """Computes each prompt, and each beginning, once, and keeps them while rows wait for them."""

    def __init__(self, network: Network, batch_size: int) -> None:
        self._network = network
        self._batch_size = batch_size
        self._beginnings: OrderedDict[Prompt, Stretch] = OrderedDict()
        self._prompts: OrderedDict[Prompt, Stretch] = OrderedDict()

    def __contains__(self, prompt: Prompt) -> bool:
        return prompt in self._prompts

    def __getitem__(self, prompt: Prompt) -> Stretch:
        self._prompts.move_to_end(prompt)
        return self._prompts[prompt]

    def compute(self, prompts: Iterable[Wanted]) -> dict[Prompt, int]:
        """Compute those that are not there yet; for each prompt, how many of its tokens were there before."""
        groups: dict[Stretch | None, list[Wanted]] = {}
        cached: dict[Prompt, int] = {}
        for item in prompts:
            if item.prompt in self:
                cached[item.prompt] = len(item.prompt)
            elif item.prompt not in cached:
                parent, cached[item.prompt] = self._beginning(item)
                groups.setdefault(parent, []).append(item)
        for parent, items in groups.items():
            start = len(parent.tokens) if parent else 0
            for chunk in _chunks(items, start):
                stay = [self._stays(len(item.prompt) - start, item.rows) for item in chunk]
                computed = self._network.prefill([item.prompt for item in chunk], parent, shared=stay)
                self._prompts.update((stretch.tokens, stretch) for stretch in computed)
        return cached

    def forget(self, waiting: Counter[Prompt]) -> None:
        """Let go of what no waiting row needs, but for the latest."""
        unneeded = [prompt for prompt in self._prompts if not waiting[prompt]]
        for prompt in unneeded[: max(0, len(unneeded) - _KEPT_PROMPTS)]:
            del self._prompts[prompt]
        while len(self._beginnings) > _KEPT_BEGINNINGS:
            self._beginnings.popitem(last=False)

    def _beginning(self, item: Wanted) -> tuple[Stretch | None, int]:
        """The stretch the prompt goes on from, computed where it is not there yet, and how much was there."""
        known = [s for s in self._beginnings.values() if item.prompt[: len(s.tokens)] == s.tokens != item.prompt]
        found = max(known, key=lambda s: len(s.tokens), default=None)
        cached = at = len(found.tokens) if found else 0
        for length, rows in item.beginnings:
            if length >= at + SHARED_TOKENS:
                stays = self._stays(length - at, rows)
                [found] = self._network.prefill([item.prompt[:length]], found, shared=[stays], logits=False)
                self._beginnings[found.tokens] = found
                at = length
        if found is not None:
            self._beginnings.move_to_end(found.tokens)
        return found, cached

    def _stays(self, tokens: int, rows: int) -> bool:
        """Whether rows had better attend to a stretch where it is than to copies of their own."""
        return self._network.sharing and tokens * min(rows, self._batch_size) >= _SHARE_FROM


def _chunks(items: Sequence[Wanted], start: int) -> Iterator[list[Wanted]]:
    """Prompts computed in one pass: of similar lengths, padded to no more than `PREFILL_TOKENS`."""
    chunk: list[Wanted] = []
    for item in sorted(items, key=lambda item: -len(item.prompt)):
        width = len((chunk or [item])[0].prompt) - start
        if chunk and (len(chunk) + 1) * width > PREFILL_TOKENS:
            yield chunk
            chunk = []
        chunk.append(item)
    if chunk:
        yield chunk
