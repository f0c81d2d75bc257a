//! New folders in Data by a real server: whole, their owner's, and nothing of what means harm.

use lattice_tests::gits::Gits;
use lattice_tests::people::Proof;
use lattice_tests::secure::Authority;
use lattice_tests::serve::{Serve, ServeOptions};
use lattice_tests::xserver::TempDir;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Command;

struct Scene {
    serve: Serve,
    owner: Proof,
}

impl Scene {
    fn start() -> Self {
        Self::with(ServeOptions::default())
    }

    fn with(options: ServeOptions) -> Self {
        let serve = Serve::start_with(options);
        let owner = serve.admin();
        Self { serve, owner }
    }

    /// What is answered to a clone: a status, and the body.
    fn clone_of(&self, url: &str) -> (u16, Value) {
        let body = json!({ "url": url });
        let answer = self.serve.ask(&self.owner, "POST", "/api/v1/imports/git", &body);
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }

    /// A clone must be refused with these words.
    fn refused(&self, url: &str, words: &[&str]) {
        let (status, told) = self.clone_of(url);
        assert_eq!(status, 400, "{url}: {told}");
        for word in words {
            assert!(told["detail"].as_str().is_some_and(|it| it.contains(word)), "{url}: {told}");
        }
    }

    /// What is answered: a status, and the body.
    fn send(&self, name: &str, zip: &[u8], claimed: usize) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.serve.address()).expect("it listens");
        let head = format!(
            "POST /api/v1/imports/zip?name={name} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/zip\r\nContent-Length: {claimed}\r\nConnection: close\r\n\r\n",
            self.serve.address(),
            self.serve.token(),
        );
        stream.write_all(head.as_bytes()).expect("written");
        stream.write_all(zip).expect("written");
        if zip.len() < claimed {
            stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        }
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn data(&self) -> PathBuf {
        self.found_data().expect("somebody's")
    }

    /// Whose files there are: nobody's before the first desktop or project.
    fn found_data(&self) -> Option<PathBuf> {
        let homes = fs::read_dir(self.serve.desktops().data().join("homes")).ok()?;
        let mut all = homes.map(|entry| entry.expect("one").path().join("data"));
        all.find(|data| data.is_dir())
    }

    fn names(&self) -> Vec<String> {
        let Some(data) = self.found_data() else { return Vec::new() };
        let all = fs::read_dir(data).expect("read");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = all.map(|entry| name(entry.expect("one"))).collect();
        names.sort();
        names
    }
}

/// Made as people make them, where this machine can.
pub(crate) fn zip_of(script: &str) -> Option<Vec<u8>> {
    let program = format!(
        "import io, sys, zipfile\nf = io.BytesIO()\nz = zipfile.ZipFile(f, 'w')\n{script}\nz.close()\n\
         sys.stdout.buffer.write(f.getvalue())"
    );
    let made = Command::new("python3").args(["-c", &program]).output().ok()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Some(made.stdout)
}

#[test]
fn a_zip_file_is_unpacked_for_its_owner_or_not_at_all() {
    let scene = Scene::start();
    let good = "z.writestr('shop/main.go', 'package main')\nz.writestr('shop/a/b.txt', 'b')";
    let Some(good) = zip_of(good) else { return println!("left out: there is no python3") };
    let (status, made) = scene.send("shop.zip", &good, good.len());
    assert_eq!((status, &made["folder"]), (201, &json!("shop")), "{made}");
    let file = scene.data().join("shop/main.go");
    assert_eq!(fs::read_to_string(&file).expect("read"), "package main");
    let owner = fs::metadata(scene.data()).expect("there").uid();
    assert_eq!(fs::metadata(&file).expect("there").uid(), owner);
    let (_, again) = scene.send("shop.zip", &good, good.len());
    assert_eq!(again["folder"], "shop-2");
    let evil = zip_of("z.writestr('good.txt', 'g')\nz.writestr('../../evil', 'e')").expect("made");
    let (status, refused) = scene.send("evil.zip", &evil, evil.len());
    let detail = refused["detail"].as_str().unwrap_or("");
    assert!(status == 400 && detail.contains("leads elsewhere"), "{status} {refused}");
    // What is cut off is not there, and the next one finds its place.
    scene.send("cut.zip", &good[..50], good.len());
    let (status, large) = scene.send("large.zip", &[], 300 << 20);
    assert_eq!(status, 413, "{large}");
    lattice_tests::eventually("the one that was cut off to have ended", || {
        scene.send("more.zip", &good, good.len()).0 == 201
    });
    assert_eq!(scene.names(), ["more", "shop", "shop-2"]);
    scene.serve.assert_no_panics();
}

