// Asio, as its own echo server example: one io_context, one session per connection, callbacks.

#include <array>
#include <asio.hpp>
#include <iostream>
#include <memory>

using asio::ip::tcp;

class session : public std::enable_shared_from_this<session> {
public:
    explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

    void read() {
        auto self = shared_from_this();
        socket_.async_read_some(asio::buffer(data_), [self](std::error_code error, std::size_t n) {
            if (!error) self->write(n);
        });
    }

private:
    void write(std::size_t n) {
        auto self = shared_from_this();
        asio::async_write(socket_, asio::buffer(data_, n), [self](std::error_code error, std::size_t) {
            if (!error) self->read();
        });
    }

    tcp::socket socket_;
    std::array<char, 16 * 1024> data_;
};

class server {
public:
    explicit server(asio::io_context& context)
        : acceptor_(context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
        std::cout << "listening on tcp://" << acceptor_.local_endpoint() << std::endl;
        accept();
    }

private:
    void accept() {
        acceptor_.async_accept([this](std::error_code error, tcp::socket socket) {
            if (!error) {
                socket.set_option(tcp::no_delay(true), error);
                std::make_shared<session>(std::move(socket))->read();
            }
            accept();
        });
    }

    tcp::acceptor acceptor_;
};

int main() {
    // One thread runs it, so it needs no locks.
    asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
    server server(context);
    context.run();
}
