//! Images that somebody builds on the machine, as `deploy/images` tells the engine of them: an empty volume
//! whose labels say how far a run is, made anew whenever that changes and each five seconds.
//!
//! INVARIANT: what is read is shown and nothing more. Whoever may make volumes may write anything there, so
//! what is not as `deploy/images` writes it is no build, and there is a bound to all of it.

use super::containers::ROLE;
use super::desktops::Desktops;
use crate::runtime::RuntimeError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::time::SystemTime;

/// Which run of `deploy/images` a record is of; what it says has this before its name.
const BUILD: &str = "io.lattice.build";
/// A run that has told nothing for so long has ended, in seconds: it tells each five.
const TOLD_WITHIN: i64 = 20;
/// So long it is told that one failed, in seconds.
const FAILED_WITHIN: i64 = 3600;
/// What was told a little ahead of this clock was told now, in seconds.
const AHEAD: i64 = 5;
/// More than anybody builds at a time.
const MOST: usize = 8;
/// More images, and more steps of one, than there ever are.
const MOST_STEPS: u32 = 1000;
/// The longest name of an image, in bytes.
const MAX_NAME: usize = 128;

/// An image that is being built, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// In which run of `deploy/images`.
    pub run: String,
    /// Its name.
    pub image: String,
    /// Which of the run's images it is, from 1; 0 where it is what all are made from.
    pub number: u32,
    /// How many images the run builds.
    pub of: u32,
    /// Which of its steps is under way, from 1; 0 before the first.
    pub step: u32,
    /// How many steps it has; 0 where that is not known yet.
    pub steps: u32,
    /// Since when it is being built, or when it failed, in seconds since 1970.
    pub since: i64,
    /// Whether it could not be built.
    pub is_failed: bool,
}

impl Desktops {
    /// The images that are being built on this machine, by whomever, and those that just failed.
    pub(in crate::broker) async fn builds(&self) -> Result<Vec<Build>, RuntimeError> {
        let records = self.engine().labels_of_volumes(vec![format!("{ROLE}=build")]).await?;
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Ok(newest(&records, i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX)))
    }
}

/// What is true of these records: the newest of each run, those that build first.
fn newest(records: &[HashMap<String, String>], now: i64) -> Vec<Build> {
    let mut runs = BTreeMap::<String, (i64, Build)>::new();
    for (told, build) in records.iter().filter_map(|labels| read(labels, now)) {
        match runs.get(&build.run) {
            Some((known, _)) if *known > told => {}
            Some(_) | None => _ = runs.insert(build.run.clone(), (told, build)),
        }
    }
    let mut builds: Vec<_> = runs.into_values().map(|(_, build)| build).collect();
    builds.sort_by_key(|build| (build.is_failed, -build.since));
    builds.truncate(MOST);
    builds
}

/// What a record says, and when it was told; nothing where that is long ago, or it is none.
fn read(labels: &HashMap<String, String>, now: i64) -> Option<(i64, Build)> {
    let label = |name: &str| labels.get(&format!("{BUILD}.{name}")).map_or("", String::as_str);
    let run = labels.get(BUILD).filter(|run| is_plain(run, "-"))?.clone();
    let image = Some(label("image")).filter(|image| is_plain(image, "-._/:"))?.to_owned();
    let (number, of) = (count(label("number"))?, count(label("of"))?);
    let (step, steps) = (count(label("step"))?, count(label("steps"))?);
    let (since, told): (i64, i64) = (parsed(label("since"))?, parsed(label("told"))?);
    let is_failed = label("failed") == "1";
    let patience = if is_failed { FAILED_WITHIN } else { TOLD_WITHIN };
    let is_now = told <= now.saturating_add(AHEAD) && told >= now.saturating_sub(patience);
    let is_right = number <= of && step <= steps && (0..=told).contains(&since);
    let build = Build { run, image, number, of, step, steps, since, is_failed };
    (is_now && is_right).then_some((told, build))
}

/// A name of small letters, digits, and these.
fn is_plain(text: &str, marks: &str) -> bool {
    let is_good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || marks.contains(c);
    (1..=MAX_NAME).contains(&text.len()) && text.chars().all(is_good)
}

