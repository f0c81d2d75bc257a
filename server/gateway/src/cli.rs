//! The command line. Each option can also be given by the environment: `LATTICE_SHARE__MAX_VIEWERS`
//! for `--max-viewers` of `lattice share`, `LATTICE_VIDEO__H264` for what is the same for all
//! desktops; the command line wins.

mod backup;
mod catalogue;
pub mod tls;

pub use backup::{BackupArgs, BackupStep, RestoreArgs};
pub use catalogue::{CatalogueAdd, CatalogueCommand};

use crate::broker::Gateway;
use crate::catalogues::Trusted;
use crate::config::RuntimeChoice;
use crate::telemetry::LogFormat;
use crate::template;
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tls::TlsArgs;

/// Lattice: a desktop in a browser tab.
#[derive(Debug, Parser)]
#[command(name = "lattice", version, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How log lines on stderr look; LATTICE_LOG filters them, as in LATTICE_LOG=debug.
    #[arg(long, global = true, value_enum, default_value = "text", env = "LATTICE_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one existing X display in the browser, to whoever has the URL that is printed.
    Share(ShareArgs),
    /// Give everybody a desktop of their own on this machine, with sign-in and share links.
    Serve(ServeArgs),
    /// Say whether the configuration that `lattice serve` would use is good, and what it is.
    CheckConfig(ServeArgs),
    /// Look at whether `lattice serve` would work here: one line for each thing that it needs, with
    /// what to do about what is wrong. Nothing is changed; exits with 0 when nothing is a fault.
    Doctor(ServeArgs),
    /// Print a one-time sign-in or a token, from the machine that `lattice serve` runs on.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Make a backup of everybody's files and of the server's state in the repository that the
    /// configuration names, or see to that repository.
    Backup(BackupArgs),
    /// Put a backup into an empty directory, which lattice serve can then be started over.
    Restore(RestoreArgs),
    /// Look at templates, which say what desktops are made of.
    #[command(subcommand)]
    Template(TemplateCommand),
    /// See to catalogues of apps, which people can install from: keys, signatures, and which of them
    /// this server has.
    #[command(subcommand)]
    Catalogue(CatalogueCommand),
    /// Start and end containers for the gateway, which has no access to the engine; needs root.
    Broker(BrokerArgs),
    /// Look after one desktop; started by the gateway.
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Ask a running lattice whether it answers; exits with 0 if so, for container health checks.
    Healthcheck(HealthcheckArgs),
}

/// Options of `lattice broker`.
#[derive(Debug, Clone, Args)]
pub struct BrokerArgs {
    /// Where sessions have their directories, and the gateway finds this: broker.sock.
    #[arg(
        long,
        env = "LATTICE_BROKER__RUN_DIR",
        value_name = "DIRECTORY",
        default_value = "/run/lattice"
    )]
    pub run_dir: PathBuf,
    /// Where people's homes and Data are kept.
    #[arg(
        long,
        env = "LATTICE_BROKER__DATA_DIR",
        value_name = "DIRECTORY",
        default_value = "/var/lib/lattice"
    )]
    pub data_dir: PathBuf,
    /// What desktops can be made of.
    #[arg(
        long,
        env = "LATTICE_BROKER__TEMPLATES",
        value_name = "DIRECTORY",
        default_value = "/usr/share/lattice/templates"
    )]
    pub templates: PathBuf,
    /// Where catalogues of apps are. Default: catalogues in the directory for data.
    #[arg(long, env = "LATTICE_BROKER__CATALOGUES", value_name = "DIRECTORY")]
    pub catalogues: Option<PathBuf>,
    /// Whose signature under a catalogue counts, such as school=ed25519:…; may be repeated. Without one
    /// no app can be installed.
    #[arg(
        long,
        env = "LATTICE_BROKER__CATALOGUE_KEY",
        value_name = "NAME=KEY",
        value_delimiter = ' ',
        value_parser = catalogue_key
    )]
    pub catalogue_key: Vec<Trusted>,
    /// Where the container engine listens.
    #[arg(long, env = "LATTICE_BROKER__ENGINE", value_name = "SOCKET", default_value = crate::broker::ENGINE)]
    pub engine: PathBuf,
    /// Keep people's files in volumes by this driver of the engine (local, or a plug-in's) instead of
    /// plain directories.
    #[arg(long, env = "LATTICE_BROKER__VOLUME_DRIVER", value_name = "NAME")]
    pub volume_driver: Option<String>,
    /// An option for that driver; may be repeated.
    #[arg(
        long,
        env = "LATTICE_BROKER__VOLUME_OPTION",
        value_name = "NAME=VALUE",
        value_delimiter = ' ',
        value_parser = volume_option,
        requires = "volume_driver"
    )]
    pub volume_option: Vec<(String, String)>,
    /// How people's files are kept in the data directory: each person's in subvolumes of btrfs, which
    /// hold as much as they may and no more, or in plain directories, which are only measured. auto is
    /// subvolumes where the directory is on btrfs and they can be made, else plain directories.
    #[arg(
        long,
        env = "LATTICE_BROKER__STORAGE",
        value_enum,
        default_value = "auto",
        conflicts_with = "volume_driver"
    )]
    pub storage: Storage,
    /// How much each person may keep in Data, such as 500m or 10g, or none for as much as there is room.
    #[arg(long, env = "LATTICE_BROKER__DATA_QUOTA", value_name = "SIZE", default_value = "10g")]
    pub data_quota: Quota,
    /// The same for the home, and once more for the homes of all apps of a person.
    #[arg(long, env = "LATTICE_BROKER__HOME_QUOTA", value_name = "SIZE", default_value = "5g")]
    pub home_quota: Quota,
    /// How long it is between two looks at how much people keep, where every file is to be looked at.
    #[arg(
        long,
        env = "LATTICE_BROKER__MEASURE_EVERY",
        value_name = "SECONDS",
        default_value_t = 300
    )]
    pub measure_every: u64,
    /// How many displays are kept ready for new desktops, which start in half the time with one. Each
    /// takes some 40 MB, and no processor.
    #[arg(long, env = "LATTICE_BROKER__POOL", value_name = "N", default_value_t = 2)]
    pub pool: usize,
    /// The user and group that the gateway runs as, where that is not root.
    #[arg(long, env = "LATTICE_BROKER__GATEWAY", value_name = "UID:GID", value_parser = gateway)]
    pub gateway: Option<Gateway>,
    /// End when standard input does.
    #[arg(long, hide = true)]
    pub with_starter: bool,
}

