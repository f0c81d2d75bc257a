//! What `lattice serve` is told: one struct, filled from flags over the environment over a file over
//! defaults. A key that nothing reads is an error that names the nearest one that is read.

use crate::backup::Backup;
use crate::catalogues::{Library, Trusted};
use crate::cli::tls::{TlsArgs, network};
use crate::cli::{ServeArgs, Switch, nearest};
use crate::http::origin::PublicUrlError;
use crate::preview;
use crate::store::StoreError;
use crate::tls::Mode;
use anyhow::{Context as _, bail};
use figment::Figment;
use figment::error::{Error, Kind};
use figment::providers::{Env, Format as _, Serialized, Toml};
use ipnet::IpNet;
use lattice_engine::policy::LinkRole;
use serde::{Deserialize, Deserializer, Serialize};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the file is looked for by root, where none is named.
const SYSTEM_FILE: &str = "/etc/lattice/lattice.toml";
/// Where data goes by root, where nothing else is said.
const SYSTEM_DATA: &str = "/var/lib/lattice";
/// The parts of the environment that are ours to judge: `LATTICE_SERVER__LISTEN` and its like.
/// `LATTICE_SHARE__…` is for `lattice share`.
const SECTIONS: [&str; 10] = [
    "server__",
    "desktops__",
    "video__",
    "tls__",
    "acme__",
    "http__",
    "preview__",
    "backup__",
    "import__",
    "catalogues__",
];

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
    /// Whether TLS is spoken, and by which certificate.
    #[serde(default)]
    pub tls: Tls,
    /// Who is asked for a certificate.
    #[serde(default)]
    pub acme: Acme,
    /// Who stands in front.
    #[serde(default)]
    pub http: Http,
    /// Where pages of programs on desktops are looked at.
    #[serde(default)]
    pub preview: Preview,
    /// Where backups go, and when.
    #[serde(default)]
    pub backup: Backup,
    /// From where projects may be cloned.
    #[serde(default)]
    pub import: Import,
    /// Which apps can be installed, and who may.
    #[serde(default)]
    pub catalogues: Catalogues,
}

/// How the gateway is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port; the next free port after the default where none is named.
    pub listen: Option<String>,
    /// Addresses that a proxy in front publishes.
    #[serde(deserialize_with = "one_or_many")]
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
    /// The socket of a broker that runs already, where desktops are made of containers; where none is
    /// named, one is started.
    pub broker: Option<PathBuf>,
    /// Where the container engine listens, for a broker that is started.
    pub engine: PathBuf,
    /// Where templates are; where nothing is said, those that came with Lattice.
    pub templates: Option<PathBuf>,
    /// How many may look at one.
    pub max_viewers: u16,
    /// Whether owners may change what theirs are made of, and so give their apps the internet; else
    /// administrators alone.
    pub owners_edit_templates: bool,
    /// The most that a link gives which a program of a desktop makes, by `lattice share`.
    pub links_from_inside: LinksFromInside,
}

impl Default for Desktops {
    fn default() -> Self {
        Self {
            runtime: RuntimeChoice::Auto,
            broker: None,
            engine: crate::broker::ENGINE.into(),
            templates: None,
            max_viewers: 100,
            owners_edit_templates: false,
            links_from_inside: LinksFromInside::View,
        }
    }
}

/// The most that a link from inside a desktop gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinksFromInside {
    /// There are none.
    None,
    /// Seeing.
    View,
    /// Seeing and pointing.
    Assist,
    /// Seeing, and working when given control.
    Control,
}

impl LinksFromInside {
    /// The most that one gives; nothing where there are none.
    pub fn most(self) -> Option<LinkRole> {
        match self {
            Self::None => None,
            Self::View => Some(LinkRole::View),
            Self::Assist => Some(LinkRole::Assist),
            Self::Control => Some(LinkRole::Control),
        }
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
    /// Containers of Docker's engine.
    Docker,
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

/// Whether TLS is spoken, and by which certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// When.
    pub mode: Mode,
    /// The certificate, in PEM, followed by those of its issuers.
    pub cert: Option<PathBuf>,
    /// Its key, in PEM.
    pub key: Option<PathBuf>,
    /// Where keys and certificates are kept; `tls` in the directory for data where none is named.
    pub directory: Option<PathBuf>,
    /// Where plain HTTP leads to TLS.
    pub http_listen: Option<SocketAddr>,
}

/// Who is asked for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Acme {
    /// The directory of an ACME server.
    pub directory: Option<String>,
    /// Whom it may tell of trouble.
    #[serde(deserialize_with = "one_or_many")]
    pub contact: Vec<String>,
    /// What to trust for it, in PEM, instead of what the system trusts.
    pub ca: Option<PathBuf>,
}

