"""Retrieval: exact nearest neighbours, ranking metrics and the collapse test."""

from .collapse import collapse
from .distances import Space, distance_of, levels, prepare, squared_distances
from .metrics import (
    average_precision,
    chance,
    evaluate_direction,
    mean_precision_at_tens,
    measure_direction,
    most_precision,
    precision_at_k,
    relevance,
)
from .neighbours import keep_gallery, nearest, nearest_by
from .recall import first_rank, recall_at_k
from .ties import tie_groups

__all__ = [
    "Space",
    "average_precision",
    "chance",
    "collapse",
    "distance_of",
    "evaluate_direction",
    "first_rank",
    "keep_gallery",
    "levels",
    "mean_precision_at_tens",
    "measure_direction",
    "most_precision",
    "nearest",
    "nearest_by",
    "precision_at_k",
    "prepare",
    "recall_at_k",
    "relevance",
    "squared_distances",
    "tie_groups",
]
