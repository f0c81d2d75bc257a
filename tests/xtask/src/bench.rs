//! `cargo xtask bench [--seconds N] [--json FILE]`: what it costs to show a desktop, and how long
//! it takes, measured in a real Chromium on loopback by `tests/web/bench/bench.mjs`.

use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::node::node;
use crate::step::{cargo, root, succeed};
use crate::web;

/// What the script found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    seconds: f64,
    width: u32,
    height: u32,
    processor: Option<String>,
    cores: u32,
    probe_ms: f64,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    exact: bool,
    frames_per_second: f64,
    bytes_per_second: f64,
    bytes_per_frame: Option<f64>,
    damage_to_write_ms: Option<Percentiles>,
    key_to_pixel_ms: Option<Percentiles>,
    told_key_to_pixel_ms: Option<f64>,
    unanswered: u32,
    draw_to_pixel_ms: Option<Percentiles>,
    delivered: Option<f64>,
    cpu: Shares,
    #[serde(rename = "pssMiB")]
    pss_mib: Shares,
}

#[derive(Debug, Deserialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

#[derive(Debug, Deserialize)]
struct Shares {
    agent: f64,
    gateway: f64,
    x: f64,
    browser: f64,
    others: Option<f64>,
}

struct Options {
    seconds: u32,
    json: Option<String>,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = parse(args)?;
    succeed(&mut cargo(&["build", "--release", "--workspace", "--bins"]))?;
    web::install()?;
    let text = measure(options.seconds)?;
    let report: Report = serde_json::from_str(&text).context("read the figures")?;
    println!("{}", table(&report));
    if let Some(file) = &options.json {
        std::fs::write(file, &text).with_context(|| format!("write {file}"))?;
    }
    let inexact: Vec<&str> =
        report.rows.iter().filter(|row| !row.exact).map(|row| row.name.as_str()).collect();
    ensure!(inexact.is_empty(), "not exact after rest: {}", inexact.join(", "));
    Ok(())
}

fn parse(args: &[String]) -> Result<Options> {
    let mut options = Options { seconds: 10, json: None };
    let mut args = args.iter();
    while let Some(name) = args.next() {
        let value = args.next().with_context(|| format!("{name} needs a value"));
        match name.as_str() {
            "--seconds" => {
                options.seconds = value?.parse().context("--seconds needs a whole number")?;
            }
            "--json" => options.json = Some(value?.clone()),
            other => bail!("unexpected argument '{other}'; there are --seconds N and --json FILE"),
        }
    }
    ensure!(options.seconds > 0, "--seconds needs at least 1");
    Ok(options)
}

/// Runs the script; its progress is shown, its figures are returned.
fn measure(seconds: u32) -> Result<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into);
    let seconds = seconds.to_string();
    let output = node(&["tests/web/bench/bench.mjs", &seconds, "1920", "1080"])?
        .env("LATTICE_BIN_DIR", target.join("release"))
        .stderr(Stdio::inherit())
        .output()
        .context("start node")?;
    ensure!(output.status.success(), "the measurement ended with {}", output.status);
    let text = String::from_utf8(output.stdout).context("read the figures")?;
    Ok(text.lines().last().unwrap_or_default().to_owned())
}

fn table(report: &Report) -> String {
    let Report { seconds, width, height, processor, cores, probe_ms, rows } = report;
    let processor = processor.as_deref().unwrap_or("an unknown processor");
    let mut text = format!(
        "{width}x{height}, {seconds} s a row, {cores} cores of {processor}; latencies are p50 / p95 / \
         p99 in ms. Pixels are seen by a probe of the canvas that costs {probe_ms:.3} ms a painting; \
         drawing is 0.7 % slower than named.\n\n\
         | | damage→write | key→pixel | draw→pixel | delivered | frames/s | bytes/frame | kB/s \
         | CPU s/s agent · gateway · X · browser | others | PSS MiB agent · gateway · X · browser | exact |\n\
         |---|---|---|---|---:|---:|---:|---:|---|---:|---|---|\n"
    );
    for row in rows {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {:.1} | {} | {:.1} | {} | {} | {} | {} |\n",
            row.name,
            percentiles(row.damage_to_write_ms.as_ref()),
            key_to_pixel(row),
            percentiles(row.draw_to_pixel_ms.as_ref()),
            row.delivered.map_or("–".to_owned(), |share| format!("{:.0} %", share * 100.0)),
            row.frames_per_second,
            row.bytes_per_frame.map_or("–".to_owned(), |bytes| format!("{bytes:.0}")),
            row.bytes_per_second / 1000.0,
            shares(&row.cpu, 3),
            row.cpu.others.map_or("–".to_owned(), |others| format!("{others:.3}")),
            shares(&row.pss_mib, 0),
            if row.exact { "yes" } else { "NO" },
        ));
    }
    text
}

/// What the probe saw, and beside it what the viewer says of itself.
fn key_to_pixel(row: &Row) -> String {
    let mut text = percentiles(row.key_to_pixel_ms.as_ref());
    if let Some(told) = row.told_key_to_pixel_ms {
        text.push_str(&format!(" (the page says {told:.1})"));
    }
    if row.unanswered > 0 {
        text.push_str(&format!(", {} unanswered", row.unanswered));
    }
    text
}

fn percentiles(values: Option<&Percentiles>) -> String {
    values.map_or("–".to_owned(), |Percentiles { p50, p95, p99 }| {
        format!("{p50:.1} / {p95:.1} / {p99:.1}")
    })
}

fn shares(Shares { agent, gateway, x, browser, .. }: &Shares, digits: usize) -> String {
    format!("{agent:.digits$} · {gateway:.digits$} · {x:.digits$} · {browser:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_a_table() {
        let report = r#"{"seconds":1,"width":8,"height":9,"processor":null,"cores":2,"probeMs":0.02,
            "rows":[{"name":"typing","exact":true,"framesPerSecond":0,"bytesPerSecond":2.6,
             "bytesPerFrame":null,"damageToWriteMs":null,
             "keyToPixelMs":{"p50":1,"p95":2,"p99":3.26,"count":4},"toldKeyToPixelMs":1.5,
             "unanswered":1,"drawToPixelMs":null,"delivered":0.97,
             "cpu":{"agent":0.001,"gateway":0,"x":0,"browser":0.01,"others":0.02},
             "pssMiB":{"agent":12,"gateway":9,"x":60,"browser":300}}]}"#;
        let table = table(&serde_json::from_str(report).unwrap());
        let row = table.lines().last().unwrap();
        let keys = "1.0 / 2.0 / 3.3 (the page says 1.5), 1 unanswered";
        assert!(row.starts_with(&format!("| typing | – | {keys} | – | 97 % | 0.0 |")), "{row}");
        let columns = table.lines().rev().take(3).map(|line| line.matches('|').count());
        assert_eq!(columns.collect::<Vec<_>>(), [13; 3]);
    }
}