/// Who stands in front.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// Proxies that are believed when they say for whom they ask: addresses or networks.
    #[serde(deserialize_with = "one_or_many")]
    pub trusted_proxy: Vec<String>,
}

/// Where pages of programs on desktops are looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preview {
    /// A domain whose names all lead to this server, such as `apps.school.example`; `localhost`, whose
    /// names lead browsers to their own machine, where the server listens there only and nothing else
    /// is said.
    pub domain: Option<String>,
    /// Ports of this server's own host, such as `20100-20199`, one for each program that is looked at: for
    /// where there is no such domain.
    pub ports: Option<String>,
}

/// From where projects may be cloned.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// Networks beside the public internet whose servers repositories are cloned from, also without TLS,
    /// such as `10.2.0.7/32`; none where nothing is said.
    #[serde(deserialize_with = "one_or_many")]
    pub allow: Vec<String>,
}

/// Which apps can be installed, and who may.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalogues {
    /// Where catalogues are; `catalogues` in the directory for data where nothing is said.
    pub dir: Option<PathBuf>,
    /// Whether people may install apps for themselves; else only administrators install.
    pub people_install: bool,
    /// Whose signatures count.
    pub keys: Vec<CatalogueKey>,
}

/// Somebody whose signature under a catalogue counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogueKey {
    /// What they are called here.
    pub name: String,
    /// What `lattice catalogue keygen` printed, as in `ed25519:…`.
    pub key: String,
}

impl Catalogues {
    /// Where they are.
    pub fn directory(&self, data_dir: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| data_dir.join("catalogues"))
    }

    /// The keys, read.
    pub fn trusted(&self) -> anyhow::Result<Vec<Trusted>> {
        let inner = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let read = |CatalogueKey { name, key }: &CatalogueKey| {
            if name.is_empty() || name.len() > 40 || !name.chars().all(inner) {
                bail!("catalogues.keys: {name:?} is no name of a key: letters, digits, . _ and -");
            }
            let key = key.parse();
            let key = key.map_err(|why| anyhow::anyhow!("catalogues.keys, {name:?}: {why}"))?;
            Ok(Trusted { name: name.clone(), key })
        };
        self.keys.iter().map(read).collect()
    }

    /// The keys, as a broker is told them.
    pub fn words(&self) -> anyhow::Result<Vec<String>> {
        let trusted = self.trusted()?.into_iter();
        Ok(trusted.map(|Trusted { name, key }| format!("{name}={key}")).collect())
    }

    /// Both, for the gateway.
    pub fn library(&self, data_dir: &Path) -> anyhow::Result<Library> {
        let (directory, keys) = (self.directory(data_dir), self.trusted()?);
        Ok(Library { directory, keys, seen: data_dir.join("catalogues-seen.json") })
    }
}

impl Import {
    /// They, read.
    pub fn networks(&self) -> anyhow::Result<Vec<IpNet>> {
        let read = |text: &String| {
            network(text).map_err(|why| anyhow::anyhow!("import.allow: {text:?}: {why}"))
        };
        self.allow.iter().map(read).collect()
    }
}

/// A list, or one line with commas, as environments hold it.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Either::deserialize(from)? {
        Either::One(line) => line.split(',').map(|item| item.trim().to_owned()).collect(),
        Either::Many(items) => items,
    })
}

/// What is wrong is what the server was told.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("read the configuration")]
pub struct Misconfigured;

/// Whether an error lies in what the server was told, or in what it was told to use, so that starting
/// it again would end the same.
pub fn is_at_fault(error: &anyhow::Error) -> bool {
    error.is::<Misconfigured>()
        || error.is::<PublicUrlError>()
        || matches!(error.downcast_ref(), Some(StoreError::Newer { .. } | StoreError::Foreign(_)))
}

