//! Reads the Prometheus text that the gateway shows.

/// Every sample of one moment.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    samples: Vec<(String, f64)>,
}

impl Metrics {
    /// Reads the text format.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self { samples: samples.collect() }
    }

    /// The sum over all series of a name whose labels contain each of `labels`, such as
    /// `reason="flood"`; 0 where there is none.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.series(name, labels).map(|(_, value)| value).sum()
    }

    /// Whether there is any series of this name.
    pub fn has(&self, name: &str) -> bool {
        self.series(name, &[]).next().is_some()
    }

    /// The series of a name, each with its labels as text.
    pub fn series<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, f64)> {
        self.samples.iter().filter_map(move |(series, value)| {
            let rest = series.strip_prefix(name)?;
            let is_name = rest.is_empty() || rest.starts_with('{');
            let fits = labels.iter().all(|label| rest.contains(label));
            (is_name && fits).then_some((rest, *value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_name_and_labels() {
        let text =
            "# HELP a b\na_total{dir=\"in\"} 3\na_total{dir=\"out\"} 4\na_total_x 9\nb 1e3\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum("a_total", &[]), 7.0);
        assert_eq!(metrics.sum("a_total", &["dir=\"out\""]), 4.0);
        assert_eq!(metrics.sum("b", &[]), 1000.0);
        assert!(!metrics.has("a"));
    }
}
