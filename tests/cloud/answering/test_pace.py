"""How long calls take: measured at the start, followed afterwards."""

import pytest

from portside.cloud.answering.pace import ENOUGH, PROBES, Pace, measured


class Model:
    """Takes `base + rows * row` seconds of a clock that only it moves."""

    def __init__(self, base, row):
        self.base, self.row, self.now, self.calls = base, row, 0.0, 0

    def run(self, rows):
        self.now += self.base + rows * self.row
        self.calls += 1

    def measure(self, ends=1e9):
        return measured(self.run, lambda rows: rows, lambda: self.now, ends)


@pytest.mark.parametrize(
    ("base", "row", "worth"), [(0.001, 0.0001, True), (0.0001, 0.004, False), (0.001, 0.001, True), (0.001, 0.003, False)]
)
def test_batches_are_worth_it_where_a_call_costs_more_than_its_rows(base, row, worth):
    pace, found = Model(base, row).measure()
    assert found is worth and pace.base_s == pytest.approx(base, rel=0.01) and pace.row_s == pytest.approx(row, rel=0.01)


def test_measuring_a_slow_model_takes_one_call():
    model = Model(0.3, 0.0)
    pace, worth = model.measure()
    assert model.calls == 1 and not worth and pace.base_s == pytest.approx(0.3)
    assert Model(0.01, 0.0).measure(ends=0.0)[1] is False and PROBES > 1


def test_the_pace_follows_what_calls_take():
    pace = Pace(0.001, 0.001)
    assert pace.seconds(1, 9) == pytest.approx(0.01) and pace.rows_within(0.01) == 9
    for _ in range(100):
        pace.saw(9, 0.02)
    assert pace.seconds(1, 9) == pytest.approx(0.02, rel=0.01) and pace.seconds(1, 9, careful=True) >= pace.seconds(1, 9)
    unknown = Pace()
    assert not unknown.known
    unknown.saw(3, 0.5)
    assert not unknown.known and unknown.seconds(2, 0) == pytest.approx(1.0), "one call is no measure"
    for _ in range(ENOUGH):
        unknown.saw(3, 0.5)
    assert unknown.known and pace.known


def test_one_stall_says_little():
    pace = Pace(0.001, 0.0)
    for _ in range(20):
        pace.saw(1, 0.001)
    pace.saw(1, 10.0)
    assert pace.seconds(1, 1) <= 0.0014 and pace.seconds(1, 1, careful=True) <= 0.003
    late = Pace()
    for seconds in (1.0, *[0.001] * 30):
        late.saw(1, seconds)
    assert late.seconds(1, 1, careful=True) < 0.2
