"""A causal language model in this process, by Hugging Face transformers: `transformers:DIR_OR_HUB_ID`.

The same class answers for a teacher named in the configuration and for a student that was just trained.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symdistill import content
from symdistill.errors import CallFailed
from symdistill.models.base import Capacity, byte_bound
from symdistill.models.chat import PromptFormat, Template, prompt_format, prompt_opens_reasoning
from symdistill.models.reasoning import split_reasoning
from symdistill.models.weights import (
    Dtype,
    answering_marks,
    end_tokens,
    load_config,
    load_pretrained,
    model_directory,
    model_name,
    resolved_dtype,
)
from symdistill.records import Completion, Request

if TYPE_CHECKING:
    from symdistill.models.decoding import Decoded, Decoder, Job


_CALLS = 4
"""Calls under way at once: while the replies of one come to their ends, those of the next are well under way."""


class TransformersModel:
    """A loaded model and tokenizer as a `LanguageModel`.

    `name` stands in content keys, so it must name all that decides a reply: these very weights, their numbers, and the
    template. Calls that are under way at once share
    `batch_size` rows, so several make sure that a row that has ended finds another to follow it. A reply ends at the
    template's end of turn or an end token of the generation config.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, name: str, batch_size: int = 64, template: Template = "auto"
    ) -> None:
        self.name = name
        self.capacity = Capacity(concurrency=_CALLS, batch=batch_size)
        self._owned = False
        self._template: Template = template
        self._load: Callable[[], tuple[Any, Any]] = lambda: (model, tokenizer)
        self._config: Callable[[], Any] = lambda: model.config
        self._dtype: Callable[[], str] = lambda: str(model.dtype).removeprefix("torch.")
        self._ready: tuple[Decoder, PromptFormat, int | None] | None = None
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        where: str | Path,
        *,
        batch_size: int = 64,
        template: Template = "auto",
        dtype: Dtype = "auto",
        trust_remote_code: bool = False,
    ) -> TransformersModel:
        """A directory, a GGUF file or a hub id. It is checked now; the weights are read at the first call.

        Raises:
            PrerequisiteError: torch or transformers is missing, nothing is there, or the hub does not answer.
            ModelError: the directory is not a model, or a file was cut off.
        """
        directory = model_directory(where, trust_remote_code=trust_remote_code)
        name = model_name(where, directory) + answering_marks(directory, template, dtype, trust_remote_code)
        self = cls(None, None, name=name, batch_size=batch_size, template=template)
        self._owned = True
        self._load = lambda: load_pretrained(directory, dtype=dtype, trust_remote_code=trust_remote_code)
        self._config = lambda: load_config(directory, trust_remote_code=trust_remote_code)
        self._dtype = lambda: resolved_dtype(dtype)
        return self

    @property
    def config(self) -> Any:
        """The model's transformers config, read without its weights."""
        return self._config()

    @property
    def engine(self) -> str:
        """What computes, and in which numbers: `torch bfloat16`."""
        return f"torch {self._dtype()}"

    def count_tokens(self, request: Request) -> int:
        return byte_bound(request)

    async def generate(self, requests: Sequence[Request]) -> Sequence[Completion | CallFailed]:
        """Decode the requests in a thread. A prompt longer than the model's context is `rejected`.

        Raises:
            ModelError: the model cannot be loaded, or computes something that is no number.
        """
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._answer, list(requests), stop)
        except asyncio.CancelledError:
            stop.set()
            raise

    async def close(self) -> None:
        """Let go of the weights, where nobody else holds them; a later call loads them again."""
        self._ready = None

    def _answer(self, requests: list[Request], stop: threading.Event) -> list[Completion | CallFailed]:
        with self._lock:
            decoder, form, context = self._prepare()
            prompts = {m: tuple(form.encode_prompt(m)) for m in {r.messages for r in requests}}
        jobs: dict[int, Job] = {}
        answers: dict[int, Completion | CallFailed] = {}
        for index, request in enumerate(requests):
            prompt = prompts[request.messages]
            then = tuple(form.encode_completion(request.sampling.then)) if request.sampling.then else ()
            wanted, least = request.sampling.max_tokens, 2 if then else 1
            room = wanted if context is None else min(wanted, context - len(prompt) - len(then))
            if room >= least:
                jobs[index] = _job(request, prompt, then, room)
            elif wanted < least:
                answers[index] = CallFailed(
                    "rejected", f"A reply in two stretches takes {least} tokens at least, and {wanted} are allowed."
                )
            else:
                answers[index] = CallFailed(
                    "rejected", f"The prompt has {len(prompt)} tokens, and {self.name} takes {context} in all."
                )
        decoded = decoder.decode(list(jobs.values()), stop)
        for (index, job), reply in zip(jobs.items(), decoded, strict=True):
            opened = prompt_opens_reasoning(form.tokenizer, job.prompt)
            answers[index] = _completion(requests[index], job, reply, opened)
        return [answers[index] for index in range(len(requests))]

    def _prepare(self) -> tuple[Decoder, PromptFormat, int | None]:
        from symdistill.models.decoding import Decoder

        if self._ready is None:
            model, tokenizer = self._load()
            form = prompt_format(tokenizer, self._template)
            ends = {form.end_of_turn, *end_tokens(getattr(model, "generation_config", None))}
            context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
            decoder = Decoder(model, tokenizer, sorted(ends), self.capacity.batch, owned=self._owned)
            self._ready = (decoder, form, context)
        return self._ready


def _job(request: Request, prompt: tuple[int, ...], then: tuple[int, ...], max_tokens: int) -> Job:
    from symdistill.models.decoding import Job

    s = request.sampling
    return Job(
        prompt,
        max_tokens,
        temperature=s.temperature,
        top_k=s.top_k,
        top_p=s.top_p,
        seed=content.sample_seed(request.key),
        stop=s.stop,
        top_two_at=s.top_two_at,
        go_on_above=s.go_on_above,
        then=then,
    )


def _completion(request: Request, job: Job, reply: Decoded, opened: bool) -> Completion:
    first = None if reply.first is None else _completion(request, job, reply.first, opened)
    begins_in_block = opened and first is None
    reasoning, text, closed = split_reasoning(f"<think>\n{reply.text}" if begins_in_block else reply.text)
    whole = reply.ended and closed and (first is None or first.finish_reason == "stop")
    return Completion(
        key=request.key,
        text=text,
        reasoning=reasoning,
        finish_reason="unsure" if reply.unsure else "stop" if whole else "length",
        prompt_tokens=len(job.prompt) + reply.read,
        completion_tokens=len(reply.tokens),
        cached_prompt_tokens=reply.cached,
        token_logprobs=reply.logprobs,
        seconds=reply.seconds,
        top_two=reply.top_two,
        first=first,
    )
