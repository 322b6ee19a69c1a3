"""The tables of AMFMN's paper."""
