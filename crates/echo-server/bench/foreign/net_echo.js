// Node.js: a socket piped into itself.

const net = require("node:net");

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => {
  console.log(`listening on tcp://127.0.0.1:${server.address().port}`);
});
