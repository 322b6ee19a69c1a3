"""Retrieval: exact nearest neighbours, ranking metrics and the collapse test."""

from .collapse import collapse
from .distances import Space, distance_of, levels, prepare, squared_distances
from .metrics import (
    average_precision,
    chance,
    evaluate_direction,
    mean_precision_at_tens,
    precision_at_k,
    relevance,
    tie_groups,
)
from .neighbours import nearest

__all__ = [
    "Space",
    "average_precision",
    "chance",
    "collapse",
    "distance_of",
    "evaluate_direction",
    "levels",
    "mean_precision_at_tens",
    "nearest",
    "precision_at_k",
    "prepare",
    "relevance",
    "squared_distances",
    "tie_groups",
]
