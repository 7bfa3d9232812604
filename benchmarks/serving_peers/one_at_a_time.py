"""One image a call in one thread, as SINGA's serve.py answers: Python's own HTTPServer."""

import email.parser
import email.policy
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import network


def form_file(content_type: str, body: bytes, field: str) -> bytes:
    """A file of a multipart form.

    Args:
      content_type: of the request, with its boundary.
      body: of the request.
      field: name of the file's field.

    Returns:
      The file's content.
    """
    header = f"Content-Type: {content_type}\r\n\r\n".encode()
    form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(header + body)
    for part in form.iter_parts():
        if part.get_param("name", header="content-disposition") == field:
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            return content
    raise ValueError(f"no field {field}")


class Server(HTTPServer):
    """The default queue of 5 connections would make 32 clients wait for TCP's retries."""

    request_queue_size = 128


class Handler(BaseHTTPRequestHandler):
    """Answers a request and closes, as HTTP/1.0 does: a kept connection would hold the only thread."""

    def do_GET(self) -> None:
        """That it listens."""
        self.reply({"ready": True})

    def do_POST(self) -> None:
        """The answer to one request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        file = form_file(self.headers["Content-Type"], body, "image")
        self.reply(network.answer(run(network.decode(file)[None])[0]))

    def reply(self, content: dict[str, Any]) -> None:
        """Sends a JSON answer."""
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Keeps no log."""


if __name__ == "__main__":
    flags = network.arguments(__doc__)
    run = network.open_network(flags.weights)
    Server((flags.host, flags.port), Handler).serve_forever()
