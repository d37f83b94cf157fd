//! The `echo-server` command; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    echo_server::main()
}
