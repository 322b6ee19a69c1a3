"""The papers' experiments, one file a table or figure, next to what the papers printed.

`lab` computes what is missing and keeps it, `worlds` says on what and how long, `claims` decides what became of what a
paper claims; `run` is the command.
"""

TABLES, FIGURES = ("table1", "table2", "table3", "table4"), ("fig1", "fig3", "fig4")
EXPERIMENTS = ("headline", *TABLES, *FIGURES, "readings", "senses", "phase", "attended")
FOLDERS = {"attended": "attention"}  # of experiments that are not of CMIR-NET
SCALES = ("small", "full")
