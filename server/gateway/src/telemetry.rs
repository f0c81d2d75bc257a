//! What an operator sees: logs on stderr and metrics in Prometheus' text form.

pub mod machine;

use crate::broker::protocol::{Held, Stored};
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{ParseError, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Fine where a frame's budget is, coarse beyond what a person waits for.
const BUCKETS: [f64; 16] = [
    0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008, 0.012, 0.016, 0.025, 0.05,
    0.1, 0.25, 1.0,
];

/// From what nobody notices to what nobody waits for.
const START_BUCKETS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 10.0, 20.0, 60.0];

/// Reasons that are counted from 0, so that a graph exists before the first event.
const ZEROED: [(&str, &str, &[&str]); 3] = [
    (
        "lattice_packets_refused_total",
        "reason",
        &["malformed", "misplaced", "text", "too_large", "websocket", "agent"],
    ),
    (
        "lattice_input_dropped_total",
        "reason",
        &["not_controller", "not_pointing", "rate", "coalesced", "no_agent", "agent_busy"],
    ),
    ("lattice_frames_dropped_total", "reason", &["lagging", "queued"]),
];

/// Starts logging; `LATTICE_LOG` filters as `RUST_LOG` does elsewhere.
pub fn init_logs(format: LogFormat) -> anyhow::Result<()> {
    let wanted = std::env::var("LATTICE_LOG").unwrap_or_default();
    let filter = filter(&wanted)
        .map_err(|error| anyhow::anyhow!("read LATTICE_LOG as a log filter: {error}"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            let logs = logs.with_ansi(std::io::stderr().is_terminal()).with_target(false);
            logs.finish().with(discretion()).init();
        }
        LogFormat::Json => logs.json().flatten_event(true).finish().with(discretion()).init(),
    }
    Ok(())
}

fn filter(wanted: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(wanted)
}

/// Silences what would log the bytes of packets, keys typed among them, whatever is asked for. It is
/// no directive of the filter, where a more exact one would win.
fn discretion<S: Subscriber>() -> impl Layer<S> {
    filter_fn(|event| {
        let library = event.target().split("::").next();
        *event.level() <= Level::INFO
            || !matches!(library, Some("tungstenite" | "tokio_tungstenite"))
    })
}

/// Counts panics and logs where they were, before the usual message is printed.
pub fn count_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        counter!("lattice_panics_total").increment(1);
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.location = place, "a task panicked");
        print(panic);
    }));
}

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    recorder: PrometheusHandle,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Starts recording; the first call in a process does, later ones share it.
    pub fn install() -> Self {
        static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
        let recorder = RECORDER.get_or_init(|| {
            let seconds = Matcher::Suffix("_seconds".into());
            let starts = Matcher::Full("lattice_session_start_seconds".into());
            let frozen = Matcher::Full("lattice_snapshot_frozen_seconds".into());
            let builder = PrometheusBuilder::new();
            let recorder = builder
                .set_buckets_for_metric(seconds, &BUCKETS)
                .and_then(|builder| builder.set_buckets_for_metric(starts, &START_BUCKETS))
                .and_then(|builder| builder.set_buckets_for_metric(frozen, &START_BUCKETS))
                .expect("the buckets are not empty")
                .build_recorder();
            let handle = recorder.handle();
            // Another recorder can only be there where a test installed it; then it has the values.
            let _ = metrics::set_global_recorder(recorder);
            describe();
            handle
        });
        Self { recorder: recorder.clone() }
    }

    /// Folds recorded samples into their buckets; to be called every few seconds.
    pub fn upkeep(&self) {
        self.recorder.run_upkeep();
    }

    /// All metrics, those of this process and of its agent included.
    pub fn render(&self, agent: Option<u32>) -> String {
        let mut text = self.recorder.render();
        if let Some(usage) = Usage::of("self") {
            let fds = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
            usage.write(&mut text, "process");
            let _ = writeln!(text, "# TYPE process_open_fds gauge\nprocess_open_fds {fds}");
        }
        if let Some(usage) = agent.and_then(|pid| Usage::of(&pid.to_string())) {
            usage.write(&mut text, "lattice_agent");
        }
        text
    }
}

