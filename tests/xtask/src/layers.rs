//! `cargo xtask deny-layers`: the arrows between the crates, and what may not creep in below
//! them, read from `cargo metadata` and not from anybody's memory.
//!
//! `wire` ← { `session-api`, `engine` ← { `agent`, `gateway` } } ← `tests`. An arrow never turns.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::step::cargo;

/// Every crate of the workspace, and those of the workspace it may use, for its tests too.
const ARROWS: &[(&str, &[&str])] = &[
    ("lattice-wire", &[]),
    ("lattice-engine", &["lattice-wire"]),
    ("lattice-agent", &["lattice-wire", "lattice-engine"]),
    ("lattice-gateway", &["lattice-wire", "lattice-engine"]),
    ("lattice-keeper", &["lattice-wire", "lattice-engine"]),
    ("lattice-session-api", &["lattice-wire"]),
    ("lattice-tests", &["lattice-wire", "lattice-engine", "lattice-agent", "lattice-gateway"]),
    ("xtask", &["lattice-wire", "lattice-engine", "lattice-tests"]),
];

/// All that a pure crate is linked with, however far down. None of these does I/O.
const PURE: &[(&str, &[&str])] = &[
    ("lattice-wire", &["bytes", "serde", "serde_core", "thiserror"]),
    (
        "lattice-engine",
        &["lattice-wire", "bytes", "serde", "serde_core", "smallvec", "thiserror", "xkeysym"],
    ),
];

/// What a crate may not be linked with, however far down, and why.
const BANNED: &[(&str, &[&str], &str)] = &[
    (
        "lattice-agent",
        &["axum", "bollard", "hyper", "tokio"],
        "the agent knows neither HTTP nor Docker, and its pipeline is threads",
    ),
    (
        "lattice-gateway",
        &["libdeflater", "openh264", "openh264-sys2", "png", "x11rb"],
        "the gateway never touches a pixel",
    ),
    (
        "lattice-keeper",
        &["axum", "bollard", "hyper", "reqwest"],
        "it reads and writes files, by threads that wait, and talks to nobody but whoever started it and the \
         repository of a backup",
    ),
    (
        "lattice-session-api",
        &["axum", "clap", "hyper", "tokio", "tracing-subscriber"],
        "it is in every desktop twice, and is to be small",
    ),
];

/// Crates of which a second copy would be a second truth: types that no longer fit, or a
/// second runtime, crypto provider or protocol.
const ONE_COPY: &[&str] = &[
    "axum",
    "bytes",
    "http",
    "hyper",
    "metrics",
    "png",
    "rustls",
    "tokio",
    "tokio-tungstenite",
    "tracing-core",
    "tungstenite",
    "x11rb",
    "xkeysym",
];

pub(crate) fn check() -> Result<()> {
    let graph = Graph::of(&read_metadata()?);
    let violations = graph.violations();
    for violation in &violations {
        println!("{violation}");
    }
    ensure!(violations.is_empty(), "{} violations of the layers", violations.len());
    println!("{} crates keep to their layers", graph.members.len());
    Ok(())
}

