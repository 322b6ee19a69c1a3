"""Benchmarks: our step beside a peer's best, interleaved, after both gave the same result."""
