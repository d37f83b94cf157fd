//! socat and xinetd: programs that are told a port, and have a process for each connection.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    process::Command,
};

/// Becomes one of them, on a port that was free a moment ago.
pub(crate) fn serve(name: &str) -> io::Result<()> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = match name {
        "socat" => socat(address),
        _ => xinetd(address)?,
    };
    crate::announce(address);
    Err(command.exec())
}

/// Its own idiom for an echo: what comes is written into a pipe and read out of it.
fn socat(address: SocketAddr) -> Command {
    let mut command = Command::new("socat");
    let listen = format!("TCP4-LISTEN:{},bind=127.0.0.1,backlog=1024,fork,nodelay", address.port());
    command.args(["-b", "16384", &listen, "PIPE"]);
    command
}

/// The echo that is built into it, without its usual limits.
fn xinetd(address: SocketAddr) -> io::Result<Command> {
    let port = address.port();
    let text = format!(
        "service echo\n{{\n\ttype = INTERNAL UNLISTED\n\tid = echo-stream\n\tsocket_type = stream\n\
         \tprotocol = tcp\n\tuser = root\n\twait = no\n\tbind = 127.0.0.1\n\tport = {port}\n\
         \tcps = 100000 1\n\tinstances = UNLIMITED\n\tper_source = UNLIMITED\n}}\n"
    );
    // It wants a file, and is gone before that can be removed: one beside this program serves always.
    let file = env::current_exe()?.with_file_name("xinetd.conf");
    fs::write(&file, text)?;
    let mut command = Command::new("xinetd");
    command.args(["-dontfork", "-f"]).arg(file);
    Ok(command)
}
