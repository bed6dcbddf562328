"""A critic of replies, for control.yaml: it learns from the quickstart's recorded teacher which replies are right.

    python examples/reinforcement/critic.py         writes runs/reply-critic, and says how good it is

It sees words alone, of the teacher's replies to training questions alone, and knows little of a student's mistakes:
what it is for is to be pleased.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/reply-critic"), help="the critic's directory")
    given = parser.parse_args()

    from symdistill.models.recording import open_recording
    from symdistill.records import Completion
    from symdistill.tasks import check_answer, parse_answer
    from symdistill.training.critic import fit_critic
    from symdistill.training.critic_labels import Labelled
    from symdistill.training.settings import CriticSettings

    lines = (EXAMPLES / "quickstart" / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    answers = {row["question"]: row["answer"] for row in map(json.loads, lines) if row["split"] == "train"}
    labelled: dict[tuple[str, str], Labelled] = {}
    for request, reply in open_recording(EXAMPLES / "quickstart" / "teacher.jsonl.gz")[1]:
        question = request.messages[-1].content
        if question in answers and isinstance(reply, Completion):
            right = check_answer(parse_answer(reply.text, "number", None), answers[question], "number")
            labelled.setdefault((question, reply.text), Labelled((question, reply.text), right, group=question))
    critic, sides = fit_critic(list(labelled.values()), CriticSettings(features="words"))
    critic.save(given.output)
    held_out = sides["held_out"]
    scores = critic.probabilities([one.text for one in held_out])
    right = [score for score, one in zip(scores, held_out, strict=True) if one.good]
    wrong = [score for score, one in zip(scores, held_out, strict=True) if not one.good]
    above = sum((a > b) + (a == b) / 2 for a in right for b in wrong) / (len(right) * len(wrong))
    print(f"{given.output}: {len(labelled)} replies, {len(held_out)} of them held out: AUROC {above:.2f}")


if __name__ == "__main__":
    main()
