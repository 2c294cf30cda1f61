"""The page's pure functions under Node: scales and their ticks, figures as people read them, addresses there and back."""

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

WEB = Path(__file__).parents[3] / "cloud" / "dashboard" / "web"
NODE = Path(sys.prefix) / "bin" / "node"
pytestmark = pytest.mark.skipif(not NODE.exists() and shutil.which("node") is None, reason="needs node")


def run(script, tmp_path):
    """What a module prints as JSON; `text`, `scale` and `places` are the page's own."""
    folder = tmp_path / "web"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"type": "module"}')
    for file in [*WEB.glob("*.js"), *(WEB.parents[1] / "desk" / "web").glob("*.js")]:
        (folder / file.name).write_bytes(file.read_bytes())
    head = "".join(f'import * as {name} from "./{name}.js"\n' for name in ("text", "scale", "places"))
    (folder / "main.js").write_text(head + f"console.log(JSON.stringify({script}))")
    done = subprocess.run([NODE if NODE.exists() else "node", "main.js"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ticks_are_round_within_the_scale_and_not_too_many(tmp_path):
    cases = [[low, high, most] for low, high in ((0, 1), (-3.2, 7.9), (0, 0.0004), (990, 1040), (0, 3e7), (5, 5)) for most in (3, 5, 8)]
    script = f"{json.dumps(cases)}.map(([low, high, most]) => scale.linear(low, high, 0, 100).ticks(most))"
    for (low, high, most), ticks in zip(cases, run(script, tmp_path), strict=True):
        assert len(ticks) <= most + 1 and all(low - 1e-9 <= tick <= (high if high > low else low + 1) + 1e-6 for tick in ticks), (
            low,
            high,
            ticks,
        )
        assert ticks == sorted(ticks) and len(set(ticks)) == len(ticks)


def test_a_logarithmic_scale_has_ticks_at_round_values(tmp_path):
    made = "{ const s = scale.logarithmic(a, b, 0, 100); return [s.ticks(8), s.at(a), s.at(b)] }"
    script = f"[[1, 1000], [0.3, 40], [2, 2]].map(([a, b]) => {made})"
    wide, narrow, one = run(script, tmp_path)
    assert wide == [[1, 3, 10, 30, 100, 300, 1000], 0, 100] and all(0.3 <= tick <= 40 for tick in narrow[0]) and len(narrow[0]) > 3
    assert one[1] == 0


def test_moments_stand_at_whole_hours_of_the_viewers_clock(tmp_path):
    script = "scale.moments(1760000000000, 1760086400000, 8)"
    found = run(script, tmp_path)
    assert 3 <= len(found) <= 9 and all(moment % 3_600_000 == 0 for moment in found) and len({b - a for a, b in pairwise(found)}) == 1


FIGURES = [
    ("text.share(0.12345)", "12.3%"),
    ("text.share(0)", "0%"),
    ("text.share(0.0004)", "<0.1%"),
    ("text.share(0.9996)", ">99.9%"),
    ("text.share(1)", "100%"),
    ("text.share(null)", "–"),
    ("text.percent(0.0042)", "0.42%"),
    ("text.percent(-0.011)", "−1.1%"),
    ("text.percent(0.00012)", "0.012%"),
    ("text.percent(-0.000001)", "0%"),
    ("text.percent(0.1256)", "12.6%"),
    ("text.percent(1)", "100%"),
    ("text.percent(null)", "–"),
    ("text.ms(0.42)", "0.4 ms"),
    ("text.ms(23.4)", "23 ms"),
    ("text.ms(1234)", "1.2 s"),
    ("text.ms(123456)", "123 s"),
    ("text.count(1204)", "1,204"),
    ("text.value(0.000012)", "1.20e-5"),
    ("text.value(1013.2)", "1,013"),
    ("text.value(-0.0642)", "-0.0642"),
    ("text.value(null)", "–"),
    ("text.plural(1, 'row')", "1 row"),
    ("text.plural(2, 'class', 'classes')", "2 classes"),
    ("text.ago(65000)", "65 seconds"),
    ("text.ago(7200000)", "2 hours"),
    ("text.stepped(900000)", "15 minutes"),
    ("text.stepped(3600000)", "hour"),
    ("text.kept({redacted: true})", "(redacted)"),
    ("text.kept({shape: [3, 4], dtype: 'uint8', sha256: 'x'})", "uint8 3 × 4 (not kept)"),
    ("text.kept(['rain'])", "rain"),
    ("text.kept([1, 2])", "[1,2]"),
    ("text.kept('x'.repeat(99)).length", 60),
    ("text.utc(1760000000123)", "2025-10-09 08:53:20 UTC"),
]


def test_figures_as_people_read_them(tmp_path):
    found = run(f"[{', '.join(call for call, _ in FIGURES)}]", tmp_path)
    assert dict(zip(FIGURES, found, strict=True)) == {pair: pair[1] for pair in FIGURES}


def test_addresses_there_and_back(tmp_path):
    names = ["in.x[3]", "sky=clear", "a/b?c#d&e", "100%", "ü", "<img src=x>"]
    script = f"""{json.dumps(names)}.map(name => {{
      const place = places.read("#/my-model/feature/x?span=7d")
      const back = places.read(places.write(place, "feature", [name], {{ slice: name }}))
      return [back.deployment, back.view, back.rest, back.query.get("slice"), back.query.get("span")] }})"""
    assert run(script, tmp_path) == [["my-model", "feature", [name], name, "7d"] for name in names]
    assert run("[places.read(''), places.read('#/%E0%A4')].map(p => [p.deployment, p.view])", tmp_path / "again") == [
        ["", "overview"],
        ["%E0%A4", "overview"],
    ]


def test_a_sequence_is_drawn_around_its_limit_and_what_is_known_by_now(tmp_path):
    early = [{"phase": "canary", "estimate": 0.4, "low": -1, "high": 1}, {"phase": "canary", "estimate": 0.002, "low": -0.01, "high": 0.03}]
    far = [{"phase": "canary", "estimate": 0.5, "low": 0.4, "high": 0.6}] * 3
    blind = [{"phase": "shadow", "estimate": None, "low": None, "high": None}]
    asked = f"[scale.near({json.dumps(early)}, 0.01), scale.near({json.dumps(far)}, 0.02), scale.near({json.dumps(blind)}, 0.01)]"
    (low, high), (_, reach), (none, above) = run(asked, tmp_path)
    assert -0.02 < low < -0.01 and 0.03 < high < 0.04, "what was not known early on does not flatten the rest"
    assert reach > 0.5 and none == 0 and above > 0.01


def test_a_sequence_begins_anew_with_another_phase_and_names_stand_apart(tmp_path):
    points = [{"phase": phase, "t": place} for place, phase in enumerate(("shadow", "shadow", "canary", "canary", "canary", "switched"))]
    drawn = f"scale.runs({json.dumps(points)}).map(run => run.map(point => point.t))"
    script = f"[{drawn}, scale.runs([]), scale.apart([0, 10, 80, 81, 160], 60)]"
    assert run(script, tmp_path) == [[[0, 1], [2, 3, 4], [5]], [], [True, False, True, False, True]]
