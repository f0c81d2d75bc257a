//! `lattice`: parse, build, serve, drain.

#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser as _;
use lattice_gateway::cli::{Cli, Command, TemplateCommand};
use lattice_gateway::listen::Handed;
use lattice_gateway::{
    admin, backup, broker, catalogues, config, doctor, healthcheck, serve, share, supervise,
    telemetry, template, tls,
};
use std::io::Write as _;
use std::process::ExitCode;

/// `EX_CONFIG` of sysexits.h: starting again changes nothing, so whoever keeps services up should not.
const CONFIGURATION: u8 = 78;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "lattice: {error:#}");
            match config::is_at_fault(&error) {
                true => ExitCode::from(CONFIGURATION),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    tls::install_provider();
    telemetry::init_logs(cli.log_format)?;
    telemetry::count_panics();
    let handed = match cli.command {
        Command::Serve(_) => Handed::take()?,
        _ => Handed::default(),
    };
    let mut runtime = match cli.command {
        // It waits nearly always, and its children are to die with the thread that started them.
        Command::Supervise(_) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().context("start the runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Share(args) => share::run(args).await,
            Command::Serve(args) => serve::run(args, handed).await,
            Command::CheckConfig(args) => config::check(&args),
            Command::Doctor(args) => doctor::run(&args).await,
            Command::Backup(args) => backup::command::run(&args).await,
            Command::Restore(args) => backup::command::restore(&args).await,
            Command::Admin(command) => admin::run(command).await,
            Command::Template(TemplateCommand::Check { files }) => template::check(&files),
            Command::Catalogue(command) => catalogues::command::run(command),
            Command::Healthcheck(args) => healthcheck::check(&args).await,
            Command::Broker(args) => broker::run(args).await,
            Command::Supervise(args) => supervise::run(&args.directory).await,
        }
    })
}
