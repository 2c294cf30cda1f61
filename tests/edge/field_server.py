"""What devices send to, as a process."""

from __future__ import annotations

import sys

import uvicorn

from portside.cloud.fleet.doors import FleetApp

if __name__ == "__main__":
    uvicorn.run(FleetApp(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="error", lifespan="off", access_log=False)
