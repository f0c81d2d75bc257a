//! Apps of signed catalogues: what is fetched is what was signed, or nothing.

use super::running;
use lattice_gateway::runtime::{Progress, Runtime, RuntimeError, Spec, Wanted};
use lattice_gateway::template;
use lattice_tests::containers::{Containers, docker};
use lattice_tests::desktops::spec;
use lattice_tests::process::binary;
use lattice_tests::registry::{Manners, Registry};
use lattice_tests::wait::eventually;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

/// A broker that trusts a school's key, and the school.
struct School {
    containers: Containers,
    /// What docker is to forget at the end.
    images: Mutex<Vec<String>>,
}

impl Drop for School {
    fn drop(&mut self) {
        for image in self.images.lock().expect("it").iter() {
            let _ = Command::new("docker").args(["image", "rm", image]).output();
        }
    }
}

impl School {
    fn new() -> Self {
        let mut containers = Containers::new();
        let key = containers.path().join("school.key");
        let printed = lattice(&["catalogue", "keygen", &key.to_string_lossy()]).expect("a key");
        let public = printed.lines().find_map(|line| line.strip_prefix("key = "));
        let public = public.expect("it is printed").trim_matches('"');
        let directory = containers.path().join("catalogues");
        fs::create_dir(&directory).expect("made");
        let trusted = format!("school={public}");
        let directory = directory.to_string_lossy().into_owned();
        containers.restart_broker_with(&["--catalogues", &directory, "--catalogue-key", &trusted]);
        Self { containers, images: Mutex::default() }
    }

    fn file(&self) -> PathBuf {
        self.containers.path().join("catalogues/apps.yaml")
    }

    /// A catalogue with one app of this image, signed.
    fn publish(&self, serial: u32, image: &str) -> Wanted {
        let text = format!(
            "name: apps\ntitle: Apps\nserial: {serial}\napps:\n  hello:\n    title: Hello\n    \
             version: '{serial}'\n    license: MIT\n    source: a test\n    size: 2m\n    service:\n      \
             image: {image}\n      command: [sleep, '600']\n      mem_limit: 64m\n      \
             pids_limit: 32\n      stop_grace_period: 1s\n    permissions: {{data: read}}\n"
        );
        fs::write(self.file(), text).expect("written");
        let key = self.containers.path().join("school.key");
        let (key, file) = (key.to_string_lossy(), self.file());
        lattice(&["catalogue", "sign", "--key", &key, &file.to_string_lossy()]).expect("signed");
        self.images.lock().expect("it").push(image.to_owned());
        Wanted { catalogue: "apps".into(), app: "hello".into(), image: image.to_owned() }
    }

    async fn pull(&self, wanted: &Wanted) -> Result<Vec<Progress>, String> {
        let told = Mutex::new(Vec::new());
        let runtime = self.containers.open();
        let pulled =
            runtime.pull(wanted, &|progress| told.lock().expect("it").push(progress)).await;
        pulled.map_err(|error: RuntimeError| error.to_string())?;
        Ok(told.into_inner().expect("it"))
    }

    async fn refused(&self, wanted: &Wanted, words: &[&str]) {
        let error = self.pull(wanted).await.expect_err("it is refused");
        for word in words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
    }
}

