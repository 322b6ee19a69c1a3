"""Networks of no paper: forward and backward side by side, parameters by name."""
