//! One request to a keeper (`server/keeper`), wherever it runs, and what it answers.

use crate::runtime::RuntimeError;
use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use lattice_wire::snapshots::{MAX_CHUNK, MAX_REPLY, Reply, Request};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::process::{Child, Command};
use tokio::sync::OwnedSemaphorePermit;

/// What a keeper answered.
#[derive(Debug)]
pub struct Kept {
    /// The answer.
    pub reply: Reply,
    /// What follows [`Reply::Content`].
    pub content: Content,
}

/// Content on its way. Where it is let go of before its end, the keeper ends.
pub struct Content {
    from: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    _keeper: Option<Child>,
    _place: Option<OwnedSemaphorePermit>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}

impl Kept {
    /// Reads an answer; `keeper` is who gives it, where that is a child of ours.
    pub async fn read(
        from: impl AsyncRead + Send + Unpin + 'static,
        keeper: Option<Child>,
    ) -> io::Result<Self> {
        let boxed: Box<dyn AsyncRead + Send + Unpin> = Box::new(from);
        let mut from = BufReader::new(boxed);
        let mut line = Vec::new();
        (&mut from).take(MAX_REPLY as u64).read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            let what = "it ended without an answer, or with one that is too long";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        let reply = serde_json::from_slice(&line)?;
        Ok(Self { reply, content: Content { from, _keeper: keeper, _place: None } })
    }
}

impl Content {
    /// It takes that place until it has been read.
    pub(super) fn holding(self, place: OwnedSemaphorePermit) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// It, piece by piece. What is cut off ends with an error.
    pub fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        unfold(Some(self), |content| async move {
            let mut content = content?;
            match content.chunk().await {
                Ok(chunk) if chunk.is_empty() => None,
                Ok(chunk) => Some((Ok(chunk), Some(content))),
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    async fn chunk(&mut self) -> io::Result<Bytes> {
        let length = self.from.read_u32().await? as usize;
        if length > MAX_CHUNK {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk is too long"));
        }
        let mut chunk = vec![0; length];
        self.from.read_exact(&mut chunk).await?;
        Ok(chunk.into())
    }
}

/// A zip file on its way to a keeper, which does nothing before [`Upload::finish`]. Where it is let go of
/// before that, nothing is done at all.
pub struct Upload {
    to: Box<dyn AsyncWrite + Send + Unpin>,
    from: Box<dyn AsyncRead + Send + Unpin>,
    keeper: Option<Child>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

impl Upload {
    /// By what it is handed on, and what answers; `keeper` where that is a child of ours.
    pub fn new(
        to: impl AsyncWrite + Send + Unpin + 'static,
        from: impl AsyncRead + Send + Unpin + 'static,
        keeper: Option<Child>,
    ) -> Self {
        Self { to: Box::new(to), from: Box::new(from), keeper }
    }

    /// Hands on some of it.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for chunk in bytes.chunks(MAX_CHUNK) {
            self.to.write_u32(u32::try_from(chunk.len()).unwrap_or(u32::MAX)).await?;
            self.to.write_all(chunk).await?;
        }
        Ok(())
    }

    /// Says that all was there, and reads what comes of it.
    pub async fn finish(mut self) -> io::Result<Kept> {
        self.to.write_u32(0).await?;
        self.to.flush().await?;
        self.answer().await
    }

    /// What it says that takes no more of it.
    pub async fn answer(self) -> io::Result<Kept> {
        // Where it takes no more, it is not to wait for it either.
        let Self { to, from, keeper } = self;
        let kept = Kept::read(from, keeper).await;
        drop(to);
        kept
    }
}

/// Starts a keeper of this machine.
fn start(
    program: &Path,
    data: &Path,
    store: &Path,
    owner: Option<u32>,
) -> Result<Child, RuntimeError> {
    let mut command = Command::new(program);
    command.arg("--data").arg(data).arg("--store").arg(store);
    if let Some(owner) = owner {
        command.arg("--owner").arg(owner.to_string());
    }
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::inherit()).kill_on_drop(true);
    command.spawn().map_err(RuntimeError::step("start the keeper", program))
}

/// Has a keeper of this machine answer.
pub(crate) async fn run(
    program: &Path,
    data: &Path,
    store: &Path,
    owner: Option<u32>,
    request: &Request,
) -> Result<Kept, RuntimeError> {
    let upload = begin(program, data, store, owner, request).await?;
    let Upload { to, from, keeper } = upload;
    drop(to);
    Kept::read(from, keeper).await.map_err(RuntimeError::step("ask the keeper", program))
}

/// Has a keeper of this machine take what follows a request.
pub(crate) async fn begin(
    program: &Path,
    data: &Path,
    store: &Path,
    owner: Option<u32>,
    request: &Request,
) -> Result<Upload, RuntimeError> {
    let mut child = start(program, data, store, owner)?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let asked = async {
        let (mut stdin, stdout) = stdin.zip(stdout).ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stdin.write_all(&line).await?;
        Ok(Upload::new(stdin, stdout, Some(child)))
    };
    asked.await.map_err(RuntimeError::step("ask the keeper", program))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;

    async fn read(bytes: &'static [u8]) -> io::Result<Vec<io::Result<Bytes>>> {
        let kept = Kept::read(bytes, None).await?;
        assert_eq!(kept.reply, Reply::Content { bytes: None });
        Ok(Box::pin(kept.content.stream()).collect().await)
    }

    #[tokio::test]
    async fn content_is_whole_or_an_error() {
        let whole = read(b"{\"content\":{\"bytes\":null}}\n\0\0\0\x03abc\0\0\0\x01d\0\0\0\0").await;
        let whole: Vec<_> =
            whole.expect("an answer").into_iter().map(|it| it.expect("a chunk")).collect();
        assert_eq!(whole, ["abc", "d"]);
        for cut in [
            &b"{\"content\":{\"bytes\":null}}\n\0\0\0\x03abc"[..],
            b"{\"content\":{\"bytes\":null}}\n\0\0\0\x03ab",
            b"{\"content\":{\"bytes\":null}}\n\xff\0\0\0",
        ] {
            let last = read(cut).await.expect("an answer").pop().expect("something");
            last.expect_err("it is cut off");
        }
        Kept::read(&b""[..], None).await.expect_err("no answer");
        Kept::read(&b"{\"done\":{}}"[..], None).await.expect_err("half an answer");
        Kept::read(&b"{\"exec\":{}}\n"[..], None).await.expect_err("no answer of a keeper");
    }
}
