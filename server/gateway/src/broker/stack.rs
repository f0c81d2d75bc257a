//! The containers of Lattice itself, as `deploy/compose.yaml` has them: a gateway, which faces the
//! network and holds no engine's socket, and a broker, which holds it and faces nobody.

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, Mount, MountType, MountVolumeOptions,
    PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use std::collections::HashMap;

/// On containers, volumes and networks: whose stack they belong to.
pub(super) const STACK: &str = "io.lattice.stack";
/// Who the gateway runs as, in both forms.
const GATEWAY: (&str, &str) = ("1000:1000", "1000");
const MIB: i64 = 1 << 20;
/// Where its directories are in either.
const DATA: &str = "/var/lib/lattice";
const RUN: &str = "/run/lattice";
const SECOND: i64 = 1_000_000_000;

/// What differs from one to another.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    /// What the names of all begin with.
    pub(super) name: String,
    pub(super) image: String,
    /// The engine's socket, as the engine names it.
    pub(super) engine: String,
    /// Where the gateway listens; published where it has a network of its own.
    pub(super) port: u16,
    pub(super) network: Reach,
    /// The address that browsers are told.
    pub(super) url: String,
    /// Arguments of the gateway, beginning with `serve`.
    pub(super) words: Vec<String>,
    /// What else stands in the environments: of the gateway, and of the broker.
    pub(super) environment: [Vec<String>; 2],
    /// What else is mounted in the gateway, read only.
    pub(super) mounts: Vec<(String, String)>,
}

/// How the gateway is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// On a network of its own, which publishes its port.
    Own,
    /// As this container is, with which it shares a network, and nothing else.
    As(String),
}

impl Stack {
    pub(super) fn gateway_name(&self) -> String {
        format!("{}-gateway", self.name)
    }

    pub(super) fn broker_name(&self) -> String {
        format!("{}-broker", self.name)
    }

    /// The network of its own, where it has one.
    pub(super) fn network_name(&self) -> Option<String> {
        (self.network == Reach::Own).then(|| format!("{}-network", self.name))
    }

    /// Accounts and certificates, people's files, sockets.
    pub(super) fn volumes(&self) -> [String; 3] {
        ["db", "data", "run"].map(|what| format!("{}-{what}", self.name))
    }

    pub(super) fn labels(&self) -> HashMap<String, String> {
        HashMap::from([(STACK.to_owned(), self.name.clone())])
    }

    pub(super) fn gateway(&self) -> ContainerCreateBody {
        let [db, _, run] = self.volumes();
        let scheme = self.url.split("://").next().unwrap_or("https");
        let mut env = vec![
            format!("LATTICE_SERVER__LISTEN=0.0.0.0:{}", self.port),
            format!("LATTICE_SERVER__PUBLIC_URL={}", self.url),
            format!("LATTICE_HEALTHCHECK__URL={scheme}://127.0.0.1:{}/healthz", self.port),
            format!("LATTICE_DESKTOPS__BROKER={RUN}/broker.sock"),
        ];
        env.extend(self.environment[0].iter().cloned());
        let mut mounts = vec![volume(&db, DATA, false), volume(&run, RUN, false)];
        mounts.extend(self.mounts.iter().map(|(source, target)| bind(source, target, true)));
        let port = format!("{}/tcp", self.port);
        let binding = PortBinding { host_ip: None, host_port: Some(self.port.to_string()) };
        let is_own = self.network == Reach::Own;
        let host = HostConfig {
            mounts: Some(mounts),
            network_mode: Some(match (&self.network, self.network_name()) {
                (Reach::As(container), _) => format!("container:{container}"),
                (Reach::Own, network) => network.unwrap_or_default(),
            }),
            port_bindings: is_own.then(|| HashMap::from([(port.clone(), Some(vec![binding]))])),
            memory: Some(2048 * MIB),
            ..walls()
        };
        ContainerCreateBody {
            user: Some(GATEWAY.0.into()),
            cmd: Some(self.words.clone()),
            env: Some(env),
            exposed_ports: is_own.then(|| vec![port]),
            stop_timeout: Some(30),
            ..self.body(host)
        }
    }

    pub(super) fn broker(&self) -> ContainerCreateBody {
        let [_, data, run] = self.volumes();
        let host = HostConfig {
            // Directories that it makes for the gateway hand their group on, which only a member may say.
            group_add: Some(vec![GATEWAY.1.into()]),
            cap_add: Some(["CHOWN", "DAC_OVERRIDE", "FOWNER"].map(str::to_owned).to_vec()),
            network_mode: Some("none".into()),
            mounts: Some(vec![
                bind(&self.engine, super::ENGINE, false),
                // What the image has there is the gateway's.
                volume(&data, DATA, true),
                volume(&run, RUN, false),
            ]),
            memory: Some(512 * MIB),
            ..walls()
        };
        ContainerCreateBody {
            // Root gives every desktop a user id of its own.
            user: Some("0:0".into()),
            cmd: Some(["broker", "--gateway", GATEWAY.0].map(str::to_owned).to_vec()),
            env: Some(self.environment[1].clone()),
            healthcheck: Some(HealthConfig {
                test: Some(
                    ["CMD", "test", "-S", "/run/lattice/broker.sock"].map(str::to_owned).to_vec(),
                ),
                interval: Some(10 * SECOND),
                ..HealthConfig::default()
            }),
            ..self.body(host)
        }
    }

