//! Tasks of the people who work on the product: `cargo xtask …`. Nothing here is part of the binary.

mod codegen;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{bench, soak, tidy};

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
    /// Hold the laws of the house against manifests, sources and documents.
    Tidy(tidy::Args),
    /// Measure ours beside its peers.
    Bench(bench::Args),
    /// Run the long form of a check.
    Soak(soak::Args),
}

fn main() -> anyhow::Result<ExitCode> {
    match Cli::parse().task {
        Task::Codegen(args) => codegen::run(&args),
        Task::Tidy(args) => tidy::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Soak(args) => soak::run(&args),
    }
}
