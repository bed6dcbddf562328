"""The optimizers that a configuration may name are those of the installed transformers that can be used here."""

from __future__ import annotations

import pytest

from symdistill.training.optimizers import OPTIMIZERS, PLAIN, missing_package

pytest.importorskip("transformers")


def test_the_names_are_those_of_transformers() -> None:
    from transformers.training_args import OptimizerNames

    known = {one.value for one in OptimizerNames}
    assert set(OPTIMIZERS) <= known
    assert {name.partition("_")[0] for name in known - set(OPTIMIZERS)} == {"galore", "apollo"}
    assert len(set(OPTIMIZERS)) == len(OPTIMIZERS)


def test_what_needs_a_package_says_which() -> None:
    assert [missing_package(name) for name in PLAIN] == [None] * len(PLAIN)
    assert missing_package("adamw_torch_npu_fused") == "torch_npu"
