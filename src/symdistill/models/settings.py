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
    """Who is asked, how, and within which limits."""

    model: str | None = None
    """`openai:NAME`, `llama_cpp:FILE.gguf`, `transformers:DIR_OR_HUB_ID`, `recorded:FILE` or `dataset` (the rationales
    the rows carry)."""
    base_url: str | None = None
    """A server that speaks OpenAI's protocol; None: what OPENAI_BASE_URL says, else OpenAI itself."""
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; keys never stand in files."""
    samples: PositiveInt | None = None
    """Replies to each question; None: one, or with `dataset` all a row carries."""
    temperature: NonNegativeFloat = 0.7
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    """0: no such cut."""
    max_tokens: PositiveInt = 512
    """Tokens of a reply at most."""
    stop: tuple[str, ...] = ()
    """Texts that end a reply."""
    logprobs: bool = False
    """Ask for the log-probability of every token, which `curation.select: likelihood` needs."""
    instruction: str | None = None
    """The system message; the built-in one asks for steps and the closing cue."""
    demonstrations: Path | None = None
    """Few-shot examples: JSONL rows with `question`, `rationale`, `answer` and optionally `task`."""
    show_answer: bool = False
    """Show the teacher the gold answer (rationalisation). METHODS calls this *conditioned*."""
    concurrency: PositiveInt = 16
    """Calls under way at once (`openai`)."""
    samples_per_call: PositiveInt = 1
    """How many samples one call asks for (`n`); above 1 only for servers that know `n`."""
    timeout_seconds: PositiveFloat = 120.0
    """How long one call may take (`openai`)."""
    retries: int = Field(default=5, ge=0)
    """How often a request that failed on the way is asked again; a 429 does not count."""
    retry_failures: bool = False
    """Ask again for what was refused or rejected in an earlier run."""
    requests_per_minute: PositiveFloat | None = None
    """Calls that are begun in a minute at most."""
    tokens_per_minute: PositiveFloat | None = None
    """Tokens that are asked for in a minute at most."""
    budget_usd: NonNegativeFloat | None = None
    """Dollars; the run stops before it would pass them."""
    budget_tokens: PositiveInt | None = None
    """Tokens; the run stops before it would pass them."""
    price: Price | None = None
    """None: that of the price list."""
    context: PositiveInt = 4096
    """Tokens of context per slot (`llama_cpp`). What does not fit is a failure, asked again with `retry_failures`."""
    slots: PositiveInt = 8
    """Parallel slots (`llama_cpp`), or rows in a batch (`transformers`)."""
    threads: PositiveInt | None = None
    """Threads that compute (`llama_cpp`); None: one for each physical core."""
    parameters: PositiveFloat | None = None
    """The weights of the teacher, for the size ratio in the report, where no GGUF file tells them: 8.0e9."""
    trust_remote_code: bool = False
    """Run the Python code that comes with the model (`transformers`)."""
