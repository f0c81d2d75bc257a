//! What one desktop made of containers sees and reaches of another, of its own display's server, and of
//! the machine: nothing. Asked from inside, as its user: in its desktop, and in an app of it.

use super::{listen, reach, started};
use lattice_engine::session::SessionId;
use lattice_gateway::runtime::Runtime;
use lattice_tests::containers::{Containers, docker, name};
use lattice_tests::desktops::{ended, state};
use lattice_tests::{eventually, x};
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

const TOOLS: &str = "name: tools
services:
  tool: { image: lattice/terminal, command: [sleep, infinity] }
x-lattice:
  title: Tools
  apps: { tool: { title: Tool, opens: at-start } }
  permissions: { tool: { display: true, clipboard: true, data: write } }
";
/// Where a person's programs run.
const PARTS: [&str; 2] = ["desktop", "app-tool"];

/// Two desktops of two people.
struct Two {
    containers: Containers,
    runtime: Runtime,
    a: SessionId,
    b: SessionId,
}

impl Two {
    async fn start() -> Self {
        let containers = Containers::with_templates(&[TOOLS]);
        let runtime = containers.open();
        let (a, b) = (started(&runtime, 1, "tools").await, started(&runtime, 2, "tools").await);
        for session in [&a, &b] {
            eventually("the panel", || {
                containers.ask(session, "desktop", "cat /proc/[0-9]*/comm").contains("xfce4-panel")
            });
        }
        Self { containers, runtime, a, b }
    }

    fn ask(&self, session: &SessionId, part: &str, script: &str) -> String {
        self.containers.ask(session, part, script)
    }

    /// Asks the first, in all its parts.
    fn check(&self, script: &str, expected: &str) {
        for part in PARTS {
            assert_eq!(self.ask(&self.a, part, script), expected, "{part}: {script}");
        }
    }

