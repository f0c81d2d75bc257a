//! `lattice catalogue`: keys, signatures, and the directory of catalogues.

use super::{EXTENSION, Library, SIGNATURE, bounded, parse, read, signature};
use crate::cli::{CatalogueAdd, CatalogueCommand, ServeArgs};
use crate::config::Config;
use crate::runtime::process::place::write_atomically;
use crate::template::MAX_CATALOGUE;
use anyhow::{Context as _, bail};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Does what is asked.
pub fn run(command: CatalogueCommand) -> anyhow::Result<()> {
    match command {
        CatalogueCommand::Keygen { file } => keygen(&file),
        CatalogueCommand::Sign { key, file } => sign(&key, &file),
        CatalogueCommand::Check { files, serve } => check(&files, &serve),
        CatalogueCommand::Add(args) => add(&args),
        CatalogueCommand::List { serve } => list(&serve),
        CatalogueCommand::Remove { name, serve } => remove(&name, &serve),
    }
}

fn keygen(file: &Path) -> anyhow::Result<()> {
    let (secret, key) = signature::generate()?;
    let mut options = fs::OpenOptions::new();
    let made = options.write(true).create_new(true).mode(0o600).open(file);
    let mut made = made.with_context(|| format!("make the file {}", file.display()))?;
    made.write_all(secret.as_bytes()).with_context(|| format!("write {}", file.display()))?;
    writeln!(io::stderr(), "{} signs catalogues: keep it where no server is.", file.display())?;
    writeln!(io::stderr(), "Servers trust it by these lines of their configuration:\n")?;
    writeln!(io::stdout(), "[[catalogues.keys]]\nname = \"ours\"\nkey = \"{key}\"")?;
    Ok(())
}

fn sign(key: &Path, file: &Path) -> anyhow::Result<()> {
    named(file)?;
    let secret = fs::read_to_string(key).with_context(|| format!("read {}", key.display()))?;
    let bytes = whole(file)?;
    good(file, &bytes)?;
    let signed = signature::sign(&secret, &bytes);
    let signed = signed.with_context(|| format!("sign with {}", key.display()))?;
    let beside = file.with_extension(SIGNATURE);
    write_atomically(&beside, signed.as_bytes())
        .with_context(|| format!("write {}", beside.display()))?;
    writeln!(io::stdout(), "{} is signed by {}", file.display(), beside.display())?;
    Ok(())
}

/// Whether they are good, and, where they are signed, whether by somebody whom this server trusts.
fn check(files: &[PathBuf], serve: &ServeArgs) -> anyhow::Result<()> {
    let keys = Config::load(serve)?.catalogues.trusted()?;
    let mut bad = 0;
    for file in files {
        let told = judge(file, &keys);
        match told {
            Ok(line) => writeln!(io::stdout(), "{}: {line}", file.display())?,
            Err(error) => {
                bad += 1;
                writeln!(io::stderr(), "{}: {error:#}", file.display())?;
            }
        }
    }
    match bad {
        0 => Ok(()),
        1 => bail!("one catalogue is not good"),
        bad => bail!("{bad} catalogues are not good"),
    }
}

fn judge(file: &Path, keys: &[signature::Trusted]) -> anyhow::Result<String> {
    let name = named(file)?;
    let bytes = whole(file)?;
    let catalogue = good(file, &bytes)?;
    let (title, serial, apps) = (&catalogue.title, catalogue.serial, catalogue.apps.len());
    let line = format!("good: {title:?}, serial {serial}, {apps} apps");
    if !file.with_extension(SIGNATURE).exists() {
        return Ok(format!("{line}, not signed yet"));
    }
    let (_, by, _) = read(file, &name, keys)?;
    Ok(format!("{line}, signed by {by}"))
}

fn add(args: &CatalogueAdd) -> anyhow::Result<()> {
    let config = Config::load(&args.serve)?;
    let library = library(&config)?;
    let name = named(&args.file)?;
    if library.keys.is_empty() {
        bail!(
            "no key is trusted, so no catalogue can be; put the lines that lattice catalogue keygen \
             printed into the configuration"
        );
    }
    let (catalogue, by, digest) =
        read(&args.file, &name, &library.keys).with_context(|| format!("refuse {name}"))?;
    super::Seen::load(&library.seen)
        .admit(&catalogue.name, catalogue.serial, &digest)
        .with_context(|| format!("refuse {name}"))?;
    let directory = &library.directory;
    fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
    let to = directory.join(format!("{name}.{EXTENSION}"));
    // Between the two the old signature does not fit, which is refused and right again at once.
    for (from, to) in [
        (args.file.with_extension(SIGNATURE), to.with_extension(SIGNATURE)),
        (args.file.clone(), to),
    ] {
        let bytes = fs::read(&from).with_context(|| format!("read {}", from.display()))?;
        write_atomically(&to, &bytes).with_context(|| format!("write {}", to.display()))?;
        // The broker and the gateway may be different users.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&to, open).with_context(|| format!("open {}", to.display()))?;
    }
    let apps = catalogue.apps.len();
    writeln!(io::stdout(), "{name}, serial {}, {apps} apps, signed by {by}", catalogue.serial)?;
    Ok(())
}

fn list(serve: &ServeArgs) -> anyhow::Result<()> {
    let library = library(&Config::load(serve)?)?;
    let shelf = library.glance();
    for super::Signed { catalogue, by } in &shelf.good {
        let (name, title, apps) = (&catalogue.name, &catalogue.title, catalogue.apps.len());
        let serial = catalogue.serial;
        writeln!(io::stdout(), "{name}: {title:?}, serial {serial}, {apps} apps, signed by {by}")?;
    }
    for super::Refused { name, why } in &shelf.refused {
        writeln!(io::stdout(), "{name}: REFUSED: {why}")?;
    }
    if shelf.good.is_empty() && shelf.refused.is_empty() {
        writeln!(io::stdout(), "there is none in {}", library.directory.display())?;
    }
    Ok(())
}

fn remove(name: &str, serve: &ServeArgs) -> anyhow::Result<()> {
    let library = library(&Config::load(serve)?)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(is_name) {
        bail!("{name:?} is no name of a catalogue; lattice catalogue list has them");
    }
    let file = library.directory.join(format!("{name}.{EXTENSION}"));
    fs::remove_file(&file).with_context(|| format!("remove {}", file.display()))?;
    match fs::remove_file(file.with_extension(SIGNATURE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove the signature of {}", file.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }?;
    writeln!(io::stdout(), "{name} is gone; what was installed of it stays installed")?;
    Ok(())
}

fn library(config: &Config) -> anyhow::Result<Library> {
    config.catalogues.library(&config.data_dir)
}

/// What a catalogue's file is called.
fn named(file: &Path) -> anyhow::Result<String> {
    let name = file.file_stem().and_then(|stem| stem.to_str());
    match (name, file.extension().and_then(|extension| extension.to_str())) {
        (Some(name), Some(EXTENSION)) => Ok(name.to_owned()),
        _ => bail!("{} does not end in .{EXTENSION}", file.display()),
    }
}

fn whole(file: &Path) -> anyhow::Result<Vec<u8>> {
    let bytes = bounded(file, MAX_CATALOGUE).with_context(|| format!("read {}", file.display()))?;
    bytes.with_context(|| format!("{} has more than {MAX_CATALOGUE} bytes", file.display()))
}

fn good(file: &Path, bytes: &[u8]) -> anyhow::Result<crate::template::Catalogue> {
    parse(bytes).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
        anyhow::anyhow!("{} is not good:{}", file.display(), lines.concat())
    })
}
