//! The `order-sync` binary: hands the command line and the environment to the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    order_sync::cli::main(std::env::args_os(), std::env::vars_os())
}
