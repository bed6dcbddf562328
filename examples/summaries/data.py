"""Makes the sentences of this folder: `python data.py` writes sentences.jsonl.

They are put together from parts, so that nobody's text is in them: a claim that matters and clauses a summary can lose.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

SENTENCES = 150
WHO = (
    "the harbour office of Lindwick",
    "a small bakery in the old town",
    "the public library on Mill Street",
    "the football club of Eastmoor",
    "a team of botanists from the university",
    "the regional railway company",
    "the owners of the glass factory",
    "the volunteer fire brigade of Harlow Bay",
    "a group of retired teachers",
    "the museum of natural history",
    "the city's water company",
    "a farmer from the northern valley",
)
DID = (
    "will open {n} new branches before the end of the year",
    "has repaired {n} boats that were damaged by the autumn storm",
    "plans to plant {n} oak trees along the southern road",
    "received {n} complaints about the new timetable last week",
    "sold {n} tickets for the summer concert within two hours",
    "found {n} rare beetles in a meadow that was to be built over",
    "gave {n} books to schools that had none of their own",
    "moved its workshop to a hall with room for {n} people",
    "trained {n} apprentices, more than in any year before",
    "lost {n} customers after the bridge was closed in March",
    "measured a rise of {n} centimetres in the level of the river",
    "collected {n} kilograms of plastic from the beach on Sunday",
)
BEFORE = (
    "After months of talks with the council, ",
    "To the surprise of many people in the neighbourhood, ",
    "Although the weather had been worse than anyone expected, ",
    "According to a short notice that was published on Tuesday, ",
    "As the local newspaper reported this morning, ",
    "Despite doubts about whether there would be enough money, ",
    "",
)
AFTER = (
    ", a spokeswoman said, adding that details would follow later this month",
    ", which the mayor called good news for everyone who lives nearby",
    ", though nobody could say yet what it would cost in the end",
    " while a film crew from a neighbouring town recorded what happened",
    ", and visitors are welcome to see the results for themselves on any weekday",
    " because a similar attempt three years ago had ended well",
    "",
)


def rows() -> list[dict[str, str]]:
    """Different sentences of some length."""
    chance = random.Random(7)
    found: dict[str, None] = {}
    while len(found) < SENTENCES:
        parts = [chance.choice(some) for some in (BEFORE, WHO, DID, AFTER)]
        sentence = "".join([parts[0], parts[1], " ", parts[2].format(n=chance.randint(3, 400)), parts[3], "."])
        if len(sentence.split()) >= 18:
            found.setdefault(sentence[0].upper() + sentence[1:])
    return [{"id": f"sentence-{number:03}", "text": text} for number, text in enumerate(found)]


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows())
    (Path(__file__).parent / "sentences.jsonl").write_text(lines, encoding="utf-8")
