//! Backups to other machines, by SFTP and to a bucket: real servers on loopback, keys that are wrong, machines
//! that hang or die, and what a person is told then.

use crate::backup::{Vault, files, kill, picture, said, sealed, state, with_files};
use lattice_tests::eventually;
use lattice_tests::relay::Relay;
use lattice_tests::secure::Authority;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::vaults::{S3, Sshd, while_running};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

/// How long another machine may be silent, where it is meant to be.
const SHORT: &str = "1s";

fn by_sftp() -> Option<(Sshd, Vault)> {
    let sshd = Sshd::start()?;
    let vault = Vault { elsewhere: sshd.settings("user"), ..Vault::new() };
    Some((sshd, vault))
}

fn by_s3() -> (S3, Vault) {
    let s3 = S3::start();
    let vault = Vault { elsewhere: s3.settings("key"), ..Vault::new() };
    (s3, vault)
}

/// A film that does not shrink.
fn film(numbers: u32) -> Vec<u8> {
    (0..numbers).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

/// A backup, another that adds what is new, a drill, and all of it back on an empty machine.
fn whole(vault: &Vault, root: &Path) {
    let mut serve = with_files(vault);
    serve.terminate();
    whole_with(vault, root, serve);
}

/// The same of a server that has ended.
fn whole_with(vault: &Vault, root: &Path, serve: Serve) {
    let data = serve.desktops().data().to_owned();
    fs::write(data.join("homes/2/data/film"), film(3_000_000)).expect("written");
    println!("{}", vault.run(&["backup", "init"], &data));
    vault.refused(&["backup", "init"], &data, &["already"]);
    println!("{}", vault.run(&["backup"], &data));
    let first = state(&data)["made"].clone();
    assert!(first["added"].as_u64().expect("a number") > 10 << 20, "{first}");
    fs::write(data.join("homes/2/data/more"), "words").expect("written");
    let begun = Instant::now();
    println!("{}", vault.run(&["backup"], &data));
    println!("the second took {:?}", begun.elapsed());
    let second = state(&data)["made"].clone();
    assert!(second["added"].as_u64().expect("a number") < 1 << 20, "{second}");
    println!("{}", vault.run(&["backup", "drill"], &data));
    assert_eq!(state(&data)["drill"]["error"], Value::Null);
    let listed = vault.run(&["backup", "list"], &data);
    assert_eq!(listed.trim().lines().count(), 1, "of a day the newest stays: {listed}");
    let back = vault.dir.path().join("back");
    vault.restore(&back);
    let [before, after] = [&data, &back].map(|dir| picture(&dir.join("homes/2/data")));
    let below = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert!(before.contains("film"), "{before}");
    assert_eq!(below(&before), below(&after));
    sealed(&back.join("lattice.db"));
    // Nothing is left in the middle, and nothing can be read without the password.
    let there = files(root);
    assert!(there.iter().any(|path| path.ends_with("config")), "{there:?}");
    for path in &there {
        assert!(!path.to_string_lossy().ends_with(".part"), "{}", path.display());
        let bytes = fs::read(path).expect("there");
        assert!(!bytes.windows(10).any(|it| it == b"lattice.db"), "{}", path.display());
    }
    // What is cut short there is noticed here, although this machine remembers some of it.
    for pack in there.iter().filter(|path| path.to_string_lossy().contains("/data/")) {
        let bytes = fs::read(pack).expect("there");
        fs::write(pack, &bytes[..bytes.len() / 2]).expect("written");
    }
    vault.refused(&["backup", "drill"], &data, &["lattice: "]);
    vault.refused(&["backup"], &data, &["is damaged", "new repository"]);
}

#[test]
fn a_backup_by_sftp_comes_back_on_an_empty_machine() {
    let Some((sshd, vault)) = by_sftp() else { return };
    whole(&vault, &sshd.root());
}

#[test]
fn a_backup_in_a_bucket_comes_back_on_an_empty_machine() {
    let (s3, vault) = by_s3();
    whole(&vault, &s3.root());
}

#[test]
fn a_bucket_is_spoken_with_when_its_certificate_is_trusted_and_only_then() {
    let authority = Authority::new("Authority of the school");
    let (s3, misnamed) =
        (S3::start_secure(&authority, "127.0.0.1"), S3::start_secure(&authority, "s3.example"));
    let mut vault = Vault { elsewhere: s3.settings("key"), ..Vault::new() };
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    serve.terminate();
    // The machine does not know it. It is not tried again: that would change nothing.
    let place = s3.relay().address().to_string();
    vault.refused(&["backup", "init"], &data, &[&place, "not trusted", "backup.s3_ca_file"]);
    assert_eq!(s3.relay().accepted(), 1);
    let trust = |path: &Path| ("LATTICE_BACKUP__S3_CA_FILE", path.display().to_string());
    let with = |s3: &S3, path: &Path| [s3.settings("key"), vec![trust(path)]].concat();
    vault.elsewhere = with(&misnamed, &s3.authority());
    let named = ["not trusted", "s3.example", "backup.s3_endpoint"];
    vault.refused(&["backup", "init"], &data, &named);
    // Another one's certificate, none, and something else.
    for (name, text, word) in [
        ("other", Authority::new("Somebody else").pem(), "of whoever signed it"),
        (
            "junk",
            "-----BEGIN CERTIFICATE-----\nanVuaw==\n-----END CERTIFICATE-----\n",
            "is no certificate",
        ),
        ("empty", "", "no certificate in it"),
        (
            "odd",
            "-----BEGIN CERTIFICATE-----\nnot base 64!\n-----END CERTIFICATE-----\n",
            "is no file of certificates",
        ),
    ] {
        let path = vault.dir.path().join(name);
        fs::write(&path, text).expect("written");
        vault.elsewhere = with(&s3, &path);
        vault.refused(&["backup", "init"], &data, &[word, "backup.s3_ca_file"]);
    }
    vault.elsewhere = with(&s3, Path::new("/nonexistent.pem"));
    vault.refused(&["backup", "init"], &data, &["backup.s3_ca_file /nonexistent.pem"]);
    assert!(files(&s3.root()).is_empty() && files(&misnamed.root()).is_empty());
    vault.elsewhere = with(&s3, &s3.authority());
    whole_with(&vault, &s3.root(), serve);
}

#[test]
fn what_was_left_half_written_goes_when_it_is_old() {
    let Some((sshd, vault)) = by_sftp() else { return };
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    serve.terminate();
    vault.run(&["backup", "init"], &data);
    let at = |name: &str| sshd.root().join("repository").join(name);
    let id = "0123456789abcdef".repeat(4);
    let old = SystemTime::now() - Duration::from_secs(7 * 3600);
    let young = SystemTime::now() - Duration::from_secs(3600);
    let left = [format!("data/01/{id}.part"), format!("index/{id}.part")];
    let kept = [format!("data/02/{id}.part"), "data/01/notes.part".into(), "notes.part".into()];
    for (name, time) in left.iter().chain(&kept).zip([old, old, young, old, old]) {
        let file = File::create(at(name)).expect("written");
        file.set_modified(time).expect("set");
    }
    println!("{}", vault.run(&["backup"], &data));
    for name in &left {
        assert!(!at(name).exists(), "{name}");
    }
    for name in &kept {
        assert!(at(name).exists(), "{name}");
    }
    println!("{}", vault.run(&["backup", "drill"], &data));
}

#[test]
fn a_machine_that_is_not_the_one_it_was_gets_nothing() {
    let Some((sshd, mut vault)) = by_sftp() else { return };
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    serve.terminate();
    vault.run(&["backup", "init"], &data);
    let before = files(&sshd.root()).len();
    sshd.know("other");
    vault.refused(&["backup"], &data, &["another key", "nothing was sent", "ssh-keyscan -p"]);
    let noted = state(&data)["last"]["error"].to_string();
    assert!(noted.contains("another key"), "{noted}");
    let examined = vault.command(&["doctor"], &data).output().expect("lattice starts");
    assert!(said(&examined).contains("another key"), "{}", said(&examined));
    sshd.know_nobody();
    vault.refused(&["backup"], &data, &["is not in", "ssh-keyscan -p"]);
    sshd.know("host");
    vault.elsewhere = sshd.settings("stranger");
    vault.refused(&["backup"], &data, &["does not let", "authorized_keys"]);
    assert_eq!(files(&sshd.root()).len(), before);
    vault.elsewhere = sshd.settings("user");
    vault.run(&["backup"], &data);
    // Whoever reads the key is whoever may delete.
    use std::os::unix::fs::PermissionsExt as _;
    let key = vault.elsewhere[1].1.clone();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("set");
    vault.refused(&["backup"], &data, &["backup.ssh_key_file", "chmod 600"]);
}

#[test]
fn a_bucket_that_does_not_know_the_key_is_told_of() {
    let (s3, mut vault) = by_s3();
    let mut serve = with_files(&vault);
    let data = serve.desktops().data().to_owned();
    serve.terminate();
    for key in ["stranger", "wrong"] {
        vault.elsewhere = s3.settings(key);
        vault.refused(&["backup", "init"], &data, &["127.0.0.1", "backup.s3_key_file"]);
    }
    assert_eq!(files(&s3.root()).len(), 0);
    vault.elsewhere = s3.settings("key");
    vault.elsewhere[0].1 = "s3://elsewhere".into();
    vault.refused(&["backup", "init"], &data, &["no bucket elsewhere", "backup.repository"]);
    let output = vault.command(&["backup"], &data).output().expect("lattice starts");
    assert!(!said(&output).contains("Signature="), "{}", said(&output));
}

/// Whoever is silent is taken to be gone soon.
fn soon(vault: &mut Vault) {
    vault.elsewhere.retain(|(name, _)| *name != "LATTICE_BACKUP__TIMEOUT");
    vault.elsewhere.push(("LATTICE_BACKUP__TIMEOUT", SHORT.into()));
}

/// A machine that hangs or dies while a backup is on its way, one that never answers, and one that is not there.
fn broken(vault: &Vault, root: &Path, relay: &Relay) {
    let mut serve = with_files(vault);
    let data = serve.desktops().data().to_owned();
    serve.terminate();
    vault.run(&["backup", "init"], &data);
    vault.run(&["backup"], &data);
    let packs =
        || files(root).iter().filter(|path| path.to_string_lossy().contains("/data/")).count();
    for round in 0..2 {
        fs::write(data.join("homes/2/data/film"), film(20_000_000 + round)).expect("written");
        let before = packs();
        let mut command = vault.command(&["backup"], &data);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("started");
        while_running(&mut child, || packs() > before);
        relay.cut();
        if round > 0 {
            relay.reset();
        }
        let begun = Instant::now();
        let output = child.wait_with_output().expect("it ends");
        println!("it gave up after {:?}: {}", begun.elapsed(), said(&output));
        assert!(!output.status.success());
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        assert!(said(&output).contains("127.0.0.1"), "{}", said(&output));
        assert!(!data.join("backup/copy").exists() && !data.join("backup/aside").exists());
        if round == 0 {
            let begun = Instant::now();
            vault.refused(&["backup"], &data, &["127.0.0.1", "see whether it is"]);
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        }
        relay.mend();
        // What was there before is well, and the next one goes on.
        println!("{}", vault.run(&["backup", "drill"], &data));
        println!("{}", vault.run(&["backup"], &data));
    }
    println!("{}", vault.run(&["backup", "drill"], &data));
    // Whoever is killed in the middle leaves nothing that is in the way.
    fs::write(data.join("homes/2/data/film"), film(19_000_000)).expect("written");
    let before = packs();
    let mut child =
        vault.command(&["backup"], &data).stdout(Stdio::null()).spawn().expect("started");
    while_running(&mut child, || packs() > before);
    kill(&mut child);
    println!("{}", vault.run(&["backup"], &data));
    println!("{}", vault.run(&["backup", "drill"], &data));
}

#[test]
fn an_ssh_server_that_hangs_or_dies_harms_nothing() {
    let Some((sshd, mut vault)) = by_sftp() else { return };
    soon(&mut vault);
    broken(&vault, &sshd.root(), sshd.relay());
}

#[test]
fn a_bucket_that_hangs_or_dies_harms_nothing() {
    let (s3, mut vault) = by_s3();
    soon(&mut vault);
    broken(&vault, &s3.root(), s3.relay());
}

#[test]
fn no_desktop_waits_for_a_network() {
    if !rustix::process::geteuid().is_root() {
        return println!("the frozen desktop was left out: only root can look inside");
    }
    let (s3, vault) = by_s3();
    let serve = Serve::start_with(ServeOptions { env: vault.env(), ..ServeOptions::default() });
    let session = serve.desktop_of(&serve.admin());
    let data = serve.desktops().data().to_owned();
    vault.run(&["backup", "init"], &data);
    // It writes all the time, and tells how long it ever stood still.
    let write = "setsid bash -c 'cd ~/Data && last=$(date +%s%N); while [ ! -e stop ]; do \
                 now=$(date +%s%N); echo $(( (now - last) / 1000000 )) >>pauses; last=$now; \
                 sleep 0.02; done' </dev/null >/dev/null 2>&1 &";
    assert!(serve.desktops().inside(&session, write).status.success());
    eventually("it to write", || {
        serve.desktops().inside(&session, "test -s ~/Data/pauses").status.success()
    });
    println!("{}", vault.run(&["backup"], &data));
    assert_eq!(state(&data)["made"]["moving"], json!(0));
    let longest = || {
        let output = serve.desktops().inside(&session, "sort -n ~/Data/pauses | tail -1");
        said(&output).trim().parse::<u64>().expect("a number")
    };
    println!("the longest pause of a backup was {} ms", longest());
    // The server begins the next one; in its middle the network goes.
    fs::write(data.join("homes/1/data/film"), film(20_000_000)).expect("written");
    let packs = || files(&s3.root()).len();
    let before = packs();
    serve.grant(&serve.admin(), "POST", "/api/v1/backup", &Value::Null);
    eventually("it to be under way", || packs() > before);
    s3.relay().cut();
    let read = || serve.grant(&serve.admin(), "GET", "/api/v1/backup", &Value::Null);
    let begun = Instant::now();
    while read()["now"] != Value::Null {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", read());
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = read();
    assert!(told["error"].as_str().is_some_and(|why| why.contains("127.0.0.1")), "{told}");
    assert_eq!(told["repository"], json!({ "kind": "s3", "place": "s3://school/lattice/one" }));
    assert_eq!(serve.metric("lattice_backup_ok", &[]), 0.0);
    let longest = longest();
    println!(
        "the longest pause of all was {longest} ms, while the network was gone for {:?}",
        begun.elapsed()
    );
    assert!(longest < 2000, "{longest} ms");
    s3.relay().mend();
    serve.desktops().inside(&session, "touch ~/Data/stop");
    serve.assert_no_panics();
}
