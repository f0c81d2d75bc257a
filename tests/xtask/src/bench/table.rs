//! The figures as tables for people.

use std::collections::BTreeMap;

use super::report::{Outcome, Percentiles, Report};

/// What stands where there is nothing to tell.
const NOTHING: &str = "–";

/// All tables: the rows on loopback, the links, and how Lattice compares with the best peer.
pub(super) fn markdown(report: &Report) -> String {
    let Report { seconds, rounds, width, height, processor, cores, probe_ms, .. } = report;
    let processor = processor.as_deref().unwrap_or("an unknown processor");
    let rows = report.medians();
    let (local, linked): (Vec<&Outcome>, Vec<&Outcome>) =
        rows.iter().partition(|row| row.link.is_none());
    let mut text = format!(
        "{width}x{height}, {seconds} s a row, medians of {rounds}, {cores} cores of {processor}. \
         Latencies are from key or drawing to painting; CPU ms a frame is the whole server side \
         without X (Xvnc holds its own) for each frame seen; a look of the probe costs at most {probe_ms:.2} ms.\n"
    );
    if !local.is_empty() {
        text.push_str(
            "\n| | ms p50 / p95 / p99 | frames/s | torn | kB/frame | CPU ms/frame | CPU s/s \
             | others | PSNR dB | exact after ms | PSS MiB |\n\
             |---|---|---:|---:|---:|---:|---|---:|---:|---:|---|\n",
        );
        local.iter().for_each(|row| text.push_str(&local_line(row)));
    }
    if !linked.is_empty() {
        text.push_str(
            "\n| | key → paint ms p50 / p95 / p99 | draw → paint ms | frames/s | torn | kB/s \
             | debt ms p50 / p95 / max | above 500 ms for | live again after ms | PSNR dB \
             | exact after ms |\n\
             |---|---|---|---:|---:|---:|---|---:|---:|---:|---:|\n",
        );
        linked.iter().for_each(|row| text.push_str(&link_line(row)));
    }
    text.push_str(&ratios(&rows));
    for failure in &report.failures {
        let error = failure.error.lines().next().unwrap_or_default();
        text.push_str(&format!("\n{} failed: {error}\n", failure.candidate));
    }
    text
}

fn local_line(row: &Outcome) -> String {
    let (latency, exact) = match row.first_frame_ms {
        Some(first) => (format!("first frame {first:.0}"), row.first_exact_ms),
        None => (latency(row), row.exact_ms),
    };
    let cells = [
        name(row, &row.row),
        latency,
        frames(row),
        count(row, row.torn),
        number(row.kilobytes_per_frame(), 2),
        number(row.server_ms_per_frame(), 2),
        shares(&row.cpu, 3),
        if row.cpu.is_empty() { NOTHING.to_owned() } else { format!("{:.2}", row.others) },
        number(row.psnr_db, 1),
        exact_after(row, exact),
        shares(&row.pss_mib, 0),
    ];
    line(&cells)
}

fn link_line(row: &Outcome) -> String {
    let debt = row.debt;
    let cells = [
        name(row, row.link.as_deref().unwrap_or_default()),
        percentiles(row.key_to_paint_ms) + &unanswered(row),
        percentiles(row.draw_to_paint_ms),
        frames(row),
        count(row, row.torn),
        format!("{:.0}", row.bytes / 1000.0 / row.time),
        debt.map_or(NOTHING.to_owned(), |debt| {
            format!("{:.0} / {:.0} / {:.0}", debt.p50, debt.p95, debt.max)
        }),
        number(debt.map(|debt| debt.longest_above_ms), 0),
        number(row.recovery_ms, 0),
        number(row.psnr_db, 1),
        exact_after(row, row.exact_ms),
    ];
    line(&cells)
}

