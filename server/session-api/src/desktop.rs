//! What a program of the desktop asks about the desktop itself, and how the answers are told.

use crate::client::{ask, say, unexpected};
use crate::span;
use crate::watch::notify;
use lattice_wire::apps::{Reply, Request};
use lattice_wire::desktop::{Link, Looker, Question, Right, Snapshot, Status, Told};
use lattice_wire::snapshots::SnapshotName;
use serde::Serialize;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn status(socket: &Path, json: bool) -> Result<(), String> {
    // Who wants to know how it is, is not kept waiting for a server that is away.
    if let Reply::Status { linked: false } = ask(socket, &Request::Status {})? {
        return Err("Lattice is restarting; try again in a moment".into());
    }
    match about(socket, Question::Status {})? {
        Told::Status(status) if json => say_json(&status),
        Told::Status(status) => say(lines(&status, now()).trim_end()),
        other => Err(odd(&other)),
    }
}

pub(crate) fn snapshot(
    socket: &Path,
    name: Option<SnapshotName>,
    json: bool,
) -> Result<(), String> {
    match about(socket, Question::Snapshot { name })? {
        Told::Snapshot(made) if json => say_json(&made),
        Told::Snapshot(made) => say(&format!("Made the snapshot {}.", described(&made))),
        other => Err(odd(&other)),
    }
}

pub(crate) fn share(socket: &Path, right: Right, for_s: u32, json: bool) -> Result<(), String> {
    match about(socket, Question::Share { right, for_s })? {
        Told::Link { link, url } if json => {
            say_json(&serde_json::json!({ "url": url.expose(), "link": link }))
        }
        // The address alone is what goes to standard output, for whoever pipes it on.
        Told::Link { link, url } => {
            say(url.expose())?;
            crate::note(&format!(
                "Whoever has this link may {}, for {}. To end it: lattice share --revoke {}",
                can(link.right),
                span::words(link.left_s),
                link.number
            ));
            Ok(())
        }
        other => Err(odd(&other)),
    }
}

pub(crate) fn links(socket: &Path, json: bool) -> Result<(), String> {
    match about(socket, Question::Links {})? {
        Told::Links { links } if json => say_json(&links),
        Told::Links { links } if links.is_empty() => {
            say("No link was made from inside this desktop, or all have ended.")
        }
        Told::Links { links } => links.iter().try_for_each(|link| say(&row(link))),
        other => Err(odd(&other)),
    }
}

pub(crate) fn revoke(socket: &Path, link: i64) -> Result<(), String> {
    match about(socket, Question::Revoke { link })? {
        Told::Revoked {} => say(&format!("Link {link} has ended.")),
        other => Err(odd(&other)),
    }
}

/// Who chose it in the menu sees no terminal, so what goes wrong is shown on the desktop, too.
pub(crate) fn manage(socket: &Path) -> Result<(), String> {
    let offered = about(socket, Question::Manage {});
    if let Err(reason) = &offered {
        let _ = notify("The desktop's page could not be shown", reason, "dialog-warning");
    }
    match offered? {
        Told::Offered { url } => say(&format!(
            "The page is offered in the browser of whoever owns this desktop: {}",
            url.expose()
        )),
        other => Err(odd(&other)),
    }
}

fn about(socket: &Path, question: Question) -> Result<Told, String> {
    match ask(socket, &Request::Desktop(question))? {
        Reply::Desktop(told) => Ok(told),
        other => Err(unexpected(other)),
    }
}

fn odd(told: &Told) -> String {
    format!("the desktop's relay answered something else: {told:?}")
}

