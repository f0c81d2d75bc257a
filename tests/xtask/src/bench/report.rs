//! The figures of the script, and their medians over the rounds.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What the script found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) seconds: f64,
    pub(super) rounds: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) processor: Option<String>,
    pub(super) cores: u32,
    pub(super) probe_ms: f64,
    pub(super) results: Vec<Outcome>,
    #[serde(default)]
    pub(super) failures: Vec<Failure>,
}

/// A candidate that could not be measured to the end.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) candidate: String,
    pub(super) error: String,
}

/// One row of one candidate on one link in one round.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    pub(super) candidate: String,
    pub(super) link: Option<String>,
    pub(super) row: String,
    pub(super) exact: bool,
    pub(super) exact_ms: Option<f64>,
    pub(super) first_frame_ms: Option<f64>,
    pub(super) first_exact_ms: Option<f64>,
    pub(super) key_to_paint_ms: Option<Percentiles>,
    #[serde(default)]
    pub(super) unanswered: f64,
    pub(super) draw_to_paint_ms: Option<Percentiles>,
    pub(super) drawn: Option<f64>,
    pub(super) delivered: Option<f64>,
    #[serde(default)]
    pub(super) torn: f64,
    #[serde(default)]
    pub(super) unreadable: f64,
    pub(super) debt: Option<Debt>,
    pub(super) recovery_ms: Option<f64>,
    pub(super) psnr_db: Option<f64>,
    #[serde(default)]
    pub(super) bytes: f64,
    /// How long it was drawn, and how long bytes and processor time were counted.
    #[serde(default)]
    pub(super) seconds: f64,
    #[serde(default)]
    pub(super) time: f64,
    /// By process. `x` and `browser` are no part of the server.
    #[serde(default)]
    pub(super) cpu: BTreeMap<String, f64>,
    #[serde(default)]
    pub(super) others: f64,
    #[serde(default, rename = "pssMiB")]
    pub(super) pss_mib: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Debt {
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) max: f64,
    pub(super) longest_above_ms: f64,
}

impl Report {
    /// The medians of each row, in the order of their first rounds.
    pub(super) fn medians(&self) -> Vec<Outcome> {
        let mut groups: Vec<Vec<&Outcome>> = Vec::new();
        for outcome in &self.results {
            match groups.iter_mut().find(|group| group[0].is_of(outcome)) {
                Some(group) => group.push(outcome),
                None => groups.push(vec![outcome]),
            }
        }
        groups.iter().map(|group| middle(group)).collect()
    }

    /// The rows in which Lattice did not become exact. What peers do is for the table.
    pub(super) fn inexact(&self) -> Vec<&str> {
        let wrong = self.results.iter().filter(|row| row.candidate == "Lattice" && !row.exact);
        wrong.map(|row| row.row.as_str()).collect()
    }
}

impl Outcome {
    fn is_of(&self, other: &Self) -> bool {
        (&self.candidate, &self.link, &self.row) == (&other.candidate, &other.link, &other.row)
    }

    pub(super) fn frames_per_second(&self) -> Option<f64> {
        Some(self.delivered? / self.seconds)
    }

    /// Milliseconds of processor time that the server side takes for a frame that is seen.
    pub(super) fn server_ms_per_frame(&self) -> Option<f64> {
        let server = self.cpu.iter().filter(|(who, _)| !matches!(who.as_str(), "x" | "browser"));
        let spent = server.map(|(_, share)| share).sum::<f64>() * self.time * 1000.0;
        self.per_frame(spent)
    }

    pub(super) fn kilobytes_per_frame(&self) -> Option<f64> {
        self.per_frame(self.bytes / 1000.0)
    }

    fn per_frame(&self, what: f64) -> Option<f64> {
        self.delivered.filter(|&frames| frames > 0.0).map(|frames| what / frames)
    }

