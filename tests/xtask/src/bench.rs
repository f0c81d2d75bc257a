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
struct Report {
    seconds: f64,
    width: u32,
    height: u32,
    processor: Option<String>,
    cores: u32,
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
    draw_to_write_ms: Option<Percentiles>,
    key_to_pixel_ms: Option<Percentiles>,
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
    let Report { seconds, width, height, processor, cores, rows } = report;
    let processor = processor.as_deref().unwrap_or("an unknown processor");
    let mut text = format!(
        "{width}x{height}, {seconds} s a row, {cores} cores of {processor}\n\n\
         | | draw→write ms p50 / p95 / p99 | key→pixel ms p50 / p95 / p99 | frames/s | bytes/frame \
         | kB/s | CPU s/s agent · gateway · X · browser | PSS MiB agent · gateway · X · browser | exact |\n\
         |---|---|---|---:|---:|---:|---|---|---|\n"
    );
    for row in rows {
        text.push_str(&format!(
            "| {} | {} | {} | {:.1} | {} | {:.1} | {} | {} | {} |\n",
            row.name,
            percentiles(row.draw_to_write_ms.as_ref()),
            percentiles(row.key_to_pixel_ms.as_ref()),
            row.frames_per_second,
            row.bytes_per_frame.map_or("–".to_owned(), |bytes| format!("{bytes:.0}")),
            row.bytes_per_second / 1000.0,
            shares(&row.cpu, 3),
            shares(&row.pss_mib, 0),
            if row.exact { "yes" } else { "NO" },
        ));
    }
    text
}

fn percentiles(values: Option<&Percentiles>) -> String {
    values.map_or("–".to_owned(), |Percentiles { p50, p95, p99 }| {
        format!("{p50:.1} / {p95:.1} / {p99:.1}")
    })
}

fn shares(Shares { agent, gateway, x, browser }: &Shares, digits: usize) -> String {
    format!("{agent:.digits$} · {gateway:.digits$} · {x:.digits$} · {browser:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_a_table() {
        let report = r#"{"seconds":1,"width":8,"height":9,"processor":null,"cores":2,"rows":[
            {"name":"idle","exact":true,"framesPerSecond":0,"bytesPerSecond":2.6,"bytesPerFrame":null,
             "drawToWriteMs":null,"keyToPixelMs":{"p50":1,"p95":2,"p99":3.26,"count":4},
             "cpu":{"agent":0.001,"gateway":0,"x":0,"browser":0.01},
             "pssMiB":{"agent":12,"gateway":9,"x":60,"browser":300}}]}"#;
        let table = table(&serde_json::from_str(report).unwrap());
        let row = table.lines().last().unwrap();
        assert!(row.starts_with("| idle | – | 1.0 / 2.0 / 3.3 | 0.0 | – | 0.0 |"), "{row}");
    }
}
