//! Writes completions and man pages into a folder; `cargo xtask dist` runs it.

fn main() -> std::io::Result<()> {
    echo_cli::manual::main(&echo_server::command())
}
