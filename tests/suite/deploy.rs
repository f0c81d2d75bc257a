//! Lattice as it is deployed with containers: by the Compose file, and by one container that makes the
//! rest. Each from its image to a picture, and down again without a trace.

use lattice_tests::Viewer;
use lattice_tests::containers::docker;
use lattice_tests::http::request;
use lattice_tests::process::repository;
use lattice_tests::viewer::{ViewerOptions, upgrade_at};
use lattice_tests::wait::{GENEROUS, eventually, until_some};
use lattice_tests::xserver::TempDir;
use serde_json::{Value, json};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

/// A stack of a name of its own, without TLS so that a viewer in Rust can look at it, and without
/// desktops that nobody has asked for.
struct Stack {
    dir: TempDir,
    name: String,
    port: u16,
    /// The names of its two containers.
    gateway: String,
    broker: String,
}

impl Stack {
    fn new(kind: &str, separator: &str) -> Self {
        let name = format!("lattice-test-{kind}-{}", std::process::id());
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let part = |part: &str, end: &str| format!("{name}{separator}{part}{end}");
        let end = if separator == "_" { "_1" } else { "" };
        let (gateway, broker) = (part("gateway", end), part("broker", end));
        Self { dir: TempDir::new("deploy"), name, port, gateway, broker }
    }

    fn image() -> String {
        std::env::var("LATTICE_IMAGE").unwrap_or_else(|_| "lattice/gateway".into())
    }