    fn pid(&self, session: &SessionId, part: &str) -> u32 {
        let pid = self.containers.inspect(session, part)["State"]["Pid"].as_u64().expect("it runs");
        pid.try_into().expect("a process id")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_of_containers_sees_nothing_of_another_nor_of_the_machine() {
    let two = Two::start().await;
    files(&two);
    processes(&two);
    memory(&two);
    displays(&two);
    buses(&two);
    networks(&two);
    privileges(&two);
    kernel(&two);
    disks(&two);
    watches(&two);
    signals(&two).await;
    for session in [&two.a, &two.b] {
        two.runtime.remove(session).await.expect("a removal");
    }
}

fn files(two: &Two) {
    let put =
        "umask 077; for d in /tmp /dev/shm /run/user/1000 ~ ~/Data; do echo b >$d/secret; done";
    for part in PARTS {
        assert_eq!(two.ask(&two.b, part, put), "");
    }
    two.check(
        "ls /tmp/secret /dev/shm/secret /run/user/1000/secret ~/secret ~/Data/secret 2>/dev/null",
        "",
    );
    // Neither by the paths that they have outside.
    let outside = [two.containers.path().to_owned(), two.containers.run().join(two.b.as_str())];
    for path in outside.iter().chain([&two.containers.home(2)]) {
        two.check(&format!("ls -d {} 2>/dev/null", path.display()), "");
    }
    two.check(
        "ls /root /var/lib/docker /var/run/docker.sock /run/docker* /run/containerd \
               /run/lattice/{gate,link,auth/server} /run/lattice/broker.sock 2>/dev/null | cat; \
               cat /etc/shadow /run/lattice/auth/server 2>/dev/null",
        "",
    );
    // All sockets that there are.
    assert_eq!(
        two.ask(
            &two.a,
            "desktop",
            "find / -xdev -type s 2>/dev/null; find /run/lattice /tmp -type s | sort"
        ),
        "/run/lattice/api/desktop.sock\n/run/lattice/bus/bus\n/tmp/.X11-unix/X0"
    );
    let sockets = "find / -type s 2>/dev/null";
    assert_eq!(two.ask(&two.a, "app-tool", sockets), "/tmp/.X11-unix/X0");
    two.check(
        "for d in / /usr /usr/bin /etc /opt /srv /var /var/tmp /home /bin /lib /run /run/lattice /root \
         /tmp/.X11-unix /run/lattice/auth /run/lattice/bus /run/lattice/api /run/lattice/menu; do \
         touch $d/mine 2>/dev/null && echo $d; done; { echo >>/etc/passwd; } 2>/dev/null && echo passwd; \
         { echo >>/run/lattice/auth/client; } 2>/dev/null && echo cookie",
        "",
    );
}

fn processes(two: &Two) {
    let names = two.ask(&two.a, "desktop", "cat /proc/[0-9]*/comm");
    for stranger in ["Xorg", "lattice-agent", "dbus-daemon", "dockerd", "suite"] {
        assert!(!names.lines().any(|name| name == stranger), "{stranger} among {names}");
    }
    let parts = ["xorg", "dbus", "api", "desktop", "app-tool"];
    for kind in ["pid", "mnt", "ipc", "uts", "net"] {
        let of = |session, part| {
            let pid = two.pid(session, part);
            fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("it runs")
        };
        let mut all: BTreeSet<_> = parts.iter().map(|part| of(&two.a, part)).collect();
        all.extend(parts.iter().map(|part| of(&two.b, part)));
        all.insert(fs::read_link(format!("/proc/self/ns/{kind}")).expect("we run"));
        assert_eq!(all.len(), 2 * parts.len() + 1, "{kind}: {all:?}");
    }
    for part in parts {
        let pid = two.pid(&two.b, part);
        // PTRACE_ATTACH, by number.
        let trace =
            format!("perl -e 'print syscall(101, 16, {pid}, 0, 0) == 0 ? \"traced\" : \"\"'");
        two.check(
            &format!(
                "kill -0 {pid} 2>/dev/null && grep -z {0} /proc/{pid}/environ; {trace}",
                two.b
            ),
            "",
        );
    }
}

/// What processes share beside files: System V's shared memory, and message queues.
fn memory(two: &Two) {
    let get = |flags: &str| {
        format!(
            "perl -e '$id = shmget(7777, 4096, {flags}); print defined $id ? \"there\" : \"none\"'"
        )
    };
    for part in PARTS {
        assert_eq!(two.ask(&two.b, part, &get("01666")), "there");
    }
    two.check(&get("0666"), "none");
}

fn displays(two: &Two) {
    let place = |session: &SessionId| two.containers.run().join(session.as_str());
    let cookie = |session: &SessionId| {
        let entry = fs::read(place(session).join("auth/server")).expect("a cookie file");
        entry[entry.len() - 16..].to_vec()
    };
    let stream =
        |session: &SessionId| UnixStream::connect(place(session).join("x/X0")).expect("it listens");
    x::connect_by(stream(&two.a), &cookie(&two.a));
    for wrong in [cookie(&two.b), Vec::new()] {
        assert!(x::try_connect_by(stream(&two.a), &wrong).is_err(), "another's cookie opens it");
    }
    // Nothing but the file leads in: no abstract socket, no port.
    for part in ["xorg", "desktop", "app-tool"] {
        assert_eq!(two.ask(&two.a, part, "grep -i x11 /proc/net/unix | grep @"), "", "{part}");
        let listening = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep ' 0A '";
        assert_eq!(two.ask(&two.a, part, listening), "", "{part}");
    }
}

fn buses(two: &Two) {
    let ask = "dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
               org.freedesktop.DBus.GetId";
    let ids: BTreeSet<_> = [&two.a, &two.b].map(|session| two.ask(session, "desktop", ask)).into();
    assert_eq!(ids.len(), 2, "{ids:?}");
    assert!(ids.iter().all(|id| id.len() == 32), "{ids:?}");
    let none = two.ask(&two.a, "app-tool", &format!("{ask} 2>&1 | grep -c -i 'fail\\|error'"));
    assert_eq!(none, "1", "an app that declares no names has no bus");
    two.check("ls /run/dbus /var/run/dbus 2>/dev/null", "");
}

fn networks(two: &Two) {
    two.check("ls /sys/class/net; tail -n +2 /proc/net/route", "lo");
    for part in PARTS {
        assert_eq!(two.ask(&two.b, part, &listen(7000)), "");
        eventually("it to listen", || {
            two.ask(&two.b, part, &reach("127.0.0.1", 7000)) == "reached"
        });
    }
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let own =
        std::process::Command::new("hostname").arg("-I").output().expect("it is there").stdout;
    let own = String::from_utf8_lossy(&own).into_owned();
    for address in own.split_whitespace().filter(|a| !a.contains(':')).chain(["127.0.0.1"]) {
        two.check(&reach(address, port), "1");
    }
    for metadata in ["169.254.169.254", "172.17.0.1"] {
        two.check(&reach(metadata, 80), "1");
    }
    two.check("(exec 3<>/dev/tcp/fd00:ec2::254/80) 2>/dev/null && echo reached", "");
    let scan = "for p in {1..1024} 2375 2376 6000 6010 7000 8080 8443; do \
                (exec 3<>/dev/tcp/127.0.0.1/$p) 2>/dev/null && echo $p; done; true";
    two.check(scan, "");
}

fn privileges(two: &Two) {
    let status = "sed -n 's/^\\(CapInh\\|CapPrm\\|CapEff\\|CapBnd\\|CapAmb\\|NoNewPrivs\\|Seccomp\\):\\t//p' \
                  /proc/self/status | xargs";
    let none = "0000000000000000";
    two.check(status, &format!("{none} {none} {none} {none} {none} 1 2"));
    let uids: BTreeSet<_> =
        [&two.a, &two.b].map(|session| two.ask(session, "app-tool", "id -u")).into();
    assert_eq!(uids, ["100001", "100002"].map(str::to_owned).into(), "one for each person");
    two.check("find / -xdev -type f -perm /6000 2>/dev/null", "");
    // A program of one's own that would be root's gains nothing.
    two.check(
        "cp /usr/bin/id /dev/shm/id; chmod u+s /dev/shm/id; /dev/shm/id -u 2>/dev/null | grep -x 0",
        "",
    );
    let attempts = [
        "mount -t tmpfs x /mnt",
        "mount -o remount,rw /",
        "umount /etc/passwd",
        "unshare --user true",
        "unshare --mount true",
        "unshare --net true",
        "chroot / true",
        "mknod /tmp/sda b 8 0",
        "setpriv --reuid 0 true",
        "nsenter --target 1 --net true",
        "hostname other",
        "date -s 2000-01-01",
    ];
    for attempt in attempts {
        two.check(&format!("{attempt} >/dev/null 2>&1 && echo done"), "");
    }
    let raw = "perl -MSocket -e 'for ([AF_INET, SOCK_RAW, 1], [17, SOCK_RAW, 768], [17, SOCK_DGRAM, 768]) \
               { print \"raw\" if socket(S, $_->[0], $_->[1], $_->[2]) }'";
    two.check(raw, "");
    let devices = "cd /dev && find . -type b; find . -type c | grep -v \
                   -x './\\(null\\|zero\\|full\\|random\\|urandom\\|tty\\|console\\|pts/.*\\)' | cat";
    two.check(devices, "");
}

/// What the kernel offers to all that run on it.
fn kernel(two: &Two) {
    two.check(
        "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger \
         /proc/sys/net/ipv4/ip_forward /sys/kernel/uevent_helper /sys/fs/cgroup/*/release_agent \
         /sys/fs/cgroup/*/cgroup.procs /sys/fs/cgroup/cgroup.procs /proc/1/oom_score_adj /proc/acpi/x; do \
         [ -e $f ] && { echo -1000 >$f; } 2>/dev/null && echo $f; done; true",
        "",
    );
    two.check("cat /proc/kcore /proc/keys /proc/timer_list 2>/dev/null | head -c 9; dmesg 2>/dev/null | head -n 1", "");
    // bpf, perf_event_open, init_module, kexec_load, keyctl, userfaultfd, open_by_handle_at, add_key.
    let calls = "perl -e 'for (321, 298, 175, 246, 250, 323, 304, 248) { $! = 0; \
                 print \"$_ \" if syscall($_, 0, 0, 0, 0, 0) >= 0 || ($! != 1 && $! != 38) }'";
    two.check(calls, "");
}

/// What may be filled has an end, and is nobody else's.
fn disks(two: &Two) {
    for (directory, most) in [("/tmp", 256), ("/run/user/1000", 16), ("/dev/shm", 64)] {
        let fill = format!(
            "head -c 400M /dev/zero >{directory}/much 2>/dev/null; \
             echo $(($(stat -c %s {directory}/much) >> 20)); rm {directory}/much"
        );
        for part in PARTS {
            let got: u64 = two.ask(&two.a, part, &fill).parse().expect("a number");
            assert!(got <= most && got >= most / 2, "{part}: {got} MiB went into {directory}");
        }
    }
    let files = "i=0; cd /tmp; mkdir many; while [ $i -lt 100000 ] && : >many/$i; do i=$((i+1)); done \
                 2>/dev/null; rm -r many; echo $i";
    let room = two.ask(&two.b, "desktop", "df --output=iavail /tmp | tail -n 1");
    // One for each page of its 256 MiB, less what is there already.
    let made: u32 = two.ask(&two.a, "desktop", files).parse().expect("a number");
    assert!((60_000..65_536).contains(&made), "{made} files");
    assert_eq!(two.ask(&two.b, "desktop", "df --output=iavail /tmp | tail -n 1"), room);
}

/// The kernel counts them for each user id.
fn watches(two: &Two) {
    let script = "perl -e 'while (syscall(294, 0) >= 0) { last if ++$n > 5000 } print $n + 0'";
    let most = |session| two.ask(session, "app-tool", script).parse::<u32>().expect("a number");
    let hold = "perl -e '1 while syscall(294, 0) >= 0; sleep 60' </dev/null >/dev/null 2>&1 &";
    let before = most(&two.b);
    assert_eq!(two.ask(&two.a, "app-tool", hold), "");
    eventually("the first to have used up its own", || most(&two.a) == 0);
    assert_eq!(most(&two.b), before, "the other has as many as before");
    println!("inotify: one takes all of its own, the other still makes {before}");
}

/// A desktop that kills all it can ends, alone.
async fn signals(two: &Two) {
    let others = || {
        let mut all: Vec<_> = ["xorg", "dbus", "api"].map(|part| two.pid(&two.a, part)).into();
        all.extend(
            ["xorg", "dbus", "api", "desktop", "app-tool"].map(|part| two.pid(&two.b, part)),
        );
        all
    };
    let before = others();
    two.ask(&two.a, "desktop", "kill -9 -1");
    let reason = ended(&two.runtime, &two.a).await;
    println!("a desktop that killed itself: {reason}");
    assert_eq!(others(), before);
    assert!(state(&two.runtime, &two.b).await.is_some());
    assert_eq!(
        docker(&["inspect", "--format", "{{.State.Running}}", &name(&two.b, "desktop")]),
        "true"
    );
}
