//! The worker: a child of `advrec` that runs one stage at a time.

fn main() -> std::process::ExitCode {
    advrec::worker::main()
}
