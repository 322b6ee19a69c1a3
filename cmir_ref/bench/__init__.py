"""Benchmarks: our step beside a peer's best, interleaved, after both gave the same result.

`suite` runs them, `peers` takes the times; here are the names alone, which `--help` needs at once."""

BENCH_KINDS = {
    "cpu": ("conv", "latent", "attention", "retrieval", "texts", "data", "whole"),
    "cuda": ("numbers", "calls", "memory", "conv", "latent", "epoch"),
}
PEERS = {"cpu": ("torch", "faiss", "sklearn"), "cuda": ("torch",)}
TURNS = 7
