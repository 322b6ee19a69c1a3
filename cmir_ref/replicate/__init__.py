"""The papers' experiments, one file a table or figure, next to what the papers printed.

`lab` computes what is missing, `worlds` says on what, `claims` decides on what a paper claims; `run` is the command."""

TABLES, FIGURES = ("table1", "table2", "table3", "table4"), ("fig1", "fig3", "fig4")
OF_AMFMN = ("gates", "queries", "margins", "components")  # its tables II, IV, V, VI
EXPERIMENTS = ("headline", *TABLES, *FIGURES, "readings", "senses", "phase", "attended", *OF_AMFMN)
FOLDERS = {"attended": "attention"} | dict.fromkeys(OF_AMFMN, "amfmn")  # of experiments that are not of CMIR-NET
SCALES = ("small", "full")
