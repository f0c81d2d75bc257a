//! Attacks on a real `lattice serve`: each fails, the attacker learns nothing, and the others go on.

mod crowd;
mod frames;
mod guesses;
mod origins;
mod rights;
mod slow;

use lattice_engine::session::SessionId;
use lattice_tests::compare::difference;
use lattice_tests::http::Kept;
use lattice_tests::people::Proof;
use lattice_tests::process::rss;
use lattice_tests::scene::Scene;
use lattice_tests::serve::Serve;
use lattice_tests::{Viewer, x};
use std::time::{Duration, Instant};

/// Somebody who looks at a desktop on which something happens.
struct Witness {
    viewer: Viewer,
    scene: Scene,
}

impl Witness {
    fn of(serve: &Serve, session: &SessionId) -> Self {
        let viewer = serve.viewer(&serve.admin(), session);
        viewer.wait_picture();
        Self { viewer, scene: Scene::open(serve.desktops().connect(session)) }
    }

    /// Checks that what is drawn now is seen.
    fn check(&mut self) {
        self.scene.scroll(3);
        let screen = || x::screen_image(self.scene.connection());
        // The desktop draws, too: its picture of this moment is what counts.
        self.viewer.wait("the picture to be right", |view| {
            difference(&view.screen.picture, &screen()).is_none()
        });
        self.viewer.assert_no_faults();
        assert_eq!(self.viewer.view(|view| view.closed.clone()), None);
    }
}

/// How many bytes a process has grown by; it may have shrunk.
fn grown(pid: u32, before: u64) -> i64 {
    rss(pid) as i64 - before as i64
}

/// The time below which this share of all was.
fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort();
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * share) as usize).copied().unwrap_or_default()
}

/// What somebody asks for who does nothing wrong, again and again until `end`; how long each took.
fn honest_requests(serve: &Serve, who: &Proof, end: impl Fn() -> bool) -> Vec<Duration> {
    let (mut times, head) = (Vec::new(), serve.head(who));
    while !end() {
        let start = Instant::now();
        // A connection of its own each time, as of somebody who has only just come.
        let answer = Kept::connect(serve.address()).ask("GET", "/api/v1/me", &head, "");
        assert_eq!(answer.expect("it answers").status, 200);
        times.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    times
}
