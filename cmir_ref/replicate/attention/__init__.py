"""The table of the talk of 2021: photo ↔ sketch, with and without attention."""
