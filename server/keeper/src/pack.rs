//! A folder of a snapshot as a zip file, written as it is read.

use crate::contents::{Contents, Piece};
use crate::fault::{Fault, Result};
use lattice_wire::snapshots::{MAX_CHUNK, Refusal, What};
use std::io::{self, Write};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

/// So many things are in one at most: what is said of each at its end has to be remembered.
const MOST: u64 = 500_000;

/// Writes it.
pub(crate) fn pack(contents: &Contents, piece: &Piece, to: impl Write) -> Result<()> {
    let mut packing = Packing { zip: ZipWriter::new_stream(to), contents, count: 0 };
    match piece.what {
        What::Folder => packing.add_all(piece, "")?,
        What::File | What::Link => packing.add(piece, &name(piece))?,
    }
    packing.zip.finish().map_err(failed).map(drop)
}

struct Packing<'a, W: Write> {
    zip: ZipWriter<StreamWriter<W>>,
    contents: &'a Contents,
    count: u64,
}

impl<W: Write> Packing<'_, W> {
    fn add_all(&mut self, folder: &Piece, above: &str) -> Result<()> {
        for piece in self.contents.list(folder)? {
            self.add(&piece, &format!("{above}{}", name(&piece)))?;
        }
        Ok(())
    }

    fn add(&mut self, piece: &Piece, name: &str) -> Result<()> {
        self.count += 1;
        if self.count > MOST {
            let detail = format!("more than {MOST} files are in it; download a folder of it");
            return Err(Fault::new(Refusal::Odd, detail));
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(1))
            .unix_permissions(piece.mode)
            .large_file(true);
        match piece.what {
            What::Folder => {
                self.zip.add_directory(name, options).map_err(failed)?;
                self.add_all(piece, &format!("{name}/"))
            }
            What::File => {
                self.zip.start_file(name, options).map_err(failed)?;
                self.contents.read(piece, u64::MAX, &mut self.zip)
            }
            What::Link => {
                let target = self.contents.target(piece)?;
                self.zip.add_symlink(name, target.to_string_lossy(), options).map_err(failed)
            }
        }
    }
}

/// What is no Unicode in it is replaced. Elsewhere a backslash is what a slash is here.
fn name(piece: &Piece) -> String {
    piece.name.to_string_lossy().replace('\\', "_")
}

fn failed(error: impl std::fmt::Display) -> Fault {
    Fault::new(Refusal::Failed, format!("pack what is in the snapshot: {error}"))
}

/// Content as it is answered: chunks, and one of length 0 at its end.
#[derive(Debug)]
pub(crate) struct Chunks<W: Write> {
    to: W,
    chunk: Vec<u8>,
}

impl<W: Write> Chunks<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, chunk: Vec::with_capacity(MAX_CHUNK) }
    }

    /// Says that all was there.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.to.write_all(&[0; 4])?;
        self.to.flush()
    }
}

impl<W: Write> Write for Chunks<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(MAX_CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..length]);
        if self.chunk.len() == MAX_CHUNK {
            self.flush()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.chunk.len()).unwrap_or(u32::MAX);
        self.to.write_all(&length.to_be_bytes())?;
        self.to.write_all(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }
}
