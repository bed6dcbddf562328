"""What a reranker computes: how a text becomes vectors, and how two texts' vectors become a score; and how one is kept.

Two bases. A Hugging Face *encoder*, all of whose weights are trained, gives a vector in context for every token. The
*token table* needs no other model than the student: the rows of the base model's input embedding without their mean,
reduced to their `width` first principal axes and frozen, so that a token's vector is looked up. On it two small maps
are learned, one for questions and one for passages (both start as the identity), and a weight for every token, which
starts as its inverse document frequency among the training passages. Static vectors of that kind cost thousandths of
an encoder's, and begin where BM25 ends: the same word is the nearest one, and words that are used alike are near.

Two scores, both between -1 and 1, w being the tokens' weights (1 for an encoder):

    bi-encoder         cos(Σ w_i q_i, Σ w_j d_j)                    one vector a text
    late interaction   Σ_i w_i max_j cos(q_i, d_j) / Σ_i w_i        one vector a token (Khattab & Zaharia 2020)

A reranker is a directory: `model.safetensors` (over an encoder: the encoder as transformers saves it), tokenizer, and
`reranker.json`, which says what it was trained on and how that went. It appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from symdistill.errors import DataError, TrainingError
from symdistill.knowledge.corpus import Passage
from symdistill.models.encoder import load_encoder
from symdistill.models.token_table import load_tokenizer
from symdistill.models.weights import quiet

VERSION = 1
"""Part of every reranker's fingerprint; a change of how one is trained means a new number."""

CARD = "reranker.json"
_WEIGHTS = "model.safetensors"
_ENCODER = "encoder"
_BATCH = 64
_REMEMBERED = 50_000
"""Passages whose vectors a bi-encoder keeps."""

Interaction = Literal["bi-encoder", "late-interaction"]
Side = Literal["question", "passage"]


@dataclass(frozen=True, slots=True)
class Vectors:
    """Texts as token vectors `[n, T, width]` with their weights `[n, T]`, 0 where there is no token."""

    states: torch.Tensor
    weights: torch.Tensor

    def part(self, which: slice) -> Vectors:
        """Some of the texts."""
        return Vectors(self.states[which], self.weights[which])

    def pooled(self) -> torch.Tensor:
        """One vector of length 1 a text `[n, width]`."""
        return functional.normalize((self.states * self.weights.unsqueeze(-1)).sum(1), dim=-1)


class TokenTable(nn.Module):
    """Frozen token vectors `[vocabulary, width]` under two learned maps and a learned weight for each token."""

    def __init__(self, table: torch.Tensor, frequencies: torch.Tensor, texts: int) -> None:
        """`frequencies` `[vocabulary]`: in how many of `texts` training passages each token stands."""
        super().__init__()
        width = table.shape[1]
        self.table: torch.Tensor
        self.register_buffer("table", table)
        self.log_weights = nn.Parameter(torch.log(torch.log1p((texts + 0.5) / (frequencies.float() + 0.5))))
        self.maps = nn.ParameterDict({side: torch.eye(width) for side in ("question", "passage")})

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, side: Side) -> Vectors:
        distinct, places = torch.unique(ids, return_inverse=True)
        mapped = self.table[distinct].to(self.log_weights.dtype) @ self.maps[side]
        return Vectors(mapped[places], self.log_weights.exp()[ids] * mask)


class Encoder(nn.Module):
    """A Hugging Face encoder, all of it trained. `first` takes a text's first token for the whole of it."""

    def __init__(self, model: Any, *, first: bool) -> None:
        super().__init__()
        self.model = model
        self.first = first

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, side: Side) -> Vectors:
        states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.to(states.dtype)
        if self.first:
            weights = torch.zeros_like(weights)
            weights[:, 0] = 1
        return Vectors(states, weights)


def similarity(interaction: Interaction, question: Vectors, passages: Vectors) -> torch.Tensor:
    """The score of each of n passages for one question (`question` holds one text), `[n]`."""
    if interaction == "bi-encoder":
        return passages.pooled() @ question.pooled()[0]
    asked = functional.normalize(question.states[0], dim=-1)
    said = functional.normalize(passages.states, dim=-1)
    pairs = torch.einsum("qw,ntw->nqt", asked, said)
    pairs = pairs.masked_fill((passages.weights == 0).unsqueeze(1), -1.0)
    weights = question.weights[0]
    found: torch.Tensor = (pairs.amax(-1) @ weights) / weights.sum().clamp_min(1e-9)
    return found


