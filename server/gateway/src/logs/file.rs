//! The log of a desktop in sandboxes, which its supervisor writes (`supervise/log.rs`): each line with
//! its time and who said it. At some length the file becomes `log.before` and a new one begins.

use super::lines::{Line, MAX_LINE, Splitter, is_time};
use super::{PartName, Window, plain};
use crate::runtime::process::place::{Place, Said};
use crate::store::Timestamp;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;

/// Who says something in it.
pub(crate) const PARTS: [&str; 4] = ["desktop", "agent", "api", "supervisor"];
/// How often to look whether there is more, while somebody follows.
const LOOK: Duration = Duration::from_millis(250);
/// So much is read at once.
const PIECE: u64 = 64 << 10;
/// Both files together have no more, see `supervise/log.rs`; whatever is beyond is not read.
const MOST: u64 = 1 << 20;

/// A log that is being read.
pub(crate) struct File {
    place: Place,
    part: PartName,
    follow: bool,
    /// What is read; nothing where there is no such file yet.
    file: Option<fs::File>,
    splitter: Splitter,
    /// What was there at the beginning.
    before: Vec<Line>,
}

impl File {
    /// Of the session in this place. What was said until now is read at once.
    ///
    /// # Errors
    /// Where the files cannot be read.
    pub(crate) fn open(place: Place, part: PartName, window: Window) -> io::Result<Self> {
        let mut lines = read_all(open(&place, "log.before")?.as_mut())?;
        let mut file = open(&place, "log")?;
        lines.extend(read_all(file.as_mut())?);
        let mut before: Vec<Line> =
            lines.iter().filter_map(|line| said_by(line, part.as_str())).collect();
        before.drain(..before.len().saturating_sub(window.tail as usize));
        let splitter = Splitter::default();
        Ok(Self { place, part, follow: window.follow, file, splitter, before })
    }

    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<Line>>> {
        if !self.before.is_empty() {
            return Ok(Some(std::mem::take(&mut self.before)));
        }
        while self.follow {
            // Asked first: what it says last, it says before it goes.
            let has_ended = self.has_ended();
            let lines = self.read_more()?;
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
            self.follow = !has_ended;
            if self.follow {
                sleep(LOOK).await;
            }
        }
        Ok(None)
    }

    fn has_ended(&self) -> bool {
        let is_over = matches!(self.place.said(), None | Some(Said::Ended { .. } | Said::Stopped));
        is_over && self.place.supervisor().is_none() && !self.place.was_just_ordered()
    }

    /// What this part has said since the last time. A file that was put aside is read to its end first.
    fn read_more(&mut self) -> io::Result<Vec<Line>> {
        loop {
            let mut bytes = Vec::new();
            if let Some(file) = &mut self.file {
                file.take(PIECE).read_to_end(&mut bytes)?;
            }
            let is_at_end = bytes.is_empty();
            let whole = self.splitter.take(&bytes);
            let lines: Vec<Line> =
                whole.iter().filter_map(|line| said_by(line, self.part.as_str())).collect();
            if !lines.is_empty() || (is_at_end && !self.renew()?) {
                return Ok(lines);
            }
        }
    }

    /// Whether another file has taken its place.
    fn renew(&mut self) -> io::Result<bool> {
        let number = |file: &fs::File| file.metadata().map(|data| data.ino());
        let Some(newer) = open(&self.place, "log")? else { return Ok(false) };
        let own = self.file.as_ref().map(number).transpose()?;
        if own == Some(number(&newer)?) {
            return Ok(false);
        }
        self.file = Some(newer);
        Ok(true)
    }
}

fn open(place: &Place, name: &str) -> io::Result<Option<fs::File>> {
    match fs::File::open(place.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        file => file.map(Some),
    }
}

fn read_all(file: Option<&mut fs::File>) -> io::Result<Vec<Vec<u8>>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    let mut splitter = Splitter::default();
    let mut lines = splitter.take(&bytes);
    // The supervisor writes whole lines, so there is mostly no rest.
    lines.extend(splitter.last());
    Ok(lines)
}

