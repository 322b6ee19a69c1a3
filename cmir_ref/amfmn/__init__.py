"""AMFMN (Yuan et al., 2022): a file for each group of equations, the two networks, and how they are trained."""
