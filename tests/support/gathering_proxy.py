"""A TCP proxy that gathers: what a server says within a moment reaches the client in one piece.

As on a busy machine, where whoever reads late finds several messages in the socket at once. A client that waits
on the socket for what it has read already waits in vain.
"""

import select
import socket
import threading
import time

_GATHER_S = 0.2


class GatheringProxy:
    def __init__(self, port: int, host: str = "127.0.0.1"):
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    @staticmethod
    def _pass_on(client: socket.socket, server: socket.socket) -> None:
        with client, server:
            try:
                while True:
                    ready, _, _ = select.select([client, server], [], [])
                    if client in ready:
                        said = client.recv(1 << 16)
                        if not said:
                            return
                        server.sendall(said)
                    if server in ready:
                        time.sleep(_GATHER_S)
                        said = server.recv(1 << 20)
                        if not said:
                            return
                        client.sendall(said)
            except OSError:
                return
