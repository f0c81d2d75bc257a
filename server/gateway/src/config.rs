//! What `lattice serve` is told: one struct, filled from flags over the environment over a file over
//! defaults. A key that nothing reads is an error that names the nearest one that is read.

use crate::cli::{ServeArgs, Switch, nearest};
use anyhow::{Context as _, bail};
use figment::Figment;
use figment::error::{Error, Kind};
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Where the file is looked for by root, where none is named.
const SYSTEM_FILE: &str = "/etc/lattice/lattice.toml";
/// Where data goes by root, where nothing else is said.
const SYSTEM_DATA: &str = "/var/lib/lattice";
/// The parts of the environment that are ours to judge: `LATTICE_SERVER__LISTEN` and its like.
/// `LATTICE_SHARE__…` is for `lattice share`.
const SECTIONS: [&str; 3] = ["server__", "desktops__", "video__"];

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where accounts, homes and projects are kept.
    pub data_dir: PathBuf,
    /// How the gateway is reached.
    #[serde(default)]
    pub server: Server,
    /// What desktops run as.
    #[serde(default)]
    pub desktops: Desktops,
    /// How moving pictures travel.
    #[serde(default)]
    pub video: Video,
}

/// How the gateway is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port; the next free port after the default where none is named.
    pub listen: Option<String>,
    /// Addresses that a proxy in front publishes.
    pub public_url: Vec<String>,
    /// Connections served at once; more wait.
    pub max_connections: u16,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: None, public_url: Vec::new(), max_connections: 4096 }
    }
}

/// What desktops run as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Desktops {
    /// What runs them.
    pub runtime: RuntimeChoice,
    /// How many may look at one.
    pub max_viewers: u16,
}

impl Default for Desktops {
    fn default() -> Self {
        Self { runtime: RuntimeChoice::Auto, max_viewers: 100 }
    }
}

/// What runs desktops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeChoice {
    /// The best that this machine has.
    Auto,
    /// Processes of this machine, each desktop in a sandbox.
    Process,
}

/// How moving pictures travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Video {
    /// As H.264 to browsers that decode it.
    pub h264: Switch,
}

impl Default for Video {
    fn default() -> Self {
        Self { h264: Switch::On }
    }
}

/// `lattice check-config`: the configuration as it would be used, in the form of the file.
pub fn check(args: &ServeArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let text = toml::to_string(&config).context("write the configuration")?;
    std::io::stdout().write_all(text.as_bytes()).context("print the configuration")
}

impl Config {
    /// Reads all sources of this process.
    pub fn load(args: &ServeArgs) -> anyhow::Result<Self> {
        let file = match &args.config {
            Some(path) if !path.is_file() => {
                bail!("--config names {}, which is no file", path.display())
            }
            Some(path) => Some(path.clone()),
            None => default_files().into_iter().find(|path| path.is_file()),
        };
        Self::from_sources(args, file.as_deref(), default_data_dir()?)
    }

    fn from_sources(
        args: &ServeArgs,
        file: Option<&Path>,
        data_dir: PathBuf,
    ) -> anyhow::Result<Self> {
        let mut sources = Figment::from(Serialized::default("data_dir", data_dir));
        if let Some(file) = file {
            sources = sources.merge(Toml::file_exact(file));
        }
        let config: Self = sources
            .merge(Env::prefixed("LATTICE_").filter(is_ours).split("__"))
            .merge(Serialized::defaults(Flags::from(args)))
            .extract()
            .map_err(|error| anyhow::anyhow!(explain(&error)))?;
        if config.desktops.max_viewers == 0 || config.server.max_connections == 0 {
            bail!("desktops.max_viewers and server.max_connections must be 1 or more");
        }
        if !config.data_dir.is_absolute() {
            bail!("data_dir must be an absolute path, and is {}", config.data_dir.display());
        }
        Ok(config)
    }
}

/// The flags that were given, in the form of the file.
#[derive(Serialize)]
struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,
    server: ServerFlags,
    desktops: DesktopsFlags,
    video: VideoFlags,
}

#[derive(Serialize)]
struct ServerFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    public_url: Vec<String>,
}

#[derive(Serialize)]
struct DesktopsFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<RuntimeChoice>,
}

#[derive(Serialize)]
struct VideoFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    h264: Option<Switch>,
}

impl From<&ServeArgs> for Flags {
    fn from(args: &ServeArgs) -> Self {
        Self {
            data_dir: args.data_dir.clone(),
            server: ServerFlags {
                listen: args.listen.clone(),
                public_url: args.public_url.clone(),
            },
            desktops: DesktopsFlags { runtime: args.runtime },
            video: VideoFlags { h264: args.h264 },
        }
    }
}

