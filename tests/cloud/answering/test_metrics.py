"""Metrics: what the page says is what a Prometheus parser reads."""

from prometheus_client.parser import text_string_to_metric_families

from portside.cloud.answering.metrics import BUCKETS_S, Metrics


def parsed(metrics):
    return {family.name: family for family in text_string_to_metric_families(metrics.text())}


def test_counters_histogram_and_gauges_parse():
    metrics = Metrics(lambda: {'portside_ready{entry="0"}': 1.0, 'portside_ready{entry="1"}': 0.0, "portside_lost": 3})
    for seconds in (0.0005, 0.001, 0.03, 99.0):
        metrics.answered("main", "primary", seconds, ())
    metrics.answered('odd "name"\\\n', "deadline", 0.05, ("0:deadline", "1:breaker-open"))
    metrics.refuse(422)
    families = parsed(metrics)
    requests = {tuple(sample.labels.values()): sample.value for sample in families["portside_requests"].samples}
    assert requests == {("main", "primary"): 4.0, ('odd "name"\\\n', "deadline"): 1.0}
    failovers = {tuple(sample.labels.values()): sample.value for sample in families["portside_failovers"].samples}
    assert failovers == {("0", "deadline"): 1.0, ("1", "breaker-open"): 1.0}
    assert families["portside_refused"].samples[0].labels == {"status": "422"}
    assert [sample.value for sample in families["portside_ready"].samples] == [1.0, 0.0] and families["portside_lost"].type == "gauge"


def test_buckets_are_cumulative():
    metrics = Metrics()
    for seconds in (0.0005, 0.001, 0.03, 99.0):
        metrics.answered("m", "primary", seconds, ())
    samples = parsed(metrics)["portside_request_seconds"].samples
    buckets = [sample.value for sample in samples if sample.name.endswith("_bucket")]
    assert len(buckets) == len(BUCKETS_S) + 1 and buckets == sorted(buckets)
    assert buckets[0] == 2 and buckets[-2:] == [3, 4]
    assert next(sample.value for sample in samples if sample.name.endswith("_count")) == 4


def test_an_empty_page_parses():
    assert "portside_request_seconds" in parsed(Metrics())
