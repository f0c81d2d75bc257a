//! What templates may say and what they may not, by name.

use super::*;

const GOOD: &str = "
name: go
services:
  code:
    image: lattice/vscode-golang
    command: [code, --wait]
    environment: { GOFLAGS: -mod=mod }
    mem_limit: 1.5g
    cpus: 1.5
    tmpfs: ['/home/student/.cache:size=256m,exec']
    stop_grace_period: 5s
    x-note: nobody reads this
x-lattice:
  title: Go + VS Code
  apps:
    code: { title: VS Code, icon: vscode, opens: at-start }
  permissions:
    code: { display: true, data: write, clipboard: true, ports: [8080], dbus: [org.example.*] }
  size: { memory: 4g, cpus: 2, pids: 800 }
  idle: { warn: 25m, pause: 30m, stop: 1h30m }
  starter: [{ service: code, from: /usr/share/lattice/starter/hello, to: hello }]
";

/// The good template with a service's line more.
fn with(line: &str) -> String {
    GOOD.replace("    command:", &format!("    {line}\n    command:"))
}

/// The good template with something of it replaced.
fn but(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old}");
    GOOD.replace(old, new)
}

fn refused(text: &str) -> String {
    let faults = read(text).expect_err("it is wrong");
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn a_good_template_is_read_whole() {
    let template = read(GOOD).unwrap_or_else(|faults| panic!("{faults:#?}"));
    assert_eq!((&*template.name, &*template.title), ("go", "Go + VS Code"));
    assert_eq!(template.size, Size { memory: 4 << 30, cpu_millis: 2000, pids: 800 });
    assert_eq!(template.idle.stop, Duration::from_secs(5400));
    let code = &template.apps["code"];
    assert_eq!(code.size, Size { memory: 3 << 29, cpu_millis: 1500, pids: 800 - 368 - 144 });
    assert_eq!((code.opens, &*code.image), (Opens::AtStart, "lattice/vscode-golang"));
    assert_eq!(code.command, ["code", "--wait"]);
    let cache = Tmpfs { path: "/home/student/.cache".into(), size: 256 << 20, exec: true };
    assert_eq!(code.tmpfs, [cache]);
    assert_eq!(code.permissions.data, Access::Write);
    assert_eq!(code.permissions.network, Network::None);
    assert_eq!(code.permissions.ports, [8080]);
    assert_eq!(template.starter[0].to, "hello");
}

#[test]
fn an_app_asks_the_manager_where_its_template_says_so_and_only_there() {
    assert!(!read(GOOD).expect("good").apps["code"].permissions.manager);
    let grants = but("ports: [8080]", "ports: [8080], manager: true");
    assert!(read(&grants).expect("good").apps["code"].permissions.manager);
    let said = refused(&but("ports: [8080]", "ports: [8080], manger: true"));
    assert!(said.contains("manger is not known here; did you mean manager?"), "{said}");
    // It is granted or it is not: there is no part of it.
    let said = refused(&but("ports: [8080]", "ports: [8080], manager: [snapshot]"));
    assert!(said.starts_with("line "), "{said}");
    // A broker of the release before knows no such key, and need not where nobody uses it.
    assert!(!write(&read(GOOD).expect("good")).contains("manager"));
}

/// Each would give an app more than it declares, or less protection than all have.
#[test]
fn keys_that_would_loosen_the_walls_are_refused_by_name_with_the_reason() {
    let dangerous = [
        "privileged: true",
        "cap_add: [SYS_ADMIN]",
        "cap_drop: [ALL]",
        "security_opt: ['seccomp=unconfined']",
        "userns_mode: host",
        "user: root",
        "group_add: [docker]",
        "pid: host",
        "ipc: host",
        "uts: host",
        "cgroup: host",
        "cgroup_parent: /",
        "network_mode: host",
        "networks: [other]",
        "ports: ['22:22']",
        "extra_hosts: ['metadata:169.254.169.254']",
        "dns: [10.0.0.1]",
        "devices: ['/dev/sda']",
        "device_cgroup_rules: ['a *:* rwm']",
        "gpus: all",
        "runtime: runc-of-mine",
        "use_api_socket: true",
        "volumes: ['/:/host', '/var/run/docker.sock:/var/run/docker.sock']",
        "volumes_from: ['container:other']",
        "configs: [passwd]",
        "secrets: [key]",
        "read_only: false",
        "sysctls: { kernel.core_pattern: '|/bin/sh' }",
        "ulimits: { nproc: -1 }",
        "oom_kill_disable: true",
        "oom_score_adj: -1000",
        "build: .",
        "extends: { file: /etc/shadow, service: x }",
        "env_file: /etc/shadow",
        "deploy: { replicas: 100 }",
        "provider: { type: anything }",
        "post_start: [{ command: x, privileged: true }]",
        "container_name: lattice-gateway",
        "labels: { io.lattice.session: another }",
        "logging: { driver: syslog }",
        "restart: always",
        "entrypoint: [sh]",
    ];
    for line in dangerous {
        let (key, _) = line.split_once(':').expect("a key");
        let said = refused(&with(line));
        let begin = format!("line 6: services.code.{key} is refused: ");
        assert!(said.starts_with(&begin) && said.lines().count() == 1, "{said}");
    }
    for (key, rest) in [
        ("volumes", "{ data: { driver_opts: { device: / } } }"),
        ("networks", "{ host: { external: true } }"),
        ("secrets", "{ key: { file: /etc/shadow } }"),
        ("configs", "{ passwd: { file: /etc/passwd } }"),
        ("include", "[/etc/shadow]"),
        ("version", "'3'"),
    ] {
        let said = refused(&format!("{GOOD}{key}: {rest}\n"));
        assert!(said.contains(&format!("{key} is refused: ")), "{said}");
    }
    let said = refused(&but("data: write", "devices: [/dev/kvm], data: write"));
    assert!(said.contains("x-lattice.permissions.code.devices is refused: "), "{said}");
}

#[test]
fn a_misspelt_key_is_named_with_the_nearest_and_all_faults_are_told_at_once() {
    let text = with("enviroment: {}").replace("  title: Go", "  titel: x\n  title: Go");
    let said = refused(&text.replace("lattice/vscode-golang", "ubuntu"));
    assert!(
        said.contains("services.code.enviroment is not known here; did you mean environment?"),
        "{said}"
    );
    assert!(said.contains("x-lattice.titel is not known here; did you mean title?"), "{said}");
    assert!(
        said.contains("services.code.image is wrong: \"ubuntu\" may be another image tomorrow"),
        "{said}"
    );
    let lines: Vec<_> = said.lines().map(|line| line.split(':').next().expect("a line")).collect();
    assert_eq!(lines, ["line 5", "line 6", "line 15"], "{said}");
}

#[test]
fn values_out_of_bounds_are_refused_where_they_stand() {
    let digest = "0".repeat(64);
    for (old, new, part) in [
        ("name: go", "name: ../go", "is no name"),
        ("name: go", "name: 'Go!'", "is no name"),
        ("lattice/vscode-golang", "lattice/vscode-golang:latest", "another image tomorrow"),
        ("lattice/vscode-golang", "lattice/../gateway", "another image tomorrow"),
        ("lattice/vscode-golang", "debian:bookworm", "another image tomorrow"),
        ("lattice/vscode-golang", "debian@sha256:abc", "another image tomorrow"),
        (
            "1.5g",
            "3g",
            "is 4096 MiB, but the desktop's own parts may use 1728 MiB and its apps 3072 MiB",
        ),
        ("memory: 4g", "memory: 1g", "make it 3264m, or mem_limit"),
        (
            "pids: 800",
            "pids: 300",
            "is 300, but the desktop's own parts may have 512 and its apps 16",
        ),
        ("mem_limit: 1.5g", "shm_size: 3g", "is more than the app may use"),
        ("cpus: 1.5", "cpus: 3", "more than the desktop has"),
        ("1.5g", "-1", "is no size"),
        ("1.5g", "1e30g", "is no size"),
        ("1.5g", "1k", "is not from 16m to 64g"),
        ("cpus: 1.5", "cpus: NaN", "is not from 0.05 to 64"),
        ("cpus: 1.5", "cpus: 65", "is not from 0.05 to 64"),
        ("pids: 800", "pids: 100000", "is not from 16 to 4096"),
        ("'/home/student/.cache:size=256m,exec'", "/usr/bin", "would hide what is in /usr"),
        ("'/home/student/.cache:size=256m,exec'", "/proc", "would hide what is in /proc"),
        ("'/home/student/.cache:size=256m,exec'", "/tmp/../etc", "is no path"),
        ("'/home/student/.cache:size=256m,exec'", "'/tmp:suid'", "is no option"),
        ("GOFLAGS: -mod=mod", "LD_PRELOAD: /tmp/x.so", "is the desktop's own to set"),
        ("GOFLAGS: -mod=mod", "LATTICE_TOKEN: x", "is the desktop's own to set"),
        ("GOFLAGS: -mod=mod", "X: '${DATABASE_PASSWORD}'", "nothing is put in the place of"),
        ("GOFLAGS: -mod=mod", "'A B': x", "is no name of a variable"),
        ("stop_grace_period: 5s", "stop_grace_period: 1h", "is not from 1s to 1m"),
        ("ports: [8080]", "ports: [22]", "are 1024 to 65535"),
        ("ports: [8080]", "ports: [8080, 8080]", "names 8080 twice"),
        ("ports: [8080]", "ports: [70000]", ""),
        ("data: write", "data: everything", ""),
        ("data: write", "network: host", ""),
        ("display: true, ", "", "is part of the display"),
        ("clipboard: true, ", "", "X keeps it from nobody"),
        ("clipboard: true", "clipboard: true, audio: true", "desktops have no sound yet"),
        ("clipboard: true", "clipboard: false", "declare that by clipboard: true"),
        ("org.example.*", "'*'", "is no name on the bus"),
        ("warn: 25m", "warn: 31m", "warn comes first"),
        ("stop: 1h30m", "stop: soon", "is no time"),
        ("/usr/share/lattice/starter/hello", "/etc/shadow", "is not below"),
        (
            "/usr/share/lattice/starter/hello",
            "/usr/share/lattice/starter/../../../etc",
            "is no path",
        ),
        ("to: hello", "to: ../outside", "is no place below Data"),
        ("to: hello", "to: .config/autostart", "is no place below Data"),
        ("service: code", "service: other", "is no service"),
        ("title: Go + VS Code", "title: \"a\\u202eb\"", "characters that can be seen"),
        ("opens: at-start", "opens: always", ""),
    ] {
        let said = refused(&but(old, new));
        assert!(said.contains(part) && said.starts_with("line "), "{new}: {said}");
    }
    let pinned = format!("elsewhere.example/code@sha256:{digest}");
    assert!(read(&but("lattice/vscode-golang", &pinned)).is_ok());
    let said =
        refused(&GOOD.replace("code:", "desktop:").replace("service: code", "service: desktop"));
    assert!(said.contains("services.desktop is a part of every desktop"), "{said}");
}

/// Each container has limits of its own, and there is none around them all.
#[test]
fn all_limits_together_are_no_more_than_the_size() {
    let text = |size: &str, limit: &str| {
        format!(
            "name: a\nservices:\n  one: {{ image: lattice/terminal, mem_limit: {limit} }}\n  \
             two: {{ image: lattice/terminal }}\n  three: {{ image: lattice/terminal, pids_limit: 40 }}\n\
             x-lattice:\n  title: A\n  apps: {{ one: {{ title: A }}, two: {{ title: B }}, three: \
             {{ title: C }} }}\n  size: {{ {size} }}\n"
        )
    };
    let template = read(&text("memory: 2732m, pids: 600", "100m")).expect("a good template");
    let of = |name: &str| (template.apps[name].size.memory >> 20, template.apps[name].size.pids);
    assert_eq!((of("one"), of("two"), of("three")), ((100, 104), (500, 104), (500, 40)));
    let all = template.apps.values().map(|app| app.size).chain(Size::CORE);
    let sum = all.fold((0, 0), |(memory, pids), one| (memory + one.memory, pids + one.pids));
    assert_eq!(sum, (template.size.memory, template.size.pids));
    // The least that each of those may use who say nothing is 16m.
    assert!(read(&text("memory: 1764m", "100m")).is_ok());
    let said = refused(&text("memory: 1763m", "100m"));
    assert!(said.starts_with("line 9: x-lattice.size.memory is 1763 MiB"), "{said}");
    assert!(
        said.contains("own parts may use 1632 MiB and its apps 132 MiB; make it 1764m"),
        "{said}"
    );
    // Where no size is said, that is told without a line of it.
    let said = refused(&text("cpus: 2", "3g"));
    assert!(said.contains("x-lattice.size.memory is 4096 MiB"), "{said}");
}

#[test]
fn what_is_no_template_at_all_is_told_in_one_line() {
    let deep = "[".repeat(5000);
    let laughs = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    for text in ["", "hello", "- a", "{", "name: go", "\u{0}", &deep, laughs, "name: a\nname: b"] {
        let faults = read(text).expect_err("no template");
        assert!(!faults.is_empty());
        for fault in faults {
            assert_eq!(fault.to_string().lines().count(), 1, "{fault}");
        }
    }
}

#[test]
fn sizes_and_times_are_those_of_compose() {
    for (text, bytes) in [("0", 0), ("12", 12), ("1k", 1024), ("2KB", 2048), ("1.5g", 3 << 29)] {
        assert_eq!(values::bytes(text), Ok(bytes), "{text}");
    }
    for text in ["", "g", "1t", "1 g", "-1", "inf", "NaN"] {
        assert!(values::bytes(text).is_err(), "{text}");
    }
    for (text, seconds) in [("90s", 90), ("25m", 1500), ("1h30m", 5400), ("2d", 172_800)] {
        assert_eq!(values::time(text), Ok(Duration::from_secs(seconds)), "{text}");
    }
    for text in ["", "5", "m", "1w", "5ms", "99999999999999999999s", "999999999999999999d"] {
        assert!(values::time(text).is_err(), "{text}");
    }
}

#[test]
fn what_is_shipped_is_good() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../containers/templates");
    let (good, bad) = load_all(Path::new(dir)).expect("templates are shipped");
    assert_eq!(bad, []);
    let names: Vec<_> = good.iter().map(|(template, _)| template.name.as_str()).collect();
    assert_eq!(names, ["desktop", "go", "java", "kiosk", "node-vue", "python"]);
}

