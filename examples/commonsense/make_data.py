"""Write the files of this example: heads.txt, labels.jsonl and reference.jsonl.

Everyday events with one tail in each of four relations, written by hand. Those of the first fifty events are the good
labels; the bad ones are the same tails given to other events, so a few of them hold by chance. The last twenty events
are the reference: no student learns about them. Run it again after an edit: python make_data.py
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

RELATIONS = ("xWant", "xNeed", "xReact", "xAttr")
# event | what PersonX wants next | needed before | feels | is seen as
EVENTS = """
PersonX bakes a cake | to eat a slice | to buy flour and eggs | proud | a good cook
PersonX misses the bus | to find another way to work | to arrive late at the stop | annoyed | unlucky
PersonX adopts a puppy | to give it a name | to visit the shelter | happy | fond of animals
PersonX loses the house keys | to call a locksmith | to leave the keys somewhere | worried | forgetful
PersonX plants tomatoes | to water them every day | to dig up the garden bed | hopeful | patient
PersonX forgets PersonY's birthday | to apologise to PersonY | to know when PersonY was born | guilty | absent-minded
PersonX wins the chess match | to shake the opponent's hand | to learn the rules of chess | triumphant | clever
PersonX breaks a window | to sweep up the glass | to throw a ball too hard | ashamed | careless
PersonX learns to swim | to jump into the deep end | to take lessons at the pool | confident | determined
PersonX writes a letter to PersonY | to post the letter | to find pen and paper | sentimental | thoughtful
PersonX paints the fence | to let the paint dry | to buy a brush | satisfied | hard-working
PersonX catches a cold | to stay in bed | to be near somebody who coughs | miserable | ill
PersonX moves to another city | to unpack the boxes | to rent a van | excited | adventurous
PersonX fails the driving test | to take the test again | to drive badly | disappointed | nervous
PersonX helps PersonY move house | to be thanked by PersonY | to have a free weekend | useful | helpful
PersonX burns the dinner | to order a pizza | to leave the pan on the stove | frustrated | distracted
PersonX finds a wallet | to return it to its owner | to look at the ground | surprised | honest
PersonX goes camping | to light a fire | to pack a tent | relaxed | fond of nature
PersonX quarrels with PersonY | to make peace with PersonY | to disagree with PersonY | angry | hot-tempered
PersonX starts a new job | to meet the colleagues | to apply for the position | nervous | ambitious
PersonX repairs the bicycle | to ride it around the block | to find the right spanner | accomplished | handy
PersonX breaks a leg | to see a doctor | to fall badly | in pain | injured
PersonX sings in the choir | to hear applause | to practise the songs | joyful | musical
PersonX saves money | to put it in the bank | to earn a wage | secure | thrifty
PersonX spills coffee on the laptop | to wipe it dry | to put the cup next to the keyboard | shocked | clumsy
PersonX teaches PersonY to read | to choose an easy book | to know the alphabet | patient | caring
PersonX runs a marathon | to rest the legs | to train for months | exhausted | athletic
PersonX tells a lie | to keep the secret | to have something to hide | uneasy | dishonest
PersonX shovels the snow | to drink something hot | to put on gloves | cold | diligent
PersonX watches a horror film | to switch on the lights | to buy a cinema ticket | scared | brave
PersonX gets a haircut | to look in the mirror | to make an appointment at the barber's | fresh | well-groomed
PersonX visits PersonY in hospital | to cheer PersonY up | to ask for the room number | concerned | kind
PersonX knits a scarf | to wear it in winter | to buy wool | content | skilful
PersonX steals an apple | to run away | to enter the orchard unseen | guilty | a thief
PersonX studies for the exam | to pass the exam | to borrow the textbook | tired | studious
PersonX drops the phone | to check the screen for cracks | to hold it loosely | startled | clumsy
PersonX gives a speech | to answer questions | to prepare some notes | nervous | eloquent
PersonX washes the car | to drive it while it shines | to fill a bucket with water | satisfied | tidy
PersonX loses the match | to practise harder | to play against a better team | disappointed | a good loser
PersonX cooks soup for PersonY | to ask PersonY how it tastes | to chop the vegetables | warm-hearted | generous
PersonX sleeps late | to hurry to work | to go to bed after midnight | groggy | lazy
PersonX climbs the mountain | to enjoy the view | to lace up the boots | proud | fit
PersonX sells the old sofa | to buy a new one | to put an advert online | relieved | practical
PersonX gets lost in the forest | to find the path again | to walk without a map | afraid | careless
PersonX buys a house | to invite friends over | to get a loan from the bank | thrilled | well-off
PersonX feeds the birds | to watch them eat | to buy a bag of seeds | peaceful | gentle
PersonX breaks up with PersonY | to be alone for a while | to be in a relationship with PersonY | sad | resolute
PersonX forgets the umbrella | to dry the wet clothes | to leave home in a hurry | soaked | forgetful
PersonX donates blood | to have a snack | to register as a donor | good about it | generous
PersonX plays the piano | to learn another piece | to sit down on the stool | calm | talented
"""
UNLABELLED = """
PersonX feeds the cat; PersonX wakes up early; PersonX calls PersonY; PersonX reads a novel; PersonX rides a horse
PersonX cleans the kitchen; PersonX plays football; PersonX takes a photograph; PersonX mows the lawn
PersonX gets married; PersonX drinks too much coffee; PersonX loses a tooth; PersonX rents a boat; PersonX quits the job
PersonX invites PersonY to dinner; PersonX falls off the ladder; PersonX borrows PersonY's car; PersonX sews a button on
PersonX joins the gym; PersonX hears a strange noise; PersonX misses the train; PersonX builds a treehouse
PersonX wins the lottery; PersonX forgets the password; PersonX takes the dog for a walk; PersonX gets a tattoo
PersonX tells PersonY a joke; PersonX catches a fish; PersonX cuts the onions; PersonX asks PersonY for advice
PersonX pays the bill; PersonX sees a shooting star; PersonX packs the suitcase; PersonX breaks the vase
PersonX goes to the dentist; PersonX loses weight; PersonX picks strawberries; PersonX thanks PersonY
PersonX stays up all night; PersonX finds a kitten; PersonX skips breakfast; PersonX practises the violin
PersonX comforts PersonY; PersonX gets a parking ticket; PersonX makes a snowman; PersonX travels abroad
PersonX throws a party; PersonX waters the flowers; PersonX hides the present; PersonX carries the shopping home
"""
REFERENCE = """
PersonX bakes bread | to spread butter on it | to knead the dough | pleased | a good baker
PersonX misses the flight | to book another one | to get stuck in traffic | upset | unlucky
PersonX learns the guitar | to play for friends | to buy an instrument | motivated | musical
PersonX crashes the car | to call the insurance | to take the eyes off the road | shaken | reckless
PersonX wins a prize | to tell the family | to enter a competition | delighted | successful
PersonX apologises to PersonY | to be forgiven by PersonY | to hurt PersonY's feelings | sorry | mature
PersonX sees a ghost | to run out of the room | to enter an old house | terrified | superstitious
PersonX loses the job | to look for another one | to make a serious mistake | worried | unemployed
PersonX builds a sandcastle | to take a picture of it | to go to the beach | playful | creative
PersonX forgets the appointment | to make a new one | to write nothing down | embarrassed | disorganised
PersonX wraps the present | to hand it over | to buy wrapping paper | excited | thoughtful
PersonX cries at the cinema | to wipe the tears away | to watch a sad scene | moved | sensitive
PersonX mends PersonY's coat | to give the coat back to PersonY | to thread a needle | helpful | handy
PersonX rows across the lake | to tie the boat up | to take the oars | tired | strong
PersonX gets a promotion | to celebrate with a dinner | to work hard for years | proud | competent
PersonX insults PersonY | to walk away from PersonY | to be angry with PersonY | furious | rude
PersonX picks up litter | to throw it into the bin | to put on gloves | virtuous | responsible
PersonX eats too much | to lie down for a while | to fill the plate twice | uncomfortable | greedy
PersonX finds an old photograph | to show it to the family | to open a box in the attic | nostalgic | curious
PersonX wakes PersonY up | to have breakfast with PersonY | to get up first | impatient | considerate
"""

HERE = Path(__file__).parent


def triples(table: str) -> list[dict[str, object]]:
    """Head, relation and tail of every cell of a table."""
    found: list[dict[str, object]] = []
    for line in table.strip().splitlines():
        head, *tails = (cell.strip() for cell in line.split("|"))
        found += [{"head": head, "relation": r, "tail": t} for r, t in zip(RELATIONS, tails, strict=True)]
    return found


def wrong(good: list[dict[str, object]]) -> list[dict[str, object]]:
    """As many triples with the tails of one relation given to other heads; none that was written as a good one."""
    rng = random.Random(0)
    there = {tuple(row.values()) for row in good}
    found = []
    for relation in RELATIONS:
        rows = [row for row in good if row["relation"] == relation]
        tails = [row["tail"] for row in rows]
        while True:
            rng.shuffle(tails)
            made = [{**row, "tail": tail} for row, tail in zip(rows, tails, strict=True)]
            if not any(tuple(row.values()) in there for row in made):
                break
        found += made
    return found


def write(name: str, lines: list[str]) -> None:
    (HERE / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    print(f"{name}: {len(lines)} lines")


def main() -> None:
    good = triples(EVENTS)
    labelled = [{**row, "label": True} for row in good] + [{**row, "label": False} for row in wrong(good)]
    write("labels.jsonl", [json.dumps(row) for row in sorted(labelled, key=lambda row: str(row["head"]))])
    write("reference.jsonl", [json.dumps(row) for row in triples(REFERENCE)])
    more = [head.strip() for head in UNLABELLED.replace("\n", ";").split(";") if head.strip()]
    write("heads.txt", list(dict.fromkeys([*(str(row["head"]) for row in good), *more])))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    main()
