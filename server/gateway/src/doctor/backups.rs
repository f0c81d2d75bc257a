//! Backups: whether there are any, and whether they would be of use.

use super::Finding;
use crate::backup::state::State;
use crate::backup::{Site, run};
use crate::config::Config;
use crate::store::Timestamp;
use std::time::Duration;

const WHAT: &str = "backup";
/// How old one may be where nothing says how often they are made.
const OLD: Duration = Duration::from_secs(2 * 24 * 3600);
/// How old a drill may be.
const OLD_DRILL: Duration = Duration::from_secs(31 * 24 * 3600);

/// One line, or one for each thing that there is to say.
pub(super) async fn backups(config: &Config) -> Vec<Finding> {
    let site = match Site::of(config) {
        Ok(Some(site)) => site,
        Ok(None) => {
            let text = "none is set up; [backup] in the configuration does";
            return vec![Finding::ok(WHAT, text)];
        }
        Err(error) => {
            let remedy = "install lattice, lattice-agent and lattice-keeper side by side";
            return vec![Finding::fault(WHAT, format!("{error:#}"), remedy)];
        }
    };
    let repository = match run::reach(&site).await {
        Ok(()) => Finding::ok(WHAT, "the repository is there and opens"),
        Err(error) => {
            let text = format!("{error:#}");
            let (text, remedy) = text.split_once("; ").unwrap_or((&text, "see OPERATIONS.md"));
            Finding::warning(WHAT, text, remedy)
        }
    };
    let old = config.backup.every().ok().flatten().map_or(OLD, |every| every * 2);
    let state = State::read(&site.state());
    let now = u64::try_from(Timestamp::now().0).unwrap_or(0);
    vec![repository, last(&state, old, now), drill(&state, now)]
}

fn last(state: &State, old: Duration, now: u64) -> Finding {
    let failed = state.last.as_ref().and_then(|last| last.error.as_deref());
    let Some(made) = &state.made else {
        let text = failed.map_or("none was made yet".to_owned(), |why| format!("failed: {why}"));
        return Finding::warning("last backup", text, "make one by: lattice backup");
    };
    let age = now.saturating_sub(made.at);
    let text = format!("{} ago, {} MiB, {} left out", span(age), made.bytes >> 20, made.left_out);
    match failed {
        Some(why) => {
            let text = format!("{text}; the newest try failed: {why}");
            Finding::warning("last backup", text, "try again by: lattice backup")
        }
        None if age > old.as_secs() => Finding::warning(
            "last backup",
            text,
            "make one by: lattice backup, or see why none is made",
        ),
        None => Finding::ok("last backup", text),
    }
}

fn drill(state: &State, now: u64) -> Finding {
    let what = "backup drill";
    let Some(drill) = &state.drill else {
        let text = "nobody has seen yet whether one can be put back";
        return Finding::warning(what, text, "do so by: lattice backup drill");
    };
    let age = now.saturating_sub(drill.at);
    match &drill.error {
        Some(why) => {
            let text = format!("failed {} ago: {why}", span(age));
            Finding::warning(what, text, "mend that, and try again by: lattice backup drill")
        }
        None if age > OLD_DRILL.as_secs() => {
            let text = format!("the last was {} ago", span(age));
            Finding::warning(what, text, "do another by: lattice backup drill")
        }
        None => Finding::ok(
            what,
            format!("{} ago, {} files came back as they were", span(age), drill.files),
        ),
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        0..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use crate::backup::state::{Attempt, Drill, Made};

    const NOW: u64 = 1_800_000_000;

    fn state(age: u64, error: Option<&str>, drill: Option<Option<&str>>) -> State {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        State {
            last: Some(Attempt { at: NOW, error: owned(error) }),
            made: Some(Made { at: NOW - age, bytes: 5 << 20, ..Made::default() }),
            drill: drill.map(|error| Drill { at: NOW, error: owned(error), ..Drill::default() }),
        }
    }

    #[test]
    fn what_is_old_missing_or_failed_is_said() {
        let none = State::default();
        check(&last(&none, OLD, NOW), "warning", &["none was made", "lattice backup"]);
        check(&drill(&none, NOW), "warning", &["lattice backup drill"]);
        let fresh = state(600, None, Some(None));
        check(&last(&fresh, OLD, NOW), "ok", &["10 min ago", "5 MiB"]);
        check(&drill(&fresh, NOW), "ok", &["0 min ago"]);
        check(&last(&state(5 * 86_400, None, None), OLD, NOW), "warning", &["5 days ago"]);
        let failed = state(600, Some("no room"), Some(Some("a byte differs")));
        check(&last(&failed, OLD, NOW), "warning", &["10 min ago", "no room"]);
        check(&drill(&failed, NOW), "warning", &["a byte differs"]);
        check(&drill(&fresh, NOW + 40 * 86_400), "warning", &["40 days ago"]);
    }
}
