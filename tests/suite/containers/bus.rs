//! Apps reach those names on the session bus that they declare.

use super::started;
use lattice_tests::containers::Containers;
use lattice_tests::eventually;

const BUS: &str = "name: bus
services:
  talker: { image: lattice/terminal, command: [sleep, infinity] }
  quiet: { image: lattice/terminal, command: [sleep, infinity] }
x-lattice:
  title: Bus
  apps: { talker: { title: Talker }, quiet: { title: Quiet } }
  permissions: { talker: { dbus: [org.xfce.Xfconf, org.example.*] } }
";

fn ping(name: &str) -> String {
    format!(
        "dbus-send --session --print-reply --dest={name} / org.freedesktop.DBus.Peer.Ping \
         >/dev/null 2>&1 && echo reached || echo refused"
    )
}

const NAMES: &str = "dbus-send --session --print-reply=literal --dest=org.freedesktop.DBus / \
                     org.freedesktop.DBus.ListNames";

#[tokio::test(flavor = "multi_thread")]
async fn an_app_reaches_the_names_that_it_declares() {
    let containers = Containers::with_templates(&[BUS]);
    let runtime = containers.open();
    let session = started(&runtime, 1, "bus").await;
    for name in ["org.xfce.Xfconf", "org.xfce.Panel"] {
        eventually(name, || containers.ask(&session, "desktop", &ping(name)) == "reached");
    }
    for app in ["talker", "quiet"] {
        runtime.open(&session, app).await.expect("it opens");
    }
    let ask = |app: &str, script: &str| containers.ask(&session, &format!("app-{app}"), script);
    assert_eq!(ask("talker", &ping("org.xfce.Xfconf")), "reached");
    assert_eq!(ask("talker", &ping("org.xfce.Panel")), "refused");
    let names = ask("talker", NAMES);
    assert!(names.contains("org.xfce.Xfconf") && !names.contains("org.xfce.Panel"), "{names}");
    assert_eq!(
        ask("talker", "ls /run/lattice/bus; touch /run/lattice/bus/x 2>&1 | wc -l"),
        "bus\n1"
    );
    assert_eq!(ask("quiet", &ping("org.xfce.Xfconf")), "refused");
    assert_eq!(ask("quiet", "ls /run/lattice 2>/dev/null"), "");

    // What an app needs ends with it, and is frozen with it.
    let proxies = || containers.of(&session).iter().filter(|name| name.contains("-proxy-")).count();
    assert_eq!(proxies(), 1);
    runtime.pause(&session).await.expect("a pause");
    let state = containers.inspect(&session, "proxy-talker")["State"]["Status"].clone();
    assert_eq!(state, "paused");
    runtime.resume(&session).await.expect("it goes on");
    assert_eq!(ask("talker", &ping("org.xfce.Xfconf")), "reached");
    runtime.close(&session, "talker").await.expect("it closes");
    assert_eq!(proxies(), 0);
    runtime.open(&session, "talker").await.expect("it opens again");
    assert_eq!(ask("talker", &ping("org.xfce.Xfconf")), "reached");
    runtime.remove(&session).await.expect("a removal");
    assert!(containers.of(&session).is_empty());
}
