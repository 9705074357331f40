"""Stands between the page and control: passes everything on, but tells the stream itself."""

import contextlib
import http.client
import http.server
import json
import threading

KEPT = ("content-type", "etag", "cache-control", "content-security-policy")


def between(upstream, stream):
    """Serves it at an address, which is given; `stream(tell)` runs for each who listens, until it ends or they are gone."""

    class Between(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            if self.path == "/api/v1/stream":
                self.stream()
                return
            asked = http.client.HTTPConnection(upstream, timeout=30)
            headers = {name: value for name, value in self.headers.items() if name.lower() in ("authorization", "accept")}
            asked.request("GET", self.path, headers={**headers, "Host": upstream})
            answer = asked.getresponse()
            body = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() in KEPT:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            # A page may give a question up.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def stream(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            with contextlib.suppress(ConnectionError):
                stream(lambda kind, value: self.wfile.write(f"event: {kind}\ndata: {json.dumps(value)}\n\n".encode()))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"127.0.0.1:{server.server_port}"


def ask(address, path, token):
    """What control itself answers."""
    asked = http.client.HTTPConnection(address, timeout=30)
    asked.request("GET", f"/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
    return json.loads(asked.getresponse().read())
