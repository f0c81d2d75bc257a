//! Apps that may use the internet: they reach that, and nothing on the way there.

use super::{listen, reach, started};
use lattice_gateway::runtime::{AppState, Runtime};
use lattice_tests::containers::{Containers, docker, name, networks};
use lattice_tests::engine::Engine;
use lattice_tests::eventually;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;

const NET: &str = "name: net
services:
  web: { image: lattice/terminal, command: [sleep, infinity] }
  plain: { image: lattice/terminal, command: [sleep, infinity] }
x-lattice:
  title: Net
  apps: { web: { title: Web }, plain: { title: Plain } }
  permissions: { web: { network: internet } }
";
/// What stands for the internet: a range that is kept for documents (RFC 5737).
const PUBLIC: &str = "198.51.100.1";
/// One test at a time tears walls down.
static WALLS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// What is as near as the internet and not of it: the metadata service of clouds, and a school's server.
const PRIVATE: [&str; 4] = ["169.254.169.254", "10.77.0.1", "192.168.77.1", "100.100.100.200"];

/// A machine on the other side of a cable, to which this one knows the way.
struct Machine {
    name: String,
    server: Child,
}

impl Machine {
    fn new() -> Self {
        let name = format!("lt{}", std::process::id());
        ip(&format!("netns add {name}"));
        ip(&format!("link add {name} type veth peer name eth0 netns {name}"));
        ip(&format!("addr add 203.0.113.1/30 dev {name}"));
        ip(&format!("link set {name} up"));
        ip(&format!("-n {name} addr add 203.0.113.2/30 dev eth0"));
        for device in ["lo", "eth0"] {
            ip(&format!("-n {name} link set {device} up"));
        }
        ip(&format!("-n {name} route add default via 203.0.113.1"));
        for address in PRIVATE.into_iter().chain([PUBLIC]) {
            ip(&format!("-n {name} addr add {address}/32 dev lo"));
            ip(&format!("route add {address}/32 via 203.0.113.2"));
        }
        let script = listen(80).replace("</dev/null >/dev/null 2>&1 &", "");
        let mut server = Command::new("ip");
        server.args(["netns", "exec", &name, "sh", "-c", &format!("exec {script}")]);
        let server = server.stdin(Stdio::null()).spawn().expect("ip is there");
        Self { name, server }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        // The cable and the ways over it go with it.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
        let _ = Command::new("ip").args(["link", "del", &self.name]).stderr(Stdio::null()).status();
    }
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip is there");
    assert!(status.success(), "ip {arguments}");
}

/// A listener on all addresses of this machine, as the gateway's may be.
fn host_port() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"reached");
        }
    });
    port
}