fn say_json(what: &impl Serialize) -> Result<(), String> {
    say(&serde_json::to_string_pretty(what).map_err(|error| error.to_string())?)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn lines(status: &Status, now: u64) -> String {
    let Status { name, template, state, up_s, memory, cpu, data, snapshot, share, .. } = status;
    let mut rows = vec![
        ("Desktop", name.to_string()),
        ("Template", template.to_string()),
        ("State", up_s.map_or(state.to_string(), |up| format!("{state}, for {}", span::words(up)))),
        ("Here", here(&status.lookers, status.more_lookers)),
    ];
    let memory = memory.map(|bytes| format!("{} of memory", span::bytes(bytes)));
    let cpu = cpu.map(|share| format!("{share} % of a processor"));
    let takes: Vec<String> = memory.into_iter().chain(cpu).collect();
    rows.push(("Takes", known((!takes.is_empty()).then(|| takes.join(", ")))));
    rows.push((
        "Data",
        known(data.map(|data| match data.limit {
            Some(limit) => format!("{} of {}", span::bytes(data.used), span::bytes(limit)),
            None => span::bytes(data.used),
        })),
    ));
    let age = |made: &Snapshot| span::words(now.saturating_sub(made.at));
    rows.push((
        "Snapshot",
        known(snapshot.as_ref().map(|made| format!("{}, {} ago", described(made), age(made)))),
    ));
    rows.push((
        "Share",
        match share {
            Some(right) => format!("links from inside may let others {}", can(*right)),
            None => "no links from inside; make them on the desktop's page".into(),
        },
    ));
    rows.iter().map(|(what, how)| format!("{what:<10} {how}\n")).collect()
}

fn known(what: Option<String>) -> String {
    what.unwrap_or_else(|| "not known".into())
}

fn here(lookers: &[Looker], more: u32) -> String {
    let one = |looker: &Looker| {
        let name = if looker.name.as_str().is_empty() { "a guest" } else { looker.name.as_str() };
        let drives = if looker.drives { ", has control" } else { "" };
        format!("{name} ({}{drives})", looker.role)
    };
    let mut all: Vec<String> = lookers.iter().map(one).collect();
    if more > 0 {
        all.push(format!("{more} more"));
    }
    if all.is_empty() { "nobody".into() } else { all.join("; ") }
}

fn described(made: &Snapshot) -> String {
    let name =
        made.name.as_ref().map_or(String::new(), |name| format!("\u{201c}{name}\u{201d} of "));
    let files = if made.files == 1 { "1 file".into() } else { format!("{} files", made.files) };
    format!("{name}{}, {files}, {}", made.when, span::bytes(made.bytes))
}

fn row(link: &Link) -> String {
    let Link { number, right, left_s, uses, .. } = link;
    let times = if *uses == 1 { "once".into() } else { format!("{uses} times") };
    format!("{number:<8} {:<8} ends in {}, opened {times}", right.as_str(), span::words(*left_s))
}

fn can(right: Right) -> &'static str {
    match right {
        Right::View => "see this desktop",
        Right::Assist => "see this desktop and point at things",
        Right::Control => "see this desktop, and work on it when given control",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::apps::Said;
    use lattice_wire::desktop::Data;

    fn status() -> Status {
        let said = Said::cut;
        let looker = |name, role, drives| Looker { name: said(name), role: said(role), drives };
        Status {
            name: said("Biology"),
            template: said("desktop"),
            state: said("running"),
            since: Some(1000),
            up_s: Some(7200),
            memory: Some(300 << 20),
            cpu: Some(5),
            data: Some(Data { used: 5 << 20, limit: Some(1 << 30) }),
            lookers: vec![looker("Ann", "owner", true), looker("", "view", false)],
            more_lookers: 3,
            snapshot: Some(Snapshot {
                name: SnapshotName::parse("before"),
                at: 1000,
                when: said("1970-01-01T00:16:40Z"),
                files: 1,
                bytes: 12,
            }),
            share: Some(Right::View),
        }
    }

    #[test]
    fn a_status_is_a_line_for_each_thing() {
        let said = lines(&status(), 1000 + 900);
        for line in [
            "Desktop    Biology\n",
            "State      running, for 2 h\n",
            "Here       Ann (owner, has control); a guest (view); 3 more\n",
            "Takes      300 MiB of memory, 5 % of a processor\n",
            "Data       5.0 MiB of 1.0 GiB\n",
            "Snapshot   “before” of 1970-01-01T00:16:40Z, 1 file, 12 bytes, 15 min ago\n",
            "Share      links from inside may let others see this desktop\n",
        ] {
            assert!(said.contains(line), "{said}");
        }
        let unknown = Status {
            up_s: None,
            memory: None,
            cpu: None,
            data: None,
            lookers: Vec::new(),
            more_lookers: 0,
            snapshot: None,
            share: None,
            ..status()
        };
        let said = lines(&unknown, 0);
        for line in
            ["State      running\n", "Here       nobody\n", "Data       not known\n", "no links"]
        {
            assert!(said.contains(line), "{said}");
        }
    }

    #[test]
    fn a_link_is_listed_without_its_address() {
        let link = Link { number: 7, right: Right::View, expires_at: 9, left_s: 3600, uses: 1 };
        assert_eq!(row(&link), "7        view     ends in 1 h, opened once");
    }
}
