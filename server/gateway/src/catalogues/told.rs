//! What an app may do, as people are told before they install it.

use crate::template::{Access, Network, Permissions};
use serde::Serialize;
use utoipa::ToSchema;

/// Something that an app may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Power {
    /// Which, for programs: `display`, `clipboard`, `network`, `read-data`, `write-data`, `manager`, `bus`
    /// or `ports`.
    #[schema(example = "network")]
    pub what: &'static str,
    /// The same for people, as the rest of a sentence that begins with the app.
    #[schema(example = "can use the network")]
    pub text: String,
    /// What it is about: names on the session bus, numbers of ports.
    pub about: Vec<String>,
    /// Whether it could do harm that is hard to see.
    pub risky: bool,
}

/// All that these permissions mean, what is risky first.
pub fn powers(may: &Permissions) -> Vec<Power> {
    let mut powers = Vec::new();
    let mut tell = |what, risky, text: String, about: &[String]| {
        powers.push(Power { what, text, about: about.to_vec(), risky });
    };
    if may.network == Network::Internet {
        tell("network", true, "can use the network".into(), &[]);
    }
    match may.data {
        Access::None => {}
        Access::Read => tell("read-data", true, "can read your files".into(), &[]),
        Access::Write => tell("write-data", true, "can read and change your files".into(), &[]),
    }
    if may.manager {
        let text = "can ask for snapshots, for links by which others see the desktop, and for its other apps";
        tell("manager", true, text.into(), &[]);
    }
    if may.display {
        let text = "can show windows, and see what is typed into others on the desktop";
        tell("display", true, text.into(), &[]);
    }
    if may.clipboard {
        tell("clipboard", false, "can read and change the clipboard".into(), &[]);
    }
    if !may.dbus.is_empty() {
        let text = format!("can talk to {} on the desktop", may.dbus.join(", "));
        tell("bus", false, text, &may.dbus);
    }
    if !may.ports.is_empty() {
        let ports: Vec<_> = may.ports.iter().map(ToString::to_string).collect();
        let text = format!("offers pages that you can look at, on port {}", ports.join(", "));
        tell("ports", false, text, &ports);
    }
    powers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_permission_has_its_words() {
        let none = Permissions {
            display: false,
            dbus: Vec::new(),
            network: Network::None,
            data: Access::None,
            clipboard: false,
            ports: Vec::new(),
            manager: false,
        };
        assert_eq!(powers(&none), []);
        let all = Permissions {
            display: true,
            dbus: vec!["org.example.App".into()],
            network: Network::Internet,
            data: Access::Write,
            clipboard: true,
            ports: vec![8000, 8001],
            manager: true,
        };
        let told: Vec<_> = powers(&all).into_iter().map(|power| power.text).collect();
        let words = ["can use the network", "change your files", "can show windows", "clipboard"];
        for word in words.into_iter().chain(["org.example.App", "8000, 8001", "ask for snapshots"])
        {
            assert!(told.iter().any(|text| text.contains(word)), "{word} is not in {told:?}");
        }
        let read = Permissions { data: Access::Read, ..none };
        assert_eq!(powers(&read)[0].what, "read-data");
    }
}
