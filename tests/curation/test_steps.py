"""The step checker: what it reads as an equation, what it judges, and that no text harms it."""

from __future__ import annotations

import random
import time
from fractions import Fraction

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from symdistill.curation import check_steps
from symdistill.curation.steps import MAX_CHARACTERS

HOLDS = [
    "3 + 4 = 7",
    "Natalia sold 48/2 = 24 clips in May.",
    "48 / 2 = <<48/2=24>>24 clips",
    "1,234 + 1 = 1,235",
    "0.1 + 0.2 = 0.3",
    "−3 + 5 = 2",
    "The change was -3 + 5 = 2.",
    "- 3 + 4 = 7",
    "1) 3 + 4 = 7",
    "(1) 3 + 4 = 7",
    "Step 2: 3 + 4 = 7",
    "Step 1 - 3 + 4 = 7",
    "(3 + 4) × 2 = 14",
    "2(3 + 4) = 14",
    "(2)(3) = 6",
    "(1/2) 16 + 1 = 9",
    "2 x 3 = 6",
    "2x3=6",
    "2 X 3 = 6",
    "6 ÷ 3 = 2",
    "6 : 3 = 2",
    "6/3 = 2",
    "2^3 = 8",
    "2**3 = 8",
    "2³ = 8",
    "2^3^2 = 512",
    "-2^2 = -4",
    "**3** + **4** = **7**",
    "3 plus 4 equals 7",
    "3 times 4 is equal to 12",
    "12 divided by 4 = 3",
    "20% of $50 = $10",
    "1/2 of the 10 = 5",
    "20% * 50 = 10",
    "100% - 20% = 80%",
    "5 / 20 * 100 = 25%",
    "100 - 20 = 80%",
    "$5 per hour * 3 hours = $15",
    "5 km/h * 2 h = 10 km",
    "3 apples + 4 apples = 7 apples",
    "Total = 3 apples + his 4 apples = 7 apples.",
    "$1,000.50 + $0.50 = $1,001",
    "-$5 + $8 = $3",
    "\\$5 + \\$6 = \\$11",
    "3 million * 2 = 6 million",
    "1.5 million / 2 = 750,000",
    "10/3 = 3.33",
    "2/3 = 0.66",
    "2/3 = 0.67",
    "10/3 ≈ 3.33",
    "1,234 + 0 ≈ 1,200",
    "19.833333333333332 - 9.166666666666666 = 10.666666666666664",
    "0.33 = 1/3",
    "3 1/2 + 1/2 = 4",
    "3½ + ½ = 4",
    "2 / 1/5 = 10",
    "7 = 3 + 4",
    "3 + 4 = 7 = 14 / 2",
    "5 * 3 = 15 + 4 = 19",
    "x = 10/2 = 5",
    "3 + 4\n= 7",
    "3 +\n4 = 7",
    r"\frac{1}{2} \times 10 = 5",
    r"\(\frac12 + \dfrac{1}{2} = 1\)",
    r"$50 \cdot 2 = \boxed{100}$",
    r"1{,}000 \div 10 = 100 \text{ apples}",
    r"10 \% \text{ of } 50 = 5",
    "５ ＋ ５ ＝ １０",
    "1e3 * 2 = 2000",
    "999999999999999999999 * 2 = 1999999999999999999998",
    "(3 + 4 = 7)",
]
WRONG = [
    "3 + 4 = 8",
    "48 / 2 = <<48/2=24>>25",
    "48 / 2 is <<48/2=25>>25",
    "1,234 + 1 = 1,236",
    "0.1 + 0.2 = 0.4",
    "10/3 = 3.4",
    "10/3 = 3.34",
    "2/3 ≈ 0.68",
    "7 / 2 = 3",
    "2^3 = 6",
    "-3 + 5 = 8",
    "2 + 3 * 4 = 20",
    "10 - 2 - 3 = 11",
    "16 / 4 / 2 = 8",
    "20% of $50 = $11",
    "3 apples + 4 apples = 8 apples",
    "**3** + **4** = **8**",
    "3 + 4 = 7 = 15 / 2",
    "5 + 5 = 10 = 11",
    "3 + 4 = 7 + 2",
    "3 times 4 equals 13",
    r"\frac{1}{2} \times 10 = 6",
    "999999999999999999999 * 2 = 1999999999999999999999",
    "(3 + 4 = 8)",
    "10 - 7 = 4 apples left",
]
NOT_JUDGED = [
    "",
    "no equation",
    "2 x 3",
    "x + 3 = 7",
    "x = 5",
    "2x + 3 = 11",
    "5x-28 = 157",
    "150 - X = 25",
    "70 = (3/2)x-5",
    "price - 3 + 4 = 9",
    "3 * price = 15",
    "20(cost) + 4 = 80",
    "f(3) = 9",
    "gcd(4, 6) = 2",
    "√16 + 1 = 5",
    "5! = 120",
    "17 mod 5 = 2",
    "143 % 11 = 0",
    "17 / 5 = 3 remainder 2",
    "1 hour = 60 minutes",
    "3 * 60 minutes = 3 hours",
    "20 * 5 cents = $1",
    "Day 3 = 10 + 4",
    "Person 1 = 5",
    "3:00 + 2 hours = 5:00",
    "12/24/2021 + 1 = 12/25/2021",
    "2026-11-22 = 1993",
    "22-11-2026 = -2015",
    "1/5 of the students = 20",
    "5 000 + 1 = 5 001",
    "3,5 + 2,5 = 6,0",
    "100 -6 60 = 40",
    "5 / 0 = 0",
    "0^-1 = 0",
    "2^0.5 = 1",
    "9^9^9 = 3",
    "10^99999999 = 3",
    "1e9999999 + 1 = 2",
    "3 + 4 = ?",
    "3 + 4 > 5",
    "3 + 4 ≠ 8",
    "= 5",
    "3 + 4 =",
    "3 + 4 => 8",
    "the 100 boxes x = 10 000",
]