/// Lattice by the best of its peers, figure by figure; below 1 is better.
fn ratios(rows: &[Outcome]) -> String {
    type Figure = fn(&Outcome) -> Option<f64>;
    let figures: [Figure; 4] = [
        |row| row.latency().map(|latency| latency.p50),
        |row| row.latency().map(|latency| latency.p95),
        Outcome::server_ms_per_frame,
        Outcome::kilobytes_per_frame,
    ];
    let mut text = String::new();
    for own in rows.iter().filter(|row| row.candidate == "Lattice") {
        let same = |row: &&Outcome| (&row.link, &row.row) == (&own.link, &own.row);
        let peers: Vec<&Outcome> =
            rows.iter().filter(same).filter(|row| row.candidate != "Lattice").collect();
        let ratio = |figure: &Figure| {
            let best = peers.iter().filter_map(|row| figure(row)).min_by(f64::total_cmp);
            figure(own).zip(best).map(|(own, best)| own / best)
        };
        if !peers.is_empty() {
            let place = own.link.as_deref().unwrap_or("loopback");
            let cells = figures.iter().map(|figure| number(ratio(figure), 2));
            let cells: Vec<String> =
                [own.row.clone(), place.to_owned()].into_iter().chain(cells).collect();
            text.push_str(&line(&cells));
        }
    }
    if text.is_empty() {
        return text;
    }
    "\nLattice by the best peer of each figure; below 1 is less than any of them.\n\n\
     | | on | p50 | p95 | CPU ms/frame | kB/frame |\n|---|---|---:|---:|---:|---:|\n"
        .to_owned()
        + &text
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn name(row: &Outcome, what: &str) -> String {
    if row.candidate == "Lattice" { what.to_owned() } else { format!("{what}, {}", row.candidate) }
}

fn latency(row: &Outcome) -> String {
    percentiles(row.latency()) + &unanswered(row)
}

fn unanswered(row: &Outcome) -> String {
    if row.unanswered > 0.0 { format!(", {} unanswered", row.unanswered) } else { String::new() }
}

/// How many were seen a second, and what share of the drawn ones that is.
fn frames(row: &Outcome) -> String {
    let shown = row.frames_per_second().zip(row.delivered.zip(row.drawn));
    shown.map_or(NOTHING.to_owned(), |(rate, (delivered, drawn))| {
        format!("{rate:.1} ({:.0} %)", 100.0 * delivered / drawn)
    })
}

fn count(row: &Outcome, count: f64) -> String {
    row.drawn.map_or(NOTHING.to_owned(), |_| {
        let unreadable = row.unreadable;
        let blurred =
            if unreadable > 0.0 { format!(" (+{unreadable} unreadable)") } else { String::new() };
        format!("{count}{blurred}")
    })
}

fn exact_after(row: &Outcome, ms: Option<f64>) -> String {
    if row.exact { number(ms, 0) } else { "not in time".to_owned() }
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or(NOTHING.to_owned(), |value| format!("{value:.digits$}"))
}

fn percentiles(values: Option<Percentiles>) -> String {
    values.map_or(NOTHING.to_owned(), |Percentiles { p50, p95, p99 }| {
        format!("{p50:.1} / {p95:.1} / {p99:.1}")
    })
}

fn shares(shares: &BTreeMap<String, f64>, digits: usize) -> String {
    let each = shares.iter().map(|(who, share)| format!("{who} {share:.digits$}"));
    let text = each.collect::<Vec<_>>().join(" · ");
    if text.is_empty() { NOTHING.to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATTICE: &str = r#"{"candidate":"Lattice","link":null,"row":"scroll","exact":true,"exactMs":91.5,
        "drawToPaintMs":{"p50":1,"p95":2,"p99":3.26,"count":4},"drawn":60,"delivered":30,"torn":1,
        "bytes":30000,"seconds":1,"time":1,"cpu":{"agent":0.03,"browser":0.4},"others":0.02,"pssMiB":{"agent":12}}"#;

    fn shown(results: &str) -> String {
        let report = format!(
            r#"{{"seconds":1,"rounds":1,"width":8,"height":9,"processor":null,"cores":2,
            "probeMs":0.02,"results":[{results}]}}"#
        );
        markdown(&serde_json::from_str(&report).unwrap())
    }

    #[test]
    fn a_report_becomes_a_table() {
        let table = shown(LATTICE);
        let row = table.lines().last().unwrap();
        assert!(
            row.starts_with("| scroll | 1.0 / 2.0 / 3.3 | 30.0 (50 %) | 1 | 1.00 | 1.00 |"),
            "{row}"
        );
        assert!(
            row.ends_with("| agent 0.030 · browser 0.400 | 0.02 | – | 92 | agent 12 |"),
            "{row}"
        );
        let columns = table.lines().rev().take(3).map(|line| line.matches('|').count());
        assert_eq!(columns.collect::<Vec<_>>(), [12; 3]);
    }

    #[test]
    fn a_link_has_a_table_of_its_own() {
        let link = LATTICE.replace("\"link\":null", "\"link\":\"lan\"");
        let debt =
            r#""debt":{"p50":0,"p95":10,"max":700,"longestAboveMs":210},"recoveryMs":80,"row""#;
        let table = shown(&link.replace("\"row\"", debt));
        let row = table.lines().last().unwrap();
        assert!(row.contains("| 0 / 10 / 700 | 210 | 80 |"), "{row}");
        let columns = table.lines().rev().take(3).map(|line| line.matches('|').count());
        assert_eq!(columns.collect::<Vec<_>>(), [12; 3]);
    }

    #[test]
    fn lattice_is_compared_with_the_best_peer() {
        let peer = |name: &str, p50: u32| {
            LATTICE.replace("Lattice", name).replace("\"p50\":1", &format!("\"p50\":{p50}"))
        };
        let table = shown(&[LATTICE, &peer("one", 4), &peer("other", 8)].join(","));
        assert!(table.contains("| scroll, other | 8.0 / "), "{table}");
        assert!(table.ends_with("| scroll | loopback | 0.25 | 1.00 | 1.00 | 1.00 |\n"), "{table}");
    }
}
