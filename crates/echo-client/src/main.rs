//! The `echo-client` command; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    echo_client::main()
}