    fn compose(&self, arguments: &[&str]) -> String {
        let over = self.dir.path().join("override.yaml");
        let url = |host: &str| format!("http://{host}:{}", self.port);
        let text = json!({ "services": {
            "gateway": { "environment": {
                "LATTICE_TLS__MODE": "off",
                "LATTICE_SERVER__PUBLIC_URL": url("localhost"),
                "LATTICE_HEALTHCHECK__URL": url("127.0.0.1") + "/healthz",
            } },
            "broker": { "environment": { "LATTICE_BROKER__POOL": "0" } },
        } });
        fs::write(&over, text.to_string()).expect("written");
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", &self.name, "--file"]);
        command.arg(repository().join("deploy/compose.yaml")).arg("--file").arg(&over);
        command.env("LATTICE_PORT", self.port.to_string()).env("LATTICE_STACK", &self.name);
        let output = command.args(arguments).output().expect("docker-compose is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker-compose {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// All that the engine has of this name.
    fn left(&self) -> Vec<String> {
        let filter = format!("name={}", self.name);
        let kinds: [&[&str]; 3] = [&["ps", "--all"], &["volume", "ls"], &["network", "ls"]];
        let list = |kind: &&[&str]| docker(&[kind, &["--quiet", "--filter", &filter][..]].concat());
        kinds.iter().map(list).filter(|ids| !ids.is_empty()).collect()
    }

    fn ask(&self, token: &str, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
        let answer = request(self.address(), method, path, &head, &body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap_or(Value::Null)
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// From a stack that is being started to a picture of a desktop, and the desktop's end.
    fn check(&self) {
        for container in [&self.gateway, &self.broker] {
            until_some("the container to be healthy", GENEROUS, || {
                let status =
                    docker(&["inspect", "--format", "{{.State.Health.Status}}", container]);
                (status == "healthy").then_some(())
            });
        }
        let token = docker(&["exec", &self.gateway, "lattice", "admin", "token"]);
        let body = json!({ "template": "desktop" });
        let made = self.ask(&token, "POST", "/api/v1/sessions", &body);
        let session = made["id"].as_str().expect("an id").to_owned();
        let path = format!("/api/v1/sessions/{session}");
        eventually("the desktop to run", || {
            let state = self.ask(&token, "GET", &path, &Value::Null)["state"].clone();
            assert_ne!(state, "failed", "{}", docker(&["logs", &self.broker]));
            state == "running"
        });
        let head = format!("Authorization: Bearer {token}\r\n");
        let request = upgrade_at(self.address(), &format!("/ws/{session}"), &head);
        let viewer = Viewer::try_open(request, self.address(), ViewerOptions::default());
        viewer.unwrap_or_else(|error| panic!("join: {error}")).wait_picture();
        self.ask(&token, "DELETE", &path, &Value::Null);
        let label = format!("label=io.lattice.session={session}");
        eventually("the desktop to be gone", || {
            docker(&["ps", "--all", "--quiet", "--filter", &label]).is_empty()
        });
    }

    /// What faces the network has neither the engine's socket nor any privilege.
    fn check_walls(&self) {
        let text = docker(&["inspect", &self.gateway]);
        let found: Value = serde_json::from_str(&text).expect("JSON");
        let (host, user) = (&found[0]["HostConfig"], &found[0]["Config"]["User"]);
        assert!(!text.contains("docker.sock"), "{}", found[0]["Mounts"]);
        assert_eq!((user, &host["CapDrop"]), (&json!("1000:1000"), &json!(["ALL"])));
        assert_eq!((&host["ReadonlyRootfs"], &host["Privileged"]), (&json!(true), &json!(false)));
        let text = docker(&["inspect", &self.broker]);
        let found: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(found[0]["HostConfig"]["NetworkMode"], "none");
        assert_eq!(found[0]["NetworkSettings"]["Ports"], json!({}));
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let filter = format!("name={}", self.name);
        for (list, remove) in [
            (vec!["ps", "--all"], vec!["rm", "--force", "--volumes"]),
            (vec!["volume", "ls"], vec!["volume", "rm"]),
            (vec!["network", "ls"], vec!["network", "rm"]),
        ] {
            let ids = docker(&[&list[..], &["--quiet", "--filter", &filter]].concat());
            if !ids.is_empty() {
                let _ = Command::new("docker").args(remove).args(ids.lines()).output();
            }
        }
    }
}

mod containers {
    use super::*;

    #[test]
    fn the_compose_file_makes_desktops_and_leaves_nothing() {
        let stack = Stack::new("compose", "_");
        // As the older command wants it; the newer one has it as well.
        stack.compose(&["create"]);
        let image = Stack::image();
        assert!(docker(&["image", "inspect", &image]).contains("io.lattice.image"));
        stack.compose(&["up", "--detach"]);
        stack.check();
        stack.check_walls();
        let said = stack.compose(&["logs", "gateway"]);
        let url = format!("Lattice is ready: http://localhost:{}/enter#", stack.port);
        assert!(said.contains(&url), "{said}");
        stack.compose(&["down", "--volumes"]);
        assert_eq!(stack.left(), Vec::<String>::new());
    }

    #[test]
    fn one_container_with_the_engines_socket_makes_the_rest_and_takes_it_down() {
        let stack = Stack::new("run", "-");
        let port = format!("{0}:{0}", stack.port);
        let run = ["run", "--detach", "--name", &stack.name, "--publish", &port];
        let mount = ["--volume", "/var/run/docker.sock:/var/run/docker.sock"];
        let without = ["--env", "LATTICE_TLS__MODE=off", "--env", "LATTICE_BROKER__POOL=0"];
        docker(&[&run[..], &mount, &without, &[&Stack::image()]].concat());
        eventually("its gateway", || {
            !docker(&["ps", "--quiet", "--filter", &format!("name={}", stack.gateway)]).is_empty()
        });
        stack.check();
        stack.check_walls();
        let said = docker(&["logs", &stack.name]);
        let url = format!("Lattice is ready: http://localhost:{}/enter#", stack.port);
        assert!(said.contains(&url), "{said}");
        docker(&["exec", &stack.name, "lattice", "healthcheck"]);
        // Stopped and started again, it has what it had.
        docker(&["stop", &stack.name]);
        let names = || {
            docker(&[
                "ps",
                "--all",
                "--format",
                "{{.Names}}",
                "--filter",
                &format!("name={}", stack.name),
            ])
        };
        assert_eq!(names(), stack.name);
        docker(&["start", &stack.name]);
        eventually("its gateway", || names().lines().count() == 3);
        stack.check();
        docker(&["stop", &stack.name]);
        docker(&["rm", &stack.name]);
        let volumes = ["db", "data", "run"].map(|what| format!("{}-{what}", stack.name));
        docker(&["volume", "rm", &volumes[0], &volumes[1], &volumes[2]]);
        assert_eq!(stack.left(), Vec::<String>::new());
    }
}