/// How people's files are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Storage {
    /// The best that there is.
    Auto,
    /// In subvolumes of btrfs; nobody starts where that cannot be.
    Btrfs,
    /// In plain directories.
    Directory,
}

/// How much may be kept, in bytes; nothing where that is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota(pub Option<u64>);

/// The least that a desktop's own files need, and then some.
const LEAST_QUOTA: u64 = 16 << 20;

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        match template::bytes(text)? {
            bytes if bytes < LEAST_QUOTA => {
                Err(format!("{text} is too little to work with; 16m is the least"))
            }
            bytes => Ok(Self(Some(bytes))),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(bytes) => write!(f, "{} MiB", bytes >> 20),
        }
    }
}

fn volume_option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not of the form NAME=VALUE, such as type=nfs"))?;
    Ok((name.to_owned(), value.to_owned()))
}

fn catalogue_key(text: &str) -> Result<Trusted, String> {
    let (name, key) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not of the form NAME=KEY, such as school=ed25519:…"))?;
    Ok(Trusted { name: name.to_owned(), key: key.parse()? })
}

fn gateway(text: &str) -> Result<Gateway, String> {
    let wrong = || format!("{text:?} is not of the form UID:GID, such as 1000:1000");
    let (user, group) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse().map_err(|_| wrong());
    Ok(Gateway { user: number(user)?, group: number(group)? })
}

