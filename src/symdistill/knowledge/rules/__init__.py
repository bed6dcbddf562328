"""IF-THEN and Horn rules: proposed by a teacher or learned from a table, measured, simplified, evaluated, exported.

logic       rules as data                                  decisions   which rule decides, and how often each is right
text        `IF … THEN … UNLESS …`, for people             simplify    the same decisions with less to read
files       rules and tables in files                      learning    RIPPER, and exceptions to what it finds
inference   what follows, in Python                        asp_program the same as a logic program, run by clingo
proposals   asking a teacher for rules                     problog     the same for ProbLog
graphs      triples as facts                               items       rules in a knowledge base

Where a rule is about one input, `X` stands for it: `praises_acting` is short for `praises_acting(X)` and
`label = positive` for `label(X, positive)`.
"""

from symdistill.knowledge.rules.decisions import Decision, decide, measured
from symdistill.knowledge.rules.files import read_rules, write_rules
from symdistill.knowledge.rules.logic import Fact, Literal, Rule, RuleSet, Source, Variable
from symdistill.knowledge.rules.observations import Observation, facts_of, read_table, write_table
from symdistill.knowledge.rules.text import parse_text, rule_text

__all__ = [
    "Decision",
    "Fact",
    "Literal",
    "Observation",
    "Rule",
    "RuleSet",
    "Source",
    "Variable",
    "decide",
    "facts_of",
    "measured",
    "parse_text",
    "read_rules",
    "read_table",
    "rule_text",
    "write_rules",
    "write_table",
]