@pytest.mark.parametrize("text", HOLDS)
def test_equations_that_hold(text: str) -> None:
    report = check_steps(text)
    assert report.checked >= 1, "nothing was read"
    assert [e.text for e in report.equations if not e.holds] == []


@pytest.mark.parametrize("text", WRONG)
def test_equations_that_do_not_hold(text: str) -> None:
    assert check_steps(text).wrong == 1


@pytest.mark.parametrize("text", NOT_JUDGED)
def test_what_cannot_be_judged_is_passed_over(text: str) -> None:
    report = check_steps(text)
    assert (report.equations, report.score) == ((), None)


def test_a_report_says_what_was_read() -> None:
    report = check_steps("First 3 * 5 = 15 legs, then $15 + $4 = $20. So x = 20 and 20 / 8 = 2.5.")
    assert [(e.text, e.left, e.right, e.holds) for e in report.equations] == [
        ("3 * 5 = 15", 15, 15, True),
        ("$15 + $4 = $20", 19, 20, False),
        ("20 / 8 = 2.5", Fraction(5, 2), Fraction(5, 2), True),
    ]
    assert (report.checked, report.wrong, report.score) == (3, 1, pytest.approx(2 / 3))
    assert report.first_wrong == report.equations[1]


def test_steps_that_run_on_are_judged_one_by_one() -> None:
    report = check_steps("5 * 3 = 15 + 4 = 20")
    assert [(e.text, e.holds) for e in report.equations] == [("5 * 3 = 15", True), ("15 + 4 = 20", False)]


def test_a_mark_that_repeats_the_text_counts_once() -> None:
    assert check_steps("He pays 5*3=$<<5*3=15>>15 and 2+2=<<2+2=4>>4.").checked == 2
    assert check_steps("He pays <<5*3=16>>16.").wrong == 1


def test_only_so_much_text_is_read() -> None:
    padding = " " * (MAX_CHARACTERS - 9)
    assert check_steps(f"{padding}3 + 4 = 8").wrong == 1
    assert check_steps(f"{padding}   3 + 4 = 8").checked == 0