    /// What the row is about: from key or from drawing to painting.
    pub(super) fn latency(&self) -> Option<Percentiles> {
        self.key_to_paint_ms.or(self.draw_to_paint_ms)
    }
}

fn middle(rounds: &[&Outcome]) -> Outcome {
    let of = |figure: &dyn Fn(&Outcome) -> f64| {
        median(rounds.iter().map(|round| figure(round)).collect()).unwrap_or_default()
    };
    let some = |figure: &dyn Fn(&Outcome) -> Option<f64>| {
        median(rounds.iter().filter_map(|round| figure(round)).collect())
    };
    let percentiles = |figure: &dyn Fn(&Outcome) -> Option<Percentiles>| {
        Some(Percentiles {
            p50: some(&|round| Some(figure(round)?.p50))?,
            p95: some(&|round| Some(figure(round)?.p95))?,
            p99: some(&|round| Some(figure(round)?.p99))?,
        })
    };
    let shares = |figure: &dyn Fn(&Outcome) -> &BTreeMap<String, f64>| {
        let names = figure(rounds[0]).keys();
        let each = |name: &String| of(&|round| figure(round).get(name).copied().unwrap_or(0.0));
        names.map(|name| (name.clone(), each(name))).collect()
    };
    let debt = |figure: &dyn Fn(&Debt) -> f64| some(&|round| round.debt.as_ref().map(figure));
    let longest = debt(&|debt| debt.longest_above_ms).unwrap_or_default();
    let debt = debt(&|debt| debt.p50).zip(debt(&|debt| debt.p95)).zip(debt(&|debt| debt.max));
    Outcome {
        exact: rounds.iter().all(|round| round.exact),
        exact_ms: some(&|round| round.exact_ms),
        first_frame_ms: some(&|round| round.first_frame_ms),
        first_exact_ms: some(&|round| round.first_exact_ms),
        key_to_paint_ms: percentiles(&|round| round.key_to_paint_ms),
        unanswered: rounds.iter().map(|round| round.unanswered).sum(),
        draw_to_paint_ms: percentiles(&|round| round.draw_to_paint_ms),
        drawn: some(&|round| round.drawn),
        delivered: some(&|round| round.delivered),
        torn: rounds.iter().map(|round| round.torn).sum(),
        unreadable: rounds.iter().map(|round| round.unreadable).sum(),
        debt: debt.map(|((p50, p95), max)| Debt { p50, p95, max, longest_above_ms: longest }),
        recovery_ms: some(&|round| round.recovery_ms),
        psnr_db: some(&|round| round.psnr_db),
        bytes: of(&|round| round.bytes),
        time: of(&|round| round.time),
        cpu: shares(&|round| &round.cpu),
        others: of(&|round| round.others),
        pss_mib: shares(&|round| &round.pss_mib),
        ..rounds[0].clone()
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_become_their_median_and_torn_frames_their_sum() {
        let round = |cpu: f64, torn: u32| {
            format!(
                r#"{{"candidate":"Lattice","link":null,"row":"video","exact":true,"torn":{torn},
                "delivered":10,"bytes":5000,"seconds":2,"time":2,"cpu":{{"agent":{cpu},"x":9}}}}"#
            )
        };
        let rounds = [round(0.1, 1), round(0.9, 0), round(0.2, 3)].join(",");
        let report = format!(
            r#"{{"seconds":2,"rounds":3,"width":8,"height":9,"processor":null,"cores":2,
            "probeMs":0.02,"results":[{rounds}]}}"#
        );
        let report: Report = serde_json::from_str(&report).unwrap();
        let medians = report.medians();
        let [row] = medians.as_slice() else { panic!("{medians:?}") };
        assert_eq!(row.torn, 4.0);
        assert_eq!(row.server_ms_per_frame(), Some(40.0));
        assert_eq!(row.kilobytes_per_frame(), Some(0.5));
        assert_eq!(row.frames_per_second(), Some(5.0));
    }

    #[test]
    fn a_median_lies_between_the_middle_ones() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }
}
