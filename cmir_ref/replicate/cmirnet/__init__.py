"""The tables and figures of CMIR-NET's paper, one a file."""
