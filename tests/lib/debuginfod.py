#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""debuginfod.py DIRECTORY: a server of debug files, as debuginfod(8) is one, on a port of its own.

GET /buildid/HEX/debuginfo answers with DIRECTORY/HEX, or with status 404. Where there is a file
DIRECTORY/slow, a file comes without an end, a few bytes at a time. Each request is a line of
DIRECTORY/requests. The first line of output is the address.
"""
import http.server
import os
import re
import sys
import time

directory = sys.argv[1]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(os.path.join(directory, "requests"), "a") as log:
            log.write(self.path + "\n")
        match = re.fullmatch("/buildid/([0-9a-f]+)/debuginfo", self.path)
        path = os.path.join(directory, match.group(1)) if match else ""
        if not os.path.isfile(path):
            self.send_error(404)
        elif os.path.exists(os.path.join(directory, "slow")):
            self.drip()
        else:
            with open(path, "rb") as file:
                self.send(file.read())

    def send(self, data):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def drip(self):
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"\0" * 4096)
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"http://127.0.0.1:{server.server_port}/ ready", flush=True)
server.serve_forever()
