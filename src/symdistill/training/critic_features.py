"""What a critic sees of a text, as numbers.

A text is a string, or a pair of strings that are told apart: a triple's head and what is said of it, an input and an
output.

words      the n-grams of words, hashed; needs no model and next to no memory
student    the hidden states of a causal language model, in the mean over the text (of a pair, its second part, which
           the model reads behind the first)
likelihood how probable such a model holds the text; of a pair, its second part behind the first and by itself
DIRECTORY  the vector of a sentence encoder (see `models.encoder`), and how a pair's two vectors stand to each other
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from symdistill.curation.words import words
from symdistill.errors import DataError
from symdistill.students.likelihood import like_lengths, token_losses
from symdistill.students.loading import Student, load_student, locate_student
from symdistill.students.settings import StudentSettings

Text = str | tuple[str, str]
Numbers = Literal["float32", "bfloat16"]

WORDS, STUDENT, LIKELIHOOD = "words", "student", "likelihood"
OF_STUDENTS = (STUDENT, LIKELIHOOD)
WIDTH = 1 << 16
"""Columns of hashed words. Two n-grams share one now and then, which costs a linear classifier next to nothing."""

_TOKENS = 4096
"""Tokens read by a student at once, padding included."""
_LONGEST = 1024


@dataclass(frozen=True, slots=True)
class SparseRows:
    """Rows of mostly zeros, none empty: row i has `values[starts[i]:starts[i + 1]]` in the columns at these places."""

    starts: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: NDArray[np.float64]

    def __matmul__(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(self.starts) == 1:
            return np.zeros(0)
        return np.asarray(np.add.reduceat(self.values * weights[self.columns], self.starts[:-1]))


Rows = SparseRows | NDArray[np.float64]


class Features:
    """How texts become rows. `identity` names the weights behind it and what else decides the rows, such as the numbers
    they are computed in where these are not float32, so that a critic never meets others unseen; `dtype` is these
    numbers."""

    def __init__(
        self, name: str, identity: str, compute: Callable[[Sequence[Text]], Rows], dtype: Numbers = "float32"
    ) -> None:
        self.name = name
        self.identity = identity
        self.rows = compute
        self.dtype: Numbers = dtype


def open_features(
    name: str, *, layers: Literal["last", "mean"] = "mean", student: StudentSettings | None = None
) -> Features:
    """The features called `name`. The weights of a model are read at the first text.

    Of `student` they take the model and its `dtype`, `auto` being looked up on this machine, and no chat template: a
    text stands behind the token that texts begin with.

    Raises:
        PrerequisiteError, UnusableModel: there is no such model, or a package for it is missing.
    """
    if name == WORDS:
        return Features(name, "", word_rows)
    from symdistill.models.weights import answering_marks, directory_fingerprint, resolved_dtype

    if name in OF_STUDENTS:
        asked = student or StudentSettings()
        place = locate_student(asked)
        dtype = resolved_dtype(asked.dtype)
        # What a tokenizer without a begin token puts first hangs on the template: the usual one decides, for everybody.
        settings = asked.model_copy(update={"dtype": dtype, "template": "auto"})
        identity = directory_fingerprint(place) + answering_marks(place, "auto", dtype)
        if name == LIKELIHOOD:
            return Features(name, identity, _Likelihood(settings).rows, dtype)
        return Features(name, f"{identity} {layers}", _States(settings, layers).rows, dtype)
    from symdistill.models.encoder import SentenceEncoder, encoder_identity

    where = Path(name).expanduser().resolve()
    load = lru_cache(maxsize=1)(lambda: SentenceEncoder.load(where))
    return Features(str(where), encoder_identity(where), lambda texts: encoded(texts, load().encode))


def encoded(texts: Sequence[Text], encode: Callable[[Sequence[str]], NDArray[np.float32]]) -> NDArray[np.float64]:
    """The vectors of texts; of a pair the second part's, what it agrees in with the first part's (the product of each
    coordinate), what it differs in, and their cosine (after Conneau et al., EMNLP 2017).

    [len(texts), 3 * width + 1]; of a text that is no pair the last two thirds are 0.
    """
    own = encode([text if isinstance(text, str) else text[1] for text in texts]).astype(np.float64)
    paired = np.array([not isinstance(text, str) for text in texts])
    beside = np.zeros((len(texts), 2 * own.shape[1] + 1))
    if paired.any():
        first = encode([text[0] for text in texts if not isinstance(text, str)]).astype(np.float64)
        products = first * own[paired]
        beside[paired] = np.column_stack([products, np.abs(first - own[paired]), products.sum(axis=1)])
    return np.column_stack([own, beside])


def word_rows(texts: Sequence[Text]) -> SparseRows:
    """Single words and pairs of neighbours of each part, how much of the second part stands in the first, and how long
    it is; each row has length 1."""
    starts, columns, values = [0], [], []
    for text in texts:
        found = sorted({_column(gram) for gram in _grams(text)})
        columns += found
        values += [1 / np.sqrt(len(found))] * len(found)
        starts.append(len(columns))
    return SparseRows(np.array(starts), np.array(columns, dtype=np.int64), np.array(values, dtype=np.float64))


def _grams(text: Text) -> Iterator[str]:
    parts = (text,) if isinstance(text, str) else text
    found = [words(part) for part in parts]
    for number, tokens in enumerate(found):
        yield from (f"{number} {token}" for token in tokens)
        yield from (f"{number} {one} {other}" for one, other in zip(["", *tokens], [*tokens, ""], strict=True))
    yield f"length {len(found[-1]).bit_length()}"
    if len(found) > 1 and found[1]:
        there = set(found[0])
        yield f"overlap {round(4 * sum(token in there for token in found[1]) / len(found[1]))}"


@lru_cache(maxsize=1 << 18)
def _column(gram: str) -> int:
    return zlib.crc32(gram.encode("utf-8", "surrogatepass")) % WIDTH


class _Reader:
    """A student that is loaded at the first text."""

    def __init__(self, settings: StudentSettings) -> None:
        self._settings = settings

    @cached_property
    def student(self) -> Student:
        return load_student(self._settings, for_training=False)

    def read(self, text: Text) -> tuple[list[int], int]:
        """A text's tokens behind the one a text begins with, and where those that count begin.

        The first token's states are of another size than all others, whatever it is, and say nothing of the text.
        """
        tokenizer = self.student.tokenizer
        begin = tokenizer.bos_token_id
        ids = [self.student.format.end_of_turn if begin is None else int(begin)]
        parts = ("", text) if isinstance(text, str) else text
        if parts[0]:
            ids += tokenizer(f"{parts[0].strip()}\n", add_special_tokens=False)["input_ids"][-_LONGEST:]
        second = tokenizer(parts[1].strip(), add_special_tokens=False)["input_ids"][:_LONGEST]
        if not second:
            raise DataError("A critic was given an empty text.", "Leave it out.")
        return [*ids, *second], len(ids)


class _Likelihood(_Reader):
    """-ln p of a text's tokens in the mean, of a pair's second part behind the first and by itself; what the first part
    gains for the second, a token and in all; and the length."""

    def rows(self, texts: Sequence[Text]) -> NDArray[np.float64]:
        """[len(texts), 5]"""
        behind = [self.read(text) for text in texts]
        alone = [self.read(text if isinstance(text, str) else text[1]) for text in texts]
        losses = np.array([token_losses(self.student, part) for part in (behind, alone)])
        lengths = np.array([len(ids) - start for ids, start in alone], dtype=np.float64)
        gain = losses[1] - losses[0]
        return np.column_stack([*losses, gain, gain * lengths, np.log(lengths)])


class _States(_Reader):
    """The mean hidden states of texts."""

    def __init__(self, settings: StudentSettings, layers: Literal["last", "mean"]) -> None:
        super().__init__(settings)
        self._layers = layers

    def rows(self, texts: Sequence[Text]) -> NDArray[np.float64]:
        """One row a text ([len(texts), hidden])."""
        import torch

        student, read = self.student, [self.read(text) for text in texts]
        found: NDArray[np.float64] = np.zeros((len(texts), int(student.model.config.hidden_size)))
        for batch in like_lengths([len(ids) for ids, _ in read], _TOKENS):
            width = max(len(read[place][0]) for place in batch)
            ids = torch.zeros((len(batch), width), dtype=torch.long)
            there = torch.zeros((len(batch), width), dtype=torch.long)
            counted = torch.zeros((len(batch), width, 1))
            for row, place in enumerate(batch):
                own, start = read[place]
                ids[row, : len(own)] = torch.tensor(own)
                there[row, : len(own)] = 1
                counted[row, start : len(own)] = 1
            device = student.model.device
            with torch.inference_mode():
                said = student.model.base_model(
                    input_ids=ids.to(device), attention_mask=there.to(device), output_hidden_states=True
                )
                layers = said.hidden_states[1:] if self._layers == "mean" else said.hidden_states[-1:]
                states = torch.stack([layer.float().cpu() for layer in layers]).mean(0)
            found[list(batch)] = ((states * counted).sum(1) / counted.sum(1)).double().numpy()
        return found
