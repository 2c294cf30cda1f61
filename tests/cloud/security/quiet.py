"""Run inside a network namespace where every address is this machine: serves a deployment, asks it, and prints who else was called.

Every packet goes over the loopback device, so that a listener on it sees also what native code sends: names that are looked up,
connections that are refused. Usage: quiet.py FOLDER portside|bentoml
"""

import ipaddress
import json
import os
import socket
import sys
import threading
import time

import started as servers


class Listener(threading.Thread):
    """Collects the addresses outside of loopback that packets went to."""

    def __init__(self):
        super().__init__(daemon=True)
        self.found, self.packets = set(), 0
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
        self.socket.bind(("lo", 0))

    def run(self):
        while True:
            frame = self.socket.recv(65_535)
            kind = frame[12:14]
            if kind in (b"\x08\x00", b"\x86\xdd"):
                self.packets += 1
                address = ipaddress.ip_address(frame[30:34] if kind == b"\x08\x00" else frame[38:54])
                if not address.is_loopback:
                    self.found.add(str(address))


def main(folder, how):
    for name in ("BENTOML_DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY"):
        os.environ.pop(name, None)  # what the surroundings say must not matter
    listener = Listener()
    listener.start()
    with servers.serving(servers.SERVE if how == "portside" else servers.BENTOML, folder) as server:
        answers = [server.ask()[0], server.call(data={"row": {}})[0], server.call("/metrics")[0], server.call("/docs")[0]]
        time.sleep(2)
    print(json.dumps({"answers": answers, "packets": listener.packets, "found": sorted(listener.found)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
