"""What the critic of a `direct` run is worth on what its teacher wrote: a random slice of it, judged by people.

Labels come from wherever they come from, and the precision on them is theirs. That of the teacher's triples is known
where reviewers have judged some that were drawn at random (`symdistill triples review RUN --audit 1`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from symdistill.evaluation.critic_metrics import critic_figures
from symdistill.knowledge.triples import Schema, Triple
from symdistill.knowledge.triples.review import Decision, audit_sample
from symdistill.knowledge.triples.splits import head_key
from symdistill.training.critic import Critic
from symdistill.training.critic_labels import Labelled, split_labels, text_of
from symdistill.training.settings import CriticSettings


def reviewed(
    triples: Sequence[Triple],
    decisions: Sequence[Decision],
    critic: Critic,
    labels: Sequence[Labelled],
    settings: CriticSettings,
    schema: Schema,
    *,
    seed: int,
) -> dict[str, Any] | None:
    """The critic's figures on the judged random slice of `triples`; None where nobody has judged one.

    It is asked about each, whatever people say of it. Heads of the `labels` that it learned from or was calibrated on
    are left out (`known`), and so is what reviewers do not agree on (`open`).
    """
    standing = audit_sample(triples, decisions)
    sides = split_labels(labels, settings, seed=seed)
    met = {head_key(one.group) for side in ("train", "validation") for one in sides[side]}
    judged = [t for t in triples if t.id in standing]
    unseen = [t for t in judged if head_key(t.head) not in met]
    clear = [t for t in unseen if standing[t.id] in ("accepted", "rejected")]
    if not clear:
        return None
    figures = critic_figures(
        critic.probabilities([text_of(t, schema) for t in clear]).tolist(),
        [standing[t.id] == "accepted" for t in clear],
        [t.fact[0] for t in clear],
        critic.threshold,
        kinds=[t.relation for t in clear],
        seed=seed,
    )
    left_out = {"known": len(judged) - len(unseen), "open": len(unseen) - len(clear)}
    return {**figures.to_dict(), **left_out}
