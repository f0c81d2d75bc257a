//! `cargo xtask check-web`, and the npm packages that checking and testing the web takes.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::node::node;
use crate::step::{command, root, succeed};

const PACKAGES: &str = "tests/web";

/// Checks the JSDoc types of `web/`, within templates too.
pub(crate) fn check() -> Result<()> {
    install()?;
    succeed(&mut node(&["tests/web/check.mjs"])?)
}

/// Brings `tests/web/node_modules` to what the lock file says; does nothing if it is there.
pub(crate) fn install() -> Result<()> {
    if is_installed()? {
        return Ok(());
    }
    let arguments = ["ci", "--no-audit", "--no-fund", "--prefix", PACKAGES];
    succeed(&mut command("npm", &arguments)).context("install the npm packages of tests/web")?;
    ensure!(
        is_installed()?,
        "npm installed other versions than {PACKAGES}/package-lock.json names"
    );
    Ok(())
}

/// npm leaves a copy of the lock file in `node_modules`. Optional packages are those of other
/// platforms.
fn is_installed() -> Result<bool> {
    let wanted = packages(&root().join(PACKAGES).join("package-lock.json"))?;
    let copy = root().join(PACKAGES).join("node_modules/.package-lock.json");
    if !copy.exists() {
        return Ok(false);
    }
    let found = packages(&copy)?;
    Ok(wanted.iter().all(|(path, package)| package.optional || found.get(path) == Some(package)))
}

#[derive(Debug, Deserialize)]
struct Lock {
    packages: BTreeMap<String, Package>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Package {
    version: Option<String>,
    #[serde(default)]
    optional: bool,
}

/// What a lock file names, without the project itself, whose path is empty.
fn packages(lock: &Path) -> Result<BTreeMap<String, Package>> {
    let text = fs::read_to_string(lock).with_context(|| format!("read {}", lock.display()))?;
    let mut lock: Lock =
        serde_json::from_str(&text).with_context(|| format!("understand {}", lock.display()))?;
    lock.packages.remove("");
    Ok(lock.packages)
}
