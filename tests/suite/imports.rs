//! New folders in Data by a real server: whole, their owner's, and nothing of what means harm.

use lattice_tests::people::Proof;
use lattice_tests::serve::Serve;
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
        let serve = Serve::start();
        let owner = serve.admin();
        Self { serve, owner }
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
        let homes = fs::read_dir(self.serve.desktops().data().join("homes")).expect("there");
        let mut all = homes.map(|entry| entry.expect("one").path().join("data"));
        all.find(|data| data.is_dir()).expect("somebody's")
    }

    fn names(&self) -> Vec<String> {
        let all = fs::read_dir(self.data()).expect("read");
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
