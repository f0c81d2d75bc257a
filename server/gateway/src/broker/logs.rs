//! What a part of a desktop says, handed on from the engine, which keeps a megabyte or two of each
//! container's (`containers.rs`).
//!
//! The engine is read as fast as the gateway reads, so whoever says very much is waited with, by nobody
//! else. Whoever follows takes a connection; a few are left for them, so that all others are still served.

use super::desktops::Desktops;
use super::protocol::{self, Reply};
use super::refused;
use crate::logs::{MOST_AT_ONCE, MOST_LINES, PartName, Window};
use crate::runtime::RuntimeError;
use futures_util::StreamExt as _;
use lattice_engine::session::SessionId;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Semaphore;

static ROOM: Semaphore = Semaphore::const_new(MOST_AT_ONCE);

/// Answers, and hands on what is said until one side ends.
pub(super) async fn hand_on(
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    desktops: &Arc<Desktops>,
    session: &SessionId,
    part: &PartName,
    window: Window,
) -> io::Result<()> {
    let Ok(_place) = ROOM.try_acquire() else {
        let what = format!("{MOST_AT_ONCE} logs are read at this moment, and no more may be");
        let error = RuntimeError::Unusable { what, remedy: "close one, or try again soon".into() };
        return protocol::write(&mut writer, &refused(&error)).await;
    };
    let window = Window { tail: window.tail.min(MOST_LINES), ..window };
    let said = async {
        let container = desktops.part(session, part).await?;
        desktops.engine().say(&container, window).await
    };
    let said = match said.await {
        Ok(said) => said,
        Err(error) => return protocol::write(&mut writer, &refused(&error)).await,
    };
    protocol::write(&mut writer, &Reply::Says).await?;
    let mut said = std::pin::pin!(said);
    let mut byte = [0];
    loop {
        let piece = tokio::select! {
            piece = said.next() => piece,
            // Nobody reads it any more.
            _ = reader.read(&mut byte) => return Ok(()),
        };
        // The engine's own errors end it as the end of the container does.
        let Some(Ok(piece)) = piece else { return Ok(()) };
        writer.write_all(piece.as_ref()).await?;
    }
}
