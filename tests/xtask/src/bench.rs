//! `cargo xtask bench`: what it costs to show a desktop, and how long it takes, measured in a real
//! Chromium by `tests/web/bench/bench.mjs`, for Lattice and, where asked for, for its peers.

mod report;
mod table;

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::node::node;
use crate::step::{cargo, root, succeed};
use crate::web;
use report::{Failure, Report};

const USAGE: &str = "\
--rows A,B,…    of join, idle, keys, typing, scroll, page, console, drag, video, fullvideo; all of
                them without it
--links A,B,…   of lan, 20ms-20mbit, 60ms-5mbit-stalls, 200ms-2mbit, step-5-0.5-5, blackhole-3s; or all
--peers A,B,…   of tigervnc, selkies, xpra; or all. What is missing of them is installed
--seconds N     how long each row is measured (10)
--rounds N      how often (1); medians are shown, and candidates take turns: A B, B A, A B
--attempts N    how often a row is measured that other programs disturb (3)
--json FILE     writes all figures of all rounds, too
--engine        the engine alone on recorded damage, instead of all that
start           from the click to a desktop made of containers, and what idle ones cost, instead of it";

const ROWS: [&str; 10] =
    ["join", "idle", "keys", "typing", "scroll", "page", "console", "drag", "video", "fullvideo"];
const LINKS: [&str; 6] =
    ["lan", "20ms-20mbit", "60ms-5mbit-stalls", "200ms-2mbit", "step-5-0.5-5", "blackhole-3s"];
const PEERS: [&str; 3] = ["tigervnc", "selkies", "xpra"];

/// What the script is told.
#[derive(Debug, PartialEq, Serialize)]
struct Options {
    seconds: u32,
    rounds: u32,
    attempts: u32,
    width: u32,
    height: u32,
    rows: Vec<String>,
    links: Vec<String>,
    peers: Vec<String>,
    #[serde(skip)]
    json: Option<String>,
    #[serde(skip)]
    engine: bool,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    if args == ["--help"] {
        println!("{USAGE}");
        return Ok(());
    }
    if args == ["start"] {
        return start();
    }
    let options = parse(args)?;
    if options.engine {
        return succeed(&mut cargo(&["bench", "--package", "lattice-tests", "--bench", "engine"]));
    }
    succeed(&mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
    web::install()?;
    let text = measure(&options)?;
    let report: Report = serde_json::from_str(&text).context("read the figures")?;
    println!("{}", table::markdown(&report));
    if let Some(file) = &options.json {
        std::fs::write(file, &text).with_context(|| format!("write {file}"))?;
    }
    let inexact = report.inexact();
    ensure!(inexact.is_empty(), "not exact after rest: {}", inexact.join(", "));
    for failure in &report.failures {
        let Failure { candidate, error } = failure;
        ensure!(
            !["Lattice", "the bench"].contains(&candidate.as_str()),
            "{candidate} failed: {error}"
        );
    }
    Ok(())
}

/// Needs the container engine and the images.
fn start() -> Result<()> {
    succeed(&mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
    web::install()?;
    let mut bench = cargo(&["bench", "--package", "lattice-tests", "--bench", "start"]);
    succeed(bench.env("LATTICE_BIN_DIR", target().join("release")))
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into)
}

fn parse(args: &[String]) -> Result<Options> {
    let rows = ROWS.map(str::to_owned).to_vec();
    let (links, peers) = (Vec::new(), Vec::new());
    let (width, height) = (1920, 1080);
    let mut options = Options {
        seconds: 10,
        rounds: 1,
        attempts: 3,
        width,
        height,
        rows,
        links,
        peers,
        json: None,
        engine: false,
    };
    let mut args = args.iter();
    while let Some(name) = args.next() {
        if name == "--engine" {
            options.engine = true;
            continue;
        }
        let mut value = || args.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--seconds" => options.seconds = number(name, value()?)?,
            "--rounds" => options.rounds = number(name, value()?)?,
            "--attempts" => options.attempts = number(name, value()?)?,
            "--json" => options.json = Some(value()?.clone()),
            "--rows" => options.rows = choice(name, value()?, &ROWS)?,
            "--links" => options.links = choice(name, value()?, &LINKS)?,
            "--peers" => options.peers = choice(name, value()?, &PEERS)?,
            other => bail!("unexpected argument '{other}'; there are\n{USAGE}"),
        }
    }
    Ok(options)
}

fn number(name: &str, text: &str) -> Result<u32> {
    let number = text.parse().with_context(|| format!("{name} needs a whole number"))?;
    ensure!(number > 0, "{name} needs at least 1");
    Ok(number)
}

/// The names of a list that commas separate, each of `all`.
fn choice(name: &str, text: &str, all: &[&str]) -> Result<Vec<String>> {
    let named = match text {
        "all" => all.to_vec(),
        "none" => Vec::new(),
        _ => text.split(',').collect(),
    };
    let unknown = named.iter().find(|name| !all.contains(name));
    if let Some(unknown) = unknown {
        bail!("{name} knows no '{unknown}', but {}", all.join(", "));
    }
    Ok(named.into_iter().map(str::to_owned).collect())
}

/// Runs the script; its progress is shown, its figures are returned.
fn measure(options: &Options) -> Result<String> {
    let told = serde_json::to_string(options).context("write the options")?;
    let output = node(&["tests/web/bench/bench.mjs", &told])?
        .env("LATTICE_BIN_DIR", target().join("release"))
        .stderr(Stdio::inherit())
        .output()
        .context("start node")?;
    let text = String::from_utf8(output.stdout).context("read the figures")?;
    // What was measured before it failed is told, too, and that it failed.
    let figures = text.lines().last();
    figures
        .map(str::to_owned)
        .with_context(|| format!("the measurement ended with {}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn lists_are_checked_by_name() {
        let options = parsed("--rows typing,video --links all --rounds 3").unwrap();
        assert_eq!(options.rows, ["typing", "video"]);
        assert_eq!((options.links.len(), options.rounds, options.seconds), (LINKS.len(), 3, 10));
        assert!(options.peers.is_empty(), "peers are measured where asked for");
        assert!(parsed("--peers vnc").unwrap_err().to_string().contains("tigervnc"));
    }

    #[test]
    fn a_mistake_names_what_there_is() {
        assert!(parsed("--second 3").unwrap_err().to_string().contains("--seconds N"));
        assert!(parsed("--seconds").is_err());
        assert!(parsed("--rounds 0").is_err());
    }
}
