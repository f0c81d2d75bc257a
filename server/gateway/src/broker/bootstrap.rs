//! One container that makes the rest: `lattice serve` in a container that was given the engine's socket.
//!
//! A process that faces the network is not to hold that socket, so this one faces nobody. It has the
//! engine make the stack of `deploy/compose.yaml`, prints what that says, and takes it down when it is
//! stopped; desktops run on, and are found again. Where a port of this container is published, the
//! gateway shares its network, and nothing else, so that browsers come in there.

use super::engine::Engine;
use super::host::own_container;
use super::stack::{Reach, Stack};
use crate::config::{Config, RuntimeChoice};
use crate::runtime::RuntimeError;
use crate::signals::Signals;
use crate::tls::Mode;
use anyhow::{Context as _, bail};
use bollard::models::{
    ContainerInspectResponse, HealthStatusEnum, HostConfig, NetworkCreateRequest,
    VolumeCreateRequest,
};
use futures_util::StreamExt as _;
use std::io::{self, Write as _};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// On images of ours: which.
const IMAGE: &str = "io.lattice.image";
/// Where the image listens that was told nothing else.
const PORT: u16 = 8443;
/// How long the gateway may take to end. `docker stop` kills this process after ten seconds.
const GRACE: Duration = Duration::from_secs(7);
/// The pause before a container that ended is looked at again; the engine starts it again.
const PAUSE: Duration = Duration::from_millis(500);
/// What people mount in this container for the gateway.
const PASSED_ON: [&str; 2] = ["/etc/lattice", "/usr/share/lattice/templates"];

/// This container, where it is to make the rest: it is of the gateway's image, has the engine's socket,
/// and was not told of any broker.
#[derive(Debug)]
pub struct Bootstrap {
    engine: Engine,
    own: ContainerInspectResponse,
}

impl Bootstrap {
    /// Nothing where this process is to serve by itself.
    pub async fn find(config: &Config) -> Option<Self> {
        let desktops = &config.desktops;
        if desktops.broker.is_some() || desktops.runtime == RuntimeChoice::Process {
            return None;
        }
        let own = own_container()?;
        let socket = std::fs::metadata(&desktops.engine).ok()?;
        if !socket.file_type().is_socket() {
            return None;
        }
        let engine = Engine::new(desktops.engine.clone());
        let own = engine.known(&own).await.ok()??;
        let labels = own.config.as_ref()?.labels.as_ref()?;
        (labels.get(IMAGE).map(String::as_str) == Some("gateway")).then_some(Self { engine, own })
    }

    /// Makes the stack, follows it until a signal, and takes it down.
    pub async fn run(self, config: &Config) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let words = std::env::args().skip(1).collect();
        let stack = plan(&self.own, config, words, std::env::vars())?;
        tracing::info!(
            gateway = stack.gateway_name(),
            broker = stack.broker_name(),
            "this container holds the engine's socket, so it faces nobody: it makes a gateway and a \
             broker, and looks after both"
        );
        let engine = &self.engine;
        take_down(engine, &stack).await?;
        let end = tokio::select! {
            end = keep(engine, &stack) => end,
            () = signals.next() => Ok(()),
        };
        tracing::info!("taking gateway and broker down; desktops run on");
        end.and(take_down(engine, &stack).await)
    }

    /// What the gateway that it makes is called.
    pub fn gateway_name(&self) -> anyhow::Result<String> {
        Ok(format!("{}-gateway", name_of(&self.own)?))
    }

    /// Whether that is well.
    pub async fn health(&self) -> anyhow::Result<()> {
        let name = self.gateway_name()?;
        let found = self.engine.known(&name).await?;
        let state = found.with_context(|| format!("there is no container {name}"))?.state;
        match state.and_then(|state| state.health).and_then(|health| health.status) {
            Some(HealthStatusEnum::HEALTHY) => Ok(()),
            Some(status) => bail!("{name} is {status}"),
            None => bail!("{name} does not say how it is"),
        }
    }
}

async fn keep(engine: &Engine, stack: &Stack) -> anyhow::Result<()> {
    put_up(engine, stack).await?;
    let (gateway, broker) = (stack.gateway_name(), stack.broker_name());
    tokio::try_join!(follow(engine, &gateway), follow(engine, &broker))?;
    Ok(())
}

async fn put_up(engine: &Engine, stack: &Stack) -> Result<(), RuntimeError> {
    if let Some(network) = stack.network_name() {
        let network = NetworkCreateRequest {
            name: network,
            labels: Some(stack.labels()),
            ..NetworkCreateRequest::default()
        };
        if !engine.make_network(network).await? {
            return Err(RuntimeError::Unusable {
                what: "the engine has no range of addresses left for a network".into(),
                remedy: "remove networks that nobody uses: docker network prune".into(),
            });
        }
    }
    for volume in stack.volumes() {
        let (name, labels) = (Some(volume), Some(stack.labels()));
        engine.make_volume(VolumeCreateRequest { name, labels, ..Default::default() }).await?;
    }
    for (name, body) in
        [(stack.broker_name(), stack.broker()), (stack.gateway_name(), stack.gateway())]
    {
        let container = engine.create(&name, body).await?;
        engine.start(&container).await?;
    }
    Ok(())
}

