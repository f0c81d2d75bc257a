//! The repository, as a keeper (`server/keeper`) drives it: a child that is asked one thing after the other.

use super::Site;
use anyhow::{Context as _, bail};
use lattice_wire::backup::{Held, MAX_LINE, Read, Reply, Request};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Ends with whoever holds it; what is half made then is removed by a later backup.
pub(super) struct Vault {
    _keeper: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Vault {
    /// Starts the keeper. The repository need not be there.
    pub(super) async fn start(site: &Site) -> anyhow::Result<Self> {
        super::check_secrets(&site.place)?;
        let mut command = Command::new(&site.keeper);
        command.arg("--backup").env_clear().envs(std::env::var_os("PATH").map(|it| ("PATH", it)));
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::inherit()).kill_on_drop(true);
        let mut keeper = command
            .spawn()
            .with_context(|| format!("start the keeper {}", site.keeper.display()))?;
        let (to, from) = (keeper.stdin.take(), keeper.stdout.take());
        let (to, from) = to.zip(from).context("talk to the keeper")?;
        let mut vault = Self { _keeper: keeper, to, from: BufReader::new(from) };
        vault.say(&site.place).await?;
        Ok(vault)
    }

    /// The same, with a repository that is there.
    pub(super) async fn open(site: &Site) -> anyhow::Result<Self> {
        let mut vault = Self::start(site).await?;
        vault.ask(&Request::Open {}).await?;
        Ok(vault)
    }

    /// What is answered; what is refused is an error.
    pub(super) async fn ask(&mut self, request: &Request) -> anyhow::Result<Reply> {
        self.say(request).await?;
        let mut line = Vec::new();
        let mut from = (&mut self.from).take(MAX_LINE as u64);
        from.read_until(b'\n', &mut line).await.context("hear of the keeper")?;
        if line.last() != Some(&b'\n') {
            bail!("the keeper ended without an answer; what it said is in the log");
        }
        match serde_json::from_slice(&line).context("understand the keeper")? {
            Reply::Refused { detail } => bail!("{detail}"),
            reply => Ok(reply),
        }
    }

    pub(super) async fn read(&mut self, request: &Request) -> anyhow::Result<Read> {
        match self.ask(request).await? {
            Reply::Read(read) => Ok(read),
            other => Err(odd(&other)),
        }
    }

    pub(super) async fn hold(&mut self, request: &Request) -> anyhow::Result<Held> {
        match self.ask(request).await? {
            Reply::Held(held) => Ok(held),
            other => Err(odd(&other)),
        }
    }

    async fn say(&mut self, what: &impl serde::Serialize) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(what).context("ask the keeper")?;
        line.push(b'\n');
        self.to.write_all(&line).await.context("ask the keeper")
    }
}

pub(super) fn odd(reply: &Reply) -> anyhow::Error {
    anyhow::anyhow!("the keeper answered something else than was asked: {reply:?}")
}
