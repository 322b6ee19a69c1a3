"""A figure over seeds, and numbers as they are printed."""

import math
from typing import NamedTuple


class Score(NamedTuple):
    """One figure over seeds; the value of a run that failed is None."""

    values: tuple[float | None, ...]

    @property
    def there(self) -> list[float]:
        """The values of the runs that did not fail."""
        return [v for v in self.values if v is not None]

    @property
    def mean(self) -> float | None:
        """Their mean."""
        return sum(self.there) / len(self.there) if self.there else None

    @property
    def sd(self) -> float | None:
        """Their standard deviation (n − 1), None below two of them."""
        if len(self.there) < 2:
            return None
        return math.sqrt(sum((v - self.mean) ** 2 for v in self.there) / (len(self.there) - 1))

    @property
    def share(self) -> str:
        """ " (2 of 3 seeds)", where the mean is not of all of them."""
        count = len(self.there)
        return "" if count == len(self.values) else f" ({count} of {len(self.values)} seeds)"

    def __str__(self) -> str:
        if self.mean is None:
            return "–"
        spread = "" if self.sd is None else f" ± {self.sd:.3f}"
        return number(self.mean, ".3f") + spread + self.share


def number(value: float | Score | None, form: str) -> str:
    """`value` (of a score the mean, and of how many seeds) in the format `form`, ".3f" or "+.1f"; a dash for none."""
    mean, share = (value.mean, value.share) if isinstance(value, Score) else (value, "")
    return "–" if mean is None else format(mean, form).replace("-", "−") + share
