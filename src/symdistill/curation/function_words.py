"""Words that hold a sentence together and say little about what it is about."""

from __future__ import annotations

_ENGLISH = (
    "a an the this that these those some any each every all both either neither no not and or but nor so yet if then "
    "than as because while although though when where which who whom whose what how why there here "
    "i me my we us our you your he him his she her hers it its they them their theirs one ones oneself itself himself "
    "herself themselves "
    "is are was were be been being am do does did done doing have has had having will would shall should can could may "
    "might must ought "
    "of in on at by to from with without for into onto over under between among through during before after about "
    "against up down out off again further once until since per via within upon toward towards "
    "also just only very too more most much many such own same other another s t d ll m re ve"
)

FUNCTION_WORDS = frozenset(_ENGLISH.split())
"""English articles, pronouns, auxiliaries, prepositions and conjunctions, lower-case."""