/// A line, where `part` said it. What nobody put a name before is the supervisor's own.
fn said_by(line: &[u8], part: &str) -> Option<Line> {
    let text = String::from_utf8_lossy(line);
    // Older supervisors count seconds.
    let is_count = |word: &str| word.parse::<f64>().is_ok();
    let (at, rest) = match text.trim_start().split_once(' ') {
        Some((first, rest)) if is_time(first) => (Some(first.to_owned()), rest),
        Some((first, rest)) if is_count(first) => (None, rest),
        _ => (None, &*text),
    };
    let named = rest.split_once(": ").filter(|(who, _)| PARTS.contains(who));
    let (who, said) = named.unwrap_or(("supervisor", rest));
    (who == part).then(|| Line { at, text: plain(said) })
}

/// A line as it is written, with its end.
pub(crate) fn stamped(now: SystemTime, who: &str, text: &str) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let second = Timestamp(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)).to_string();
    let second = second.trim_end_matches('Z');
    let mut text = plain(text);
    let most = MAX_LINE - 64;
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
    format!("{second}.{:03}Z {who}: {text}\n", since.subsec_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        dir: tempfile::TempDir,
    }

    impl World {
        fn new() -> Self {
            Self { dir: tempfile::tempdir().expect("a directory") }
        }

        fn place(&self) -> Place {
            Place::new(self.dir.path())
        }

        fn say(&self, who: &str, text: &str) {
            use std::io::Write as _;
            let path = self.dir.path().join("log");
            let file = fs::OpenOptions::new().create(true).append(true).open(path);
            let line = stamped(SystemTime::now(), who, text);
            file.expect("opened").write_all(line.as_bytes()).expect("written");
        }

        fn put_aside(&self) {
            let path = self.dir.path().join("log");
            fs::rename(&path, path.with_extension("before")).expect("renamed");
        }

        fn open(&self, part: &str, tail: u32, follow: bool) -> File {
            let part = PartName::try_from(part.to_owned()).expect("a part");
            File::open(self.place(), part, Window { tail, follow }).expect("opened")
        }
    }

    async fn next(file: &mut File) -> Vec<String> {
        let lines = file.next().await.expect("read").unwrap_or_default();
        lines.into_iter().map(|line| line.text).collect()
    }

    #[tokio::test]
    async fn each_part_has_its_own_lines_and_the_newest_of_them() {
        let world = World::new();
        world.say("desktop", "old");
        world.put_aside();
        world.say("agent", "its own");
        world.say("desktop", "supervisor: not really");
        world.say("desktop", "new\u{1b}[2J");
        let path = world.dir.path().join("log");
        let mut text = fs::read_to_string(&path).expect("read");
        text += "    1.234 desktop: of an older release\na word of its own\n";
        fs::write(&path, text).expect("written");
        let all = ["old", "supervisor: not really", "new", "of an older release"];
        assert_eq!(next(&mut world.open("desktop", 10, false)).await, all);
        assert_eq!(next(&mut world.open("desktop", 2, false)).await, all[2..]);
        assert_eq!(next(&mut world.open("agent", 10, false)).await, ["its own"]);
        assert_eq!(next(&mut world.open("supervisor", 10, false)).await, ["a word of its own"]);
        let mut ended = world.open("desktop", 0, false);
        assert_eq!(ended.next().await.expect("read"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_follows_misses_nothing_when_the_file_begins_anew_and_hears_of_the_end() {
        let world = World::new();
        let _lock = world.place().claim().expect("nobody else");
        world.place().say(&Said::Running).expect("said");
        world.say("desktop", "one");
        let mut file = world.open("desktop", 10, true);
        assert_eq!(next(&mut file).await, ["one"]);
        world.say("desktop", "two");
        world.put_aside();
        world.say("agent", "something else");
        world.say("desktop", "three");
        assert_eq!(next(&mut file).await, ["two"]);
        assert_eq!(next(&mut file).await, ["three"]);
        let waited = tokio::time::timeout(Duration::from_secs(60), file.next()).await;
        assert!(waited.is_err(), "it goes on for as long as it runs");
        world.say("desktop", "the last");
        world.place().say(&Said::Stopped).expect("said");
        fs::remove_file(world.dir.path().join("pid")).expect("removed");
        assert_eq!(next(&mut file).await, ["the last"]);
        assert_eq!(file.next().await.expect("read"), None);
    }
}
