"""The paper's experiments, one file a table or figure, next to what the paper printed.

`lab` computes what is missing and keeps it, `worlds` says on what and how long, `published` holds the paper's numbers.
"""