/// All but the volumes. The gateway first, which tells its viewers.
async fn take_down(engine: &Engine, stack: &Stack) -> anyhow::Result<()> {
    for name in [stack.gateway_name(), stack.broker_name()] {
        let Some(found) = engine.known(&name).await? else { continue };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        if labels.get(super::stack::STACK) != Some(&stack.name) {
            bail!(
                "there is a container {name} that is not of this stack; rename it, or give this \
                 container another name"
            );
        }
        engine.stop(&name, GRACE).await?;
        engine.remove(&name).await?;
    }
    if let Some(network) = stack.network_name() {
        engine.remove_network(&network).await?;
    }
    Ok(())
}

/// Prints what a container says, until it is removed.
async fn follow(engine: &Engine, name: &str) -> anyhow::Result<()> {
    let mut since = SystemTime::UNIX_EPOCH;
    loop {
        let mut lines = std::pin::pin!(engine.log(name, since).await?);
        while let Some(Ok(output)) = lines.next().await {
            say(output).context("print what was said")?;
        }
        since = SystemTime::now();
        sleep(PAUSE).await;
        if engine.known(name).await?.is_none() {
            bail!("the container {name} was removed");
        }
    }
}

fn say(output: bollard::container::LogOutput) -> io::Result<()> {
    use bollard::container::LogOutput::{Console, StdErr, StdIn, StdOut};
    match output {
        StdOut { message } | Console { message } => {
            let mut stdout = io::stdout();
            stdout.write_all(&message)?;
            stdout.flush()
        }
        StdErr { message } => io::stderr().write_all(&message),
        StdIn { .. } => Ok(()),
    }
}

/// What to make, from what the engine knows of this container and what it was told.
fn plan(
    own: &ContainerInspectResponse,
    config: &Config,
    words: Vec<String>,
    environment: impl Iterator<Item = (String, String)>,
) -> anyhow::Result<Stack> {
    let asked = config.server.listen.as_deref().map(port_of).transpose()?;
    let host = own.host_config.clone().unwrap_or_default();
    let (port, network) = reach(&host, own.id.as_deref(), asked.unwrap_or(PORT))?;
    let mounts = own.mounts.clone().unwrap_or_default().into_iter();
    let mounts: Vec<_> =
        mounts.filter_map(|mount| Some((mount.source?, mount.destination?))).collect();
    let is_engine = |target: &str| same_file(Path::new(target), &config.desktops.engine);
    let engine = mounts.iter().find(|(_, target)| is_engine(target));
    let (engine, _) = engine.context(
        "the engine's socket is there, but not as a mount of its own; mount it by \
         -v /var/run/docker.sock:/var/run/docker.sock",
    )?;
    let is_passed_on =
        |target: &str| PASSED_ON.iter().any(|dir| Path::new(target).starts_with(dir));
    let scheme = if config.tls.mode == Mode::Off { "http" } else { "https" };
    Ok(Stack {
        name: name_of(own)?,
        image: own.image.clone().context("the engine does not say which image this is")?,
        engine: engine.clone(),
        port,
        network,
        url: match config.server.public_url.first() {
            Some(_) => config.server.public_url.join(","),
            None => format!("{scheme}://localhost:{port}"),
        },
        words: in_gateway(words),
        environment: divide(environment),
        mounts: mounts.into_iter().filter(|(_, target)| is_passed_on(target)).collect(),
    })
}

/// The command of the gateway: this one's own, but that it serves by itself. Where to listen is said
/// by the environment.
fn in_gateway(words: Vec<String>) -> Vec<String> {
    let mut kept = vec!["serve".to_owned()];
    let mut words = words.into_iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--listen" | "--public-url" => drop(words.next()),
            word if word.starts_with("--listen=") || word.starts_with("--public-url=") => {}
            _ => kept.push(word),
        }
    }
    kept
}

/// Variables of ours for the gateway, and for the broker.
fn divide(environment: impl Iterator<Item = (String, String)>) -> [Vec<String>; 2] {
    let own = ["LATTICE_SERVER__LISTEN", "LATTICE_SERVER__PUBLIC_URL", "LATTICE_HEALTHCHECK__URL"];
    let ours = environment
        .filter(|(name, _)| name.starts_with("LATTICE_") && !own.contains(&name.as_str()));
    let [mut gateway, mut broker] = [Vec::new(), Vec::new()];
    for (name, value) in ours {
        let line = format!("{name}={value}");
        match name.as_str() {
            "LATTICE_DATA_DIR" | "LATTICE_DESKTOPS__ENGINE" => {}
            "LATTICE_LOG" | "LATTICE_LOG_FORMAT" => {
                broker.push(line.clone());
                gateway.push(line);
            }
            name if name.starts_with("LATTICE_BROKER__") => broker.push(line),
            _ => gateway.push(line),
        }
    }
    [gateway, broker]
}

