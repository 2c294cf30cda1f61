"""What a threshold costs: people's time and money per 1,000 rows, and how many wrong answers leave the service.

    >>> from .fitting import Point
    >>> price(Point(0.9, share=0.5, error=0.02, upper=0.03, rows=500, p=0.01), Costs(review_s=36, hour=40.0), check_share=0.1).person_hours
    5.5
"""

from __future__ import annotations

from dataclasses import dataclass

from .fitting import Point

PER = 1000


@dataclass(frozen=True)
class Costs:
    """What things cost here.

    Attributes:
        review_s: seconds that a person spends on a row.
        hour: money per hour of a person.
        error: money per wrong answer.
        people_error: rate at which people are wrong.
    """

    review_s: float = 10.0
    hour: float = 0.0
    error: float = 0.0
    people_error: float = 0.0


@dataclass(frozen=True)
class Price:
    """Per 1,000 rows.

    Attributes:
        person_rows: rows that a person looks at, checks included.
        person_hours: their time.
        wrong: answers that are wrong in the end, whoever gave them. A check does not mend its answer: that has left.
        money: of time and of wrong answers.
    """

    person_rows: float
    person_hours: float
    wrong: float
    money: float


def price(point: Point, costs: Costs, check_share: float = 0.0) -> Price:
    """Of one point of the curve."""
    alone = point.share
    rows = PER * (1 - alone + alone * check_share)
    hours = rows * costs.review_s / 3600
    wrong = PER * (alone * (point.error if alone else 0.0) + (1 - alone) * costs.people_error)
    return Price(rows, hours, wrong, hours * costs.hour + wrong * costs.error)
