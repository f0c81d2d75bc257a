//! `lattice backup` and `lattice restore`.

use super::state::Made;
use super::{Site, Still, rounds, run};
use crate::cli::{BackupArgs, BackupStep, RestoreArgs};
use crate::config::Config;
use crate::doctor::has_server;
use crate::runtime::{Docker, Runtime};
use crate::snapshots::Snapshots;
use crate::store::Timestamp;
use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Does what is asked, and says what came of it.
pub async fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.serve)?;
    let site = Site::of(&config)?.context(
        "no backup is configured; name backup.repository and backup.password_file in the \
         configuration",
    )?;
    let text = match args.step.unwrap_or(BackupStep::Now) {
        BackupStep::Now => said(&back_up(&config, &site).await?),
        BackupStep::Init => {
            run::init(&site).await?;
            format!(
                "there is a repository in {} now; keep a copy of {} elsewhere, for without the \
                 password nobody can read it",
                site.place.repository,
                site.place.password_file.display()
            )
        }
        BackupStep::Drill => {
            let drill = run::drill(&site, &quiet).await?;
            format!(
                "the drill succeeded: {} files, {}, came back as they were, in {:.1} s",
                drill.files,
                size(drill.bytes),
                drill.seconds
            )
        }
        BackupStep::List => {
            let sets = run::list(&site).await?.into_iter().map(|set| {
                let at = Timestamp(i64::try_from(set.at).unwrap_or(0));
                format!("{}  {at}  {} people  {}", &set.id[..12], set.people, size(set.bytes))
            });
            sets.collect::<Vec<_>>().join("\n")
        }
    };
    print(&text)
}

async fn back_up(config: &Config, site: &Site) -> anyhow::Result<Made> {
    // A gateway that has no right to people's files does not answer, but its broker lets desktops stand still.
    if let Some(socket) = &config.desktops.broker {
        let desktops = Runtime::Docker(Docker::open(socket.clone()));
        return run::back_up(site, &Still::Desktops(Snapshots::new(Arc::new(desktops))), &quiet)
            .await;
    }
    if let Some(made) = rounds::ask(&site.socket()).await? {
        return Ok(made);
    }
    if has_server(&config.data_dir) {
        bail!(
            "a server runs over {} that knows of no backup; restart it, so that it reads the \
             configuration: systemctl restart lattice",
            config.data_dir.display()
        );
    }
    run::back_up(site, &Still::Nobody, &quiet).await
}

/// Puts a backup back.
pub async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let mut config = Config::load(&args.serve)?;
    if let Some(repository) = &args.repository {
        config.backup.repository = Some(match repository.contains("://") {
            true => repository.clone(),
            false => absolute(Path::new(repository))?.display().to_string(),
        });
    }
    if let Some(file) = &args.password_file {
        config.backup.password_file = Some(absolute(file)?);
    }
    let site = Site::of(&config)?.context(
        "nothing says where the backup is; name --repository and --password-file, or \
         backup.repository and backup.password_file in the configuration",
    )?;
    let into = absolute(&args.into)?;
    let restored = run::restore(&site, args.snapshot.as_deref(), &into).await?;
    let at = Timestamp(i64::try_from(restored.set.at).unwrap_or(0));
    print(&format!(
        "the backup of {at} is in {}: {} people, {} files, {}, each as the backup says\n\
         start it by: lattice serve --data-dir {}; who has no password signs in by: lattice admin url",
        into.display(),
        restored.set.people,
        restored.files,
        size(restored.bytes),
        into.display()
    ))
}

/// Nobody watches.
fn quiet(_done: u64, _of: u64) {}

fn absolute(path: &Path) -> anyhow::Result<std::path::PathBuf> {
    std::path::absolute(path).with_context(|| format!("find {}", path.display()))
}

fn said(made: &Made) -> String {
    let mut text = format!(
        "backup {}: {} people, {} files, {}, of which {} were new, in {:.1} s",
        made.set.get(..12).unwrap_or(&made.set),
        made.people,
        made.files,
        size(made.bytes),
        size(made.added),
        made.seconds
    );
    if made.left_out > 0 {
        text += &format!(
            "\n{} were left out: pipes, sockets, or what could not be read",
            made.left_out
        );
    }
    if made.moving > 0 {
        text += &format!("\n{} people's desktops did not stand still meanwhile", made.moving);
    }
    text
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("print it")
}