/// Counts the sessions by state, as the API names it.
pub fn count_sessions<'a>(states: impl Iterator<Item = &'a str>) {
    let mut counts: BTreeMap<&str, u32> =
        SESSION_STATES.into_iter().map(|name| (name, 0)).collect();
    states.for_each(|state| *counts.entry(state).or_default() += 1);
    for name in SESSION_STATES {
        gauge!("lattice_sessions", "state" => name).set(f64::from(counts[name]));
    }
}

/// Counts a desktop that came up, and how long that took.
pub fn count_start(took: Duration) {
    histogram!("lattice_session_start_seconds").record(took);
}

/// One more snapshot that was made or failed, or was put back or was not.
pub fn count_snapshot(result: &'static str) {
    counter!("lattice_snapshots_total", "result" => result).increment(1);
}

/// How long a desktop stood still for one.
pub fn count_frozen(took: Duration) {
    histogram!("lattice_snapshot_frozen_seconds").record(took);
}

/// Sums up what people keep who have sessions.
pub fn count_stored<'a>(people: impl Iterator<Item = &'a Stored>) {
    let (mut sums, mut full) = ([0; 3], 0);
    for stored in people {
        let all = [stored.data, stored.home, stored.apps];
        for (sum, held) in sums.iter_mut().zip(all) {
            *sum += held.used;
        }
        full += u32::from(all.iter().any(Held::is_full));
    }
    for (place, sum) in ["data", "home", "apps"].into_iter().zip(sums) {
        gauge!("lattice_storage_bytes", "place" => place).set(sum as f64);
    }
    gauge!("lattice_storage_full_users").set(f64::from(full));
}

/// What is known of backups, which is nothing until the first.
pub fn show_backup(name: &'static str, value: f64) {
    gauge!(name).set(value);
}

/// Whether that is being done now.
pub fn show_backup_step(step: &'static str, is_on: bool) {
    gauge!("lattice_backup_running", "step" => step).set(f64::from(is_on));
}

const SESSION_STATES: [&str; 8] =
    ["requested", "queued", "starting", "running", "idle", "stopping", "stopped", "failed"];

