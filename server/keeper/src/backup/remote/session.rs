//! One connection that speaks SFTP: a question and its answer, or many pieces of a file on their way at once.

use super::packet::*;
use super::ssh::Ssh;
use super::text::one_line;
use super::{Answer, Fault};
use bytes::Bytes;
use lattice_wire::backup::Sftp;
use std::ops::Range;
use std::time::Duration;

/// What every server takes and gives at once, in bytes.
const PIECE: usize = 32 << 10;
/// So many pieces are on their way.
const AHEAD: usize = 32;
/// The longest packet that is believed, in bytes.
const LONGEST: usize = 1 << 20;

/// One connection.
pub(super) struct Session {
    ssh: Ssh,
    number: u32,
    /// So many questions are not answered yet.
    waiting: u32,
    host: String,
    can_replace: bool,
    can_sync: bool,
}

impl Session {
    pub(super) fn connect(place: &Sftp, patience: Duration) -> Answer<Self> {
        let ssh = Ssh::start(place, patience)?;
        let host = place.host.clone();
        let mut session =
            Self { ssh, number: 0, waiting: 0, host, can_replace: false, can_sync: false };
        let mut hello = Packet::new(INIT);
        hello.number(VERSION);
        session.ssh.send(&hello.done())?;
        let (kind, body) = session.packet()?;
        let mut said = Parse(&body);
        if kind != VERSION_IS || said.number().is_none_or(|version| version < VERSION) {
            return Err(session.odd());
        }
        while let (Some(name), Some(_)) = (said.text(), said.text()) {
            session.can_replace |= name == b"posix-rename@openssh.com";
            session.can_sync |= name == b"fsync@openssh.com";
        }
        Ok(session)
    }

    /// Whether the next answer is to the next question.
    pub(super) fn is_even(&self) -> bool {
        self.waiting == 0
    }

    fn odd(&self) -> Fault {
        Fault::Passing(format!("{} does not speak SFTP as it should", self.host))
    }

    /// Begins a question, and gives its number.
    fn begin(&mut self, kind: u8) -> (u32, Packet) {
        self.number = self.number.wrapping_add(1);
        self.waiting += 1;
        let mut packet = Packet::new(kind);
        packet.number(self.number);
        (self.number, packet)
    }