#[test]
fn nobody_is_asked_for_a_repository_who_is_not_on_the_internet() {
    let scene = Scene::start();
    let port = scene.serve.address().port();
    for url in [
        format!("https://127.0.0.1:{port}/a"),
        format!("http://127.0.0.1:{port}/a"),
        format!("https://localhost:{port}/a"),
        format!("https://[::ffff:127.0.0.1]:{port}/a"),
        "https://169.254.169.254/a".into(),
        "https://10.0.0.1/a".into(),
        "https://0.0.0.0/a".into(),
    ] {
        let body = json!({ "url": url });
        let answer = scene.serve.ask(&scene.owner, "POST", "/api/v1/imports/git", &body);
        let is_told = answer.body.contains("public internet");
        assert!(answer.status == 400 && is_told, "{url}: {} {}", answer.status, answer.body);
    }
    scene.serve.assert_no_panics();
}

/// In the only place where a server of ours is trusted: a machine that knows our authority and no other.
fn trusting(authority: &Authority) -> Option<(TempDir, Scene)> {
    if !rustix::process::geteuid().is_root() {
        println!("clones were left out: only root can give a server other authorities");
        return None;
    }
    let dir = TempDir::new("authorities");
    let file = dir.path().join("authorities.pem");
    fs::write(&file, authority.pem()).expect("written");
    let networks = ("LATTICE_IMPORT__ALLOW", r#"["127.0.0.0/8", "::1/128"]"#.to_owned());
    let options =
        ServeOptions { env: vec![networks], authorities: Some(file), ..ServeOptions::default() };
    Some((dir, Scene::with(options)))
}

#[test]
fn a_repository_is_cloned_by_https_for_its_owner_without_its_past() {
    let authority = Authority::new("Authority of the school");
    let Some((_dir, scene)) = trusting(&authority) else { return };
    let gits = Gits::start(&authority, "localhost");
    let url = format!("https://localhost:{}/shop.git", gits.port());
    let (status, made) = scene.clone_of(&url);
    assert_eq!((status, &made["folder"]), (201, &json!("shop")), "{made}");
    let shop = scene.data().join("shop");
    let read = |name: &str| fs::read_to_string(shop.join(name)).expect(name);
    assert_eq!(read("main.go"), "package main // better");
    assert_eq!(read("notes/read me.md"), "words");
    assert_eq!(fs::metadata(shop.join("run.sh")).expect("there").mode() & 0o111, 0o111);
    let owner = fs::metadata(scene.data()).expect("there").uid();
    assert_eq!(fs::metadata(shop.join(".git/HEAD")).expect("there").uid(), owner);
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "safe.directory=*"]).args(words).current_dir(&shop);
        let output = git.output().expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(git(&["log", "--format=%s"]), "commit 1", "what was before stays there");
    assert_eq!(git(&["status", "--porcelain"]), "");
    assert_eq!(git(&["remote", "get-url", "origin"]), url);
    assert!(!shop.join(".git/hooks").exists(), "nothing that runs by itself");
    let (_, again) = scene.clone_of(&url);
    assert_eq!(again["folder"], "shop-2");
    // What it may not have, and what is not there.
    let at = |name: &str| format!("https://localhost:{}/{name}", gits.port());
    scene.refused(&at("moved.git"), &["leads on to another one"]);
    scene.refused(&at("closed.git"), &["not everybody may read it"]);
    scene.refused(&at("none.git"), &["there is no repository"]);
    assert_eq!(scene.names(), ["shop", "shop-2"]);
    scene.serve.assert_no_panics();
}

#[test]
fn whoever_does_not_prove_who_it_is_is_not_cloned_from() {
    let authority = Authority::new("Authority of the school");
    let Some((_dir, scene)) = trusting(&authority) else { return };
    let other = Gits::start(&Authority::new("Somebody else"), "localhost");
    let misnamed = Gits::start(&authority, "git.example");
    for gits in [&other, &misnamed] {
        let port = gits.port();
        let named = format!("the server localhost:{port} does not prove");
        // What its repository is called makes no difference.
        for path in ["shop.git", "not found/error: 403.git"] {
            let url = format!("https://localhost:{port}/{}", path.replace(' ', "%20"));
            scene.refused(&url, &[&named, "nothing was cloned", "an administrator"]);
        }
        assert_eq!(gits.asked(), 0, "nothing is said to it either");
    }
    assert!(scene.names().is_empty(), "{:?}", scene.names());
    scene.serve.assert_no_panics();
}
