// libuv: one loop, a buffer of its own for each read, as its guide's echo server.

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct reply {
    uv_write_t request;
    uv_buf_t buffer;
};

static void on_close(uv_handle_t *handle) { free(handle); }

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    buffer->base = malloc(suggested);
    buffer->len = buffer->base ? suggested : 0;
}

static void on_written(uv_write_t *request, int status) {
    struct reply *reply = (struct reply *)request;
    if (status < 0 && !uv_is_closing((uv_handle_t *)request->handle))
        uv_close((uv_handle_t *)request->handle, on_close);
    free(reply->buffer.base);
    free(reply);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    if (n > 0) {
        // What the socket takes at once needs no request.
        uv_buf_t rest = uv_buf_init(buffer->base, (unsigned)n);
        int written = uv_try_write(stream, &rest, 1);
        if (written == n) {
            free(buffer->base);
            return;
        }
        struct reply *reply = malloc(sizeof *reply);
        if (!reply) abort();
        size_t done = written > 0 ? (size_t)written : 0;
        reply->buffer = *buffer;
        rest = uv_buf_init(buffer->base + done, (unsigned)(n - (ssize_t)done));
        uv_write(&reply->request, stream, &rest, 1, on_written);
        return;
    }
    free(buffer->base);
    if (n < 0 && !uv_is_closing((uv_handle_t *)stream)) uv_close((uv_handle_t *)stream, on_close);
}

static void on_connection(uv_stream_t *listener, int status) {
    if (status < 0) return;
    uv_tcp_t *client = malloc(sizeof *client);
    if (!client) abort();
    uv_tcp_init(listener->loop, client);
    if (uv_accept(listener, (uv_stream_t *)client) == 0) {
        uv_tcp_nodelay(client, 1);
        uv_read_start((uv_stream_t *)client, on_allocate, on_read);
    } else {
        uv_close((uv_handle_t *)client, on_close);
    }
}

int main(void) {
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t listener;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &listener);
    uv_tcp_bind(&listener, (const struct sockaddr *)&address, 0);
    if (uv_listen((uv_stream_t *)&listener, 1024, on_connection) != 0) return 1;
    int size = sizeof address;
    uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &size);
    printf("listening on tcp://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
