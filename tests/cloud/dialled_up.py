"""A deployment with a dial, for tests: the small package of packages.py, whose answer to x is sure where the sum of x is far from 0."""

from pathlib import Path

import packages

from portside.cloud.deployment.file import read
from portside.cloud.deployment.resolving import resolve
from portside.cloud.versions import opened

SURE, UNSURE = [3.0, 3.0, 3.0], [0.2, 0.1, 0.1]
"""The model says "bad" to both, with a probability of 0.9999 and of 0.6."""
TEXT = """name = "tester"

[champion]
package = "main"
isolation = "{isolation}"
trust = true

[failover]
deadline_ms = 2000

[[failover.chain]]
package = "backup"
isolation = "inline"
trust = true

[[failover.chain]]
default = {{ label = "bad", score = 0.5 }}

[automation]
score = "either(score)"
{automation}

[review]
undo_s = 0
{review}
"""


def written(folder, automation, review="", isolation="inline", text=TEXT):
    """The deployment file, with both packages beside it."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    for name, source in (("main", packages.MAIN), ("backup", packages.BACKUP)):
        if not (folder / name).is_dir():
            packages.host_package(folder / name, source, name)
    file = folder / "deployment.toml"
    file.write_text(text.format(automation=automation, review=review, isolation=isolation))
    return file


def engine(file):
    """Its engine, loaded and warm."""
    return opened(resolve(read(file)))
