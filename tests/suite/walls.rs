//! What one desktop sees and reaches of another, of the gateway, and of the machine: nothing. Asked
//! from inside, as its user.

use lattice_engine::session::SessionId;
use lattice_gateway::runtime::{Runtime, Spec};
use lattice_tests::desktops::{Desktops, running, spec};
use lattice_tests::{eventually, x};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};

/// Two desktops of two users.
struct Two {
    desktops: Desktops,
    runtime: Runtime,
    a: Spec,
    b: Spec,
}

impl Two {
    async fn start() -> Self {
        let desktops = Desktops::new();
        let runtime = desktops.open().await;
        let (a, b) = (spec(1), spec(2));
        for spec in [&a, &b] {
            runtime.start(spec).await.expect("a start");
        }
        for spec in [&a, &b] {
            running(&runtime, &spec.session).await;
            eventually("the panel", || desktops.process(&spec.session, "xfce4-panel").is_some());
        }
        Self { desktops, runtime, a, b }
    }

    /// What a script inside a desktop prints, whether it succeeds or not.
    fn ask(&self, spec: &Spec, script: &str) -> String {
        let output = self.desktops.inside(&spec.session, script);
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).trim().to_owned()
    }

    fn check(&self, spec: &Spec, script: &str, expected: &str) {
        assert_eq!(self.ask(spec, script), expected, "{script}");
    }

    async fn end(self) {
        for spec in [&self.a, &self.b] {
            self.runtime.remove(&spec.session).await.expect("a removal");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_sees_nothing_of_another_nor_of_the_gateway() {
    if !rustix::process::geteuid().is_root() {
        return println!("the walls were left out: only root can look at them from inside");
    }
    let two = Two::start().await;
    files(&two);
    processes(&two);
    displays(&two);
    buses(&two);
    privileges(&two);
    limits(&two);
    networks(&two);
    signals(&two);
    two.end().await;
}

fn files(two: &Two) {
    let Two { desktops, a, b, .. } = two;
    two.check(
        b,
        "umask 077; for d in /tmp /var/tmp /dev/shm ~ ~/Data; do echo b >$d/secret; done",
        "",
    );
    two.check(
        a,
        "ls /tmp/secret /var/tmp/secret /dev/shm/secret ~/secret ~/Data/secret 2>/dev/null",
        "",
    );
    two.check(b, "cat /tmp/secret ~/Data/secret", "b\nb");
    let home = desktops.home(2);
    assert_eq!(fs::read_to_string(home.join("secret")).expect("there"), "b\n");
    let data = home.with_file_name("data");
    assert_eq!(fs::read_to_string(data.join("secret")).expect("there"), "b\n");
    // Neither by the paths that they have outside.
    for path in [desktops.path().to_owned(), desktops.run_dir(&b.session), home] {
        two.check(a, &format!("ls -d {} 2>/dev/null", path.display()), "");
    }
    two.check(
        a,
        "ls /root /sys /boot /srv /var/lib /etc/shadow /etc/ssh /etc/lattice 2>/dev/null",
        "",
    );
    two.check(a, "ls /run/lattice", "api\nauth\nbin\ndesktop\nxorg.conf");
    two.check(
        a,
        "ls /run/lattice/api /run/lattice/bin",
        "/run/lattice/api:\ndesktop.sock\n\n/run/lattice/bin:\nlattice",
    );
    let rw = "for d in /usr /usr/bin /etc / /run /run/lattice/{desktop,auth,api,bin} /bin /lib; do \
              touch $d/mine 2>/dev/null && echo $d; done; rm -f /run/lattice/api/* 2>/dev/null && echo api";
    two.check(a, rw, "");
    two.check(a, "echo $HOME; cd; touch mine && ls mine; hostname", "/home/student\nmine\ndesktop");
    two.check(a, "whoami; getent passwd | wc -l", "student\n3");
}

fn processes(two: &Two) {
    let Two { desktops, a, b, .. } = two;
    // In brackets, lest it finds itself.
    let (first, rest) = b.session.as_str().split_at(1);
    let foreign = format!("grep -lsz [{first}]{rest} /proc/[0-9]*/{{environ,cmdline}} | cat");
    two.check(a, &foreign, "");
    // The agent is not among a desktop's processes, so none of them can trace it or end it.
    let names = two.ask(a, "cat /proc/[0-9]*/comm");
    assert!(names.lines().any(|name| name == "xfwm4"), "{names}");
    let strangers = ["lattice-agent", "lattice", "systemd", "suite"];
    assert!(!names.lines().any(|name| strangers.contains(&name)), "{names}");
    for pid in desktops.processes(&b.session) {
        let kill = format!("kill -9 {pid} 2>/dev/null && echo killed {pid}");
        two.check(a, &kill, "");
    }
    assert!(desktops.process(&b.session, "xfwm4").is_some());
    let wall = |session: &SessionId, kind: &str| {
        let pid = desktops.process(session, "xfwm4").expect("it runs");
        fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("it runs")
    };
    for kind in ["pid", "mnt", "ipc", "uts", "net"] {
        let namespaces = [wall(&a.session, kind), wall(&b.session, kind)];
        let own = fs::read_link(format!("/proc/self/ns/{kind}")).expect("we run");
        let all: BTreeSet<_> = namespaces.into_iter().chain([own]).collect();
        assert_eq!(all.len(), 3, "{kind}: {all:?}");
    }
}

fn displays(two: &Two) {
    let Two { desktops, a, b, .. } = two;
    two.check(a, "ls /tmp/.X11-unix", "X0");
    // The same name inside, but two servers, each of which knows its own cookie only.
    let own = desktops.cookie(&a.session);
    x::connect_by(desktops.x_stream(&a.session), &own);
    for wrong in [desktops.cookie(&b.session), Vec::new()] {
        let refused = x::try_connect_by(desktops.x_stream(&a.session), &wrong).is_err();
        assert!(refused, "a cookie of {} bytes opens another desktop", wrong.len());
    }
    // The files in their directories are the only ways in.
    two.check(a, "grep @/tmp/.X11-unix /proc/net/unix", "");
    two.check(a, "cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\"'", "");
}

/// X clients try this before the file. Who could bind it for others would be given their cookie,
/// and then have their keys.
const ABSTRACT_X: &str = "/tmp/.X11-unix/X0";

/// Sockets that are in no directory: by abstract name, and by TCP.
fn networks(two: &Two) {
    let Two { a, b, .. } = two;
    two.check(a, "tail -n +2 /proc/net/route", "");
    let serve = |family: &str, address: &str| {
        format!(
            "perl -MSocket -e 'socket(S, {family}, SOCK_STREAM, 0) && bind(S, {address}) && \
             listen(S, 5) && sleep 60' </dev/null >/dev/null 2>&1 &"
        )
    };
    let reach = |family: &str, address: &str| {
        format!(
            "for i in {{1..100}}; do perl -MSocket -e 'socket(S, {family}, SOCK_STREAM, 0); \
             connect(S, {address}) || exit 1; print \"reached\"' && exit; \
             [ \"$1\" = once ] && break; sleep 0.05; done; echo refused"
        )
    };
    let abstract_x = format!("pack_sockaddr_un(\"\\0{ABSTRACT_X}\")");
    let tcp = "pack_sockaddr_in(6000, INADDR_LOOPBACK)";
    for (family, address) in [("AF_UNIX", abstract_x.as_str()), ("AF_INET", tcp)] {
        two.check(a, &serve(family, address), "");
        two.check(a, &reach(family, address), "reached");
        two.check(b, &format!("set -- once; {}", reach(family, address)), "refused");
    }
    let abstract_x = SocketAddr::from_abstract_name(ABSTRACT_X).expect("a name");
    let outside = UnixStream::connect_addr(&abstract_x).map(|_| ());
    assert_eq!(outside.expect_err("nobody").kind(), ErrorKind::ConnectionRefused);
    // Nor does a desktop reach what listens outside, such as the gateway.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let gateway = format!("pack_sockaddr_in({port}, INADDR_LOOPBACK)");
    two.check(a, &format!("set -- once; {}", reach("AF_INET", &gateway)), "refused");
}

/// A desktop that kills all it can kills itself, and comes back.
fn signals(two: &Two) {
    let Two { desktops, a, b, .. } = two;
    let living = |spec: &Spec, name: &str| desktops.process(&spec.session, name).expect("it runs");
    let others = || {
        [(a, "lattice-agent"), (b, "lattice-agent"), (b, "xfwm4"), (b, "dbus-daemon")]
            .map(|(spec, name)| living(spec, name))
    };
    let (before, supervisor, own) = (others(), desktops.supervisor(&a.session), living(a, "xfwm4"));
    desktops.inside(&a.session, "kill -9 -1");
    eventually("it to be back", || {
        desktops.process(&a.session, "xfwm4").is_some_and(|pid| pid != own)
    });
    assert_eq!(others(), before);
    assert_eq!(desktops.supervisor(&a.session), supervisor);
}

fn buses(two: &Two) {
    let ask = "dbus-send --print-reply=literal --dest=org.freedesktop.DBus / \
               org.freedesktop.DBus.GetId";
    let ids: BTreeSet<_> = [&two.a, &two.b].map(|spec| two.ask(spec, ask)).into();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
    two.check(&two.a, "ls /run/dbus /var/run/dbus 2>/dev/null", "");
}

fn privileges(two: &Two) {
    let mut uids = BTreeSet::new();
    for (spec, name) in [(&two.a, "xfwm4"), (&two.b, "xfwm4"), (&two.a, "lattice-agent")] {
        let pid = two.desktops.process(&spec.session, name).expect("it runs");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("there");
            line.split_whitespace().next().expect("a value").to_owned()
        };
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(value(set), "0000000000000000", "{name} {set}");
        }
        assert_eq!(value("NoNewPrivs:"), "1", "{name}");
        uids.insert(value("Uid:"));
    }
    assert_eq!(uids, ["100001", "100002"].map(str::to_owned).into(), "one for each owner");
}

/// Each process is limited, and where control groups are writable, each desktop.
fn limits(two: &Two) {
    let pid = two.desktops.process(&two.a.session, "xfwm4").expect("it runs");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
    for (name, value) in [("Max processes", "600"), ("Max data size", "2147483648")] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("there");
        assert_eq!(line.split_whitespace().next(), Some(value), "{name}");
    }
    let log = two.desktops.log(&two.a.session);
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let own = format!("/lattice-{}", two.a.session);
    for controller in ["memory", "pids", "cpu"] {
        let is_own = groups.lines().any(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let names = fields.next().unwrap_or_default();
            let is_its = names.is_empty() || names.split(',').any(|name| name == controller);
            is_its && fields.next().is_some_and(|path| path.ends_with(&own))
        });
        let is_said = log.contains(&format!("not the desktop: {controller}"));
        assert!(is_own != is_said, "{controller}: {groups}{log}");
    }
}
