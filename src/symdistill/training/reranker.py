"""The reranker of KARD (Kang et al. 2023, arXiv 2305.18395, section 3.2): passages as the rationale would find them.

At inference there is no rationale, so a ranker f learns from the training questions to order passages as their
rationales r do. For a question q with the candidates D(r) ∪ D(q), the best of BM25 for each,

    loss = KL(Q ‖ P),    Q(d) ∝ exp(BM25(d | r) / τ1),    P(d) ∝ exp(f(d, q) / τ2),    both over the candidates.

f is a bi-encoder or late interaction (`rankers`). τ1 is fixed; τ2 is learned as an exponential, so it is above 0
whatever happens. (The authors' code lets both temperatures fall during training, from 1 to −3 and from 100 to −300:
below 0 the passages that fit worst are those to be found. Its default loss is the cross-entropy of the best passage
alone.)

Half of what f learns to order are passages that BM25(q) would not offer it, so a small f can be worse than BM25(q)
among those that it does. Passages are therefore ordered by f(d, q) + β·BM25(d | q) / max BM25(· | q), with a β that is
chosen once, on questions that f did not learn from (`mix`).

Training goes on from its last whole epoch.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from symdistill.errors import TrainingError
from symdistill.knowledge.corpus import Passage
from symdistill.knowledge.passages import RankingCase
from symdistill.models.encoder import load_encoder
from symdistill.models.token_table import input_embedding, load_tokenizer
from symdistill.progress import Progress, Silent
from symdistill.training.rankers import (
    VERSION,
    Encoder,
    Interaction,
    Reranker,
    Side,
    TextReader,
    TokenTable,
    Vectors,
    best_device,
    padded,
    principal_table,
    save_ranker,
    similarity,
    unwritable,
)
from symdistill.training.settings import RerankerSettings

_SAMPLED = 8
"""Candidates of a step under an encoder, where the settings do not say (that of the authors' code)."""
_RATES = {"table": 2e-3, "encoder": 5e-5}
_TAU_RATE = 0.05
_WARMUP = 0.05
_PASS_TOKENS = 16_384
"""Tokens of a forward pass, about: it bounds the memory of a step."""


@dataclass(frozen=True, slots=True)
class RankerBase:
    """What a reranker is built on: the encoder in `directory`, or the input embedding of the model there."""

    directory: Path
    is_encoder: bool


def kl_loss(bm25: torch.Tensor, scores: torch.Tensor, tau_rationale: float, tau_score: torch.Tensor) -> torch.Tensor:
    """KL(Q ‖ P) of one question. `bm25` `[candidates]` are scores for the rationale, `scores` `[candidates]` is f."""
    wanted = torch.log_softmax(bm25 / tau_rationale, -1)
    given = torch.log_softmax(scores / tau_score, -1)
    return (wanted.exp() * (wanted - given)).sum()


def train_reranker(
    cases: Sequence[RankingCase],
    passage: Callable[[int], Passage],
    base: RankerBase,
    interaction: Interaction,
    settings: RerankerSettings,
    directory: Path,
    *,
    fingerprint: str,
    checkpoint: Path,
    mix: Callable[[Reranker], float | None],
    mixed: str = "",
    seed: int = 0,
    progress: Progress | None = None,
    label: str = "",
) -> Reranker:
    """Train a reranker into `directory`; what was there is replaced. `fingerprint` is what it will be found by.

    `passage` gives the passages that the cases name by number. `checkpoint` is a file of this training alone; from it
    an interrupted one goes on, with the same outcome. `mix` says for a trained f what β shall be; None: BM25 alone.
    `mixed` names what that is decided by: with another one the same f is mixed anew.

    Raises:
        TrainingError: no case has two candidates to order, a loss that is no number, or nowhere to write.
        UnusableModel: the base cannot be used.
    """
    progress = progress or Silent()
    useful = [case for case in cases if len(case.passages) > 1]
    if not useful:
        raise TrainingError(
            f"There is nothing to train the reranker of {label} on: no question and its rationale share words with "
            "several passages.",
            "Give a corpus that is about the questions, in their language; or set `reranker: none`, if it is.",
        )
    began = time.monotonic()
    session = _Session(useful, passage, base, interaction, settings, seed)
    history = session.run(checkpoint, progress, label)
    facts = {
        "version": VERSION,
        "fingerprint": fingerprint,
        "interaction": interaction,
        "base": "encoder" if base.is_encoder else "table",
        "pooling": session.pooling,
        "max_tokens": session.max_tokens,
        "lexical": 0.0,
        "tau_rationale": settings.tau_rationale,
        "tau_score": float(session.tau_score.detach()),
        "cases": len(useful),
        "steps": session.steps * settings.num_epochs,
        "loss": history,
        "parameters": sum(p.numel() for p in session.model.parameters()),
        "mixed": mixed,
        "seconds": session.seconds + time.monotonic() - began,
    }
    facts["lexical"] = mix(Reranker(session.model, session.tokenizer, facts))
    save_ranker(session.model, session.tokenizer, facts, directory)
    checkpoint.unlink(missing_ok=True)
    progress.finish(f"{label}   KL {history[0]:.2f} to {history[-1]:.2f} over {len(useful):,} rationales")
    return Reranker.load(directory)


class _Session:
    """One training: the model, its texts as tokens, and the optimiser."""

    def __init__(
        self,
        cases: Sequence[RankingCase],
        passage: Callable[[int], Passage],
        base: RankerBase,
        interaction: Interaction,
        settings: RerankerSettings,
        seed: int,
    ) -> None:
        self.cases, self.settings, self.interaction, self._seed = cases, settings, interaction, seed
        self.device = best_device()
        self.max_tokens = settings.max_tokens
        self.pooling = "mean"
        if base.is_encoder:
            encoder, self.tokenizer, self.pooling, longest = load_encoder(base.directory)
            self.max_tokens = min(self.max_tokens, longest)
        else:
            self.tokenizer = load_tokenizer(base.directory)
        numbers = sorted({number for case in cases for number in case.passages})
        read = TextReader(self.tokenizer, self.max_tokens, special=base.is_encoder)
        texts = read([passage(number).shown for number in numbers])
        self._passages = dict(zip(numbers, (np.asarray(row, dtype=np.int32) for row in texts), strict=True))
        self._queries = [np.asarray(row, dtype=np.int32) for row in read([case.query for case in cases])]
        self.model: nn.Module
        if base.is_encoder:
            self.model = Encoder(encoder, first=self.pooling == "cls" and interaction == "bi-encoder")
        else:
            table = principal_table(input_embedding(base.directory), settings.width)
            counts = torch.zeros(len(table))
            for row in self._passages.values():
                counts[np.unique(row)] += 1
            self.model = TokenTable(table, counts, len(numbers))
        self.model.to(self.device)
        self._log_tau = nn.Parameter(torch.tensor(math.log(settings.tau_score), device=self.device))
        self._sampled = settings.sampled or (_SAMPLED if base.is_encoder else None)
        rate = settings.learning_rate or _RATES["encoder" if base.is_encoder else "table"]
        weights = [p for name, p in self.model.named_parameters() if name == "log_weights"]
        others = [p for name, p in self.model.named_parameters() if name != "log_weights"]
        groups = [
            {"params": others, "lr": rate},
            {"params": weights, "lr": 10 * rate},
            {"params": [self._log_tau], "lr": _TAU_RATE},
        ]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
        self.steps = -(-len(cases) // settings.batch_size)
        self._full_rates = [group["lr"] for group in self.optimizer.param_groups]
        self._done = 0
        self.seconds = 0.0
        """What the epochs took that were trained before this start."""

    @property
    def tau_score(self) -> torch.Tensor:
        """τ2, above 0 whatever is learned."""
        return self._log_tau.exp()

    def run(self, checkpoint: Path, progress: Progress, label: str) -> list[float]:
        """Train to the end, from the checkpoint where there is one; the mean loss of each epoch."""
        began, history = time.monotonic(), self._resume(checkpoint)
        epochs = self.settings.num_epochs
        progress.start(f"reranker {label}".rstrip(), self.steps * epochs, self.steps * len(history))
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            for epoch in range(len(history), epochs):
                torch.manual_seed(self._seed + epoch)
                history.append(self._epoch(progress))
                if epoch + 1 < epochs:
                    self._keep(checkpoint, history, self.seconds + time.monotonic() - began)
        return history

    def _epoch(self, progress: Progress) -> float:
        self.model.train()
        order = torch.randperm(len(self.cases)).tolist()
        sum_of_losses = 0.0
        for start in range(0, len(order), self.settings.batch_size):
            batch = order[start : start + self.settings.batch_size]
            self.optimizer.zero_grad(set_to_none=True)
            before = sum_of_losses
            for part in self._passes(batch):
                loss = self._loss(part)
                value = float(loss.detach())
                if not np.isfinite(value):
                    raise TrainingError(
                        f"The reranker's loss is no number ({value}).", "Lower `reranking.learning_rate`."
                    )
                (loss / len(batch)).backward()  # type: ignore[no-untyped-call]
                sum_of_losses += value
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self._set_rates()
            self.optimizer.step()
            progress.advance(loss=f"{(sum_of_losses - before) / len(batch):.2f}")
        return sum_of_losses / len(order)

    def _set_rates(self) -> None:
        """Warm-up, then a line down to 0 at the end of training."""
        total = self.steps * self.settings.num_epochs
        share = min((self._done + 1) / max(1.0, _WARMUP * total), 1 - self._done / total)
        for group, rate in zip(self.optimizer.param_groups, self._full_rates, strict=True):
            group["lr"] = rate * share
        self._done += 1

    def _passes(self, batch: Sequence[int]) -> Iterator[list[tuple[int, list[int]]]]:
        """The cases of a step with the candidates each is trained on, as many together as fit one forward pass."""
        held: list[tuple[int, list[int]]] = []
        tokens = 0
        for number in batch:
            case = self.cases[number]
            chosen = list(self._chosen(case))
            tokens += sum(len(self._passages[case.passages[at]]) for at in chosen)
            if held and tokens > _PASS_TOKENS:
                yield held
                held, tokens = [], 0
            held.append((number, chosen))
        yield held

    def _loss(self, part: Sequence[tuple[int, Sequence[int]]]) -> torch.Tensor:
        """The summed losses of a few cases."""
        rows = [self._passages[self.cases[number].passages[at]] for number, chosen in part for at in chosen]
        passages = self._vectors(rows, "passage")
        questions = self._vectors([self._queries[number] for number, _ in part], "question")
        total, start = torch.zeros((), device=self.device), 0
        for place, (number, chosen) in enumerate(part):
            case = self.cases[number]
            own = passages.part(slice(start, start + len(chosen)))
            start += len(chosen)
            scores = similarity(self.interaction, questions.part(slice(place, place + 1)), own)
            bm25 = torch.tensor([case.scores[at] for at in chosen], device=self.device)
            total = total + kl_loss(bm25, scores, self.settings.tau_rationale, self.tau_score)
        return total

    def _vectors(self, rows: Sequence[NDArray[np.int32]], side: Side) -> Vectors:
        ids, mask = padded(rows, 0, self.device)
        found: Vectors = self.model(ids, mask, side)
        return found

    def _chosen(self, case: RankingCase) -> Iterator[int]:
        """Places of the candidates of this step: all, or as many drawn from the rationale's as from the others."""
        count, first = len(case.passages), case.by_rationale
        if self._sampled is None or count <= self._sampled:
            yield from range(count)
            return
        half = min(first, max(self._sampled // 2, self._sampled - (count - first)))
        yield from torch.randperm(first)[:half].tolist()
        yield from (first + torch.randperm(count - first)[: self._sampled - half]).tolist()

    def _keep(self, checkpoint: Path, history: Sequence[float], seconds: float) -> None:
        """Write weights and optimiser after an epoch, whole or not at all."""
        from safetensors.torch import save_file

        state = dict(self._state())
        scratch = checkpoint.with_name(f".{checkpoint.name}.{os.getpid()}.tmp")
        try:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            save_file(state, scratch, metadata={"history": json.dumps(list(history)), "seconds": str(seconds)})
            scratch.replace(checkpoint)
        except OSError as error:
            raise unwritable(checkpoint, error) from error
        finally:
            scratch.unlink(missing_ok=True)

    def _resume(self, checkpoint: Path) -> list[float]:
        """Take what `_keep` wrote; the losses of the epochs done."""
        from safetensors import SafetensorError, safe_open

        if not checkpoint.exists():
            return []
        try:
            with safe_open(checkpoint, framework="pt", device=str(self.device)) as file:
                told = file.metadata()
                history: list[float] = json.loads(told["history"])
                seconds = float(told.get("seconds", 0.0))
                saved = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return []  # a checkpoint that cannot be read costs its epochs, nothing else
        for at, parameter in enumerate(self._learned()):
            if f"step {at}" in saved:  # an encoder may have parts that no score goes through
                zeros = torch.zeros_like(parameter)
                state = {"step": torch.zeros(()), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}
                self.optimizer.state[parameter] = state
        with torch.no_grad():
            for name, value in self._state():
                value.copy_(saved[name])
        self._done, self.seconds = self.steps * len(history), seconds
        return history

    def _learned(self) -> list[nn.Parameter]:
        return [*self.model.parameters(), self._log_tau]

    def _state(self) -> Iterator[tuple[str, torch.Tensor]]:
        """Every tensor that training changes, by a name."""
        for at, parameter in enumerate(self._learned()):
            yield f"weight {at}", parameter.data
            for kind, value in self.optimizer.state[parameter].items():
                yield f"{kind} {at}", value
