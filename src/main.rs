//! The `lapce-ai` binary; everything it does is in [`lapce_ai::cli`].

fn main() -> std::process::ExitCode {
    lapce_ai::cli::main()
}
