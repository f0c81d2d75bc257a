//! Templates back as text: what was read and checked, in one form. JSON, which is YAML as well.

use super::{
    Access, App, MAX_APPS, MAX_BYTES, MEMORY, Network, Opens, PIDS, Permissions, Size, Template,
    Tmpfs, core_of,
};
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
        about.insert(name.clone(), json!({ "title": app.title, "icon": app.icon, "opens": opens }));
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

/// A template with more apps, as text, and the names of those that were left out. One whose name the
/// template has already is: what the template says holds. So is one for which there is no room within
/// what any template may say. The desktop's size grows by what each app may use.
pub fn with_apps(
    mut template: Template,
    more: impl IntoIterator<Item = (String, App)>,
) -> (String, Vec<String>) {
    let mut text = write(&template);
    let mut left_out = Vec::new();
    for (name, mut app) in more {
        let mut grown = template.clone();
        let before = core_of(&grown.apps);
        // Of processors an app has no more than the desktop.
        app.size.cpu_millis = app.size.cpu_millis.min(grown.size.cpu_millis);
        let (memory, pids) = (app.size.memory, app.size.pids);
        let is_new = grown.apps.insert(name.clone(), app).is_none();
        let after = core_of(&grown.apps);
        grown.size.memory += memory + after.memory - before.memory;
        grown.size.pids += pids + after.pids - before.pids;
        let written = write(&grown);
        let fits = grown.apps.len() <= MAX_APPS
            && grown.size.memory <= MEMORY.1
            && u64::from(grown.size.pids) <= PIDS.1
            && written.len() as u64 <= MAX_BYTES;
        match is_new && fits {
            true => (template, text) = (grown, written),
            false => left_out.push(name),
        }
    }
    (text, left_out)
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
    let mut granted = json!({
        "display": may.display,
        "dbus": may.dbus,
        "network": network,
        "data": data,
        "clipboard": may.clipboard,
        "ports": may.ports,
    });
    // A broker of the release before, which knows no such key, still reads all that does without it.
    if may.manager {
        granted["manager"] = json!(true);
    }
    granted
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
        for (template, _) in templates {
            assert_eq!(read(&write(&template)).as_ref(), Ok(&template));
            for (name, app) in &template.apps {
                let kept = read(&alone(name, app)).expect("good");
                assert_eq!(kept.apps[name], *app);
            }
        }
    }

    #[test]
    fn a_template_with_more_apps_is_as_good_and_larger() {
        let base = read(
            "name: base\nservices: {a: {image: lattice/terminal}}\nx-lattice: {title: B, \
                         size: {cpus: 1}, apps: {a: {title: A}}}\n",
        )
        .expect("good");
        let app = |memory: u64, ports: Vec<u16>| {
            let mut app = base.apps["a"].clone();
            (app.size.memory, app.permissions.ports) = (memory << 20, ports);
            app.size.cpu_millis = 64_000;
            app.shm = app.shm.min(app.size.memory);
            app
        };
        let more = [("a", 100, vec![]), ("b", 100, vec![]), ("c", 200, vec![8000])];
        let more = more.map(|(name, memory, ports)| (name.to_owned(), app(memory, ports)));
        let (text, left_out) = with_apps(base.clone(), more);
        assert_eq!(left_out, ["a"], "what the template says holds");
        let made = read(&text).expect("good");
        assert_eq!(made.apps["a"], base.apps["a"]);
        let pids = base.apps["a"].size.pids;
        let grown = |made: &Template| (made.size.memory - base.size.memory) >> 20;
        assert_eq!(
            (grown(&made), made.size.pids - base.size.pids),
            (100 + 200 + 32, 2 * pids + 144)
        );
        assert_eq!(made.apps["b"].size.cpu_millis, 1000);
        let many = (0..40).map(|number| (format!("x{number}"), app(16, vec![])));
        let (text, left_out) = with_apps(base.clone(), many);
        let made = read(&text).expect("good");
        assert_eq!(made.apps.len() + left_out.len(), 41);
        let (text, left_out) = with_apps(base.clone(), [("big".to_owned(), app(64 << 10, vec![]))]);
        assert_eq!((read(&text).as_ref(), left_out), (Ok(&base), vec!["big".to_owned()]));
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
  permissions: {odd: {dbus: ['org.example.*'], ports: [8000], data: write, manager: true}}
";
        let odd = read(&text.replace("61s", "59s")).expect("good");
        assert_eq!(odd.apps["odd"].environment["D"], "1.50");
        assert_eq!(read(&write(&odd)), Ok(odd));
    }
}
