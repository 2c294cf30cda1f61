"""The agent with its doors on a port and on a Unix socket.

python device.py AGENT.toml PORT SOCKET
"""

import sys

from portside.edge.agent import Agent
from portside.edge.door_settings import DoorSettings
from portside.edge.serving import serve

with Agent(sys.argv[1]) as agent:
    serve(agent, DoorSettings(port=int(sys.argv[2]), unix=sys.argv[3]))
