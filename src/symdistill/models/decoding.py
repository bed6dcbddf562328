"""Batched decoding for any Hugging Face causal language model.

Equal prompts are computed once and their cache rows repeated for every sample; a row that has ended leaves the batch
at once; each sample draws from random numbers of its own, so that (up to rounding) its text does not depend on what
else is in the batch. Models whose cache cannot be cut by rows are decoded one by one with their own `generate`.
"""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from symdistill.errors import Interrupted, ModelError

_LOG = logging.getLogger(__name__)

PREFILL_TOKENS = 16_384
"""Prompt tokens, padding included, computed in one forward pass: it bounds the memory of a batch of long prompts."""

_CACHE_SLACK = 64
_LIKELY = 1024
"""Tokens that usually hold a `top_p` share; the whole vocabulary is sorted only where they do not."""
_STOP_TAIL = 16
"""Tokens beyond a stop string's own length that are looked at for it."""


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to draw: prompt ids, a limit of new tokens, and how each token is chosen.

    `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 cut nothing off. Text from the first of `stop` on is left out.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decoded:
    """What one job brought. `tokens` and `logprobs` (natural, at temperature 1) include the end token.

    `ended` tells a reply that came to its end from one that met its limit; `shared` says that another job had the
    same prompt computed already.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    ended: bool
    shared: bool


class Decoder:
    """Decodes jobs with one model, `batch_size` rows at a time.

    `end_ids` end a reply. The model is put into evaluation mode while it decodes, and back afterwards.
    """

    def __init__(self, model: Any, tokenizer: Any, end_ids: Sequence[int], batch_size: int) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._end_ids = frozenset(end_ids)
        self._batch_size = batch_size
        self._accepts = _forward_arguments(model)
        self._layers = _layer_kinds(model)
        self._mask_per_query = (
            self._layers == "full"
            and model.device.type == "cpu"
            and model.config._attn_implementation == "sdpa"
            and self._accepts("position_ids")
            and not getattr(model.config, "alibi", False)
        )
        if self._layers is None:
            _LOG.warning("%s keeps a cache of its own kind: replies are decoded one at a time.", type(model).__name__)

    def decode(self, jobs: Sequence[Job], stop: threading.Event | None = None) -> list[Decoded]:
        """Draw every job, in the order given.

        Raises:
            ModelError: the model computes something that is no number.
            Interrupted: `stop` was set while decoding.
        """
        done: list[Decoded | None] = [None] * len(jobs)
        was_training = self._model.training
        self._model.eval()
        try:
            with torch.inference_mode():
                for chunk in self._chunks(jobs):
                    chosen = [jobs[i] for i in chunk]
                    results = self._generate(chosen, stop) if self._layers is None else self._run(chosen, stop)
                    for index, result in zip(chunk, results, strict=True):
                        done[index] = result
        finally:
            self._model.train(was_training)
        return [d for d in done if d is not None]

    def _chunks(self, jobs: Sequence[Job]) -> Iterator[list[int]]:
        """Indices of jobs that are decoded together: similar lengths, equal prompts side by side."""
        order = sorted(range(len(jobs)), key=lambda i: (-len(jobs[i].prompt), jobs[i].prompt, -jobs[i].max_tokens, i))
        chunk: list[int] = []
        prompts: set[tuple[int, ...]] = set()
        for index in order:
            prompt = jobs[index].prompt
            width = len(jobs[chunk[0]].prompt) if chunk else len(prompt)
            too_many_tokens = prompt not in prompts and (len(prompts) + 1) * width > PREFILL_TOKENS
            if chunk and (len(chunk) >= self._batch_size or too_many_tokens):
                yield chunk
                chunk, prompts = [], set()
            chunk.append(index)
            prompts.add(prompt)
        if chunk:
            yield chunk

    def _run(self, jobs: list[Job], stop: threading.Event | None) -> list[Decoded]:
        device = self._model.device
        prompts = list(dict.fromkeys(job.prompt for job in jobs))
        row_of = {prompt: i for i, prompt in enumerate(prompts)}
        rows = [_Row(job, index, self._tokenizer) for index, job in enumerate(jobs)]
        cache = self._new_cache()
        ids, mask = _left_padded(prompts, device)
        logits = self._forward(ids, mask, (mask.cumsum(-1) - 1).clamp_min(0), cache)
        if [row_of[job.prompt] for job in jobs] != list(range(len(prompts))):
            source = torch.tensor([row_of[job.prompt] for job in jobs], device=device)
            cache.batch_select_indices(source)
            logits, mask = logits[source], mask[source]
        lengths = mask.sum(-1)
        draw = _Draw(rows, device)
        active = rows
        while True:
            if stop is not None and stop.is_set():
                raise Interrupted("Decoding was stopped.", "Run the same command again to go on.")
            tokens, logprobs = draw.next(logits)
            keep = [
                position
                for position, (row, token, logprob) in enumerate(
                    zip(active, tokens.tolist(), logprobs.tolist(), strict=True)
                )
                if not row.add(token, logprob, self._end_ids)
            ]
            if not keep:
                break
            if len(keep) < len(active):
                index = torch.tensor(keep, device=device)
                cache.batch_select_indices(index)
                mask, lengths, tokens = mask[index], lengths[index], tokens[index]
                active = [active[i] for i in keep]
                draw.keep(index)
            mask = torch.cat([mask, mask.new_ones(len(active), 1)], dim=1)
            logits = self._forward(tokens[:, None], mask, lengths[:, None], cache)
            lengths = lengths + 1
        first_of = {prompt: i for i, prompt in reversed(list(enumerate(job.prompt for job in jobs)))}
        return [row.result(shared=first_of[row.job.prompt] != row.index) for row in rows]

    def _new_cache(self) -> Any:
        cache = DynamicCache(config=self._model.config)
        if self._layers == "full":
            cache.layers = [_GrowingLayer() for _ in cache.layers]
        return cache

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits of the last position, float32 `[rows, vocabulary]`.

        A single query under full attention needs no causal mask. On a CPU, handing over the four-dimensional mask
        keeps transformers from the grouped-query kernel it takes where nothing is padded, which is half as fast.
        """
        given: dict[str, Any] = {"attention_mask": mask}
        if self._mask_per_query and ids.shape[1] == 1:
            given["attention_mask"] = mask.bool()[:, None, None, :]
        if self._accepts("position_ids"):
            given["position_ids"] = positions
        if self._accepts("logits_to_keep"):
            given["logits_to_keep"] = 1
        out = self._model(input_ids=ids, past_key_values=cache, use_cache=True, **given)
        logits: torch.Tensor = out.logits[:, -1].float()
        return logits

    def _generate(self, jobs: list[Job], stop: threading.Event | None) -> list[Decoded]:
        """One reply at a time with the model's own `generate`, for caches that cannot be cut by rows."""
        results = []
        for index, job in enumerate(jobs):
            if stop is not None and stop.is_set():
                raise Interrupted("Decoding was stopped.", "Run the same command again to go on.")
            sampled = {"temperature": job.temperature, "top_k": job.top_k, "top_p": job.top_p}
            with torch.random.fork_rng(devices=_cuda_devices(self._model.device)):
                torch.manual_seed(job.seed)
                out = self._model.generate(
                    input_ids=torch.tensor([job.prompt], device=self._model.device),
                    attention_mask=torch.ones(1, len(job.prompt), dtype=torch.long, device=self._model.device),
                    max_new_tokens=job.max_tokens,
                    do_sample=job.temperature > 0,
                    eos_token_id=sorted(self._end_ids),
                    pad_token_id=min(self._end_ids, default=0),
                    output_logits=True,
                    return_dict_in_generate=True,
                    **(sampled if job.temperature > 0 else {}),
                )
            row = _Row(job, index, self._tokenizer)
            for token, logits in zip(out.sequences[0, len(job.prompt) :].tolist(), out.logits, strict=True):
                if row.add(token, float(logits[0].float().log_softmax(-1)[token]), self._end_ids):
                    break
            results.append(row.result(shared=False))
        return results


class _Row:
    """One job while it is decoded."""

    def __init__(self, job: Job, index: int, tokenizer: Any) -> None:
        self.job = job
        self.index = index
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._logprobs: list[float] = []
        self._ended = False
        self._end_token = False
        self._tail = max((len(s.encode()) for s in job.stop), default=0) + _STOP_TAIL

    def add(self, token: int, logprob: float, end_ids: frozenset[int]) -> bool:
        """Take a token; say whether the reply is over."""
        self._tokens.append(token)
        self._logprobs.append(logprob)
        self._end_token = token in end_ids
        self._ended = self._end_token or self._meets_stop()
        return self._ended or len(self._tokens) >= self.job.max_tokens

    def result(self, *, shared: bool) -> Decoded:
        text = self._text(self._tokens[:-1] if self._end_token else self._tokens)
        cuts = [at for at in (text.find(s) for s in self.job.stop) if at >= 0]
        text = text[: min(cuts)] if cuts else text
        return Decoded(tuple(self._tokens), tuple(self._logprobs), text, self._ended, shared)

    def _meets_stop(self) -> bool:
        if not self.job.stop:
            return False
        tail = self._text(self._tokens[-self._tail :])
        return any(s in tail for s in self.job.stop)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


class _Draw:
    """Chooses the next token of every row, each from its own temperature, cuts and random numbers."""

    def __init__(self, rows: Sequence[_Row], device: torch.device) -> None:
        jobs = [row.job for row in rows]
        self._temperature = torch.tensor([job.temperature for job in jobs], dtype=torch.float32, device=device)
        self._top_k = torch.tensor([job.top_k for job in jobs], device=device)
        self._top_p = torch.tensor([job.top_p for job in jobs], dtype=torch.float32, device=device)
        steps = max(job.max_tokens for job in jobs)
        numbers = np.zeros((len(jobs), steps), dtype=np.float32)
        for index, job in enumerate(jobs):
            if job.temperature > 0:
                generator = np.random.Generator(np.random.Philox(job.seed))
                numbers[index, : job.max_tokens] = generator.random(job.max_tokens, dtype=np.float32)
        self._numbers = torch.from_numpy(numbers).to(device)
        self._step = 0

    def keep(self, index: torch.Tensor) -> None:
        self._temperature, self._top_k = self._temperature[index], self._top_k[index]
        self._top_p, self._numbers = self._top_p[index], self._numbers[index]

    def next(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and their log-probabilities at temperature 1, each `[rows]`. Raises ModelError for NaN logits."""
        normaliser = logits.logsumexp(-1)
        if not bool(torch.isfinite(normaliser).all()):
            raise ModelError(
                "The model computes something that is no number.", "Train again with a lower learning rate, or in fp32."
            )
        tokens = logits.argmax(-1)
        sampled = self._temperature > 0
        if bool(sampled.any()):
            tokens = torch.where(sampled, self._sample(logits), tokens)
        self._step += 1
        return tokens, logits.gather(-1, tokens[:, None])[:, 0] - normaliser

    def _sample(self, logits: torch.Tensor) -> torch.Tensor:
        """The inverse of the cumulative distribution at each row's own random number."""
        temperature = torch.where(self._temperature > 0, self._temperature, 1.0)
        scaled = cut_top(logits / temperature[:, None], self._top_k, self._top_p)
        cumulative = scaled.softmax(-1).cumsum(-1, dtype=torch.float64)
        target = self._numbers[:, self._step, None].double() * cumulative[:, -1:]
        found = torch.searchsorted(cumulative, target, right=True)[:, 0]
        return found.clamp_max(logits.shape[-1] - 1)


class _GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer with room to spare, so that a step writes one position instead of copying all of them."""

    keys: Any
    values: Any
    _room: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        used = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        total = used + key_states.shape[-2]
        if self._room is None or self._room[0].shape[-2] < total:
            self._room = (
                _roomier(self.keys, key_states, used, total + _CACHE_SLACK),
                _roomier(self.values, value_states, used, total + _CACHE_SLACK),
            )
        keys, values = self._room
        keys[:, :, used:total] = key_states
        values[:, :, used:total] = value_states
        self.keys, self.values = keys[:, :, :total], values[:, :, :total]
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        super().batch_select_indices(indices)
        self._room = None


def cut_top(logits: torch.Tensor, top_k: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Logits `[rows, vocabulary]` with all but each row's `top_k` likeliest tokens, and then all but the smallest set
    that reaches probability `top_p`, set to minus infinity. 0 and 1 cut nothing; one token always stays."""
    size = logits.shape[-1]
    limits = torch.where(top_k > 0, top_k.clamp_max(size), size)
    if bool((limits < size).any()):
        most = int(torch.where(limits < size, limits, 1).max())
        best = logits.topk(most, dim=-1).values
        floor = best.gather(-1, (limits.clamp_max(most) - 1)[:, None])
        logits = logits.masked_fill((logits < floor) & (limits < size)[:, None], float("-inf"))
    if bool((top_p < 1).any()):
        probabilities = logits.softmax(-1)
        likely, order = probabilities.topk(min(size, _LIKELY), dim=-1)
        if bool(((likely.sum(-1) < top_p) & (top_p < 1)).any()):
            likely, order = probabilities.sort(dim=-1, descending=True)
        stays = likely.cumsum(-1) - likely < top_p[:, None]
        stays[:, 0] = True
        kept = torch.zeros_like(logits, dtype=torch.bool).scatter(-1, order, stays) | (top_p >= 1)[:, None]
        logits = logits.masked_fill(~kept, float("-inf"))
    return logits


def _roomier(held: torch.Tensor, states: torch.Tensor, used: int, capacity: int) -> torch.Tensor:
    room = states.new_empty(*states.shape[:2], capacity, states.shape[-1])
    if used:
        room[:, :, :used] = held
    return room


def _left_padded(prompts: Sequence[tuple[int, ...]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask `[prompts, longest]`, padding on the left."""
    width = max(len(p) for p in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


def _layer_kinds(model: Any) -> str | None:
    """ "full" where every cache layer grows without limit, "windowed" where some slide, None for any other kind."""
    layers = DynamicCache(config=model.config).layers
    if not layers or getattr(model, "_is_stateful", False):
        return None
    kinds = {type(layer) for layer in layers}
    if kinds == {DynamicLayer}:
        return "full"
    return "windowed" if kinds <= {DynamicLayer, DynamicSlidingWindowLayer} else None


def _forward_arguments(model: Any) -> Callable[[str], bool]:
    names = set(inspect.signature(model.forward).parameters)
    return names.__contains__


def _cuda_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