/// Nothing is written where nothing is known.
fn count(text: &str) -> Option<u32> {
    if text.is_empty() {
        return Some(0);
    }
    parsed(text).filter(|count| *count <= MOST_STEPS)
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    /// A record of a run, which was told so long ago, with these labels instead of its own.
    fn record(run: &str, ago: i64, other: &[(&str, &str)]) -> HashMap<String, String> {
        let (since, told) = ((NOW - 60).to_string(), (NOW - ago).to_string());
        let usual = [
            ("image", "lattice/vscode-golang"),
            ("number", "3"),
            ("of", "12"),
            ("step", "4"),
            ("steps", "9"),
            ("since", since.as_str()),
            ("told", told.as_str()),
            ("failed", ""),
        ];
        let all = usual.iter().chain(other);
        let mut labels: HashMap<_, _> =
            all.map(|(name, value)| (format!("{BUILD}.{name}"), (*value).to_owned())).collect();
        labels.insert(BUILD.to_owned(), run.to_owned());
        labels
    }

    #[track_caller]
    fn check(record: HashMap<String, String>, expected: bool) {
        let builds = newest(std::slice::from_ref(&record), NOW);
        assert_eq!(builds.len(), usize::from(expected), "{record:?}");
    }

    #[test]
    fn a_record_is_read_as_deploy_images_writes_it() {
        let expected = Build {
            run: "7-1".into(),
            image: "lattice/vscode-golang".into(),
            number: 3,
            of: 12,
            step: 4,
            steps: 9,
            since: NOW - 60,
            is_failed: false,
        };
        assert_eq!(newest(&[record("7-1", 1, &[])], NOW), [expected]);
        check(record("7-1", 1, &[("step", ""), ("steps", "")]), true);
        check(record("7-1", 1, &[("image", "debian:bookworm-slim"), ("number", "0")]), true);
    }

    #[test]
    fn what_is_no_record_of_a_build_is_none() {
        for (name, value) in [
            ("image", ""),
            ("image", "<b>bold</b>"),
            ("image", "lattice/x\u{202e}"),
            ("number", "13"),
            ("number", "-1"),
            ("number", "4294967299"),
            ("of", "1001"),
            ("of", "many"),
            ("step", "10"),
            ("steps", "99999999999999999999"),
            ("since", ""),
            ("since", "-5"),
            ("since", "9223372036854775807"),
            ("told", "-9223372036854775808"),
            ("told", "9223372036854775807"),
        ] {
            check(record("7-1", 1, &[(name, value)]), false);
        }
        check(record("7-1", 1, &[("image", &"x".repeat(MAX_NAME))]), true);
        check(record("7-1", 1, &[("image", &"x".repeat(MAX_NAME + 1))]), false);
        check(record("", 1, &[]), false);
        check(HashMap::new(), false);
    }

    #[test]
    fn a_run_that_says_nothing_any_more_has_ended_and_a_failure_is_told_for_an_hour() {
        check(record("7-1", TOLD_WITHIN, &[]), true);
        check(record("7-1", TOLD_WITHIN + 1, &[]), false);
        check(record("7-1", -AHEAD, &[]), true);
        check(record("7-1", -AHEAD - 1, &[]), false);
        let failed = |ago: i64| record("7-1", ago, &[("failed", "1"), ("since", "5")]);
        check(failed(FAILED_WITHIN), true);
        check(failed(FAILED_WITHIN + 1), false);
    }

    #[test]
    fn the_newest_of_each_run_counts_and_there_is_a_bound_to_runs() {
        let older = record("7-1", 6, &[("step", "2")]);
        let records = [record("7-1", 1, &[]), older, record("8-1", 1, &[("failed", "1")])];
        let told = |builds: Vec<Build>| -> Vec<_> {
            builds.into_iter().map(|build| (build.run, build.step, build.is_failed)).collect()
        };
        let expected = [("7-1".to_owned(), 4, false), ("8-1".to_owned(), 4, true)];
        assert_eq!(told(newest(&records, NOW)), expected);
        let many: Vec<_> = (0..50).map(|run| record(&format!("{run}-1"), 1, &[])).collect();
        assert_eq!(newest(&many, NOW).len(), MOST);
    }
}
