"""The HTTP of the in-tree fakes (fake_s3.py, fake_neon.py): a server whose connections can be cut off hard."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STALL_MAX_S = 300


class FakeHttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, handler, fake):
        super().__init__(address, handler)
        self.fake = fake

    def shutdown_request(self, request):
        # Closed only: where SO_LINGER was set to nothing, a shutdown would say a polite goodbye first.
        self.close_request(request)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):  # a client that went away
            super().handle_error(request, client_address)


class FakeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 << 10
    timeout = STALL_MAX_S

    def log_message(self, *_):
        pass
