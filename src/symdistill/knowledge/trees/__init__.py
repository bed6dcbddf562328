"""Trees over features that a teacher asks about and a teacher or a student answers.

features    named yes/no questions, in a file to edit      tree      a decision tree as data: decide, explain, rules
questions   asking a teacher for such questions            fitting   a shallow tree from a table, by scikit-learn
annotation  asking for the answers, and asking again       noise     which answers hold when they are asked for again

No model is asked here: requests come out, completions go in (`runs.featuring` puts the two together).
"""

from symdistill.knowledge.trees.annotation import AskedAbout, answer_requests, answers_from
from symdistill.knowledge.trees.features import read_features, write_features
from symdistill.knowledge.trees.fitting import Fitted, fit_tree
from symdistill.knowledge.trees.noise import Noise, Screening, measure_noise, screen
from symdistill.knowledge.trees.questions import Proposal, proposals_from, question_requests
from symdistill.knowledge.trees.tree import Leaf, Split, Tree, read_tree, write_tree

__all__ = [
    "AskedAbout",
    "Fitted",
    "Leaf",
    "Noise",
    "Proposal",
    "Screening",
    "Split",
    "Tree",
    "answer_requests",
    "answers_from",
    "fit_tree",
    "measure_noise",
    "proposals_from",
    "question_requests",
    "read_features",
    "read_tree",
    "screen",
    "write_features",
    "write_tree",
]