fn on_host(script: &str) -> String {
    let output = Command::new("bash").args(["-c", script]).output().expect("bash is there");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// The IPv4 addresses of this machine.
fn own_addresses() -> Vec<String> {
    on_host("hostname -I")
        .split_whitespace()
        .filter(|a| !a.contains(':'))
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_reaches_the_internet_and_nothing_on_the_way_there() {
    let _walls = WALLS.lock().await;
    let mut containers = Containers::with_templates(&[NET]);
    let runtime = containers.open();
    let (a, b) = (started(&runtime, 1, "net").await, started(&runtime, 2, "net").await);
    assert!(networks(&containers.path().join("data")).is_empty(), "nobody needs one yet");
    for (session, app) in [(&a, "web"), (&a, "plain"), (&b, "web")] {
        runtime.open(session, app).await.expect("it opens");
    }
    let machine = Machine::new();
    let port = host_port();
    let ask = |script: &str| containers.ask(&a, "app-web", script);

    // What is asked of an app below is there: this machine reaches it.
    for address in PRIVATE.into_iter().chain([PUBLIC]) {
        eventually("the other machine to listen", || on_host(&reach(address, 80)) == "reached");
    }
    assert_eq!(ask(&reach(PUBLIC, 80)), "reached");
    for address in PRIVATE {
        assert_eq!(ask(&reach(address, 80)), "1", "{address} is refused at once");
    }
    let gateway = containers.inspect(&a, "app-web")["NetworkSettings"]["Networks"]
        [format!("lattice-{a}")]["Gateway"]
        .as_str()
        .expect("it has one")
        .to_owned();
    let own = own_addresses();
    assert!(own.contains(&gateway), "{gateway} of {own:?}");
    for address in own.iter().map(String::as_str).chain(["127.0.0.1"]) {
        assert_eq!(on_host(&reach(address, port)), "reached", "{address}");
        assert_eq!(ask(&reach(address, port)), "1", "{address} of this machine is refused at once");
    }

    // Neither another's app, nor one of the same desktop.
    let address = |session, app: &str| {
        let found = containers.inspect(session, &format!("app-{app}"));
        let network = format!("lattice-{session}");
        found["NetworkSettings"]["Networks"][network]["IPAddress"].as_str().unwrap_or("").to_owned()
    };
    let other = address(&b, "web");
    assert_eq!(containers.ask(&b, "app-web", &listen(7000)), "");
    eventually("it to listen", || containers.ask(&b, "app-web", &reach(&other, 7000)) == "reached");
    assert_eq!(ask(&reach(&other, 7000)), "1", "another's app is refused at once");

    // What a machine publishes of containers is reached by others, and not by apps.
    let published = format!("lattice-test-{}", std::process::id());
    let serve = listen(80).replace("</dev/null >/dev/null 2>&1 &", "");
    docker(&["network", "create", &published]);
    let arguments = ["run", "--detach", "--rm", "--user", "0", "--network", &published];
    let command =
        ["--name", &published, "--publish", "7080:80", "lattice/base", "sh", "-c", &serve];
    docker(&[&arguments[..], &command[..]].concat());
    eventually("it to listen", || on_host(&reach("203.0.113.1", 7080)) == "reached");
    let answers: Vec<_> = own.iter().map(|address| ask(&reach(address, 7080))).collect();
    docker(&["rm", "--force", &published]);
    docker(&["network", "rm", &published]);
    assert!(answers.iter().all(|answer| answer == "1"), "{answers:?}");

    // Names are looked up where the engine says, by that port alone.
    let resolv = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let named = resolv.lines().find_map(|line| line.strip_prefix("nameserver "));
    if let Some(resolver) = named.filter(|a| !a.starts_with("127.") && !a.contains(':')) {
        let look = "getent hosts deb.debian.org >/dev/null; echo $?";
        assert_eq!(ask(look), on_host(look), "names are looked up as this machine does");
        assert_eq!(ask(&reach(resolver, 81)), "1");
    }

    // No IPv6, no raw sockets, and for who does not declare a network nothing but a loopback.
    assert_eq!(ask("cat /proc/net/if_inet6 | grep -v ' lo$'"), "");
    assert_eq!(ask("cat /sys/class/net/*/ifindex | wc -l"), "2");
    for part in ["app-plain", "desktop", "xorg", "dbus", "api"] {
        assert_eq!(containers.ask(&a, part, "ls /sys/class/net"), "lo", "{part}");
    }
    drop(machine);

    // What was removed leaves no network, nor does what a broker was killed over.
    runtime.remove(&a).await.expect("a removal");
    let data = containers.path().join("data");
    assert_eq!(networks(&data), [format!("lattice-{b}")]);
    docker(
        &[
            &["rm", "--force"],
            &containers.of(&b).iter().map(String::as_str).collect::<Vec<_>>()[..],
        ]
        .concat(),
    );
    containers.restart_broker();
    eventually("the network to be gone", || networks(&data).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn walls_that_were_torn_down_are_there_again_before_an_app_is() {
    let _walls = WALLS.lock().await;
    let mut containers = Containers::with_templates(&[NET]);
    let runtime = containers.open();
    let a = started(&runtime, 1, "net").await;
    runtime.open(&a, "web").await.expect("it opens");
    let port = host_port();
    let refused = |containers: &Containers| {
        let found = containers.inspect(&a, "app-web");
        let networks = &found["NetworkSettings"]["Networks"][format!("lattice-{a}")];
        let gateway = networks["Gateway"].as_str().expect("it has one").to_owned();
        containers.ask(&a, "app-web", &reach(&gateway, port))
    };
    assert_eq!(refused(&containers), "1");
    let rule = ["INPUT", "-i", "lat-+", "-j", "LATTICE-INPUT"];
    let iptables = |what: &str| {
        let mut command = Command::new("iptables");
        command.args(["-w", what]).args(rule).status().expect("iptables is there").success()
    };
    assert!(iptables("-D"), "there was a rule");
    assert_eq!(refused(&containers), "reached", "there are no walls any more");
    containers.restart_broker();
    let runtime = containers.open();
    eventually("the walls to be there again", || refused(&containers) == "1");
    runtime.close(&a, "web").await.expect("it closes");
    runtime.open(&a, "web").await.expect("it opens");
    assert_eq!(refused(&containers), "1");
    assert!(iptables("-D"), "there was a rule");
    assert!(!iptables("-D"), "there was one, however often they were put there");
    containers.restart_broker();
    eventually("the walls to be there again", || refused(&containers) == "1");
}

async fn why_not_open(runtime: &Runtime, containers: &Containers, engine: &Engine) -> String {
    let session = started(runtime, 1, "net").await;
    let error = runtime.open(&session, "web").await.expect_err("no walls, no app").to_string();
    let host = engine.host();
    let left = docker(&["--host", &host, "ps", "--all", "--format", "{{.Names}}"]);
    assert!(!left.contains(&name(&session, "app-web")), "{left}");
    assert!(!left.contains("firewall"), "{left}");
    let networks = docker(&["--host", &host, "network", "ls", "--format", "{{.Name}}"]);
    assert!(!networks.contains("lattice-"), "{networks}");
    runtime.open(&session, "plain").await.expect("others open");
    let list = runtime.list().await.expect("a list");
    let apps = &list.iter().find(|instance| instance.session == session).expect("it runs").apps;
    assert!(apps.iter().all(|app| app.state == AppState::Running), "{apps:?}");
    runtime.remove(&session).await.unwrap_or_else(|error| panic!("{error}\n{}", containers.log()));
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_walls_can_be_put_up_no_such_app_starts() {
    let core = ["base", "xorg", "dbus", "api", "desktop", "terminal"];
    let images = core.map(|name| format!("lattice/{name}"));
    let engine = Engine::with_images(&images.each_ref().map(String::as_str));
    let dir = lattice_tests::xserver::TempDir::new("containers");
    fs::create_dir(dir.path().join("templates")).expect("made");
    fs::write(dir.path().join("templates/net.yaml"), NET).expect("written");
    let socket = engine.socket().to_string_lossy().into_owned();
    let containers = Containers::in_directory(dir, &["--engine", &socket]);
    let runtime = containers.open();

    let error = why_not_open(&runtime, &containers, &engine).await;
    assert!(error.contains("the image lattice/firewall is not there"), "{error}");
    assert!(error.contains("make images"), "{error}");

    let archive = containers.path().join("firewall.tar");
    let archive = archive.to_string_lossy();
    docker(&["save", "--output", &archive, "lattice/firewall"]);
    docker(&["--host", &engine.host(), "load", "--quiet", "--input", &archive]);
    let error = why_not_open(&runtime, &containers, &engine).await;
    let says = ["there are no walls", "keeps no chain DOCKER-USER", "daemon.json"];
    assert!(says.iter().all(|part| error.contains(part)), "{error}");
}
