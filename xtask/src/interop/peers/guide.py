"""The guide's echo server, word for word, but that it has any port, and accepts again, whatever has
become of the connection before."""

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
                print(f"Connected by {addr}")
                while True:
                    data = conn.recv(1024)
                    if not data:
                        break
                    print(f"Received from client: {data.decode('utf-8')}")
                    conn.sendall(data)
                    print("Echoed back to client.")
                print("Client disconnected.")
        except Exception:
            traceback.print_exc()
