//! Puts the web client into the binary: its modules joined into a few scripts, every other file as it
//! is, and all of it as brotli and gzip where that is smaller, with its content type and the hash that
//! its ETag is made of.
//!
//! Pages name what they load below `static/@RELEASE/`, where RELEASE is the hash of all that is
//! served: what is loaded from there never changes, so a browser that has it does not ask again.
//! Scripts name each other relatively and so stay there.

mod join;
mod open;

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Brotli's 9 of 11: within 4 % of the best at a tenth of its time.
const BROTLI_QUALITY: u32 = 9;
const BROTLI_WINDOW: u32 = 22;

/// What pages and workers load by name. A browser that fetches dozens of modules, each found in the
/// one before, is busy with that for as long as with everything else until the first picture.
const SCRIPTS: [&str; 6] = [
    "app/main.js",
    "media/worker.js",
    "home/main.js",
    "home/enter.js",
    "home/redeem.js",
    "home/preview.js",
];

fn main() -> Result<(), Box<dyn Error>> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names no OUT_DIR")?);
    println!("cargo:rerun-if-changed={}", web.display());
    println!("cargo:rerun-if-changed=build");
    let served = if web.is_dir() { served(&web)? } else { BTreeMap::new() };
    let release = release(&served);
    let mut table =
        format!("pub(super) const RELEASE: &str = {release:?};\nstatic ASSETS: &[Asset] = &[\n");
    for (index, (path, bytes)) in served.iter().enumerate() {
        table += &entry(index, path, &versioned(path, bytes, &release), &out)?;
    }
    table += "];\n";
    fs::write(out.join("assets.rs"), table)?;
    Ok(())
}

/// All that is served, by its path.
fn served(web: &Path) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let mut files = Vec::new();
    collect(web, &mut files)?;
    let (mut served, mut modules) = (BTreeMap::new(), BTreeSet::new());
    for file in &files {
        println!("cargo:rerun-if-changed={}", file.display());
        let path = file.strip_prefix(web)?.to_string_lossy().into_owned();
        if path.ends_with(".js") {
            modules.insert(path);
        } else {
            served.insert(path, fs::read(file)?);
        }
    }
    let read = |path: &str| {
        fs::read_to_string(web.join(path)).map_err(|error| format!("read {path}: {error}"))
    };
    for script in SCRIPTS {
        let (joined, parts) = join::join(script, &read)?;
        modules.retain(|module| !parts.contains(module));
        served.insert(script.to_owned(), joined.into_bytes());
    }
    if !modules.is_empty() {
        return Err(format!("no script needs {modules:?}").into());
    }
    Ok(served)
}

/// All files under `dir` that a browser may ask for.
fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') || matches!(&*name, "node_modules" | "test" | "tests") {
            continue;
        }
        if path.is_dir() {
            println!("cargo:rerun-if-changed={}", path.display());
            collect(&path, files)?;
        } else if content_type(&name).is_some() {
            files.push(path);
        }
    }
    Ok(())
}

fn content_type(name: &str) -> Option<&'static str> {
    let tooling = ["jsconfig.json", "tsconfig.json", "package.json", "package-lock.json"];
    if tooling.contains(&name) || name.ends_with(".test.js") || name.contains(".config.") {
        return None;
    }
    Some(match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        _ => return None,
    })
}

/// The hash of all that is served.
fn release(served: &BTreeMap<String, Vec<u8>>) -> String {
    let mut hash = Sha256::new();
    for (path, bytes) in served {
        hash.update(Sha256::digest(path));
        hash.update(Sha256::digest(bytes));
    }
    hex(&hash.finalize()[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A page names files of its own release.
fn versioned(path: &str, bytes: &[u8], release: &str) -> Vec<u8> {
    if !path.ends_with(".html") {
        return bytes.to_vec();
    }
    let page = String::from_utf8_lossy(bytes);
    page.replace("/static/", &format!("/static/@{release}/")).into_bytes()
}

fn entry(index: usize, path: &str, bytes: &[u8], out: &Path) -> io::Result<String> {
    let tag = hex(&Sha256::digest(bytes)[..12]);
    let brotli = store(out, index, "br", &brotli(bytes)?, bytes.len())?;
    let gzip = store(out, index, "gz", &gzip(bytes)?, bytes.len())?;
    let kind = content_type(path.rsplit('/').next().unwrap_or(path)).unwrap_or_default();
    let file = out.join(format!("asset-{index}.plain"));
    fs::write(&file, bytes)?;
    Ok(format!(
        "    Asset {{ path: {path:?}, content_type: {kind:?}, tag: {tag:?}, plain: \
         include_bytes!({file:?}), brotli: {brotli}, gzip: {gzip} }},\n"
    ))
}

/// Keeps a compressed form that saves at least an eighth; fonts and pictures are left alone so.
fn store(out: &Path, index: usize, kind: &str, bytes: &[u8], plain: usize) -> io::Result<String> {
    if bytes.len() * 8 > plain * 7 {
        return Ok("None".into());
    }
    let path = out.join(format!("asset-{index}.{kind}"));
    fs::write(&path, bytes)?;
    Ok(format!("Some(include_bytes!({path:?}))"))
}

fn brotli(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 1 << 16, BROTLI_QUALITY, BROTLI_WINDOW)
        .write_all(bytes)?;
    Ok(out)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes)?;
    out.finish()
}