/// Where the gateway listens, and on whose network.
fn reach(host: &HostConfig, own: Option<&str>, asked: u16) -> anyhow::Result<(u16, Reach)> {
    let shared =
        || own.map(|id| Reach::As(id.to_owned())).context("the engine does not say who this is");
    if host.network_mode.as_deref() == Some("host") {
        return Ok((asked, shared()?));
    }
    let bindings = host.port_bindings.iter().flatten();
    let published: Vec<(u16, String)> = bindings
        .filter_map(|(inside, outside)| {
            let inside = inside.strip_suffix("/tcp")?.parse().ok()?;
            let outside = outside.iter().flatten().find_map(|one| one.host_port.clone());
            Some((inside, outside.unwrap_or_default()))
        })
        .collect();
    if published.is_empty() {
        return Ok((asked, Reach::Own));
    }
    let is_same = |(inside, outside): &&(u16, String)| *outside == inside.to_string();
    let same: Vec<u16> = published.iter().filter(is_same).map(|(inside, _)| *inside).collect();
    match same[..] {
        _ if same.contains(&asked) => Ok((asked, shared()?)),
        [port] => Ok((port, shared()?)),
        _ => {
            let (inside, outside) = &published[0];
            let outside = if outside.is_empty() { "443" } else { outside };
            bail!(
                "port {inside} of this container is published by another number, and browsers name \
                 the port that they see; publish it by the same: -p {outside}:{outside}"
            )
        }
    }
}

fn port_of(listen: &str) -> anyhow::Result<u16> {
    let port = listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.with_context(|| format!("{listen} is no address to listen on, such as 0.0.0.0:{PORT}"))
}

fn name_of(own: &ContainerInspectResponse) -> anyhow::Result<String> {
    let name = own.name.as_deref().context("the engine does not say what this is called")?;
    Ok(name.trim_start_matches('/').to_owned())
}

/// `/var/run` leads to `/run` on most systems.
fn same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::PortBinding;
    use std::collections::HashMap;

    /// What is published as `outside:inside`, and where the gateway is reached then.
    fn reached(published: &[(&str, &str)], asked: u16) -> anyhow::Result<(u16, Reach)> {
        let binding = |(outside, inside): &(&str, &str)| {
            let binding = PortBinding { host_ip: None, host_port: Some((*outside).to_owned()) };
            (format!("{inside}/tcp"), Some(vec![binding]))
        };
        let port_bindings = Some(published.iter().map(binding).collect::<HashMap<_, _>>());
        let host = HostConfig { port_bindings, ..HostConfig::default() };
        reach(&host, Some("3f"), asked)
    }

    #[test]
    fn the_port_that_is_published_is_the_one_that_is_listened_on() {
        let shared = || Reach::As("3f".into());
        assert_eq!(reached(&[], 8443).expect("good"), (8443, Reach::Own));
        assert_eq!(reached(&[("8443", "8443")], 8443).expect("good"), (8443, shared()));
        assert_eq!(reached(&[("443", "443")], 8443).expect("good"), (443, shared()));
        let two = [("443", "443"), ("80", "80")];
        assert_eq!(reached(&two, 443).expect("good"), (443, shared()));
        assert!(reached(&two, 8443).is_err());
        let error = reached(&[("443", "8443")], 8443).expect_err("two numbers").to_string();
        assert!(error.contains("-p 443:443"), "{error}");
        let host = HostConfig { network_mode: Some("host".into()), ..HostConfig::default() };
        assert_eq!(reach(&host, Some("3f"), 9000).expect("good"), (9000, shared()));
    }

    #[test]
    fn what_was_said_to_the_one_is_said_to_whom_it_concerns() {
        let words = ["serve", "--listen", "0.0.0.0:9", "--h264", "off", "--public-url=https://a"];
        assert_eq!(in_gateway(words.map(str::to_owned).to_vec()), ["serve", "--h264", "off"]);
        assert_eq!(in_gateway(vec!["bootstrap".into()]), ["serve"]);
        let variables = [
            ("PATH", "/bin"),
            ("LATTICE_LOG", "debug"),
            ("LATTICE_BROKER__POOL", "3"),
            ("LATTICE_VIDEO__H264", "off"),
            ("LATTICE_SERVER__LISTEN", "0.0.0.0:8443"),
            ("LATTICE_DATA_DIR", "/var/lib/lattice"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let [gateway, broker] = divide(variables.into_iter());
        assert_eq!(gateway, ["LATTICE_LOG=debug", "LATTICE_VIDEO__H264=off"]);
        assert_eq!(broker, ["LATTICE_LOG=debug", "LATTICE_BROKER__POOL=3"]);
    }
}