    fn body(&self, host: HostConfig) -> ContainerCreateBody {
        ContainerCreateBody {
            image: Some(self.image.clone()),
            labels: Some(self.labels()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }
}

/// What neither is without.
fn walls() -> HostConfig {
    HostConfig {
        cap_drop: Some(vec!["ALL".into()]),
        security_opt: Some(vec!["no-new-privileges:true".into()]),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([("/tmp".into(), String::new())])),
        pids_limit: Some(256),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    }
}

fn volume(name: &str, target: &str, is_bare: bool) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(name.to_owned()),
        target: Some(target.to_owned()),
        volume_options: is_bare
            .then(|| MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        ..Mount::default()
    }
}

fn bind(source: &str, target: &str, is_read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(is_read_only),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value, json};

    fn stack() -> Stack {
        Stack {
            name: "lattice".into(),
            image: "lattice/gateway".into(),
            engine: "/var/run/docker.sock".into(),
            port: 8443,
            network: Reach::Own,
            url: "https://localhost:8443".into(),
            words: vec!["serve".into()],
            environment: [Vec::new(), Vec::new()],
            mounts: Vec::new(),
        }
    }

    /// The Compose file with nothing in the environment: `${NAME:-default}` is the default.
    fn compose() -> Value {
        let mut text = include_str!("../../../../deploy/compose.yaml").to_owned();
        while let Some(start) = text.find("${") {
            let end = start + text[start..].find('}').expect("it is closed");
            let default = text[start..end].split_once(":-").expect("it has a default").1.to_owned();
            text.replace_range(start..=end, &default);
        }
        serde_saphyr::from_str(&text).expect("YAML")
    }

    /// A container as the Compose file would say it.
    fn said(body: ContainerCreateBody) -> Value {
        let host = body.host_config.expect("it has one");
        let environment = body.env.unwrap_or_default().into_iter().map(|line| {
            let (name, value) = line.split_once('=').expect("a variable");
            (name.to_owned(), Value::from(value))
        });
        let mut said = json!({
            "image": body.image, "command": body.cmd, "user": body.user,
            "environment": environment.collect::<Map<_, _>>(),
            "cap_drop": host.cap_drop, "cap_add": host.cap_add, "group_add": host.group_add,
            "security_opt": host.security_opt, "read_only": host.readonly_rootfs,
            "tmpfs": host.tmpfs.expect("some").into_keys().collect::<Vec<_>>(),
            "pids_limit": host.pids_limit, "mem_limit": host.memory.map(|bytes| format!("{}m", bytes / MIB)),
            "restart": host.restart_policy.and_then(|policy| policy.name),
            "stop_grace_period": body.stop_timeout.map(|seconds| format!("{seconds}s")),
            "volumes": host.mounts.expect("some").into_iter().map(mounted).collect::<Vec<_>>(),
        });
        let fields = said.as_object_mut().expect("an object");
        if let Some(check) = body.healthcheck {
            let interval = check.interval.map(|nanos| format!("{}s", nanos / SECOND));
            fields
                .insert("healthcheck".into(), json!({ "test": check.test, "interval": interval }));
        }
        let bindings = host.port_bindings.unwrap_or_default().into_iter();
        let ports = bindings.flat_map(|(inside, outside)| {
            let inside = inside.trim_end_matches("/tcp").to_owned();
            let outside = outside.unwrap_or_default().into_iter().filter_map(|one| one.host_port);
            outside.map(move |outside| format!("{outside}:{inside}"))
        });
        let ports: Vec<_> = ports.collect();
        match ports.is_empty() {
            true => fields.insert("network_mode".into(), json!(host.network_mode)),
            false => fields.insert("ports".into(), json!(ports)),
        };
        fields.retain(|_, value| !value.is_null() && *value != json!({}));
        said
    }

    fn mounted(mount: Mount) -> Value {
        let (source, target) = (mount.source.expect("one"), mount.target.expect("one"));
        match mount.volume_options {
            Some(_) => json!({
                "type": "volume", "source": source, "target": target, "volume": { "nocopy": true },
            }),
            None => json!(format!("{source}:{target}")),
        }
    }

    #[test]
    fn one_container_run_by_hand_makes_what_the_compose_file_says() {
        let mut compose = compose();
        compose["services"]["gateway"]["mem_limit"] = json!("2048m");
        assert_eq!(said(stack().gateway()), compose["services"]["gateway"]);
        assert_eq!(said(stack().broker()), compose["services"]["broker"]);
        let names = compose["volumes"].as_object().expect("volumes").values();
        let mut names: Vec<_> = names.filter_map(|volume| volume["name"].as_str()).collect();
        names.sort_unstable();
        let mut ours = stack().volumes();
        ours.sort_unstable();
        assert_eq!(names, ours);
    }

    #[test]
    fn a_gateway_that_shares_a_network_publishes_nothing_itself() {
        let body = Stack { network: Reach::As("3f".into()), ..stack() }.gateway();
        let host = body.host_config.expect("it has one");
        assert_eq!(host.network_mode.as_deref(), Some("container:3f"));
        assert_eq!((host.port_bindings, body.exposed_ports), (None, None));
        let mounts = host.mounts.expect("some").into_iter();
        assert!(
            mounts.filter_map(|mount| mount.source).all(|source| !source.contains("docker.sock"))
        );
    }
}