/// Options of `lattice share`.
#[derive(Debug, Clone, Args)]
pub struct ShareArgs {
    /// The X display to show, such as :1.
    #[arg(
        long,
        env = "LATTICE_SHARE__DISPLAY",
        value_name = ":N",
        value_parser = display,
        required_unless_present = "agent_socket"
    )]
    pub display: Option<String>,
    /// Where to serve. Default: 127.0.0.1:8080, or the next port that is free.
    #[arg(long, env = "LATTICE_SHARE__LISTEN", value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// The address that a proxy in front publishes, such as https://desk.example; may be repeated.
    #[arg(long, env = "LATTICE_SHARE__PUBLIC_URL", value_name = "URL", value_delimiter = ',')]
    pub public_url: Vec<String>,
    /// Let the viewer that drives change the display's size.
    #[arg(long, env = "LATTICE_SHARE__ALLOW_RESIZE", value_parser = BoolishValueParser::new())]
    pub allow_resize: bool,
    /// What viewers call the desktop. Default: the display's own name.
    #[arg(long, env = "LATTICE_SHARE__NAME", value_parser = name)]
    pub name: Option<String>,
    /// Keep the token in this file over restarts; made, readable by you only, where it is missing.
    /// Default: a fresh token each time.
    #[arg(long, env = "LATTICE_SHARE__TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How many may look at once.
    #[arg(
        long,
        env = "LATTICE_SHARE__MAX_VIEWERS",
        default_value_t = 100,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub max_viewers: u16,
    /// How many network connections are served at once; more wait.
    #[arg(
        long,
        env = "LATTICE_SHARE__MAX_CONNECTIONS",
        default_value_t = 1024,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub max_connections: u16,
    /// Send what moves as H.264 video to browsers that decode it. Off, and for browsers that do not,
    /// it comes as still pictures, twice a second. Building an encoder may need a licence for the
    /// patents on H.264 where you are.
    #[arg(
        long,
        env = "LATTICE_VIDEO__H264",
        default_value = "on",
        value_name = "on|off",
        hide_possible_values = true
    )]
    pub h264: Switch,
    /// Connect to a lattice-agent that runs already, in a container say, instead of starting one;
    /// its token is taken from LATTICE_AGENT_TOKEN.
    #[arg(
        long,
        env = "LATTICE_SHARE__AGENT_SOCKET",
        value_name = "PATH",
        conflicts_with_all = ["display", "allow_resize"]
    )]
    pub agent_socket: Option<PathBuf>,
    /// TLS and proxies.
    #[command(flatten)]
    pub tls: TlsArgs,
}

/// Options of `lattice serve`; each can also stand in the file, and in the environment as
/// LATTICE_SECTION__KEY.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// The configuration. Default: /etc/lattice/lattice.toml, or lattice/lattice.toml where XDG keeps
    /// configuration.
    #[arg(long, env = "LATTICE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to serve. Default: 127.0.0.1:8080, or the next port that is free.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// The address that a proxy in front publishes, such as https://desk.example; may be repeated.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    pub public_url: Vec<String>,
    /// Where accounts, homes and projects are kept. Default: /var/lib/lattice for root, lattice where
    /// XDG keeps data for others.
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,
    /// What runs desktops.
    #[arg(long, value_name = "auto|process", hide_possible_values = true)]
    pub runtime: Option<RuntimeChoice>,
    /// Send what moves as H.264 video; see `lattice share --help`.
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub h264: Option<Switch>,
    /// TLS and proxies.
    #[command(flatten)]
    pub tls: TlsArgs,
    /// Print an address that signs the first administrator in and leads to a desktop of theirs, which
    /// is started: to look at Lattice on one's own machine.
    #[arg(long)]
    pub open: bool,
    /// End all desktops with this process. Else they run on and are found again.
    #[arg(long)]
    pub end_desktops: bool,
}

/// Arguments of `lattice supervise`.
#[derive(Debug, Clone, Args)]
pub struct SuperviseArgs {
    /// The session's run directory.
    pub directory: PathBuf,
}

/// What the machine's own administrator can have.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Print an address that signs in once, within an hour.
    Url(AdminArgs),
    /// Print a token for a program, which is good until it is deleted with its user.
    Token(AdminArgs),
}

