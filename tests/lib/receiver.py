# SPDX-License-Identifier: MIT
"""receiver.py pyroscope|parca DIRECTORY: takes one request as that store of profiles does.

Prints the port it listens on. Ends with status 0 if the request was right in every part, and had the
file heap.pb.gz of DIRECTORY in it; else with the complaint on standard error, and 400 as its answer.
"""
import base64
import email.parser
import gzip
import http.server
import json
import os
import sys
import time
import urllib.parse

store, directory = sys.argv[1], sys.argv[2]
complaint = 'no request'


def check(condition, text):
    if not condition:
        raise ValueError(text)


def pyroscope(handler, url, body):
    query = urllib.parse.parse_qs(url.query, strict_parsing=True)
    check(url.path == '/ingest', f'path {url.path}')
    check(query['format'] == ['pprof'] and query['name'] == ['redis'], f'query {query}')
    begin, end = int(query['from'][0]), int(query['until'][0])
    check(begin < end and abs(end - time.time()) < 600, f'from {begin} until {end}')
    head = 'Content-Type: ' + handler.headers['Content-Type'] + '\r\n\r\n'
    form = email.parser.BytesParser().parsebytes(head.encode() + body)
    check(form.get_content_type() == 'multipart/form-data', form.get_content_type())
    parts = {part.get_param('name', header='content-disposition'): part
             for part in form.get_payload()}
    check(list(parts) == ['profile'], f'parts {list(parts)}')
    return parts['profile'].get_payload(decode=True)


def parca(handler, url, body):
    check(url.path == '/profiles/writeraw', f'path {url.path}')
    check(handler.headers['Content-Type'] == 'application/json', 'content type')
    series = json.loads(body)['series']
    check(len(series) == 1, f'{len(series)} series')
    labels = {one['name']: one['value'] for one in series[0]['labels']['labels']}
    check(labels == {'__name__': 'memory', 'job': 'redis'}, f'labels {labels}')
    samples = series[0]['samples']
    check(len(samples) == 1, f'{len(samples)} samples')
    return base64.b64decode(samples[0]['raw_profile'], validate=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        global complaint
        body = self.rfile.read(int(self.headers['Content-Length']))
        try:
            profile = globals()[store](self, urllib.parse.urlsplit(self.path), body)
            with open(os.path.join(directory, 'heap.pb.gz'), 'rb') as file:
                check(profile == file.read(), 'another profile')
            check(len(gzip.decompress(profile)) > 0, 'an empty profile')
            complaint = None
        except (ValueError, KeyError, OSError) as error:
            complaint = f'{type(error).__name__}: {error}'
        self.send_response(400 if complaint else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
server.timeout = 60
print(server.server_port, flush=True)
server.handle_request()
if complaint:
    sys.exit(complaint)
