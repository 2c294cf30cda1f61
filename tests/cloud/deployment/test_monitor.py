"""The `[monitor]` section: what it may say, and how it is refused."""

from __future__ import annotations

import pytest

from portside.cloud.deployment.file import read
from portside.cloud.monitoring.about import _rule
from portside.sdk.core.errors import FormatError

HEAD = 'name = "cells"\n[champion]\npackage = "net"\n'


def settings(tmp_path, text):
    path = tmp_path / "deployment.toml"
    path.write_text(HEAD + text)
    return read(path).monitor


def test_all_of_it(tmp_path):
    held = settings(tmp_path, """
[monitor]
hooks = ["own.hooks:one", { use = "own:Two", timeout_s = 30 }]
slices = ["cell"]
reference = 14
slo = { availability = 0.999, p99_ms = 200, in_time = 0.99 }
quality = { label = { min_accuracy = 0.9 } }
[[monitor.alert]]
name = "drift"
when = "drift"
subject = "in.*"
above = 0.3
[[monitor.alert]]
name = "calibration"
enabled = false
""")
    assert [(hook.use, hook.timeout_s) for hook in held.every_hook] == [("own.hooks:one", 5.0), ("own:Two", 30.0)]
    assert held.slo.slow == {"p99_ms": (0.99, 200.0)} and held.reference == 14
    assert _rule(held.alert[0]).above == 0.3


def test_no_section_is_no_monitor(tmp_path):
    assert settings(tmp_path, "") is None and settings(tmp_path, "[monitor]\n") is not None


@pytest.mark.parametrize(("text", "said"), [
    ('[monitor]\nhooks = ["nothing"]', "hooks"), ('[monitor]\nreference = "yesterday"', "reference"),
    ("[monitor]\nslo = { availability = 1.0 }", "availability"), ('[monitor]\nwebhook = "ftp://x"', "webhook"),
    ('[[monitor.alert]]\nname = "a"', "when"),
    ('[[monitor.alert]]\nname = "a"\nwhen = "x"\n[[monitor.alert]]\nname = "a"\nwhen = "y"', "two alerts"),
    ('[monitor]\nwebhook = "http://x"\nwebhook_env = "X"', "give one"), ("[monitor]\nevery = 5", "did you mean|unknown"),
    ("[monitor]\n[records]\nenabled = false", "reads records"),
], ids=range(9))  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path, text, said):
    with pytest.raises(FormatError, match=rf"(?i)deployment.toml.*({said})"):
        settings(tmp_path, text)


def test_a_webhook_may_stand_in_the_environment(tmp_path, monkeypatch):
    held = settings(tmp_path, '[monitor]\nwebhook_env = "HOOK"\n')
    with pytest.raises(FormatError, match="HOOK"):
        held.webhook_url()
    monkeypatch.setenv("HOOK", "https://hooks.example.org/secret")
    assert held.webhook_url() == "https://hooks.example.org/secret"
