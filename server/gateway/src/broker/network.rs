//! Networks of apps that may use the internet: one for each session, with walls around it.
//!
//! The engine's own bridges lead to the machine and to whatever that reaches. So there are rules in the
//! machine's firewall for all bridges of ours (`containers/firewall/walls`), and they are put there by
//! a container that runs for a moment: only the engine has the right to, wherever the broker is.
//!
//! INVARIANT: where the rules cannot be put in place, no app starts on such a network.

use super::containers::{INSTALLATION, ROLE, SESSION, network_name};
use super::engine::Engine;
use crate::runtime::RuntimeError;
use bollard::models::{ContainerCreateBody, HostConfig, Ipam, IpamConfig, NetworkCreateRequest};
use lattice_engine::session::SessionId;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// What puts the rules in place.
pub(super) const IMAGE: &str = "lattice/firewall";
/// How long rules are believed to be where they were put: what else minds the machine's firewall may
/// have emptied it.
pub(super) const RULES_LAST: Duration = Duration::from_secs(300);
/// Bridges of ours begin with this; the rules are for these.
const BRIDGE: &str = "lat-";
/// The engine has some thirty ranges for networks where nothing is said. RFC 2544 keeps 198.18.0.0/15
/// for tests of devices, so no machine is there; it makes 8192 networks of 16 addresses.
const RANGE: u32 = 0xC612_0000;
const NETWORKS: u32 = 1 << 13;
const ADDRESSES: u32 = 16;
/// How many ranges are tried before it is given up: other networks may have them.
const TRIES: u32 = 32;

/// Whether the rules are in place, and since when.
#[derive(Debug, Default)]
pub(super) struct Walls(Mutex<Option<Instant>>);

impl Walls {
    /// Puts the rules in place, where they are not known to be there.
    pub(super) async fn raise(
        &self,
        engine: &Engine,
        installation: &str,
        image: String,
    ) -> Result<(), RuntimeError> {
        let mut raised = self.0.lock().await;
        if raised.is_some_and(|since| since.elapsed() < RULES_LAST) {
            return Ok(());
        }
        *raised = None;
        let name = format!("lattice-{installation}-firewall");
        let done = engine.run_once(&name, firewall(installation, image)).await;
        done.map_err(|error| RuntimeError::Unusable {
            what: format!("there are no walls for apps that may use the internet: {error}"),
            remedy:
                "let the engine keep its rules in this machine's firewall; \"iptables\" is not to \
                     be false in its daemon.json"
                    .into(),
        })?;
        *raised = Some(Instant::now());
        Ok(())
    }

    /// They may be gone.
    pub(super) async fn doubt(&self) {
        *self.0.lock().await = None;
    }
}

/// The container that puts the rules in place. It sees the machine's network and nothing else of it.
fn firewall(installation: &str, image: String) -> ContainerCreateBody {
    let labels = [(INSTALLATION, installation), (ROLE, "firewall")];
    ContainerCreateBody {
        image: Some(image),
        user: Some("0:0".into()),
        labels: Some(labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        host_config: Some(HostConfig {
            network_mode: Some("host".into()),
            cap_drop: Some(vec!["ALL".into()]),
            // The older kind of tables is reached by a raw socket.
            cap_add: Some(vec!["NET_ADMIN".into(), "NET_RAW".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            readonly_rootfs: Some(true),
            ipc_mode: Some("private".into()),
            // For the lock that all who change rules take.
            tmpfs: Some(HashMap::from([("/run".to_owned(), "size=64k".to_owned())])),
            memory: Some(64 << 20),
            memory_swap: Some(64 << 20),
            pids_limit: Some(32),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// Makes a session's network, where there is none.
pub(super) async fn make(
    engine: &Engine,
    installation: &str,
    session: &SessionId,
) -> Result<(), RuntimeError> {
    let labels = labels(installation, session);
    if !engine.networks(filter(&labels)).await?.is_empty() {
        return Ok(());
    }
    for subnet in subnets(session) {
        if engine.make_network(request(session, &labels, subnet)).await? {
            return Ok(());
        }
    }
    Err(RuntimeError::Unusable {
        what: format!("{TRIES} ranges for a network are all in use by others"),
        remedy: "remove networks that nobody needs by: docker network prune".into(),
    })
}

/// Removes a session's network, where there is one.
pub(super) async fn remove(
    engine: &Engine,
    installation: &str,
    session: &SessionId,
) -> Result<(), RuntimeError> {
    for (network, _) in engine.networks(filter(&labels(installation, session))).await? {
        engine.remove_network(&network).await?;
    }
    Ok(())
}

fn labels(installation: &str, session: &SessionId) -> HashMap<String, String> {
    let labels = [(INSTALLATION, installation), (SESSION, session.as_str())];
    labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn filter(labels: &HashMap<String, String>) -> Vec<String> {
    labels.iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn request(
    session: &SessionId,
    labels: &HashMap<String, String>,
    subnet: String,
) -> NetworkCreateRequest {
    // A network device has a name of 15 bytes at most.
    let bridge = format!("{BRIDGE}{}", &session.as_str()[..8]);
    let options = [
        ("com.docker.network.bridge.name", bridge.as_str()),
        ("com.docker.network.bridge.enable_icc", "false"),
        ("com.docker.network.bridge.enable_ip_masquerade", "true"),
    ];
    let config = IpamConfig { subnet: Some(subnet), ..IpamConfig::default() };
    NetworkCreateRequest {
        name: network_name(session),
        driver: Some("bridge".into()),
        enable_ipv6: Some(false),
        attachable: Some(false),
        ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
        options: Some(options.map(|(name, value)| (name.to_owned(), value.to_owned())).into()),
        labels: Some(labels.clone()),
        ..NetworkCreateRequest::default()
    }
}

/// Ranges to try, from one that only few sessions begin with.
fn subnets(session: &SessionId) -> impl Iterator<Item = String> {
    let hash = session
        .as_str()
        .bytes()
        .fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    (0..TRIES).map(move |attempt| {
        let number = hash.wrapping_add(attempt) % NETWORKS;
        let [a, b, c, d] = (RANGE + number * ADDRESSES).to_be_bytes();
        format!("{a}.{b}.{c}.{d}/28")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_a_bridge_that_the_rules_know_and_a_range_of_its_own() {
        let session: SessionId = "abcdefghijklmnop".parse().expect("an id");
        let labels = labels("here", &session);
        let made = request(&session, &labels, subnets(&session).next().expect("one"));
        let options = made.options.expect("some");
        assert_eq!(options["com.docker.network.bridge.name"], "lat-abcdefgh");
        assert_eq!(options["com.docker.network.bridge.enable_icc"], "false");
        assert_eq!(made.enable_ipv6, Some(false));
        let all: std::collections::BTreeSet<_> = subnets(&session).collect();
        assert_eq!(all.len(), TRIES as usize);
        assert!(
            all.iter().all(|subnet| subnet.starts_with("198.18.") || subnet.starts_with("198.19.")),
            "{all:?}"
        );
    }

    #[test]
    fn the_rules_are_for_these_bridges_and_this_range() {
        let rules = include_str!("../../../../containers/firewall/walls");
        assert!(rules.contains("-i lat-+") && rules.contains("198.18.0.0/15"));
    }
}