#[test]
fn a_directory_gives_what_is_good_in_it_and_says_what_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    for (file, text) in
        [("go.yaml", GOOD), ("other.yaml", GOOD), ("bad.yaml", "name: bad"), ("note", "")]
    {
        std::fs::write(dir.path().join(file), text).expect("written");
    }
    let (good, bad) = load_all(dir.path()).expect("it is there");
    assert_eq!(good.iter().map(|(template, _)| &*template.name).collect::<Vec<_>>(), ["go"]);
    let bad: Vec<_> = bad.iter().map(|(file, _)| file.file_name().expect("a name")).collect();
    assert_eq!(bad, ["bad.yaml", "other.yaml"]);
    assert!(load_all(&dir.path().join("missing")).is_err());
}

#[test]
fn a_file_that_is_none_is_named() {
    let said = |path: &Path| load(path).expect_err("no template")[0].to_string();
    assert!(said(Path::new("/nonexistent.yaml")).starts_with("/nonexistent.yaml cannot be read: "));
    let dir = tempfile::tempdir().expect("a directory");
    let large = dir.path().join("large.yaml");
    std::fs::write(&large, "#".repeat(MAX_BYTES as usize + 1)).expect("written");
    assert_eq!(said(&large), "a template has at most 65536 bytes, not 65537");
}
