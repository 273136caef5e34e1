//! The `order-sync` binary: hands the command line and the environment to the library.

use std::process::ExitCode;

/// jemalloc serves librdkafka and sled, too. The system's allocator gives pages back that are needed again a moment
/// later: clearing them anew was an eighth of the worker's CPU time (docs/performance.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    order_sync::cli::main(std::env::args_os(), std::env::vars_os())
}
