"""The whole service: `bentoml serve service:svc` runs the deployment beside this file (after `run.py` has packed it)."""

import portside as ps

svc = ps.service("deployment.toml")