    fn packet(&mut self) -> Answer<(u8, Vec<u8>)> {
        let mut length = [0; 4];
        self.ssh.receive(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if !(1..=LONGEST).contains(&length) {
            return Err(self.odd());
        }
        let mut body = vec![0; length];
        self.ssh.receive(&mut body)?;
        let kind = body.remove(0);
        Ok((kind, body))
    }

    /// The next answer: to which question, and of what kind.
    fn answer(&mut self) -> Answer<(u32, u8, Vec<u8>)> {
        let (kind, mut body) = self.packet()?;
        let number = Parse(&body).number().ok_or_else(|| self.odd())?;
        body.drain(..4);
        self.waiting = self.waiting.saturating_sub(1);
        Ok((number, kind, body))
    }

    /// The answer to that question, where nothing else was asked.
    fn ask(&mut self, number: u32, packet: Packet) -> Answer<(u8, Vec<u8>)> {
        self.ssh.send(&packet.done())?;
        let (to, kind, body) = self.answer()?;
        if to != number {
            return Err(self.odd());
        }
        Ok((kind, body))
    }

    /// What a status means, where that is no success.
    fn status(&self, body: &[u8]) -> Answer<u32> {
        let mut said = Parse(body);
        let Some(code) = said.number() else { return Err(self.odd()) };
        let text = one_line(&String::from_utf8_lossy(said.text().unwrap_or_default()));
        match code {
            OK | EOF => Ok(code),
            NO_SUCH_FILE => Err(Fault::Missing),
            PERMISSION_DENIED => Err(Fault::Lasting(format!(
                "{} does not allow it; let its user read and write the directory",
                self.host
            ))),
            _ => Err(Fault::Lasting(format!(
                "{} refuses it ({text}), most often since its disk is full or may not be written to",
                self.host
            ))),
        }
    }

    /// It was done.
    fn done(&mut self, number: u32, packet: Packet) -> Answer<()> {
        let (kind, body) = self.ask(number, packet)?;
        match kind {
            STATUS => self.status(&body).map(drop),
            _ => Err(self.odd()),
        }
    }

    fn handle(&mut self, number: u32, packet: Packet) -> Answer<Vec<u8>> {
        let (kind, body) = self.ask(number, packet)?;
        match kind {
            HANDLE => Parse(&body).text().map(<[u8]>::to_vec).ok_or_else(|| self.odd()),
            STATUS => Err(self.status(&body).err().unwrap_or_else(|| self.odd())),
            _ => Err(self.odd()),
        }
    }

    pub(super) fn open(&mut self, path: &str, how: u32) -> Answer<Vec<u8>> {
        let (number, mut packet) = self.begin(OPEN);
        packet.text(path.as_bytes());
        packet.number(how);
        packet.rights(0o600);
        self.handle(number, packet)
    }

    pub(super) fn close(&mut self, handle: &[u8]) -> Answer<()> {
        let (number, mut packet) = self.begin(CLOSE);
        packet.text(handle);
        self.done(number, packet)
    }

    pub(super) fn size(&mut self, path: &str) -> Answer<u64> {
        let (number, mut packet) = self.begin(STAT);
        packet.text(path.as_bytes());
        let (kind, body) = self.ask(number, packet)?;
        match kind {
            ATTRS => Parse(&body).attributes().map(|it| it.size).ok_or_else(|| self.odd()),
            STATUS => Err(self.status(&body).err().unwrap_or_else(|| self.odd())),
            _ => Err(self.odd()),
        }
    }

    /// That part of a file, as far as it goes.
    pub(super) fn read(&mut self, handle: &[u8], range: Range<u64>) -> Answer<Vec<u8>> {
        let length = usize::try_from(range.end - range.start).map_err(|_| self.odd())?;
        let mut all = vec![0; length];
        // What is asked for and not there yet: number, place, length.
        let mut asked: Vec<(u32, usize, usize)> = Vec::new();
        let (mut next, mut end) = (0, length);
        loop {
            while next < end && asked.len() < AHEAD {
                let length = PIECE.min(end - next);
                asked.push((
                    self.ask_piece(handle, range.start + next as u64, length)?,
                    next,
                    length,
                ));
                next += length;
            }
            if asked.is_empty() {
                all.truncate(end);
                return Ok(all);
            }
            let (number, kind, body) = self.answer()?;
            let Some(which) = asked.iter().position(|(it, ..)| *it == number) else {
                return Err(self.odd());
            };
            let (_, place, length) = asked.swap_remove(which);
            match kind {
                DATA => {
                    let data =
                        Parse(&body).text().filter(|it| !it.is_empty() && it.len() <= length);
                    let Some(data) = data else { return Err(self.odd()) };
                    all[place..place + data.len()].copy_from_slice(data);
                    if data.len() < length {
                        let (rest, left) = (place + data.len(), length - data.len());
                        let number = self.ask_piece(handle, range.start + rest as u64, left)?;
                        asked.push((number, rest, left));
                    }
                }
                STATUS => {
                    self.status(&body)?;
                    // It ends before.
                    end = end.min(place);
                }
                _ => return Err(self.odd()),
            }
        }
    }

    fn ask_piece(&mut self, handle: &[u8], from: u64, length: usize) -> Answer<u32> {
        let (number, mut packet) = self.begin(READ);
        packet.text(handle);
        packet.long(from);
        packet.number(u32::try_from(length).unwrap_or(u32::MAX));
        self.ssh.send(&packet.done())?;
        Ok(number)
    }

    pub(super) fn write(&mut self, handle: &[u8], pieces: &[Bytes]) -> Answer<()> {
        let (mut place, mut waiting, mut refused) = (0, 0, None);
        for piece in pieces.iter().flat_map(|piece| piece.chunks(PIECE)) {
            let (_, mut packet) = self.begin(WRITE);
            packet.text(handle);
            packet.long(place);
            packet.text(piece);
            self.ssh.send(&packet.done())?;
            place += piece.len() as u64;
            waiting += 1;
            if waiting == AHEAD {
                refused = refused.or(self.written()?);
                waiting -= 1;
            }
            if refused.is_some() {
                break;
            }
        }
        for _ in 0..waiting {
            refused = refused.or(self.written()?);
        }
        if let Some(refused) = refused {
            return Err(refused);
        }
        if self.can_sync {
            let (number, mut packet) = self.begin(EXTENDED);
            packet.text(b"fsync@openssh.com");
            packet.text(handle);
            self.done(number, packet)?;
        }
        Ok(())
    }

    /// Whether the next piece was refused; fails where nobody knows.
    fn written(&mut self) -> Answer<Option<Fault>> {
        let (_, kind, body) = self.answer()?;
        match kind {
            STATUS => Ok(self.status(&body).err()),
            _ => Err(self.odd()),
        }
    }

    /// Gives a file the name of another, which it replaces.
    pub(super) fn replace(&mut self, from: &str, to: &str) -> Answer<()> {
        if self.can_replace {
            let (number, mut packet) = self.begin(EXTENDED);
            packet.text(b"posix-rename@openssh.com");
            packet.text(from.as_bytes());
            packet.text(to.as_bytes());
            return self.done(number, packet);
        }
        match self.remove(to) {
            Err(Fault::Missing) => {}
            removed => removed?,
        }
        let (number, mut packet) = self.begin(RENAME);
        packet.text(from.as_bytes());
        packet.text(to.as_bytes());
        self.done(number, packet)
    }

    pub(super) fn remove(&mut self, path: &str) -> Answer<()> {
        let (number, mut packet) = self.begin(REMOVE);
        packet.text(path.as_bytes());
        self.done(number, packet)
    }

    /// Makes a directory, where there is none.
    pub(super) fn mkdir(&mut self, path: &str) -> Answer<()> {
        match self.size(path) {
            Err(Fault::Missing) => {}
            found => return found.map(drop),
        }
        let (number, mut packet) = self.begin(MKDIR);
        packet.text(path.as_bytes());
        packet.rights(0o700);
        match self.done(number, packet) {
            Err(Fault::Missing) => Err(Fault::Lasting(format!(
                "the directory above {path} is not there on {}; make it, or name another in \
                 backup.repository",
                self.host
            ))),
            made => made,
        }
    }

    /// What is in a directory.
    pub(super) fn list(&mut self, path: &str) -> Answer<Vec<Entry>> {
        let (number, mut packet) = self.begin(OPENDIR);
        packet.text(path.as_bytes());
        let handle = self.handle(number, packet)?;
        let mut all = Vec::new();
        loop {
            let (number, mut packet) = self.begin(READDIR);
            packet.text(&handle);
            let (kind, body) = self.ask(number, packet)?;
            match kind {
                NAME => all.extend(Parse(&body).names().ok_or_else(|| self.odd())?),
                STATUS => {
                    self.status(&body)?;
                    break;
                }
                _ => return Err(self.odd()),
            }
        }
        self.close(&handle)?;
        all.retain(|one| one.name != "." && one.name != "..");
        Ok(all)
    }
}