STYLES = [
    {"*": "*", "/": "/", "-": "-"},
    {"*": "×", "/": "÷", "-": "−"},
    {"*": "x", "/": ":", "-": "-"},
    {"*": "·", "/": "/", "-": "–"},
    {"*": r"\times", "/": r"\div", "-": "-"},
    {"*": "times", "/": "divided by", "-": "minus", "+": "plus"},
]
UNITS = ["", " apples", " kilograms of sugar", " (boxes)", "-hour", " per day", "/day"]


def rendered(rng: random.Random, depth: int, style: dict[str, str]) -> tuple[str, Fraction]:
    """An expression in a style, every inner one in brackets, and its value."""
    if depth == 0 or rng.random() < 0.2:
        number = rng.choice([rng.randint(0, 12), rng.randint(0, 10**6), rng.randint(1, 10**15)])
        if rng.random() < 0.2:
            return f"{number}.25", number + Fraction(1, 4)
        written = f"{number:,}" if rng.random() < 0.5 else str(number)
        return (f"${written}" if rng.random() < 0.2 else f"{written}{rng.choice(UNITS)}"), Fraction(number)
    left, right = rendered(rng, depth - 1, style), rendered(rng, depth - 1, style)
    sign = rng.choice("+-*" if right[1] == 0 else "+-*/")
    value = {"+": left[1] + right[1], "-": left[1] - right[1], "*": left[1] * right[1]}.get(sign)
    value = left[1] / right[1] if value is None else value
    return f"({left[0]}) {style.get(sign, sign)} ({right[0]})", value


def shown(value: Fraction) -> str:
    if value.denominator == 1:
        return f"{int(value):,}"
    return f"{value.numerator}/{value.denominator}"


@settings(deadline=None, max_examples=300)
@given(st.randoms(use_true_random=False), st.sampled_from(STYLES), st.sampled_from(["", "So we get ", "Then: ", "- "]))
def test_true_equations_hold_and_changed_ones_do_not(rng: random.Random, style: dict[str, str], opening: str) -> None:
    text, value = rendered(rng, 3, style)
    if not text.startswith("("):
        text, value = f"{text} + 1", value + 1
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 190:  # more digits than are read
        return
    note(text)
    right = check_steps(f"{opening}{text} = {shown(value)}.")
    assert [e.holds for e in right.equations] == [True]
    assert right.equations[0].left == value
    change = rng.choice([1, -1, 10, Fraction(1, 3), abs(value) + 1])
    wrong = check_steps(f"{opening}{text} = {shown(value + change)}.")
    assert [e.holds for e in wrong.equations] == [False]


@settings(deadline=None, max_examples=200)
@given(st.text("0123456789.,+-*/^=()[]{}<>%$xX \n\\²½≈frac of times days", max_size=80) | st.text(max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    report = check_steps(text)
    assert report.wrong <= report.checked
    assert (report.score is None) == (report.checked == 0)


HOSTILE = {
    "digits": "9" * 10**6 + " + 1 = 2",
    "brackets": "(" * 10**5 + "1" + ")" * 10**5 + " = 1",
    "nested brackets": ("(" * 20 + "1" + ")" * 20 + "*") * 2500 + "1 = 2",
    "open brackets": "(1+" * 30_000,
    "powers": "9^" * 50_000 + "9 = 1",
    "towers": " = ".join(["9^9^9"] * 14_000),
    "sum": "1+" * 50_000 + "1 = 3",
    "signs": "=" * 10**5,
    "minus": "-" * 10**5 + "1 = 1",
    "chain": "1=" * 50_000,
    "fractions": "1/" + "+1/".join(str(10**30 + i) for i in range(3000)) + " = 1",
    "products": "123456789012345678901234567890*" * 3000 + "1 = 2",
    "latex": "\\frac{" * 16_000,
    "marks": "<<1+1=3>>" * 11_000,
    "units": "1 a b c d " * 10_000 + "= 3",
    "functions": "f(" * 50_000,
    "shares": "1% of the the the " * 5_000,
    "half a pair": "\ud800 3 + 4 = 7 \x00" * 6_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_read_in_bounded_time(name: str) -> None:
    """About a second for the longest text that is read; the margin is for a busy machine."""
    begin = time.process_time()
    check_steps(HOSTILE[name])
    assert time.process_time() - begin < 20