fn describe() {
    machine::describe();
    gauge!("lattice_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    counter!("lattice_panics_total").absolute(0);
    for dir in ["in", "out"] {
        counter!("lattice_ws_bytes_total", "dir" => dir).absolute(0);
    }
    for (name, label, values) in ZEROED {
        for value in values {
            counter!(name, label => *value).absolute(0);
        }
    }
    for name in ["grabs", "frames", "wakeups", "inputs", "inputs_dropped"] {
        counter!(format!("lattice_agent_{name}_total")).absolute(0);
    }
    describe_gauge!("lattice_sessions", "Sessions by state");
    describe_gauge!("lattice_viewers", "Connected viewers by role");
    describe_gauge!("lattice_backup_configured", "1 where backups are set up");
    describe_gauge!(
        "lattice_backup_interval_seconds",
        "From one backup to the next, where they are made by themselves"
    );
    describe_gauge!("lattice_backup_running", "What is being done now, by step");
    describe_gauge!(
        "lattice_backup_last_try_timestamp_seconds",
        "When the last try to make a backup was begun"
    );
    describe_gauge!("lattice_backup_people", "People whose files are in the last backup");
    describe_gauge!("lattice_backup_files", "Files in the last backup");
    describe_gauge!(
        "lattice_backup_moving_people",
        "People whose desktop did not stand still for the last backup"
    );
    describe_gauge!("lattice_backup_drill_duration_seconds", "How long the last drill took");
    describe_gauge!("lattice_backup_drill_files", "Files that the last drill compared");
    describe_gauge!("lattice_backup_drill_bytes", Unit::Bytes, "How long these are together");
    describe_gauge!("lattice_backup_ok", "Whether the last try to make a backup succeeded");
    describe_gauge!(
        "lattice_backup_last_success_timestamp_seconds",
        "When the last backup was begun"
    );
    describe_gauge!("lattice_backup_duration_seconds", "How long the last backup took");
    describe_gauge!("lattice_backup_bytes", Unit::Bytes, "What is in the last backup");
    describe_gauge!("lattice_backup_added_bytes", Unit::Bytes, "What the last backup added");
    describe_gauge!("lattice_backup_left_out", "What the last backup could not have");
    describe_gauge!("lattice_backup_drill_timestamp_seconds", "When the last drill was begun");
    describe_gauge!("lattice_backup_drill_ok", "Whether the last drill succeeded");
    describe_gauge!("lattice_storage_bytes", Unit::Bytes, "What people keep who have sessions");
    describe_gauge!("lattice_storage_full_users", "Users with little or no room left for files");
    describe_counter!("lattice_snapshots_total", "Snapshots made, failed, restored or not");
    describe_histogram!(
        "lattice_snapshot_frozen_seconds",
        Unit::Seconds,
        "How long desktops stood still for a snapshot"
    );
    describe_counter!("lattice_ws_bytes_total", Unit::Bytes, "Payload of WebSocket messages");
    describe_counter!("lattice_packets_refused_total", "Packets that closed a connection");
    describe_counter!("lattice_input_dropped_total", "Input that did not reach a desktop");
    describe_counter!("lattice_frames_dropped_total", "Frames that passed a slow viewer by");
    describe_counter!("lattice_viewers_closed_total", "Viewers closed by the gateway, by code");
    describe_counter!("lattice_auth_attempts_total", "Credentials checked");
    describe_counter!("lattice_panics_total", "Panics of any task");
    describe_counter!("lattice_agent_grabs_total", "Times the agent fetched pixels");
    describe_counter!("lattice_agent_frames_total", "Frames the agent sent");
    describe_counter!("lattice_agent_wakeups_total", "Times the agent's capture woke up");
    describe_histogram!(
        "lattice_session_start_seconds",
        Unit::Seconds,
        "From a place on the machine for a desktop to its running"
    );
    describe_histogram!(
        "lattice_frame_encode_seconds",
        Unit::Seconds,
        "From noticing a change to the finished frame, in the agent"
    );
    describe_histogram!(
        "lattice_damage_to_write_seconds",
        Unit::Seconds,
        "From noticing a change to its last byte being given to the kernel"
    );
    describe_histogram!(
        "lattice_viewer_debt_seconds",
        Unit::Seconds,
        "By how much a frame was painted later than its viewer's link and browser need"
    );
    describe_gauge!(
        "lattice_pace_bits_per_second",
        "What the link carries that paces the agent; infinite while no limit has been met"
    );
    describe_histogram!(
        "lattice_key_to_pixel_seconds",
        Unit::Seconds,
        "From a key's or button's arrival to the write of the first frame that follows it"
    );
}

/// What a process used.
struct Usage {
    cpu_seconds: f64,
    resident_bytes: u64,
}

impl Usage {
    /// From `/proc/<pid>/stat`, whose second field may hold spaces and so is skipped as a whole.
    fn of(pid: &str) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(") ")?;
        let field = |number: usize| rest.split(' ').nth(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)? + field(15)?;
        Some(Self {
            cpu_seconds: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            resident_bytes: field(24)? * rustix::param::page_size() as u64,
        })
    }

    fn write(&self, text: &mut String, prefix: &str) {
        let _ = write!(
            text,
            "# TYPE {prefix}_cpu_seconds_total counter\n{prefix}_cpu_seconds_total {}\n\
             # TYPE {prefix}_resident_memory_bytes gauge\n{prefix}_resident_memory_bytes {}\n",
            self.cpu_seconds, self.resident_bytes
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::enabled;

    #[test]
    fn no_filter_makes_libraries_log_the_bytes_of_packets() {
        for wanted in ["trace", "trace,tungstenite=trace", "trace,tungstenite::protocol=trace"] {
            let logs = tracing_subscriber::fmt().with_env_filter(filter(wanted).expect("a filter"));
            tracing::subscriber::with_default(logs.finish().with(discretion()), || {
                assert!(enabled!(target: "lattice_gateway::hub", Level::TRACE), "{wanted}");
                assert!(enabled!(target: "tungstenite::protocol", Level::INFO), "{wanted}");
                assert!(!enabled!(target: "tungstenite::protocol", Level::DEBUG), "{wanted}");
                assert!(
                    !enabled!(target: "tungstenite::protocol::frame", Level::TRACE),
                    "{wanted}"
                );
                assert!(!enabled!(target: "tokio_tungstenite", Level::TRACE), "{wanted}");
            });
        }
    }

    #[test]
    fn the_text_holds_build_process_and_zeroed_metrics() {
        let text = Metrics::install().render(Some(std::process::id()));
        for line in [
            "lattice_build_info{version=",
            "lattice_panics_total ",
            "lattice_packets_refused_total{reason=\"malformed\"}",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "lattice_agent_cpu_seconds_total ",
            "lattice_agent_grabs_total ",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }
}
