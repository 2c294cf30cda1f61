"""What `portside serve` hands to `bentoml serve`: the service of the deployments named in the environment."""

import os

from .service import service

svc = service(*os.environ["PORTSIDE_DEPLOYMENT"].split(os.pathsep), workers=int(os.environ.get("PORTSIDE_WORKERS", "1")))
