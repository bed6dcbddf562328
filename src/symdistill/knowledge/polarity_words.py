"""The English words `polarity` knows."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _counting(text: str, step: int = 1, begin: int = 0) -> dict[str, str]:
    return {word: str(step * value) for value, word in enumerate(text.split(), begin)}


OPPOSITES = (
    (
        "more greater larger bigger higher increase rise grow gain maximum max maximal most largest greatest highest",
        "less fewer smaller lower decrease fall shrink lose minimum min minimal least smallest fewest lowest",
    ),
    ("add plus sum", "subtract minus difference"),
    ("multiply product", "divide quotient"),
    ("before earlier first earliest start begin", "after later last latest end finish"),
    ("above over up top", "below under down bottom"),
    ("even", "odd"),
    ("positive", "negative"),
    ("true", "false"),
    ("include inside inner", "exclude outside outer"),
    ("inclusive", "exclusive"),
    ("keep retain", "omit discard"),
    ("necessary", "unnecessary"),
    ("lock", "unlock"),
    ("same equal identical", "different unequal distinct"),
    ("correct valid", "incorrect invalid wrong"),
    ("possible plausible", "impossible implausible"),
    ("clockwise", "counterclockwise anticlockwise"),
    ("ascending forward", "descending backward"),
    ("horizontal", "vertical"),
    ("left", "right"),
    ("long longer", "short shorter"),
    ("fast faster", "slow slower"),
)
"""A word of the first column is the opposite of every word of the second."""

NEGATORS = _words(
    "not never no none neither nor without cannot cant dont doesnt didnt isnt arent wasnt werent wont shouldnt mustnt "
    "non nothing nobody nowhere avoid avoids avoiding avoided refrain hardly rarely seldom"
)

TELLING = _words("except unless only instead rather all any some both either and or xor if then than")
"""Words that carry no polarity of their own but change what a sentence says."""

_ORDINALS = (
    "fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
    "seventeenth eighteenth nineteenth twentieth"
)

KEPT_APART = _words(
    "north south east west northern southern eastern western numerator numerators denominator denominators row rows "
    "column columns domain range domains ranges prefix suffix vowel vowels consonant consonants subject object "
    "dividend divisor base exponent buy sell bought sold give receive gave received noun verb mean median mode credit "
    "debit gross net uppercase lowercase count ignore skip am pm"
)
"""Words of pairs that are both right in their place and never stand for each other."""

NUMBERS = {
    **_counting(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
        "seventeen eighteen nineteen twenty"
    ),
    **_counting("thirty forty fifty sixty seventy eighty ninety", 10, 3),
    **{
        f"{word}{plural}": value
        for plural in ("", "s")
        for word, value in {
            "hundred": "100",
            "thousand": "1000",
            "million": "1000000",
            "billion": "1000000000",
            "trillion": "1000000000000",
            "dozen": "12",
        }.items()
    },
    **{word: f"{value}th" for value, word in enumerate(_ORDINALS.split(), 4)},
    **{f"{word}s": f"1/{value}" for value, word in enumerate(_ORDINALS.split(), 4)},
    "half": "1/2",
    "third": "1/3",
    "thirds": "1/3",
    "quarter": "1/4",
    "quarters": "1/4",
    "once": "1x",
    "twice": "2x",
    "double": "2x",
    "thrice": "3x",
    "triple": "3x",
    "quadruple": "4x",
    "second": "2nd",
}
NO_COUNTS = _words("one second") | _words(_ORDINALS)
"""Number words that mostly count nothing: a pronoun, ordinals."""

UNITS = _words(
    "mm cm dm km m meter metre kilometer kilometre centimeter centimetre millimeter millimetre inch foot feet yard "
    "mile g gram kg kilogram mg tonne ton pound lb ounce oz l litre liter ml millilitre milliliter gallon pint cup "
    "s sec second min minute h hr hour day week month year decade century degree celsius fahrenheit kelvin radian "
    "percent cent dollar euro hz watt volt joule newton byte bit kb mb gb square cubic per"
)

LABELS = _words("step option case example line rule figure point equation part item row note question")
"""Words before a number that names something instead of counting."""

EMPTY = _words(
    "a an the this that these those it its it's they them their there here he she his her him we us our you your i my "
    "me one one's is are was were be been being am do does did done doing have has had having can could may might must "
    "shall should will would need needs to of in on at by for from with into onto as about so such also just very too "
    "which who whom whose what how why each every all any some both always carefully sure make makes ensure remember "
    "important importantly note please therefore thus hence then than and or but if when because since while "
    "however other own let let's get gets given use using used"
)
"""Words that say nothing about a sentence's topic."""