fn lattice(words: &[&str]) -> Result<String, String> {
    let output = Command::new(binary("lattice")).args(words).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn has(image: &str) -> bool {
    let output = Command::new("docker").args(["image", "inspect", image]).output();
    output.expect("docker is there").status.success()
}

/// Two megabytes that no other test has.
fn words() -> String {
    let own = format!("a {:?} ", std::time::SystemTime::now());
    own.repeat((2 << 20) / own.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_signed_catalogue_names_is_fetched_and_nothing_else() {
    let school = School::new();
    let registry = Registry::start(&words());
    let wanted = school.publish(1, &registry.image());
    let told = school.pull(&wanted).await.expect("fetched");
    assert!(has(&wanted.image));
    let last = told.last().expect("it was told of");
    assert!(last.done <= last.total && last.total >= 2 << 20, "{told:?}");
    // Nobody is asked again for what is there.
    registry.behave(Manners::Empty);
    school.pull(&wanted).await.expect("it is there");

    // A gateway that somebody broke into names what it likes.
    let other = Registry::start(&words());
    let evil = Wanted { image: other.image(), ..wanted.clone() };
    school.refused(&evil, &["the catalogue apps has hello as sha256:", "and not as sha256:"]).await;
    school.refused(&Wanted { app: "evil".into(), ..evil.clone() }, &["has an app evil"]).await;
    school.refused(&Wanted { catalogue: "../x".into(), ..evil.clone() }, &["../x"]).await;
    assert_eq!((other.layers(), has(&evil.image)), (0, false));

    // Newer editions come, older ones can be had back, an older catalogue cannot.
    let newer = school.publish(2, &other.image());
    school.pull(&newer).await.expect("fetched");
    school.pull(&wanted).await.expect("what was fetched once can be had back");
    school.publish(1, &wanted.image);
    school
        .refused(&Wanted { image: "x@sha256:00".into(), ..wanted }, &["its serial is 1, but 2"])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_in_the_place_of_an_app_is_refused_and_explained() {
    let school = School::new();
    let registry = Registry::start(&words());
    let wanted = school.publish(1, &registry.image());
    for manners in [Manners::OtherManifest, Manners::OtherLayer] {
        registry.behave(manners);
        school
            .refused(&wanted, &["refused", "what came is not what its catalogue names", "sha256:"])
            .await;
        assert!(!has(&wanted.image), "{manners:?}");
    }
    registry.behave(Manners::Honest);
    registry.swap("evil");
    school.refused(&wanted, &["what came is not what its catalogue names"]).await;
    assert!(!has(&wanted.image));
    registry.behave(Manners::Empty);
    school.refused(&wanted, &["does not have that digest any more"]).await;

    // One byte of the catalogue, by whoever has the disk.
    let text = fs::read_to_string(school.file()).expect("read");
    fs::write(school.file(), text.replace("data: read", "data: write")).expect("written");
    school.refused(&wanted, &["the catalogue apps is refused", "was changed since"]).await;
    fs::remove_file(school.file().with_extension("sig")).expect("removed");
    school.refused(&wanted, &["it has no signature"]).await;
    // Signed anew, by somebody else.
    let key = school.containers.path().join("other.key");
    let (key, file) = (key.to_string_lossy(), school.file());
    lattice(&["catalogue", "keygen", &key]).expect("a key");
    lattice(&["catalogue", "sign", "--key", &key, &file.to_string_lossy()]).expect("signed");
    school.refused(&wanted, &["which is not trusted here"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_want_the_same_have_it_fetched_once_and_a_broker_that_dies_says_so() {
    let mut school = School::new();
    let registry = Registry::start(&words());
    let wanted = school.publish(1, &registry.image());
    registry.behave(Manners::Slow(Duration::from_secs(2)));
    let (first, second) = tokio::join!(school.pull(&wanted), school.pull(&wanted));
    first.expect("fetched");
    second.expect("fetched");
    assert_eq!(registry.layers(), 1);

    let other = Registry::start(&words());
    other.behave(Manners::Slow(Duration::from_secs(20)));
    let wanted = school.publish(2, &other.image());
    let runtime = school.containers.open();
    let same = wanted.clone();
    let pulling = tokio::spawn(async move { runtime.pull(&same, &|_| {}).await });
    eventually("the layer is asked for", || other.layers() > 0);
    school.containers.restart_broker();
    let error = pulling.await.expect("no fault").expect_err("it went away").to_string();
    assert!(error.contains("the broker") && error.contains("again"), "{error}");
    other.behave(Manners::Honest);
    school.pull(&wanted).await.expect("the next broker fetches it");
}

/// An image that came by `docker load` has no digest of a registry, but one of its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_installed_app_runs_on_a_desktop_also_where_no_registry_is() {
    let school = School::new();
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", "lattice/terminal"]);
    let wanted = school.publish(1, &format!("lattice.invalid/terminal@{id}"));
    school.images.lock().expect("it").clear();
    let runtime = school.containers.open();
    let base = "name: plain\nx-lattice: {title: Plain}\n";
    let text = fs::read_to_string(school.file()).expect("read");
    let hello = template::read_catalogue(&text).expect("good").apps.remove("hello").expect("it");
    let base = template::read(base).expect("good");
    let (text, _) = template::with_apps(base, [("hello".to_owned(), hello.app)]);
    let plain = Spec { template: "plain".into(), text: Some(text.into()), ..spec(1) };
    start(&runtime, &plain).await;
    let error = runtime.open(&plain.session, "hello").await.expect_err("nobody fetched it");
    assert!(error.to_string().contains("was not installed of a signed catalogue"), "{error}");
    school.pull(&wanted).await.expect("it is there");
    runtime.open(&plain.session, "hello").await.expect("it opens");
    let found = school.containers.inspect(&plain.session, "app-hello");
    assert_eq!(found["Image"].as_str(), Some(&*id));
    assert_eq!(found["HostConfig"]["Memory"].as_u64(), Some(64 << 20));
    runtime.remove(&plain.session).await.expect("a removal");
}

async fn start(runtime: &Runtime, spec: &Spec) {
    runtime.start(spec).await.expect("a start");
    running(runtime, &spec.session).await;
}
