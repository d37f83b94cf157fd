"""The guide's echo loop (its pattern 4), which does not decode, for one connection after the other."""

import socket
import traceback

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
    s.bind(('127.0.0.1', 0))
    s.listen()
    print(f"Server listening on 127.0.0.1:{s.getsockname()[1]}")
    while True:
        conn, addr = s.accept()
        try:
            with conn:
                while True:
                    data = conn.recv(1024)
                    if not data:
                        break
                    conn.sendall(data)
        except Exception:
            traceback.print_exc()
