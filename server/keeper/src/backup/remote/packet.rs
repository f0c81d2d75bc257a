//! Packets of the third version of SFTP (draft-ietf-secsh-filexfer-02), as far as they are needed here.

pub(super) const VERSION: u32 = 3;
pub(super) const INIT: u8 = 1;
pub(super) const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
pub(super) const READ: u8 = 5;
pub(super) const WRITE: u8 = 6;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const STAT: u8 = 17;
pub(super) const RENAME: u8 = 18;
pub(super) const EXTENDED: u8 = 200;
pub(super) const VERSION_IS: u8 = 2;
pub(super) const STATUS: u8 = 101;
pub(super) const HANDLE: u8 = 102;
pub(super) const DATA: u8 = 103;
pub(super) const NAME: u8 = 104;
pub(super) const ATTRS: u8 = 105;

pub(super) const FOR_READING: u32 = 0x01;
/// To be written, made, and emptied.
pub(super) const FOR_WRITING: u32 = 0x02 | 0x08 | 0x10;

pub(super) const OK: u32 = 0;
pub(super) const EOF: u32 = 1;
pub(super) const NO_SUCH_FILE: u32 = 2;
pub(super) const PERMISSION_DENIED: u32 = 3;

/// One that is being written.
pub(super) struct Packet(Vec<u8>);

impl Packet {
    pub(super) fn new(kind: u8) -> Self {
        Self(vec![0, 0, 0, 0, kind])
    }

    pub(super) fn number(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn long(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    pub(super) fn text(&mut self, text: &[u8]) {
        self.number(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(text);
    }

    /// Attributes of something new, of which these alone are said.
    pub(super) fn rights(&mut self, mode: u32) {
        self.number(0x04);
        self.number(mode);
    }

    pub(super) fn done(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) attributes: Attributes,
}

/// What is said of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// In bytes; 0 where it is not said.
    pub(super) size: u64,
    /// When it was last written to, in seconds since 1970 by that machine's clock.
    pub(super) changed: Option<u32>,
}

/// What is left of one that came; nothing where it is shorter than it says.
pub(super) struct Parse<'a>(pub(super) &'a [u8]);

impl<'a> Parse<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(length as usize)
    }

    pub(super) fn attributes(&mut self) -> Option<Attributes> {
        let has = self.number()?;
        let mut found = Attributes::default();
        if has & 0x01 != 0 {
            found.size = u64::from_be_bytes(self.take(8)?.try_into().ok()?);
        }
        // Whose it is, and who may do what.
        for (bit, length) in [(0x02, 8), (0x04, 4)] {
            if has & bit != 0 {
                self.take(length)?;
            }
        }
        if has & 0x08 != 0 {
            let _read = self.number()?;
            found.changed = Some(self.number()?);
        }
        if has & 0x8000_0000 != 0 {
            for _ in 0..self.number()? {
                self.text()?;
                self.text()?;
            }
        }
        Some(found)
    }

    pub(super) fn names(&mut self) -> Option<Vec<Entry>> {
        let mut all = Vec::new();
        for _ in 0..self.number()? {
            let name = String::from_utf8_lossy(self.text()?).into_owned();
            self.text()?;
            all.push(Entry { name, attributes: self.attributes()? });
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_short_is_nothing() {
        let mut packet = Packet::new(NAME);
        packet.number(1);
        for text in [&b"name"[..], b"-rw- name"] {
            packet.text(text);
        }
        packet.number(0x01 | 0x02 | 0x04 | 0x08);
        packet.long(77);
        for number in [1000, 1001, 0o600, 1_700_000_000, 1_700_000_009] {
            packet.number(number);
        }
        let body = packet.done()[5..].to_vec();
        let attributes = Attributes { size: 77, changed: Some(1_700_000_009) };
        let entry = Entry { name: "name".to_owned(), attributes };
        assert_eq!(Parse(&body).names(), Some(vec![entry]));
        for length in 0..body.len() {
            assert_eq!(Parse(&body[..length]).names(), None, "{length}");
        }
        // A number of names or a length that a packet never has is no reason to take memory.
        assert_eq!(Parse(&[0xff; 4]).names(), None);
        assert_eq!(Parse(&[0xff; 64]).names(), None);
    }
}
