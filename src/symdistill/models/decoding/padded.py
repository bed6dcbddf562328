"""Decoding for models whose attention cannot be exchanged: a chunk of rows at a time, or one by one.

Equal prompts of a chunk are computed once and their cache rows repeated; a row that has ended leaves at once. Models
whose cache cannot be cut by rows are decoded one by one with their own `generate`.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from symdistill.models.decoding.drawing import advance, top_two
from symdistill.models.decoding.jobs import Row

CHUNK_TOKENS = 16_384
"""Prompt tokens, padding included, of one chunk: it bounds the memory of a batch of long prompts."""


def cuttable(model: Any) -> bool:
    """Whether the model's cache can be cut by rows: layers that grow without limit, or slide."""
    layers = DynamicCache(config=model.config).layers
    if not layers or getattr(model, "_is_stateful", False):
        return False
    return {type(layer) for layer in layers} <= {DynamicLayer, DynamicSlidingWindowLayer}


class Padded:
    """Decodes chunks of rows with a model's own cache and attention."""

    def __init__(self, model: Any, end_ids: frozenset[int], batch_size: int) -> None:
        self._model = model
        self._end_ids = end_ids
        self._batch_size = batch_size
        self._accepts: Callable[[str], bool] = set(inspect.signature(model.forward).parameters).__contains__
        self._one_by_one = not cuttable(model)

    def decode(self, rows: Sequence[Row], check: Callable[[], None]) -> None:
        """Draw every row to its end. `check` is called between steps, and may raise."""
        for chunk in self._chunks(rows):
            started = time.perf_counter()
            if self._one_by_one:
                for row in chunk:
                    check()
                    self._generate(row)
            else:
                self._run(chunk, check)
            for row in chunk:
                row.seconds = (time.perf_counter() - started) / len(chunk)

    def _chunks(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        """Rows that are decoded together: similar lengths, equal prompts side by side."""
        chunk: list[Row] = []
        prompts: set[tuple[int, ...]] = set()
        for row in sorted(rows, key=lambda row: (-len(row.job.prompt), row.job.prompt, -row.job.max_tokens)):
            prompt = row.job.prompt
            width = len(chunk[0].job.prompt) if chunk else len(prompt)
            too_many_tokens = prompt not in prompts and (len(prompts) + 1) * width > CHUNK_TOKENS
            if chunk and (len(chunk) >= self._batch_size or too_many_tokens):
                yield chunk
                chunk, prompts = [], set()
            row.cached = len(prompt) if prompt in prompts else 0
            chunk.append(row)
            prompts.add(prompt)
        if chunk:
            yield chunk

    def _run(self, rows: list[Row], check: Callable[[], None]) -> None:
        device = self._model.device
        prompts = list(dict.fromkeys(row.job.prompt for row in rows))
        row_of = {prompt: i for i, prompt in enumerate(prompts)}
        cache = DynamicCache(config=self._model.config)
        ids, mask = _left_padded(prompts, device)
        logits = self._forward(ids, mask, (mask.cumsum(-1) - 1).clamp_min(0), cache)
        if len(prompts) < len(rows):
            source = torch.tensor([row_of[row.job.prompt] for row in rows], device=device)
            cache.batch_select_indices(source)
            logits, mask = logits[source], mask[source]
        lengths = mask.sum(-1)
        while True:
            check()
            over = advance(rows, logits, self._end_ids)
            keep = [position for position, done in enumerate(over) if not done]
            if not keep:
                return
            if len(keep) < len(rows):
                index = torch.tensor(keep, device=device)
                cache.batch_select_indices(index)
                mask, lengths = mask[index], lengths[index]
                rows = [rows[i] for i in keep]
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            tokens = torch.tensor([row.fed[-1] for row in rows], device=device)
            logits = self._forward(tokens[:, None], mask, lengths[:, None], cache)
            lengths = lengths + 1

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits of the last position `[rows, vocabulary]`."""
        given: dict[str, Any] = {"attention_mask": mask}
        if self._accepts("position_ids"):
            given["position_ids"] = positions
        if self._accepts("logits_to_keep"):
            given["logits_to_keep"] = 1
        out = self._model(input_ids=ids, past_key_values=cache, use_cache=True, **given)
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def _generate(self, row: Row) -> None:
        """The row's whole reply with the model's own `generate`, which reads all again for a second stretch."""
        while not self._generate_stretch(row):
            row.reads_again = True
            while row.reading:
                row.read()

    def _generate_stretch(self, row: Row) -> bool:
        """The tokens up to the end of a stretch; whether it is the last."""
        job, turned = row.job, row.turned
        ids = [*job.prompt, *row.fed]
        sampled = {"temperature": job.temperature, "top_k": job.top_k, "top_p": job.top_p}
        with _as_told(self._model), torch.random.fork_rng(devices=_cuda_devices(self._model.device)):
            torch.manual_seed(job.seed + len(row.fed))
            out = self._model.generate(
                input_ids=torch.tensor([ids], device=self._model.device),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long, device=self._model.device),
                max_new_tokens=row.room,
                do_sample=job.temperature > 0,
                eos_token_id=sorted(self._end_ids),
                pad_token_id=min(self._end_ids, default=0),
                output_logits=True,
                return_dict_in_generate=True,
                **(sampled if job.temperature > 0 else {}),
            )
        for token, logits in zip(out.sequences[0, len(ids) :].tolist(), out.logits, strict=True):
            wide = logits[:1].float()
            [pair] = top_two([row], wide)
            over = row.add(token, float(wide[0].log_softmax(-1)[token]), self._end_ids, pair)
            if over or row.turned != turned:
                return over
        return True


def _left_padded(prompts: Sequence[tuple[int, ...]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask `[prompts, longest]`, padding on the left."""
    width = max(len(p) for p in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return ids.to(device), mask.to(device)


@contextmanager
def _as_told(model: Any) -> Iterator[None]:
    """Nothing of the model's own generation settings (a repetition penalty, tokens it must not write): no other engine
    heeds them. `generate` takes from there what it is not told, also where it is given a configuration."""
    own, model.generation_config = model.generation_config, GenerationConfig()
    try:
        yield
    finally:
        model.generation_config = own


def _cuda_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