/// `lattice check-config`: the configuration as it would be used, in the form of the file.
pub fn check(args: &ServeArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let text = toml::to_string(&config).context("write the configuration")?;
    std::io::stdout().write_all(text.as_bytes()).context("print the configuration")
}

impl Config {
    /// Reads all sources of this process; an error is one of [`Misconfigured`].
    pub fn load(args: &ServeArgs) -> anyhow::Result<Self> {
        Self::read(args).context(Misconfigured)
    }

    fn read(args: &ServeArgs) -> anyhow::Result<Self> {
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
        config.preview.check()?;
        config.backup.check(&config.data_dir, config.desktops.broker.is_some())?;
        config.import.networks()?;
        config.catalogues.trusted()?;
        // What does not fit together is said when it is read, not when it is used.
        config.tls()?;
        Ok(config)
    }
}

impl Preview {
    /// The ports for previews, where they are used: a domain is better.
    pub fn ports(&self) -> anyhow::Result<Vec<u16>> {
        let Some(text) = &self.ports else { return Ok(Vec::new()) };
        let Some(ports) = preview::parse_ports(text) else {
            bail!(
                "preview.ports is a range of at most {} ports from 1024 on, such as 20100-20199, and \
                 not {text:?}",
                preview::MOST_PORTS
            );
        };
        Ok(if self.domain.is_some() { Vec::new() } else { ports.collect() })
    }

    fn check(&self) -> anyhow::Result<()> {
        self.ports()?;
        let Some(domain) = &self.domain else { return Ok(()) };
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(inner)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // 5 digits, 2 dashes, 16 letters and a dot come before it.
        if domain.len() > 200 || !domain.split('.').all(is_label) {
            bail!(
                "preview.domain is the name of a domain, such as apps.school.example, and not {domain:?}"
            );
        }
        Ok(())
    }
}

impl Config {
    /// What is said of TLS and proxies, as `lattice share` is told it.
    pub fn tls(&self) -> anyhow::Result<TlsArgs> {
        let Self { tls, acme, http, .. } = self;
        let proxies = http.trusted_proxy.iter().map(|text| {
            network(text).map_err(|why| anyhow::anyhow!("http.trusted_proxy: {text:?}: {why}"))
        });
        if tls.cert.is_some() != tls.key.is_some() {
            bail!("tls.cert and tls.key go together; name both or none");
        }
        Ok(TlsArgs {
            tls: tls.mode,
            tls_cert: tls.cert.clone(),
            tls_key: tls.key.clone(),
            tls_directory: Some(tls.directory.clone().unwrap_or_else(|| self.data_dir.join("tls"))),
            http_listen: tls.http_listen,
            acme_directory: acme.directory.clone(),
            acme_contact: acme.contact.clone(),
            acme_ca: acme.ca.clone(),
            trusted_proxy: proxies.collect::<anyhow::Result<_>>()?,
        })
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
    tls: TlsFlags,
    acme: AcmeFlags,
    http: HttpFlags,
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

#[derive(Serialize)]
struct TlsFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_listen: Option<SocketAddr>,
}

#[derive(Serialize)]
struct AcmeFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contact: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ca: Option<PathBuf>,
}

