"""A causal language model in this process, by CTranslate2 on the CPU with int8 weights: greedy replies.

int8 computes something close to the model and not the same, so replies have a model name of their own, and no request
is answered here that another engine would answer otherwise than by rounding: samples with a seed of their own,
probabilities and replies in two stretches are PyTorch's (`models.transformers_local`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from symdistill.errors import CallFailed, Interrupted, ModelError, UnusableModel
from symdistill.models.base import Capacity, byte_bound
from symdistill.models.chat import PromptFormat, Template, prompt_format, prompt_opens_reasoning
from symdistill.models.ctranslate2_conversion import (
    USE_TORCH,
    Numbers,
    converted,
    open_generator,
    read_vocabulary,
    require_ctranslate2,
)
from symdistill.models.reasoning import split_reasoning
from symdistill.models.stops import Stops
from symdistill.models.weights import (
    end_tokens,
    load_config,
    load_generation_config,
    load_tokenizer,
    model_directory,
    model_name,
    template_mark,
)
from symdistill.records import Completion, Request, Sampling

_CALL_BATCHES = 4
"""Batches a call may fill: prompts of like length are put together, since the rest of a longer one is read token by
token."""


class CTranslate2Model:
    """A converted model as a `LanguageModel`. Beside a batch's rounding, a reply does not depend on what is asked with
    it. `name` holds the numbers, and the template where it is not the usual one: replies that were computed otherwise
    are never taken for these."""

    def __init__(
        self,
        directory: Path,
        place: Path,
        *,
        name: str,
        numbers: Numbers = "int8",
        batch_size: int = 64,
        template: Template = "auto",
        trust_remote_code: bool = False,
    ) -> None:
        self.name = name
        self.engine = f"ctranslate2 {numbers}"
        self.capacity = Capacity(concurrency=1, batch=_CALL_BATCHES * batch_size)
        self._directory = directory
        self._place = place
        self._numbers: Numbers = numbers
        self._batch_size = batch_size
        self._template: Template = template
        self._trust_remote_code = trust_remote_code
        self._ready: _Loaded | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        where: str | Path,
        *,
        into: Path | None = None,
        numbers: Numbers = "int8",
        batch_size: int = 64,
        template: Template = "auto",
        trust_remote_code: bool = False,
    ) -> CTranslate2Model:
        """A directory, a GGUF file or a hub id, converted now where it was not yet (see `converted`).

        Raises:
            PrerequisiteError: a package is missing, nothing is there, or the conversion cannot be written.
            UnusableModel: it is no model, or none that CTranslate2 computes as PyTorch does.
        """
        require_ctranslate2()
        directory = model_directory(where, trust_remote_code=trust_remote_code)
        weights = model_name(where, directory).removeprefix("transformers:")
        name = f"ctranslate2-{numbers}:{weights}{template_mark(directory, template, trust_remote_code)}"
        place = converted(directory, numbers=numbers, into=into, trust_remote_code=trust_remote_code)
        return cls(
            directory,
            place,
            name=name,
            numbers=numbers,
            batch_size=batch_size,
            template=template,
            trust_remote_code=trust_remote_code,
        )

    @property
    def config(self) -> Any:
        """The original's transformers config."""
        return load_config(self._directory, trust_remote_code=self._trust_remote_code)

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Decode the requests in a thread. A prompt longer than the model's context is `rejected`.

        Raises:
            UnusableModel: something but a greedy reply is asked for, or the model cannot be loaded.
            ModelError: it fails while it decodes.
        """
        for request in requests:
            refuse_but_greedy(request.sampling, self.name)
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._answer, list(requests), stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    async def close(self) -> None:
        """Let go of the weights; a later call loads them again."""
        self._ready = None

    def _answer(self, requests: list[Request], stop: threading.Event) -> list[Completion | CallFailed]:
        with self._lock:
            model = self._prepare()
            prompts = {m: tuple(model.reader.form.encode_prompt(m)) for m in {r.messages for r in requests}}
            stops = {texts: Stops(texts, model.reader.text) for texts in {r.sampling.stop for r in requests}}
            answers: dict[int, Completion | CallFailed] = {}
            rows: dict[int, _Row] = {}
            for index, request in enumerate(requests):
                prompt, wanted = prompts[request.messages], request.sampling.max_tokens
                room = wanted if model.context is None else min(wanted, model.context - len(prompt))
                if room >= 1:
                    rows[index] = _Row(prompt, room, stops[request.sampling.stop])
                else:
                    answers[index] = CallFailed(
                        "rejected",
                        f"The prompt has {len(prompt)} tokens, and {self.name} takes {model.context} in all.",
                    )
            for chunk in _chunks(list(rows.values()), self._batch_size):
                model.decode(chunk, stop)
            for index, row in rows.items():
                answers[index] = row.completion(requests[index].key, model.reader)
        return [answers[index] for index in range(len(requests))]

    def _prepare(self) -> _Loaded:
        if self._ready is None:
            tokenizer = load_tokenizer(self._directory, trust_remote_code=self._trust_remote_code)
            form = prompt_format(tokenizer, self._template)
            config = self.config
            ends = end_tokens(load_generation_config(self._directory, config))
            self._ready = _Loaded(
                generator=open_generator(self._place, self._numbers),
                vocabulary=read_vocabulary(self._place),
                reader=_Reader(form, frozenset({form.end_of_turn, *ends})),
                context=getattr(config.get_text_config(), "max_position_embeddings", None),
            )
        return self._ready


def refuse_but_greedy(sampling: Sampling, name: str) -> None:
    """Raises UnusableModel for a reply that this engine could only imitate."""
    wanted = {
        "samples": sampling.temperature > 0,
        "log-probabilities": sampling.logprobs,
        "the two largest probabilities of each step": sampling.top_two_at > 0 or sampling.go_on_above > 0,
        "a reply in two stretches": bool(sampling.then),
    }
    for what, asked in wanted.items():
        if asked:
            raise UnusableModel(f"{name} answers greedily and cannot give {what}.", USE_TORCH)


@dataclass(frozen=True)
class _Reader:
    """What ends a reply, and its text."""

    form: PromptFormat
    ends: frozenset[int]

    def text(self, tokens: Sequence[int]) -> str:
        tokenizer = self.form.tokenizer
        return str(tokenizer.decode(list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False))


@dataclass(frozen=True)
class _Loaded:
    """Everything that is needed to decode. `vocabulary` is the text of each token id, as CTranslate2 takes prompts."""

    generator: Any
    vocabulary: list[str]
    reader: _Reader
    context: int | None

    def decode(self, rows: Sequence[_Row], stop: threading.Event) -> None:
        """Decode the rows as one batch. Raises ModelError, and Interrupted where `stop` was set meanwhile."""
        began = time.perf_counter()
        try:
            self.generator.generate_batch(
                [[self.vocabulary[token] for token in row.prompt] for row in rows],
                beam_size=1,
                sampling_topk=1,
                max_length=max(row.limit for row in rows),
                end_token=sorted(self.reader.ends),
                return_end_token=True,
                include_prompt_in_result=False,
                callback=_taking(rows, self.reader, stop),
            )
        except RuntimeError as problem:
            raise ModelError(f"CTranslate2 failed while decoding: {problem}.", USE_TORCH) from problem
        if stop.is_set():
            raise Interrupted("Decoding was stopped.", "Run the same command again to go on.")
        for row in rows:
            row.seconds = (time.perf_counter() - began) / len(rows)


def _taking(rows: Sequence[_Row], reader: _Reader, stop: threading.Event) -> Callable[[Any], bool]:
    """What takes each token of each row, and says whether the row is over.

    It must not refer to the generator: the generator's own thread lets go of this function, at its leisure, and a
    generator that ends in its own thread ends the process.
    """

    def take(step: Any) -> bool:
        return stop.is_set() or rows[step.batch_id].add(step.token_id, reader)

    return take


@dataclass
class _Row:
    """One reply while it is decoded: at most `limit` tokens, up to an end token or where `stops` are met."""

    prompt: tuple[int, ...]
    limit: int
    stops: Stops
    tokens: list[int] = field(default_factory=list)
    seconds: float = 0.0
    ended: bool = False

    def add(self, token: int, reader: _Reader) -> bool:
        """Take a token; say whether the reply is over."""
        if not self.ended and len(self.tokens) < self.limit:
            self.tokens.append(token)
            self.ended = token in reader.ends or self.stops.met(self.tokens)
        return self.ended or len(self.tokens) >= self.limit

    def completion(self, key: str, reader: _Reader) -> Completion:
        end_token = bool(self.tokens) and self.tokens[-1] in reader.ends
        text = self.stops.cut(reader.text(self.tokens[:-1] if end_token else self.tokens))
        opened = prompt_opens_reasoning(reader.form.tokenizer, self.prompt)
        reasoning, text, closed = split_reasoning(f"<think>\n{text}" if opened else text)
        return Completion(
            key=key,
            text=text,
            reasoning=reasoning,
            finish_reason="stop" if self.ended and closed else "length",
            prompt_tokens=len(self.prompt),
            completion_tokens=len(self.tokens),
            seconds=self.seconds,
        )


def _chunks(rows: list[_Row], batch_size: int) -> Iterator[list[_Row]]:
    ordered = sorted(rows, key=lambda row: (-len(row.prompt), -row.limit))
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]
