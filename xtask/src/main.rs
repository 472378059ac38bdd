//! Tasks of the people who work on the product: `cargo xtask …`. Nothing here is part of the binary.

mod codegen;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks around the source.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the documents that come from the source: settings reference, sample file, JSON schema.
    Codegen(codegen::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().task {
        Task::Codegen(args) => codegen::run(&args),
    }
}
