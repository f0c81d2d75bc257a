//! What a desktop may do to take all that there is: scripts for the shell in a desktop's container.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lattice_engine::session::SessionId;

use crate::containers::name;

/// A kind of storm, and the script that makes it; `DURATION` in it is how long it lasts, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// What people call it.
    pub name: &'static str,
    script: &'static str,
}

/// All kinds.
pub const STORMS: [Storm; 3] = [
    Storm {
        name: "fork bomb",
        script: "perl -e '$end = time + DURATION; while (time < $end) { fork }'",
    },
    Storm {
        name: "memory",
        script: r#"end=$((SECONDS + DURATION))
            while [ $SECONDS -lt $end ]; do perl -e '$x .= "x" x 1e8 while 1'; done"#,
    },
    Storm { name: "windows", script: WINDOWS },
];

/// Makes windows as fast as the X server takes them, by its own protocol.
const WINDOWS: &str = r#"perl -MIO::Socket::UNIX -e '
    open(C, "<", "/run/lattice/auth/client"); local $/; $cookie = substr(<C>, -16); close C;
    $s = IO::Socket::UNIX->new(Peer => "/tmp/.X11-unix/X0") or die; binmode $s;
    syswrite $s, pack("CxSSSSxx", 0x6c, 11, 0, 18, 16) . "MIT-MAGIC-COOKIE-1\0\0" . $cookie;
    sub take { my ($n, $b) = (shift, ""); while (length $b < $n) { sysread($s, $b, $n - length $b, length $b) or die } $b }
    $h = take(8); $r = take(4 * unpack("x6S", $h));
    ($base, $vendor, $formats) = (unpack("L", substr($r, 4, 4)), unpack("S", substr($r, 16, 2)), unpack("C", substr($r, 21, 1)));
    $root = unpack("L", substr($r, 32 + (($vendor + 3) & ~3) + 8 * $formats, 4));
    $end = time + DURATION;
    for ($i = 1; time < $end; $i++) {
        $w = $base + $i % 200;
        $out = $i > 200 ? pack("CxSL", 4, 2, $w) : "";
        $out .= pack("CCSLLssSSSSLLL", 1, 0, 9, $w, $root, 40 + $i % 900, 40 + $i % 500, 300, 200, 1, 1, 0, 2, $i * 7919 & 0xffffff);
        syswrite $s, $out . pack("CxSL", 8, 2, $w);
        # An answer now and then, lest the server takes it all in first.
        if ($i % 50 == 0) { syswrite $s, pack("CxS", 43, 1); do { $a = unpack("C", take(32)) } while $a != 1 }
    }'"#;

impl Storm {
    /// Rages in a session's desktop container for that long, in whole seconds.
    ///
    /// # Panics
    /// Where the engine's command cannot be started.
    pub fn rage(&self, session: &SessionId, time: Duration) -> Child {
        let script = self.script.replace("DURATION", &time.as_secs().to_string());
        let mut command = Command::new("docker");
        command.args(["exec", &name(session, "desktop"), "/bin/bash", "-c", &script]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("docker is there")
    }
}