/// The commands of `lattice template`.
#[derive(Debug, Subcommand)]
pub enum TemplateCommand {
    /// Say whether templates are good: every key that is refused or wrong, with its line and what to
    /// do about it. Exits with 0 when all are good.
    Check {
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Options of `lattice admin`.
#[derive(Debug, Clone, Args)]
pub struct AdminArgs {
    /// For whom. Default: the first administrator.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The configuration, and where things are.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// Whether something is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// Options of `lattice healthcheck`.
#[derive(Debug, Clone, Args)]
pub struct HealthcheckArgs {
    /// What to ask; /readyz instead of /healthz asks whether the desktop can be seen. Whose
    /// certificate an https:// server shows is not asked.
    #[arg(long, env = "LATTICE_HEALTHCHECK__URL", default_value = "http://127.0.0.1:8080/healthz")]
    pub url: String,
}

/// Refuses at once what can never be a display; one that is only absent is waited for.
fn display(text: &str) -> Result<String, String> {
    let is_number = |text: &str| text.parse::<u16>().is_ok();
    let numbered = text.rsplit_once(':').is_some_and(|(_, rest)| {
        let (number, screen) = rest.split_once('.').unwrap_or((rest, "0"));
        is_number(number) && is_number(screen)
    });
    if numbered || text.starts_with('/') || text.starts_with("headless:") {
        return Ok(text.to_owned());
    }
    Err("a display has the form :1, :1.0, host:1 or /path/of/its/socket".into())
}

fn name(text: &str) -> Result<String, String> {
    let max = lattice_wire::server::MAX_TEXT;
    match text.trim() {
        "" => Err("a name has at least one character".into()),
        name if name.len() > max => Err(format!("a name has at most {max} bytes")),
        name if name.chars().any(char::is_control) => {
            Err("a name has no control characters".into())
        }
        name => Ok(name.to_owned()),
    }
}

/// Finds the first variable of ours, such as `LATTICE_SHARE__…` or `LATTICE_VIDEO__…`, that no option
/// reads, with the nearest that one does.
pub fn misspelt(names: impl IntoIterator<Item = String>) -> Option<(String, &'static str)> {
    let own = [
        "LATTICE_SHARE__DISPLAY",
        "LATTICE_SHARE__LISTEN",
        "LATTICE_SHARE__PUBLIC_URL",
        "LATTICE_SHARE__ALLOW_RESIZE",
        "LATTICE_SHARE__NAME",
        "LATTICE_SHARE__TOKEN_FILE",
        "LATTICE_SHARE__MAX_VIEWERS",
        "LATTICE_SHARE__MAX_CONNECTIONS",
        "LATTICE_SHARE__AGENT_SOCKET",
        "LATTICE_VIDEO__H264",
    ];
    let known = || own.into_iter().chain(TlsArgs::VARIABLES);
    let mut names = names.into_iter();
    let ours =
        ["LATTICE_SHARE__", "LATTICE_VIDEO__", "LATTICE_TLS__", "LATTICE_ACME__", "LATTICE_HTTP__"];
    let unknown = names.find(|name| {
        ours.iter().any(|prefix| name.starts_with(prefix)) && !known().any(|known| known == name)
    })?;
    let known: Vec<&str> = known().collect();
    let near = nearest(&known, &unknown)?;
    Some((unknown, near))
}

/// The one of these words that a misspelt one was probably meant to be.
pub fn nearest(known: &[&'static str], misspelt: &str) -> Option<&'static str> {
    known.iter().copied().min_by_key(|known| distance(known, misspelt))
}

/// The fewest letters to insert, remove or replace that make `a` into `b`.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_share_needs_a_display_or_an_agent() {
        assert!(Cli::try_parse_from(["lattice", "share"]).is_err());
        assert!(Cli::try_parse_from(["lattice", "share", "--display", ":1"]).is_ok());
        assert!(Cli::try_parse_from(["lattice", "share", "--agent-socket", "/run/a"]).is_ok());
        let zero = ["lattice", "share", "--display", ":1", "--max-viewers", "0"];
        assert!(Cli::try_parse_from(zero).is_err());
    }

    #[test]
    fn what_can_never_be_a_display_is_refused() {
        for good in [":1", ":1.0", "unix:7.1", "school:2", "/run/desk/X12", "headless:/a/b"] {
            assert!(Cli::try_parse_from(["lattice", "share", "--display", good]).is_ok(), "{good}");
        }
        for bad in ["", "1", ":", ":x", ":1.x", ":70000", "host"] {
            assert!(Cli::try_parse_from(["lattice", "share", "--display", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_misspelt_variable_is_found_with_the_nearest_right_one() {
        let names = ["PATH", "LATTICE_SHARE__LISTEN", "LATTICE_SHARE__TOKENFILE"];
        let found = misspelt(names.map(str::to_owned)).expect("one is misspelt");
        assert_eq!(found, ("LATTICE_SHARE__TOKENFILE".into(), "LATTICE_SHARE__TOKEN_FILE"));
        assert_eq!(misspelt(["LATTICE_SHARE__NAME".to_owned()]), None);
        let found = misspelt(["LATTICE_VIDEO__H265".to_owned()]).expect("it is misspelt");
        assert_eq!(found.1, "LATTICE_VIDEO__H264");
        let found = misspelt(["LATTICE_TLS__CERTIFICATE".to_owned()]).expect("it is misspelt");
        assert_eq!(found.1, "LATTICE_TLS__CERT");
        assert_eq!(misspelt(TlsArgs::VARIABLES.map(str::to_owned)), None);
    }

    #[test]
    fn video_is_on_until_it_is_switched_off() {
        let h264 = |more: &[&str]| {
            let words = ["lattice", "share", "--display", ":1"].iter().chain(more);
            let Command::Share(args) = Cli::try_parse_from(words).expect("good").command else {
                panic!("another command");
            };
            args.h264
        };
        assert_eq!(h264(&[]), Switch::On);
        assert_eq!(h264(&["--h264", "off"]), Switch::Off);
        let maybe = ["lattice", "share", "--display", ":1", "--h264", "maybe"];
        assert!(Cli::try_parse_from(maybe).is_err());
    }
}
