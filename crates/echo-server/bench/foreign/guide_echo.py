"""The server of the guide that this project began with: recv(1024), sendall, a thread per connection.

As there, TCP_NODELAY is not set: what is longer than one recv waits for the peer's acknowledgement.
"""

import socket
import threading


def echo(connection):
    with connection:
        try:
            while data := connection.recv(1024):
                connection.sendall(data)
        except OSError:
            pass


with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    host, port = listener.getsockname()
    print(f"listening on tcp://{host}:{port}", flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=echo, args=(connection,), daemon=True).start()