fn is_ours(key: &figment::value::UncasedStr) -> bool {
    let key = key.as_str().to_ascii_lowercase();
    key == "data_dir" || SECTIONS.iter().any(|section| key.starts_with(section))
}

/// One line that names the key, where it stands, and the remedy.
fn explain(error: &Error) -> String {
    let place = error.metadata.as_ref().map_or_else(String::new, |source| match &source.source {
        Some(source) => format!(" in {source}"),
        None => format!(" in {}", source.name),
    });
    let path = error.path.join(".");
    match &error.kind {
        Kind::UnknownField(name, known) => {
            let near = nearest(known, name)
                .map_or_else(String::new, |near| format!("; did you mean {near}?"));
            let within = if path.is_empty() { "at the top" } else { &path };
            format!("there is no key {name} {within}{place}{near}")
        }
        kind => format!("{path}{place}: {kind}"),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn default_files() -> Vec<PathBuf> {
    let own = xdg("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("lattice/lattice.toml"));
    own.into_iter().filter(|_| !is_root()).chain([SYSTEM_FILE.into()]).collect()
}

fn default_data_dir() -> anyhow::Result<PathBuf> {
    if is_root() {
        return Ok(SYSTEM_DATA.into());
    }
    let data = xdg("XDG_DATA_HOME", ".local/share");
    let data = data.context("name the directory for data in LATTICE_DATA_DIR; there is no HOME")?;
    Ok(data.join("lattice"))
}

/// A directory of the XDG Base Directory Specification.
fn xdg(variable: &str, below_home: &str) -> Option<PathBuf> {
    let set = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(below_home)))
}

#[cfg(test)]
#[expect(clippy::result_large_err, reason = "the error of figment's jail")]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;
    use figment::Jail;

    fn args(words: &[&str]) -> ServeArgs {
        let words = ["lattice", "serve"].iter().chain(words);
        match Cli::try_parse_from(words).expect("good words").command {
            Command::Serve(args) => args,
            _ => panic!("another command"),
        }
    }

    fn load(words: &[&str], file: Option<&str>) -> anyhow::Result<Config> {
        Config::from_sources(&args(words), file.map(Path::new), "/var/lib/lattice".into())
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        Jail::expect_with(|jail| {
            jail.create_file(
                "lattice.toml",
                "[server]\nlisten = \"0.0.0.0:1\"\nmax_connections = 7\n",
            )?;
            let config = load(&[], None).expect("good");
            assert_eq!((config.server.listen, config.server.max_connections), (None, 4096));
            let file = Some("lattice.toml");
            assert_eq!(load(&[], file).expect("good").server.listen.as_deref(), Some("0.0.0.0:1"));
            jail.set_env("LATTICE_SERVER__LISTEN", "0.0.0.0:2");
            jail.set_env("LATTICE_LOG", "debug");
            jail.set_env("LATTICE_SHARE__NAME", "for another command");
            let config = load(&[], file).expect("good");
            assert_eq!(config.server.listen.as_deref(), Some("0.0.0.0:2"));
            let config = load(&["--listen", "0.0.0.0:3"], file).expect("good");
            assert_eq!(config.server.listen.as_deref(), Some("0.0.0.0:3"));
            assert_eq!(config.server.max_connections, 7);
            Ok(())
        });
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_nearest() {
        Jail::expect_with(|jail| {
            jail.create_file("lattice.toml", "[server]\nlistenn = \"0.0.0.0:1\"\n")?;
            let error = load(&[], Some("lattice.toml")).expect_err("misspelt").to_string();
            assert!(error.contains("listenn") && error.contains("did you mean listen?"), "{error}");
            assert!(error.contains("lattice.toml"), "{error}");
            jail.set_env("LATTICE_VIDEO__H265", "on");
            let error = load(&[], None).expect_err("misspelt").to_string();
            assert!(error.contains("h265") && error.contains("did you mean h264?"), "{error}");
            Ok(())
        });
    }

    #[test]
    fn a_value_that_is_none_is_named() {
        Jail::expect_with(|jail| {
            jail.set_env("LATTICE_DESKTOPS__RUNTIME", "hovercraft");
            let error = load(&[], None).expect_err("no runtime").to_string();
            assert!(error.contains("desktops.runtime") && error.contains("hovercraft"), "{error}");
            Ok(())
        });
        Jail::expect_with(|jail| {
            jail.set_env("LATTICE_DATA_DIR", "relative");
            let error = load(&[], None).expect_err("a relative path").to_string();
            assert!(error.contains("absolute"), "{error}");
            Ok(())
        });
    }
}