fn read_metadata() -> Result<Metadata> {
    let mut command = cargo(&["metadata", "--format-version", "1", "--locked"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = command.output().context("start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("understand the output of cargo metadata")
}

/// Who uses whom, by name; versions matter only for second copies.
#[derive(Debug, Default)]
struct Graph {
    members: BTreeSet<String>,
    /// What a crate is linked with. Macros and build scripts run in the compiler only.
    linked: BTreeMap<String, BTreeSet<String>>,
    /// What it uses in any way, for building and testing too.
    used: BTreeMap<String, BTreeSet<String>>,
    versions: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn of(metadata: &Metadata) -> Graph {
        let packages: BTreeMap<&str, &Package> =
            metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
        let mut graph = Graph::default();
        for node in &metadata.resolve.nodes {
            let Some(user) = packages.get(node.id.as_str()) else { continue };
            graph.versions.entry(user.name.clone()).or_default().insert(user.version.clone());
            if metadata.workspace_members.contains(&node.id) {
                graph.members.insert(user.name.clone());
            }
            for edge in &node.deps {
                let Some(package) = packages.get(edge.pkg.as_str()) else { continue };
                graph.used.entry(user.name.clone()).or_default().insert(package.name.clone());
                if edge.is_normal() && !package.is_macro() {
                    graph.linked.entry(user.name.clone()).or_default().insert(package.name.clone());
                }
            }
        }
        graph
    }

    fn violations(&self) -> Vec<String> {
        let mut found = self.turned_arrows();
        found.extend(self.impure());
        found.extend(self.banned());
        found.extend(self.second_copies());
        found
    }

    fn turned_arrows(&self) -> Vec<String> {
        let mut found = Vec::new();
        for member in &self.members {
            let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == member) else {
                found.push(format!("{member} has no layer: give it one in xtask's ARROWS"));
                continue;
            };
            for used in self.used.get(member).into_iter().flatten() {
                if self.members.contains(used) && !allowed.contains(&used.as_str()) {
                    found.push(format!("{member} uses {used}: that arrow points the wrong way"));
                }
            }
        }
        found
    }

    fn impure(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (member, allowed) in PURE {
            for linked in self.closure(member) {
                if !allowed.contains(&linked.as_str()) {
                    found.push(format!("{member} is linked with {linked}: it is to stay pure (xtask's PURE names what may be in it)"));
                }
            }
        }
        found
    }

    fn banned(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (member, banned, why) in BANNED {
            let closure = self.closure(member);
            for name in banned.iter().filter(|name| closure.contains(**name)) {
                found.push(format!("{member} is linked with {name}: {why}"));
            }
        }
        found
    }

    fn second_copies(&self) -> Vec<String> {
        let of = |name: &&&str| self.versions.get(**name).filter(|versions| versions.len() > 1);
        let twice = ONE_COPY.iter().filter_map(|name| Some((name, of(&name)?)));
        twice
            .map(|(name, versions)| {
                let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
                format!("{name} is there more than once: {}", versions.join(", "))
            })
            .collect()
    }

    /// Everything that a crate is linked with, without itself.
    fn closure(&self, name: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut todo = vec![name];
        while let Some(user) = todo.pop() {
            for linked in self.linked.get(user).into_iter().flatten() {
                if reached.insert(linked.clone()) {
                    todo.push(linked);
                }
            }
        }
        reached
    }
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    targets: Vec<Target>,
}

impl Package {
    fn is_macro(&self) -> bool {
        self.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
    }
}

#[derive(Debug, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

impl Edge {
    fn is_normal(&self) -> bool {
        self.dep_kinds.iter().any(|kind| kind.kind.is_none())
    }
}

/// `None` is a normal dependency, else it is "build" or "dev".
#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of `members`, from lines of `user -> used`, each with a kind: `normal`,
    /// `dev` or `macro`. A name may carry a version: `png@2`.
    fn check(members: &[&str], edges: &[(&str, &str, &str)], violations: &[&str]) {
        let mut packages = BTreeMap::new();
        let mut nodes: BTreeMap<&str, Vec<serde_json::Value>> = BTreeMap::new();
        for id in members.iter().chain(edges.iter().flat_map(|(user, used, _)| [user, used])) {
            let (name, version) = id.split_once('@').unwrap_or((id, "1"));
            let is_macro = edges.iter().any(|(_, used, kind)| used == id && *kind == "macro");
            let kind = if is_macro { "proc-macro" } else { "lib" };
            packages.insert(
                *id,
                serde_json::json!({
                    "id": id, "name": name, "version": version, "targets": [{ "kind": [kind] }],
                }),
            );
            nodes.entry(id).or_default();
        }
        for (user, used, kind) in edges {
            let kind = (*kind == "dev").then_some("dev");
            let edge = serde_json::json!({ "pkg": used, "dep_kinds": [{ "kind": kind }] });
            nodes.entry(user).or_default().push(edge);
        }
        let nodes: Vec<_> =
            nodes.iter().map(|(id, deps)| serde_json::json!({ "id": id, "deps": deps })).collect();
        let metadata = serde_json::json!({
            "packages": packages.values().collect::<Vec<_>>(),
            "workspace_members": members,
            "resolve": { "nodes": nodes },
        });
        let metadata = serde_json::from_value(metadata).expect("the test writes valid metadata");
        let found = Graph::of(&metadata).violations();
        let matches = found.len() == violations.len()
            && found.iter().zip(violations).all(|(found, start)| found.starts_with(start));
        assert!(matches, "found {found:#?}\nexpected {violations:#?}");
    }

    #[test]
    fn arrows_as_they_should_be_are_accepted() {
        check(
            &["lattice-wire", "lattice-engine", "lattice-agent"],
            &[
                ("lattice-engine", "lattice-wire", "normal"),
                ("lattice-agent", "lattice-engine", "normal"),
                ("lattice-agent", "x11rb", "normal"),
                ("lattice-wire", "bytes", "normal"),
                ("lattice-wire", "thiserror", "normal"),
            ],
            &[],
        );
    }

    #[test]
    fn an_arrow_that_turns_is_refused_even_in_tests() {
        check(
            &["lattice-wire", "lattice-gateway", "lattice-agent"],
            &[
                ("lattice-wire", "lattice-gateway", "dev"),
                ("lattice-gateway", "lattice-agent", "normal"),
            ],
            &["lattice-gateway uses lattice-agent", "lattice-wire uses lattice-gateway"],
        );
    }

    #[test]
    fn a_crate_without_a_layer_is_refused() {
        check(&["lattice-misc"], &[], &["lattice-misc has no layer"]);
    }

    #[test]
    fn io_deep_below_the_engine_is_refused() {
        check(
            &["lattice-engine"],
            &[("lattice-engine", "xkeysym", "normal"), ("xkeysym", "mio", "normal")],
            &["lattice-engine is linked with mio"],
        );
    }

    #[test]
    fn what_only_the_compiler_or_the_tests_run_is_free() {
        check(
            &["lattice-engine"],
            &[
                ("lattice-engine", "proptest", "dev"),
                ("lattice-engine", "derive", "macro"),
                ("derive", "syn", "normal"),
            ],
            &[],
        );
    }

    #[test]
    fn http_below_the_agent_and_pixels_below_the_gateway_are_refused() {
        check(
            &["lattice-agent", "lattice-gateway"],
            &[
                ("lattice-agent", "helper", "normal"),
                ("helper", "tokio", "normal"),
                ("lattice-gateway", "png", "normal"),
            ],
            &["lattice-agent is linked with tokio", "lattice-gateway is linked with png"],
        );
    }

    #[test]
    fn a_second_copy_of_a_crate_that_must_be_one_is_refused() {
        check(
            &["lattice-tests"],
            &[
                ("lattice-tests", "tungstenite", "normal"),
                ("lattice-tests", "tungstenite@2", "normal"),
                ("lattice-tests", "syn", "normal"),
                ("lattice-tests", "syn@2", "normal"),
            ],
            &["tungstenite is there more than once: 1, 2"],
        );
    }
}