#[derive(Serialize)]
struct HttpFlags {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trusted_proxy: Vec<String>,
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
            tls: TlsFlags {
                mode: Some(args.tls.tls).filter(|mode| *mode != Mode::Auto),
                cert: args.tls.tls_cert.clone(),
                key: args.tls.tls_key.clone(),
                directory: args.tls.tls_directory.clone(),
                http_listen: args.tls.http_listen,
            },
            acme: AcmeFlags {
                directory: args.tls.acme_directory.clone(),
                contact: args.tls.acme_contact.clone(),
                ca: args.tls.acme_ca.clone(),
            },
            http: HttpFlags {
                trusted_proxy: args.tls.trusted_proxy.iter().map(ToString::to_string).collect(),
            },
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
    fn lists_are_lists_in_files_and_lines_in_the_environment() {
        Jail::expect_with(|jail| {
            let file = "[http]\ntrusted_proxy = [\"10.0.0.7\"]\n[tls]\nmode = \"on\"\n";
            jail.create_file("lattice.toml", file)?;
            jail.set_env("LATTICE_SERVER__PUBLIC_URL", "https://a.example,https://b.example");
            let config = load(&[], Some("lattice.toml")).expect("good");
            assert_eq!(config.server.public_url, ["https://a.example", "https://b.example"]);
            let tls = config.tls().expect("good");
            assert_eq!(tls.trusted_proxy[0].to_string(), "10.0.0.7/32");
            assert_eq!(
                (tls.tls, tls.tls_directory),
                (Mode::On, Some("/var/lib/lattice/tls".into()))
            );
            let config = load(&["--tls", "off"], Some("lattice.toml")).expect("good");
            assert_eq!(config.tls.mode, Mode::Off);
            jail.create_file("lattice.toml", "[http]\ntrusted_proxy = \"the-proxy\"\n")?;
            let error = load(&[], Some("lattice.toml")).expect_err("no network").to_string();
            assert!(error.contains("the-proxy"), "{error}");
            jail.create_file("lattice.toml", "[import]\nallow = [\"git.school\"]\n")?;
            let error = load(&[], Some("lattice.toml")).expect_err("no network").to_string();
            assert!(error.contains("import.allow") && error.contains("git.school"), "{error}");
            jail.create_file("lattice.toml", "[tls]\ncert = \"/c\"\n")?;
            let error = load(&[], Some("lattice.toml")).expect_err("no key").to_string();
            assert!(error.contains("tls.key"), "{error}");
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
    fn what_starting_again_does_not_mend_is_told_from_what_it_may() {
        let newer = StoreError::Newer { path: "/lattice.db".into(), found: 2, known: 1 };
        assert!(is_at_fault(&anyhow::Error::from(newer).context("open the store")));
        assert!(!is_at_fault(&StoreError::Busy.into()));
        assert!(!is_at_fault(&anyhow::anyhow!("127.0.0.1:80 is used by another program")));
        let missing = ServeArgs { config: Some("/nonexistent".into()), ..ServeArgs::default() };
        let error = Config::load(&missing).expect_err("there is no such file");
        assert!(is_at_fault(&error));
        assert!(format!("{error:#}").contains("--config names /nonexistent"), "{error:#}");
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
            jail.set_env("LATTICE_DESKTOPS__LINKS_FROM_INSIDE", "own");
            let error = load(&[], None).expect_err("no right").to_string();
            assert!(error.contains("desktops.links_from_inside"), "{error}");
            for (said, most) in [("none", None), ("control", Some(LinkRole::Control))] {
                jail.set_env("LATTICE_DESKTOPS__LINKS_FROM_INSIDE", said);
                let config = load(&[], None).expect("good");
                assert_eq!(config.desktops.links_from_inside.most(), most);
            }
            Ok(())
        });
        Jail::expect_with(|jail| {
            jail.set_env("LATTICE_DATA_DIR", "relative");
            let error = load(&[], None).expect_err("a relative path").to_string();
            assert!(error.contains("absolute"), "{error}");
            Ok(())
        });
        for bad in ["80-90", "20199-20100", "many"] {
            Jail::expect_with(|jail| {
                jail.set_env("LATTICE_PREVIEW__PORTS", bad);
                let error = load(&[], None).expect_err("no ports").to_string();
                assert!(error.contains("preview.ports") && error.contains(bad), "{error}");
                Ok(())
            });
        }
    }

    #[test]
    fn ports_for_previews_are_used_where_there_is_no_domain() {
        Jail::expect_with(|jail| {
            jail.set_env("LATTICE_PREVIEW__PORTS", "20100-20102");
            let ports = |config: Config| config.preview.ports().expect("a range");
            assert_eq!(ports(load(&[], None).expect("good")), [20100, 20101, 20102]);
            jail.set_env("LATTICE_PREVIEW__DOMAIN", "apps.school.example");
            assert_eq!(ports(load(&[], None).expect("good")), [0_u16; 0]);
            Ok(())
        });
    }
}
