//! The command line and orchestrator. Never calls libtorch and does not load it.

fn main() -> std::process::ExitCode {
    advrec::cli::main()
}
