//! When backups are made by themselves, and how `lattice backup` asks a server that runs for one: by a
//! socket in the data directory, a line in, a line out.

use super::state::Made;
use super::{Backups, Parts, run};
use crate::telemetry;
use anyhow::Context as _;
use lattice_engine::backups::is_due;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::sleep;

/// Between two looks at whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// The longest line.
const MAX_LINE: u64 = 64 << 10;
const QUESTION: &str = "backup\n";

/// What a server answers.
#[derive(Serialize, Deserialize)]
enum Answer {
    Made(Made),
    Failed(String),
}

impl Backups {
    /// Goes on for as long as this runs.
    pub(crate) async fn go_round(self) {
        telemetry::show_backup("lattice_backup_configured", f64::from(self.is_on()));
        let Some(parts) = self.0.clone() else { return };
        parts.site.make_dir().unwrap_or_else(|error| tracing::warn!(error = format!("{error:#}")));
        self.state().count();
        if !self.is_here() {
            return;
        }
        match listen(&parts) {
            Ok(listener) => drop(tokio::spawn(answer(self.clone(), listener))),
            Err(error) => tracing::warn!(%error, "lattice backup cannot ask this server"),
        }
        // The configuration was looked at before.
        let every = parts.settings.every().ok().flatten();
        let drill_every = parts.settings.drill_every().ok().flatten();
        if let Some(every) = every {
            telemetry::show_backup("lattice_backup_interval_seconds", every.as_secs_f64());
        }
        if every.is_none() && drill_every.is_none() {
            return;
        }
        loop {
            let state = self.state();
            let last = state.last.as_ref().map(|last| (last.at, last.error.is_none()));
            // What fails is logged and noted, and tried again.
            if every.is_some_and(|every| is_due(last, every.as_secs(), run::seconds())) {
                let _ = self.back_up().await;
            }
            let last = state.drill.as_ref().map(|drill| (drill.at, drill.error.is_none()));
            if drill_every.is_some_and(|every| is_due(last, every.as_secs(), run::seconds()))
                && self.state().made.is_some()
            {
                let _ = self.drill().await;
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

fn listen(parts: &Arc<Parts>) -> io::Result<UnixListener> {
    let path = parts.site.socket();
    // One server runs over the directory, so what is there is of one that has ended.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn answer(backups: Backups, listener: UnixListener) {
    // Who comes while another is answered waits.
    while let Ok((stream, _)) = listener.accept().await {
        let answered = async {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            (&mut stream).take(MAX_LINE).read_line(&mut line).await?;
            if line != QUESTION {
                return Ok(());
            }
            let answer = match backups.back_up().await {
                Ok(made) => Answer::Made(made),
                Err(error) => Answer::Failed(format!("{error:#}")),
            };
            let mut line = serde_json::to_vec(&answer)?;
            line.push(b'\n');
            stream.write_all(&line).await
        };
        if let Err(error) = answered.await {
            tracing::debug!(%error, "whoever asked for a backup has gone");
        }
    }
}

/// Asks the server that runs; nothing where none listens.
pub(super) async fn ask(socket: &Path) -> anyhow::Result<Option<Made>> {
    let Ok(mut stream) = UnixStream::connect(socket).await else { return Ok(None) };
    stream.write_all(QUESTION.as_bytes()).await.context("ask the server")?;
    let mut line = String::new();
    let mut stream = BufReader::new(stream).take(MAX_LINE);
    stream.read_line(&mut line).await.context("hear of the server")?;
    let answer = serde_json::from_str(&line)
        .context("the server ended meanwhile; see its log, and try again")?;
    match answer {
        Answer::Made(made) => Ok(Some(made)),
        Answer::Failed(error) => Err(anyhow::anyhow!(error)),
    }
}