def principal_table(embedding: torch.Tensor, width: int) -> torch.Tensor:
    """Rows of an embedding `[vocabulary, hidden]` without their mean, on their first principal axes, of length 1 in the
    mean `[vocabulary, width]`, float16."""
    centred = embedding.float() - embedding.float().mean(0)
    _, axes = torch.linalg.eigh(centred.T @ centred)
    table = centred @ axes[:, -min(width, axes.shape[1]) :]
    scaled: torch.Tensor = table / table.norm(dim=1).mean().clamp_min(1e-9)
    return scaled.half()


def padded(
    rows: Sequence[Sequence[int] | NDArray[np.int32]], pad: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of several texts as one tensor, and where they are tokens, both `[n, longest]`."""
    longest = max(1, max(len(row) for row in rows))
    ids = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.as_tensor(row, dtype=torch.long)
        mask[place, : len(row)] = 1
    return ids.to(device), mask.to(device)


def read_card(directory: Path) -> dict[str, Any] | None:
    """What a reranker's directory says of itself; None where there is none. Raises DataError."""
    path = directory / CARD
    if not path.exists():
        return None
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return card if card["version"] == VERSION else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(directory, error) from error


class TextReader:
    """Texts as token ids, cut at `longest`. `special`: with the tokens an encoder expects around a text."""

    def __init__(self, tokenizer: Any, longest: int, *, special: bool) -> None:
        self._tokenizer = tokenizer
        self._options = {"truncation": True, "max_length": longest, "add_special_tokens": special}
        if not special:
            self._options["split_special_tokens"] = True

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        found: list[list[int]] = self._tokenizer(list(texts), **self._options)["input_ids"]
        return found


class Reranker:
    """A trained ranker (`knowledge.passages.Ranker`). `card` is what its reranker.json says.

    `operations` are those of all scores so far: two for every weight of the encoder that is no embedding and every
    token, its attention, and the products of question and passage vectors. A bi-encoder's passages count each time, as
    if no vector had been kept.
    """

    def __init__(self, model: nn.Module, tokenizer: Any, card: Mapping[str, Any]) -> None:
        self.card = card
        self.operations = 0.0
        self._interaction: Interaction = card["interaction"]
        self._model = model.eval()
        self._read = TextReader(tokenizer, int(card["max_tokens"]), special=card["base"] == "encoder")
        self._known: dict[str, tuple[torch.Tensor, int]] = {}
        self._cost = _cost_of(model)

    @classmethod
    def load(cls, directory: Path) -> Reranker:
        """Open a trained reranker. Raises DataError where there is none, or it is damaged."""
        card = read_card(directory)
        if card is None:
            raise DataError(f"There is no reranker in {directory}.", "Run `symdistill train` (or `run`) first.")
        if card["base"] == "encoder":
            model, tokenizer, *_ = load_encoder(directory / _ENCODER)
            tower: nn.Module = Encoder(model, first=card["pooling"] == "cls" and card["interaction"] == "bi-encoder")
        else:
            from safetensors import SafetensorError
            from safetensors.torch import load_file

            tokenizer = load_tokenizer(directory)
            try:
                values = load_file(directory / _WEIGHTS)
                tower = TokenTable(values["table"], values["log_weights"], 1)
                tower.load_state_dict(values)
            except (OSError, SafetensorError, KeyError, RuntimeError) as error:
                raise _damaged(directory, error) from error
        return cls(tower.to(best_device()), tokenizer, card)

    def scores(self, query: str, passages: Sequence[Passage], bm25: NDArray[np.float64]) -> NDArray[np.float32]:
        """f(d, q) of each passage and its share of BM25 ([len(passages)]); BM25 alone where that was found best."""
        share = (bm25 / max(float(bm25.max(initial=0.0)), 1e-9)).astype(np.float32)
        weight = self.card["lexical"]
        return share if weight is None else self.similarities(query, passages) + np.float32(weight) * share

    def similarities(self, query: str, passages: Sequence[Passage]) -> NDArray[np.float32]:
        """f(d, q) of each passage ([len(passages)])."""
        with torch.inference_mode():
            question, [asked] = self._vectors([query], "question")
            if self._interaction == "bi-encoder":
                self._remember(passages)
                found = torch.stack([self._known[p.id][0] for p in passages]) @ question.pooled()[0]
                lengths, each = [self._known[p.id][1] for p in passages], 1
            else:
                parts, lengths, each = [], [], asked
                for start in range(0, len(passages), _BATCH):
                    block, tokens = self._vectors([p.shown for p in passages[start : start + _BATCH]], "passage")
                    parts.append(similarity(self._interaction, question, block))
                    lengths += tokens
                found = torch.cat(parts)
        said = len(passages) if self._interaction == "bi-encoder" else sum(lengths)
        self.operations += sum(map(self._cost, [asked, *lengths])) + 2.0 * question.states.shape[-1] * each * said
        similarities: NDArray[np.float32] = found.float().cpu().numpy()
        return similarities

    def _remember(self, passages: Sequence[Passage]) -> None:
        new = [p for p in passages if p.id not in self._known]
        if len(self._known) + len(new) > _REMEMBERED:
            self._known, new = {}, list(passages)
        for start in range(0, len(new), _BATCH):
            block = new[start : start + _BATCH]
            vectors, tokens = self._vectors([p.shown for p in block], "passage")
            pairs = zip(vectors.pooled(), tokens, strict=True)
            self._known.update(zip((p.id for p in block), pairs, strict=True))

    def _vectors(self, texts: Sequence[str], side: Side) -> tuple[Vectors, list[int]]:
        """The vectors of each text, and how many tokens it has."""
        rows = self._read(texts)
        ids, mask = padded(rows, 0, best_device())
        found: Vectors = self._model(ids, mask, side)
        return found, [len(row) for row in rows]


def _cost_of(model: nn.Module) -> Callable[[int], float]:
    """The operations for the vectors of a text of so many tokens (see `evaluation.flops`; an encoder's attention goes
    from every token to every token)."""
    if isinstance(model, Encoder):
        looked_up = {id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()}
        weights = sum(p.numel() for p in model.parameters() if id(p) not in looked_up)
        pairs = 4.0 * model.model.config.num_hidden_layers * model.model.config.hidden_size
        return lambda tokens: 2.0 * weights * tokens + pairs * tokens * tokens
    assert isinstance(model, TokenTable)
    width = model.table.shape[1]
    return lambda tokens: 2.0 * width * width * tokens


def save_ranker(model: nn.Module, tokenizer: Any, card: Mapping[str, Any], directory: Path) -> None:
    """Write a reranker under a temporary name and rename it; what `directory` held before is replaced.

    Raises:
        TrainingError: there is no room, or no permission to write.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    scratch = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        if isinstance(model, Encoder):
            with quiet():
                model.model.save_pretrained(scratch / _ENCODER)
            tokenizer.save_pretrained(scratch / _ENCODER)
        else:
            state = {name: value.contiguous().cpu() for name, value in model.state_dict().items()}
            save_file(state, scratch / _WEIGHTS)
            tokenizer.save_pretrained(scratch)
        (scratch / CARD).write_text(json.dumps(dict(card), indent=2) + "\n", encoding="utf-8")
        if directory.exists():
            shutil.rmtree(directory)
        scratch.rename(directory)
    except (OSError, SafetensorError) as error:
        raise unwritable(directory, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def mixed_anew(directory: Path, lexical: float | None, mixed: str) -> Reranker:
    """A trained reranker with another β, decided by what `mixed` names. Raises TrainingError and as `Reranker.load`."""
    card = {**(read_card(directory) or {}), "lexical": lexical, "mixed": mixed}
    scratch = directory / f".{CARD}.{os.getpid()}.tmp"
    try:
        scratch.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        scratch.replace(directory / CARD)
    except OSError as error:
        raise unwritable(directory, error) from error
    finally:
        scratch.unlink(missing_ok=True)
    return Reranker.load(directory)


def best_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _damaged(directory: Path, error: Exception) -> DataError:
    return DataError(f"The reranker in {directory} is damaged ({error}).", "Delete the directory and train again.")


def unwritable(path: Path, error: Exception) -> TrainingError:
    """The error for a place where a reranker cannot be written."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return TrainingError(f"The reranker cannot be written to {path} ({reason}).", "Make room there and run it again.")
