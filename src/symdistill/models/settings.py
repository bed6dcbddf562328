"""The `teacher` section."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from symdistill.settings import Settings


class Price(Settings):
    """US dollars for a million tokens, when the price list does not know the model."""

    input: NonNegativeFloat
    output: NonNegativeFloat


class TeacherSettings(Settings):
    """Who is asked, how, and within which limits.

    `model` is `openai:NAME`, `llama_cpp:FILE.gguf`, `transformers:DIR_OR_HUB_ID`, `recorded:FILE` or `dataset` (the
    rationales the rows carry).
    """

    model: str | None = None
    base_url: str | None = None
    api_key_env: str = "OPENAI_API_KEY"
    samples: PositiveInt | None = None
    """Replies to each question; None: one, or with `dataset` all a row carries."""
    temperature: NonNegativeFloat = 0.7
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    max_tokens: PositiveInt = 512
    stop: tuple[str, ...] = ()
    logprobs: bool = False
    instruction: str | None = None
    """The system message; the built-in one asks for steps and the closing cue."""
    demonstrations: Path | None = None
    """Few-shot examples: JSONL rows with `question`, `rationale`, `answer` and optionally `task`."""
    show_answer: bool = False
    """Show the teacher the gold answer (rationalisation). METHODS calls this *conditioned*."""
    concurrency: PositiveInt = 16
    samples_per_call: PositiveInt = 1
    """How many samples one call asks for (`n`); above 1 only for servers that know `n`."""
    timeout_seconds: PositiveFloat = 120.0
    retries: int = Field(default=5, ge=0)
    retry_failures: bool = False
    """Ask again for what was refused or rejected in an earlier run."""
    requests_per_minute: PositiveFloat | None = None
    tokens_per_minute: PositiveFloat | None = None
    budget_usd: NonNegativeFloat | None = None
    budget_tokens: PositiveInt | None = None
    price: Price | None = None
    context: PositiveInt = 4096
    """Tokens of context per slot (`llama_cpp`)."""
    slots: PositiveInt = 8
    """Parallel slots (`llama_cpp`), or rows in a batch (`transformers`)."""
    threads: PositiveInt | None = None
    parameters: PositiveFloat | None = None
    """The weights of the teacher, for the size ratio in the report, where no GGUF file tells them: 8.0e9."""
    trust_remote_code: bool = False
