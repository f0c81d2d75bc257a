//! Hours in minutes: a lively display, viewers that come and go all the time, and nothing that adds
//! up. `LATTICE_TEST_LONG=1` runs it, for `LATTICE_SOAK_SECONDS` (600 by default).

use lattice_tests::beat::{Beat, Motion};
use lattice_tests::compare::assert_exact;
use lattice_tests::process::{open_files, rss, threads};
use lattice_tests::relay::Relay;
use lattice_tests::scene::{Piece, Random, Scene};
use lattice_tests::wait::{is_long_run, until_some};
use lattice_tests::{Share, Viewer, ViewerOptions, XServer, patience};
use lattice_wire::Size;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const SECONDS: u64 = 600;
/// Allocators, caches and pools have grown to their size after this.
const WARM_UP: Duration = Duration::from_secs(120);
/// Viewers come and go for so long, then all leave and what is left is measured.
const SHIFT: Duration = Duration::from_secs(8);
/// Viewers that come and go at the same time.
const CHURNERS: u32 = 3;
const CYCLES_A_MINUTE: usize = 100;

/// What a process has when nobody looks.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Duration,
    cycles: usize,
    gateway: Usage,
    agent: Usage,
}

#[derive(Debug, Clone, Copy)]
struct Usage {
    memory: u64,
    files: usize,
    threads: usize,
}

impl Usage {
    fn of(pid: u32) -> Self {
        Self { memory: rss(pid), files: open_files(pid), threads: threads(pid) }
    }
}

struct Soak {
    // Clients end before their server.
    share: Share,
    relay: Relay,
    server: XServer,
    cycles: AtomicUsize,
    start: Instant,
}

impl Soak {
    /// Draws and lets viewers come and go for a while; in the end nobody looks.
    fn shift(&mut self, number: u32) {
        let sizes = [Size::new(1366, 768), Size::new(1280, 720), Size::new(1367, 771)];
        self.server.set_size(sizes[number as usize % sizes.len()]);
        let is_over = AtomicBool::new(false);
        let this = &*self;
        std::thread::scope(|scope| {
            for churner in 0..CHURNERS {
                let (is_over, seed) = (&is_over, number * CHURNERS + churner + 1);
                scope.spawn(move || this.churn(is_over, Random(seed)));
            }
            let sees_video =
                ViewerOptions { h264: number.is_multiple_of(2), ..ViewerOptions::default() };
            let witness = Viewer::join_with(&this.share, sees_video);
            this.draw(number);
            is_over.store(true, Ordering::Relaxed);
            witness.wait_picture();
            witness.assert_no_faults();
        });
        self.share.wait_nobody();
    }

    fn draw(&self, number: u32) {
        let mut scene = Scene::open(self.server.connect());
        let mut film = Beat::prepare(self.server.connect(), Motion::Clip);
        let mut random = Random(number + 1);
        let start = Instant::now();
        while start.elapsed() < SHIFT {
            let time = Duration::from_millis(100 + u64::from(random.below(400)));
            match random.below(7) {
                0 => scene.text(),
                1 => scene.noise(),
                2 => scene.play_piece(Piece::Scroll, time),
                3 => scene.play_piece(Piece::Drag, time),
                4 => scene.play(time),
                // Long enough to become video.
                5 => drop(film.play(30.0, time + Duration::from_secs(1))),
                _ => std::thread::sleep(time),
            }
        }
    }

    /// Joins, sees a picture, leaves, again and again; some in worse ways than others.
    fn churn(&self, is_over: &AtomicBool, mut random: Random) {
        let normal = ViewerOptions::default();
        while !is_over.load(Ordering::Relaxed) {
            let address = Some(self.relay.address());
            let normal = ViewerOptions { h264: random.below(2) == 0, ..normal };
            let (options, stay) = match random.below(16) {
                0 => (ViewerOptions { acks: false, ..normal }, 400),
                1 => (ViewerOptions { reads: false, ..normal }, 300),
                2 => (ViewerOptions { address, ..normal }, 200),
                _ => (normal, random.below(60)),
            };
            let viewer = Viewer::join_with(&self.share, options);
            if options.reads {
                viewer.wait_picture();
                self.cycles.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(u64::from(stay)));
            viewer.assert_no_faults();
        }
    }

