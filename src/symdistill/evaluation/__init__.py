"""Verdicts on what a student learned: scoring, voting, statistics, comparison and the report.

scoring     replies in, predictions and rows of results out      flops       what an answer costs in operations
voting      self-consistency                                     evidence    predictions and rows from a run directory
statistics  intervals, paired tests                              comparison  methods against each other
tables      rows of text, Markdown, CSV                          outcome     the result in words
report      one offline page from `report_data`                   calibration when a student is sure enough

Nothing here loads a model or knows how one is trained.
"""
