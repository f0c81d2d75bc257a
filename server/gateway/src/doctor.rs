//! `lattice doctor`: would `lattice serve` work here, with the configuration that it would use?
//!
//! Probes (`told`, `machine`) look at one thing each and find what is right or wrong with it; what they
//! found is a list, and this file prints it. Nothing is changed, so it can be run beside a server.

mod backups;
mod catalogues;
mod containers;
mod machine;
mod told;

use crate::cli::ServeArgs;
use crate::config::Config;
use crate::runtime::RuntimeError;
use crate::serve::Places;
use anyhow::{Context as _, bail};
use serde::Serialize;
use std::fmt;
use std::io::Write as _;
pub(crate) use told::has_server;
use utoipa::ToSchema;

/// What is known of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Finding {
    /// Which.
    #[schema(example = "engine")]
    what: &'static str,
    /// How it is.
    text: String,
    #[serde(flatten)]
    verdict: Verdict,
}

/// Whether that is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "verdict", rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// It works, but something is lost.
    Warning {
        remedy: String,
    },
    /// `lattice serve` would not start, or could not start desktops.
    Fault {
        remedy: String,
    },
}

/// Prints what is found; an error where something is a fault.
pub async fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let findings = examine(args).await;
    let mut stdout = std::io::stdout().lock();
    for finding in &findings {
        writeln!(stdout, "{finding}").context("print what was found")?;
    }
    let is_fault = |finding: &&Finding| matches!(finding.verdict, Verdict::Fault { .. });
    match findings.iter().filter(is_fault).count() {
        0 => Ok(()),
        1 => bail!("lattice serve would not work here: there is a fault"),
        faults => bail!("lattice serve would not work here: there are {faults} faults"),
    }
}

/// All that there is to find, in the order in which `lattice serve` needs it.
async fn examine(args: &ServeArgs) -> Vec<Finding> {
    let mut findings = Vec::new();
    match Config::load(args) {
        Ok(config) => {
            findings.push(Finding::ok("configuration", "good; lattice check-config prints it"));
            findings.extend(with(&config).await);
        }
        Err(error) => findings.push(Finding::fault(
            "configuration",
            format!("{error:#}"),
            "lattice serve --help names the options",
        )),
    }
    findings.push(machine::sandboxes().await);
    findings.push(machine::display());
    findings.extend(machine::desktop());
    findings.push(machine::files());
    findings.push(machine::agent().await);
    findings.push(machine::relay());
    findings.push(machine::groups());
    findings
}

/// What a server that runs finds of its own machine.
pub async fn of_server(config: &Config) -> Vec<Finding> {
    let mut findings = with(config).await;
    findings.push(machine::files());
    findings
}

/// What depends on the configuration.
async fn with(config: &Config) -> Vec<Finding> {
    let places = Places::at(&config.data_dir);
    let has_server = told::has_server(&config.data_dir);
    let mut findings = vec![
        told::data(&config.data_dir, &places.run()),
        told::database(&places.database()).await,
        told::server(&config.data_dir, has_server),
        told::address(config.server.listen.as_deref(), has_server).await,
        told::video(config.video.h264),
        told::certificates(config),
        told::clock(&places.database()),
    ];
    findings.extend(told::time_servers());
    findings.extend(backups::backups(config).await);
    findings.extend(catalogues::catalogues(config));
    let (apps, templates) = containers::templates(config);
    findings.push(templates);
    findings.extend(containers::containers(config, &apps).await);
    findings.extend(containers::bounds(config.server.max_connections));
    findings
}

impl Finding {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, text: text.into(), verdict: Verdict::Ok }
    }

    fn warning(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        let verdict = Verdict::Warning { remedy: remedy.into() };
        Self { what, text: text.into(), verdict }
    }

    fn fault(what: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        let verdict = Verdict::Fault { remedy: remedy.into() };
        Self { what, text: text.into(), verdict }
    }
}

/// One line, whatever is in it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, remedy) = match &self.verdict {
            Verdict::Ok => ("ok", None),
            Verdict::Warning { remedy } => ("warning", Some(remedy)),
            Verdict::Fault { remedy } => ("fault", Some(remedy)),
        };
        write!(f, "{word:<9}{:<15}{}", self.what, in_one_line(&self.text))?;
        match remedy {
            Some(remedy) => write!(f, "; {}", in_one_line(remedy)),
            None => Ok(()),
        }
    }
}

fn in_one_line(text: &str) -> String {
    text.split(char::is_control)
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// What this machine lacks.
fn unusable(what: &'static str, error: RuntimeError) -> Finding {
    match error {
        RuntimeError::Unusable { what: text, remedy } => Finding::fault(what, text, remedy),
        error @ (RuntimeError::Step { .. } | RuntimeError::Refused(_)) => {
            let text = format!("{:#}", anyhow::Error::from(error));
            Finding::fault(what, text, "see that it exists and may be used")
        }
    }
}

/// A fault that was said as one sentence: how it is, then what to do.
fn said(what: &'static str, sentence: &str) -> Finding {
    let (text, remedy) = sentence.split_once("; ").unwrap_or((sentence, "install lattice anew"));
    Finding::fault(what, text, remedy)
}

#[cfg(test)]
/// The finding has that verdict, and says all of these.
fn check(finding: &Finding, verdict: &str, words: &[&str]) {
    let line = finding.to_string();
    assert!(line.starts_with(verdict), "{line}");
    for word in words {
        assert!(line.contains(word), "{word} is not in: {line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_one_line_with_its_remedy() {
        let fault = Finding::fault("database", "it is\n  broken\u{1b}[2J", "mend it");
        for (finding, line) in [
            (Finding::ok("clock", "is right"), "ok       clock          is right"),
            (
                Finding::warning("data", "1 MiB is free", "free more"),
                "warning  data           1 MiB is free; free more",
            ),
            (fault, "fault    database       it is broken [2J; mend it"),
        ] {
            assert_eq!(finding.to_string(), line);
        }
    }

    #[tokio::test]
    async fn a_bad_configuration_is_a_fault_and_the_machine_is_looked_at_all_the_same() {
        let args = ServeArgs { config: Some("/nonexistent".into()), ..ServeArgs::default() };
        let findings = examine(&args).await;
        assert!(matches!(findings[0].verdict, Verdict::Fault { .. }), "{}", findings[0]);
        assert!(findings[0].text.contains("/nonexistent"), "{}", findings[0]);
        for what in ["sandboxes", "display", "agent", "limits"] {
            assert!(findings.iter().any(|finding| finding.what == what), "{what} is missing");
        }
        assert!(!findings.iter().any(|finding| finding.what == "database"));
    }
}