    fn sample(&self) -> Sample {
        Sample {
            at: self.start.elapsed(),
            cycles: self.cycles.load(Ordering::Relaxed),
            gateway: Usage::of(self.share.pid()),
            agent: Usage::of(self.share.agent()),
        }
    }

    /// Waits until files and threads are what they were: sockets take a moment to close.
    fn expect_like(&self, baseline: &Sample) -> Sample {
        let near = |now: usize, then: usize| now.abs_diff(then) <= 2;
        let is_like = |now: Usage, then: Usage| {
            near(now.files, then.files) && near(now.threads, then.threads)
        };
        let what = format!("files and threads like {baseline:?}; they are {:?}", self.sample());
        until_some(&what, patience(Duration::from_secs(5)), || {
            let now = self.sample();
            let fits = is_like(now.gateway, baseline.gateway) && is_like(now.agent, baseline.agent);
            fits.then_some(now)
        })
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

/// Checks that memory has no slope: the last third of the samples against the first. It may grow by
/// what the samples of the first third differ among themselves, and by 1 KiB a cycle or 200 KiB a
/// minute, whichever is less, and by `slack`.
fn assert_level(who: &str, samples: &[Sample], slack: u64, memory: impl Fn(&Sample) -> u64) {
    let third = samples.len().div_ceil(3);
    let (first, last) = (&samples[..third], &samples[samples.len() - third..]);
    let of = |part: &[Sample]| part.iter().map(&memory).collect::<Vec<u64>>();
    let center = |part: &[Sample]| (part[part.len() / 2].at, part[part.len() / 2].cycles);
    let (start, end) = (center(first), center(last));
    let before = median(of(first));
    let grown = median(of(last)).saturating_sub(before);
    let noise = of(first).iter().max().unwrap_or(&0) - of(first).iter().min().unwrap_or(&0);
    let cycles = (end.1 - start.1) as u64;
    let minutes = (end.0 - start.0).as_secs_f64() / 60.0;
    let allowed = (cycles << 10).min((minutes * 200.0 * 1024.0) as u64) + noise + slack;
    println!(
        "{who}: {before} bytes, grown by {grown} in {minutes:.1} minutes and {cycles} cycles; \
         noise {noise}, allowed {allowed}"
    );
    let all: Vec<u64> = samples.iter().map(&memory).collect();
    assert!(grown <= allowed, "{who} grew by {grown} bytes, allowed are {allowed}: {all:?}");
}

#[test]
fn nothing_adds_up() {
    if !is_long_run("the soak") {
        return;
    }
    let seconds = std::env::var("LATTICE_SOAK_SECONDS").ok();
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("LATTICE_SOAK_SECONDS"));
    let time = Duration::from_secs(seconds);
    let server = XServer::start(1366, 768);
    let share = Share::start(&server);
    let relay = Relay::start(share.address());
    let (cycles, start) = (AtomicUsize::new(0), Instant::now());
    let mut soak = Soak { share, relay, server, cycles, start };

    soak.shift(0);
    let baseline = soak.sample();
    let mut samples = Vec::new();
    for number in 1.. {
        soak.shift(number);
        let sample = soak.expect_like(&baseline);
        println!("{sample:?}");
        if sample.at >= WARM_UP.min(time / 3) {
            samples.push(sample);
        }
        if sample.at >= time {
            break;
        }
    }
    // In a short run allocators and pools still grow to their size.
    let slack = if time < WARM_UP * 3 { 3 << 20 } else { 0 };
    assert_level("the gateway", &samples, slack, |sample| sample.gateway.memory);
    assert_level("the agent", &samples, slack, |sample| sample.agent.memory);
    let units = soak.share.settled("lattice_agent_video_units_total");
    println!("{units} units of video");
    assert!(units > samples.len() as f64, "films were video: {units} units");
    let cycles = soak.cycles.load(Ordering::Relaxed);
    assert!(cycles >= CYCLES_A_MINUTE * seconds as usize / 60, "only {cycles} cycles");

    let viewer = Viewer::join(&soak.share);
    viewer.wait_picture();
    let mut scene = Scene::open(soak.server.connect());
    assert_exact(&viewer, &soak.server);
    scene.play(Duration::from_secs(1));
    assert_exact(&viewer, &soak.server);
    soak.share.assert_no_panics();
}
