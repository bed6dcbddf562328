"""A causal language model as the decoders use it: prompts in, logits of their last tokens out, then token by token."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from symdistill.models.decoding.attention import NAME, CannotAttend, Pair, Prefill, Reader, Stretch
from symdistill.models.decoding.packing import Packed
from symdistill.models.decoding.slots import Slots
from symdistill.models.exchange import exchanged_attention, positions_stand_alone

_LOG = logging.getLogger(__name__)

_PROBE_TOKENS = 12
_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-3}
_COARSE_TOLERANCE = 5e-2


class Network:
    """A model whose attention reads slots and shared stretches. Use it inside `ready`.

    `sharing`: rows may attend to a stretch where it is, instead of to a copy of their own.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._packed: Packed | None = None
        self.sharing = model.device.type == "cpu"

    @classmethod
    def of(cls, model: Any, rows: int, *, owned: bool = False) -> Network | None:
        """The model with its attention exchanged, or None where it does not then compute what it did before.

        About `rows` rows will be decoded at a time. With `owned` nobody else uses the model: its weights may be moved.
        """
        if not _might_attend(model):
            return None
        self = cls(model)
        try:
            wrong = self._error()
        except (CannotAttend, RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError) as problem:
            _LOG.warning("%s is decoded in chunks, which is slower: %s", type(model).__name__, problem)
            return None
        if not wrong <= _TOLERANCE.get(model.dtype, _COARSE_TOLERANCE):
            _LOG.warning("%s is decoded in chunks, which is slower: logits differ by %.1e", type(model).__name__, wrong)
            return None
        self._packed = Packed(model, rows, owned=owned)
        return self

    @contextmanager
    def ready(self) -> Iterator[None]:
        """The model in evaluation mode and with exchanged attention, and as it was afterwards."""
        was_training = self._model.training
        self._model.eval()
        packed = self._packed.in_use() if self._packed else nullcontext()
        try:
            with exchanged_attention(self._model, NAME), packed, torch.inference_mode():
                yield
        finally:
            self._model.train(was_training)

    def prefill(
        self, prompts: Sequence[tuple[int, ...]], parent: Stretch | None, *, shared: Sequence[bool], logits: bool = True
    ) -> list[Stretch]:
        """Compute what follows `parent` in each prompt; `shared` says which stretches will stay where they are."""
        start = len(parent.tokens) if parent else 0
        device = self._model.device
        lengths = [len(prompt) - start for prompt in prompts]
        ids = torch.zeros(len(prompts), max(lengths), dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids[row, : lengths[row]] = torch.tensor(prompt[start:])
        positions = torch.arange(start, start + max(lengths), device=device).expand(len(prompts), -1)
        reader = Prefill(parent)
        last = torch.tensor(lengths, device=device) - 1
        out = self._forward(ids.to(device), positions, reader, last)
        stretches = [
            Stretch(prompt, parent, [], out[row].clone() if logits else None, shared[row])
            for row, prompt in enumerate(prompts)
        ]
        for layer in range(len(reader.computed)):
            pair = reader.computed.pop(layer)
            for row, stretch in enumerate(stretches):
                stretch.layers.append(_cut(pair, row, lengths[row]))
        return stretches

    def step(self, tokens: Sequence[int], positions: Sequence[int], slots: Slots) -> torch.Tensor:
        """Logits `[rows, vocabulary]` after one more token in every slot."""
        device = self._model.device
        slots.begin()
        taken = torch.tensor(slots.taken, device=device)
        ids, at = (torch.zeros(slots.places, 1, dtype=torch.long, device=device) for _ in range(2))
        ids[taken, 0] = torch.tensor(tokens, device=device)
        at[taken, 0] = torch.tensor(positions, device=device)
        logits = self._forward(ids, at, slots, None)
        slots.end()
        return logits if slots.places == len(taken) else logits[taken]

    def _forward(
        self, ids: torch.Tensor, positions: torch.Tensor, reader: Reader, last: torch.Tensor | None
    ) -> torch.Tensor:
        """Logits `[rows, vocabulary]` of each row's token number `last`, the only one there is where that is None.

        The head is handed that token's hidden state alone, whatever the model does around it.
        """
        hook = None
        if last is not None:
            rows = torch.arange(len(ids), device=ids.device)
            head = self._model.get_output_embeddings()
            hook = head.register_forward_pre_hook(lambda _, given: (given[0][rows, last][:, None], *given[1:]))
        try:
            out = self._model(
                input_ids=ids, position_ids=positions, past_key_values=reader, use_cache=True, reader=reader
            )
        finally:
            if hook is not None:
                hook.remove()
        logits: torch.Tensor = out.logits[:, -1]
        return logits

    def _error(self) -> float:
        """How far logits are from the unchanged model's, in relation to their size: two prompts that share a stretch,
        one of them longer, and a token after each."""
        size = self._model.get_input_embeddings().weight.shape[0]
        ids = torch.arange(_PROBE_TOKENS).mul(7919).add(11).remainder(size).tolist()
        shorter, longer = tuple(ids[:8]), (*ids[:6], *ids[8:11])
        was_training = self._model.training
        try:
            self._model.eval()
            with torch.inference_mode():
                plain = [
                    self._model(input_ids=torch.tensor([[*prompt, ids[-1]]], device=self._model.device)).logits[0, -2:]
                    for prompt in (shorter, longer)
                ]
        finally:
            self._model.train(was_training)
        with self.ready():
            root = self.prefill([shorter[:4]], None, shared=[True], logits=False)[0] if self.sharing else None
            paths = [s.path() for s in self.prefill([shorter, longer], root, shared=[False, False])]
            slots = Slots(2)
            for path in paths:
                slots.enter(path)
            after = self.step([ids[-1]] * 2, [len(shorter), len(longer)], slots)
        worst = 0.0
        for path, new, wanted in zip(paths, after, plain, strict=True):
            first = path[-1].logits
            assert first is not None
            found = torch.stack([first, new]).float()
            worst = max(worst, float((found - wanted.float()).norm() / wanted.float().norm()))
        return worst


def _cut(pair: Pair, row: int, length: int) -> Pair:
    """A copy of one row's own tokens of a layer: a view would keep all rows computed with it."""
    keys, values = pair[0][row, :, :length], pair[1][row, :, :length]
    return keys.clone(memory_format=torch.contiguous_format), values.clone(memory_format=torch.contiguous_format)


def _might_attend(model: Any) -> bool:
    """Whether every layer sees all that came before, by an attention that can be exchanged."""
    layers = DynamicCache(config=model.config).layers
    if not positions_stand_alone(model.config):
        return False
    if not layers or getattr(model, "_is_stateful", False) or {type(layer) for layer in layers} != {DynamicLayer}:
        return False
    parameters = inspect.signature(model.forward).parameters
    takes_others = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    exchangeable = getattr(model, "_can_set_attn_implementation", lambda: False)()
    return bool("position_ids" in parameters and takes_others and exchangeable)
