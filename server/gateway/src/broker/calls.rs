//! Which system calls the programs of containers may use, where it is not to be as the engine has it.
//!
//! Whoever may write into a directory of btrfs may make a subvolume in it, and a new one has no bound. So
//! where bounds are by subvolumes, programs are not let ask btrfs for anything but to share what is the
//! same in two files. There is no adding to the profile that an engine has built in, so this is instead
//! of it.

use serde_json::{Value, json};

/// What Chromium needs, which builds its own sandbox.
const CHROMIUM: &str = include_str!("../../../../containers/chromium/seccomp.json");
/// What only Chromium is given.
const SANDBOX: [&str; 3] = ["chroot", "clone", "unshare"];
/// Namespaces of any kind: the flags of clone(2) that the engine refuses.
const NAMESPACES: u64 = 0x7E02_0000;
/// What the engine gives and Chromium does not need: debuggers use the first three, databases the rest.
const FURTHER: [&str; 17] = [
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "io_setup",
    "io_submit",
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "mq_open",
    "mq_unlink",
    "mq_notify",
    "mq_getsetattr",
    "mq_timedsend",
    "mq_timedreceive",
    "name_to_handle_at",
    "remap_file_pages",
    "memfd_secret",
];
/// The second byte of what is asked of btrfs by ioctl(2): `BTRFS_IOCTL_MAGIC` of <linux/btrfs.h>.
const BTRFS: u64 = 0x94;
/// `FICLONE`, `FICLONERANGE` and `FIDEDUPERANGE` of <linux/fs.h>, which were btrfs's own at first.
const SHARING: [u64; 3] = [0x4004_9409, 0x4020_940D, 0xC018_9436];

/// The profile, on one line, as the engine takes it; nothing where its own is right.
pub(super) fn profile(is_chromium: bool, in_subvolumes: bool) -> Option<String> {
    if !is_chromium && !in_subvolumes {
        return None;
    }
    let mut profile: Value = serde_json::from_str(CHROMIUM).expect("a test reads it");
    let rules = profile["syscalls"].as_array_mut().expect("a test reads it");
    if !is_chromium {
        without(rules, &SANDBOX);
        rules.push(allow(&["clone"], Some((0, NAMESPACES, 0))));
        rules.push(allow(&FURTHER, None));
    }
    if in_subvolumes {
        without(rules, &["ioctl"]);
        // Rules can say that some bits are so and so, and any of them will do: it is not btrfs that is
        // asked where one bit of the byte is another.
        for bit in (8..16).map(|bit| 1 << bit) {
            let other = !(BTRFS << 8) & bit;
            rules.push(allow(&["ioctl"], Some((1, bit, other))));
        }
        for request in SHARING {
            rules.push(allow(&["ioctl"], Some((1, u64::from(u32::MAX), request))));
        }
    }
    Some(profile.to_string())
}

fn without(rules: &mut [Value], names: &[&str]) {
    for rule in rules {
        if let Some(all) = rule["names"].as_array_mut() {
            all.retain(|name| !name.as_str().is_some_and(|name| names.contains(&name)));
        }
    }
}

/// Lets through, where the argument of that index has these bits so and so.
fn allow(names: &[&str], only: Option<(u32, u64, u64)>) -> Value {
    let args: Vec<_> = only
        .into_iter()
        .map(|(index, mask, is)| {
            json!({ "index": index, "value": mask, "valueTwo": is, "op": "SCMP_CMP_MASKED_EQ" })
        })
        .collect();
    json!({ "names": names, "action": "SCMP_ACT_ALLOW", "args": args })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a profile lets a call through with this argument.
    fn lets(profile: &Value, name: &str, index: usize, argument: u64) -> bool {
        let rules = profile["syscalls"].as_array().expect("rules").iter();
        let of_name = rules.filter(|rule| {
            let mut names = rule["names"].as_array().expect("names").iter();
            names.any(|other| other == name)
        });
        of_name.filter(|rule| rule["action"] == "SCMP_ACT_ALLOW").any(|rule| {
            rule["args"].as_array().into_iter().flatten().all(|arg| {
                assert_eq!(
                    (&arg["op"], &arg["index"]),
                    (&json!("SCMP_CMP_MASKED_EQ"), &json!(index))
                );
                let number = |key: &str| arg[key].as_u64().expect("a number");
                argument & number("value") == number("valueTwo")
            })
        })
    }

    fn read(is_chromium: bool, in_subvolumes: bool) -> Value {
        let text = profile(is_chromium, in_subvolumes).expect("one");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn btrfs_is_asked_for_nothing_but_to_share() {
        // SUBVOL_CREATE, SNAP_CREATE, SNAP_CREATE_V2, SUBVOL_CREATE_V2, QGROUP_LIMIT of <linux/btrfs.h>.
        let btrfs = [0x5000_940E, 0x5000_9401, 0x5000_9417, 0x5000_9418, 0x8030_942B];
        // TCGETS, FIONREAD, FS_IOC_GETFLAGS, UFFDIO_API, and terminals of a new kind.
        let others = [0x5401, 0x541B, 0x8008_6601, 0xC018_AA3F, 0x802C_542A];
        for is_chromium in [false, true] {
            let profile = read(is_chromium, true);
            for request in btrfs {
                assert!(!lets(&profile, "ioctl", 1, request), "{request:#x}");
                // The kernel looks at 32 bits only.
                assert!(!lets(&profile, "ioctl", 1, request | 1 << 40), "{request:#x}");
            }
            for request in others.into_iter().chain(SHARING) {
                assert!(lets(&profile, "ioctl", 1, request), "{request:#x}");
            }
        }
        assert!(lets(&read(true, false), "ioctl", 1, btrfs[0]));
        assert_eq!(profile(false, false), None);
    }

    #[test]
    fn only_chromium_makes_namespaces() {
        const NEW_USER: u64 = 0x1000_0000;
        const THREAD: u64 = 0x003D_0F00;
        let (usual, chromium) = (read(false, true), read(true, true));
        for call in ["unshare", "chroot"] {
            assert!(!lets(&usual, call, 0, 0) && lets(&chromium, call, 0, 0), "{call}");
        }
        assert!(lets(&usual, "clone", 0, THREAD) && !lets(&usual, "clone", 0, THREAD | NEW_USER));
        assert!(lets(&chromium, "clone", 0, NEW_USER));
        assert!(lets(&usual, "ptrace", 0, 0) && !lets(&chromium, "ptrace", 0, 0));
        assert!(!lets(&usual, "mount", 0, 0) && !lets(&usual, "keyctl", 0, 0));
    }
}
