//! Templates back as text: what was read and checked, in one form. JSON, which is YAML as well.

use super::{Access, App, Network, Opens, Permissions, Size, Template, Tmpfs, core_of};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// A template as text that [`super::read`] makes the same of.
pub fn write(template: &Template) -> String {
    let Template { name, title, summary, icon, readme, size, idle, starter, apps } = template;
    let mut services = Map::new();
    let (mut about, mut permissions) = (Map::new(), Map::new());
    for (name, app) in apps {
        services.insert(name.clone(), service(app));
        let opens = match app.opens {
            Opens::Menu => "menu",
            Opens::AtStart => "at-start",
        };
        about.insert(
            name.clone(),
            json!({ "title": app.title, "icon": app.icon, "opens": opens }),
        );
        permissions.insert(name.clone(), granted(&app.permissions));
    }
    let starter: Vec<Value> = starter
        .iter()
        .map(|starter| json!({ "service": starter.app, "from": starter.from, "to": starter.to }))
        .collect();
    let mut lattice = json!({
        "title": title,
        "icon": icon,
        "readme": readme,
        "apps": about,
        "permissions": permissions,
        "size": { "memory": bytes(size.memory), "cpus": cpus(size.cpu_millis), "pids": size.pids },
        "idle": { "warn": time(idle.warn), "pause": time(idle.pause), "stop": time(idle.stop) },
        "starter": starter,
    });
    if !summary.is_empty() {
        lattice["summary"] = json!(summary);
    }
    json!({ "name": name, "services": services, "x-lattice": lattice }).to_string()
}

/// An app alone, as a template that has nothing else: so is one kept that was installed.
pub fn alone(name: &str, app: &App) -> String {
    let apps = BTreeMap::from([(name.to_owned(), app.clone())]);
    let core = core_of(&apps);
    let size = Size {
        memory: core.memory + app.size.memory,
        cpu_millis: app.size.cpu_millis,
        pids: core.pids + app.size.pids,
    };
    let minutes = |count: u64| Duration::from_secs(60 * count);
    write(&Template {
        name: name.to_owned(),
        title: app.title.clone(),
        summary: String::new(),
        icon: app.icon.clone(),
        readme: String::new(),
        size,
        idle: super::Idle { warn: minutes(25), pause: minutes(30), stop: minutes(480) },
        starter: Vec::new(),
        apps,
    })
}

fn service(app: &App) -> Value {
    let mut service = json!({
        "image": app.image,
        "command": app.command,
        "environment": app.environment,
        "mem_limit": bytes(app.size.memory),
        "cpus": cpus(app.size.cpu_millis),
        "pids_limit": app.size.pids,
        "shm_size": bytes(app.shm),
        "tmpfs": app.tmpfs.iter().map(tmpfs).collect::<Vec<_>>(),
        "stop_grace_period": time(app.stop_grace),
    });
    if let Some(directory) = &app.working_dir {
        service["working_dir"] = json!(directory);
    }
    service
}

fn tmpfs(Tmpfs { path, size, exec }: &Tmpfs) -> String {
    let exec = if *exec { ",exec" } else { "" };
    format!("{path}:size={size}{exec}")
}

fn granted(may: &Permissions) -> Value {
    let network = match may.network {
        Network::None => "none",
        Network::Internet => "internet",
    };
    let data = match may.data {
        Access::None => "none",
        Access::Read => "read",
        Access::Write => "write",
    };
    json!({
        "display": may.display,
        "dbus": may.dbus,
        "network": network,
        "data": data,
        "clipboard": may.clipboard,
        "ports": may.ports,
    })
}

fn bytes(count: u64) -> String {
    format!("{count}b")
}

fn cpus(millis: u32) -> String {
    format!("{}", f64::from(millis) / 1000.0)
}

fn time(span: Duration) -> String {
    format!("{}s", span.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::{load_all, read};
    use std::path::Path;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../containers/templates");
        let (templates, bad) = load_all(&ours).expect("read");
        assert!(bad.is_empty(), "{bad:?}");
        for template in templates {
            assert_eq!(read(&write(&template)).as_ref(), Ok(&template));
            for (name, app) in &template.apps {
                let kept = read(&alone(name, app)).expect("good");
                assert_eq!(kept.apps[name], *app);
            }
        }
    }

    #[test]
    fn what_looks_like_something_else_stays_text() {
        let text = "name: odd
services:
  odd:
    image: a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    command: ['1.10', 'yes', '0x1f', '~', \"a\\tb \\\"c\\\" # d: e\"]
    environment: {A: '1.10', B: 'null', C: 'off', D: 1.50}
    working_dir: /a b
    cpus: 0.57
    tmpfs: ['/run/x:size=3m,exec', /run/y]
    stop_grace_period: 61s
x-lattice:
  title: 'true'
  apps: {odd: {title: '12'}}
  permissions: {odd: {dbus: ['org.example.*'], ports: [8000], data: write}}
";
        let odd = read(&text.replace("61s", "59s")).expect("good");
        assert_eq!(odd.apps["odd"].environment["D"], "1.50");
        assert_eq!(read(&write(&odd)), Ok(odd));
    }
}
