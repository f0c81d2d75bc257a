//! Rate control over links that are long, narrow, uneven and gone: the estimator, the ladder, the
//! frame clock and the fan-out together, with a film and somebody who types. No clock, no sockets:
//! a minute takes milliseconds, and every run is the same.

#![allow(unreachable_pub)] // Nobody else can reach a test.

mod link;
mod world;

use link::{Nature, PERFECT};
use world::{Log, Viewer, World};

/// Chance is not to decide: each claim holds for all of these.
const SEEDS: [u64; 8] = [1, 20, 300, 4000, 50_000, 6, 77, 888];
/// When the estimator has had time to find the link.
const SETTLED: u64 = 2000;

const FAST: Nature = Nature { rtt: 20.0, kbit: 20_000.0, jitter: 2.0, ..PERFECT };
const HOME: Nature = Nature { rtt: 60.0, kbit: 5000.0, jitter: 4.0, ..PERFECT };
const FAR: Nature = Nature { rtt: 200.0, kbit: 2000.0, jitter: 10.0, ..PERFECT };

/// Watches a film on a link for so long, with each seed, and checks what happened.
fn check(name: &str, nature: Nature, ms: u64, claim: impl Fn(&Log)) {
    for seed in SEEDS {
        let mut world = World::new(nature, Viewer::Honest, seed);
        world.run(ms, true);
        println!("{name}, seed {seed}: {}", world.log().summary(SETTLED, ms));
        claim(world.log());
    }
}

/// What holds on every link that does not vanish: late for a moment at most, and typing first.
fn claim_latency(log: &Log, ms: u64) {
    assert!(log.longest_above(500.0, 0, ms) <= 1000, "the picture was late for too long");
}

#[test]
fn on_a_lan_nothing_is_held_back() {
    check("LAN", PERFECT, 20_000, |log| {
        claim_latency(log, 20_000);
        assert!(log.typing_at(0.95, SETTLED, 20_000) <= PERFECT.rtt + 20.0);
        assert!(log.frames(SETTLED, 20_000) >= 39.0, "thirty of the film, ten of the typing");
        assert!(log.pace.iter().all(|pace| pace.is_infinite()), "a limit was invented");
        assert_eq!(log.changes(0, 20_000), 0);
    });
}

#[test]
fn a_good_link_gives_every_frame() {
    check("20 ms, 20 Mbit/s", FAST, 30_000, |log| {
        claim_latency(log, 30_000);
        assert!(log.typing_at(0.95, SETTLED, 30_000) <= FAST.rtt + 60.0);
        assert!(log.frames(SETTLED, 30_000) >= 38.0);
        assert!(log.changes(SETTLED, 30_000) <= 2, "the mode flaps");
    });
}

#[test]
fn typing_stays_quick_while_a_film_fills_a_narrow_link() {
    check("60 ms, 5 Mbit/s", HOME, 60_000, |log| {
        claim_latency(log, 60_000);
        assert!(log.typing_at(0.95, SETTLED, 60_000) <= HOME.rtt + 60.0);
        assert!(log.rate(SETTLED, 60_000) >= 3300.0, "two thirds of the link are used");
        assert!(log.frames(SETTLED, 60_000) >= 37.0);
        assert!(log.changes(SETTLED, 60_000) <= 3, "the mode flaps");
    });
}

#[test]
fn a_link_that_stands_still_for_one_percent_of_the_time_is_no_narrower_for_it() {
    let still = Nature { stalls: (10_000, 100), ..HOME };
    check("60 ms, 5 Mbit/s, 1 % stalls", still, 60_000, |log| {
        claim_latency(log, 60_000);
        assert!(log.typing_at(0.95, SETTLED, 60_000) <= HOME.rtt + 60.0);
        assert!(log.rate(SETTLED, 60_000) >= 3300.0);
        assert!(log.changes(SETTLED, 60_000) <= 3, "the mode flaps");
    });
}

/// A lost packet holds up all behind it for a round trip, whatever is sent: four times a second
/// here. That is the link's own doing; the rest is ours.
#[test]
fn lost_packets_cost_their_repair_and_little_more() {
    let lossy = Nature { loss: 0.01, ..HOME };
    check("60 ms, 5 Mbit/s, 1 % loss", lossy, 60_000, |log| {
        claim_latency(log, 60_000);
        assert!(log.typing_at(0.95, SETTLED, 60_000) <= 2.0 * HOME.rtt + 60.0);
        assert!(log.rate(SETTLED, 60_000) >= 3000.0);
        assert!(log.changes(SETTLED, 60_000) <= 4, "the mode flaps");
    });
}

#[test]
fn a_long_narrow_link_is_filled_without_a_queue() {
    check("200 ms, 2 Mbit/s", FAR, 60_000, |log| {
        claim_latency(log, 60_000);
        assert!(log.typing_at(0.95, SETTLED, 60_000) <= FAR.rtt + 120.0);
        assert!(log.rate(SETTLED, 60_000) >= 1200.0);
        assert!(log.frames(SETTLED, 60_000) >= 20.0, "a round trip is not a frame's interval");
        assert!(log.changes(SETTLED, 60_000) <= 6, "the mode flaps");
    });
}

#[test]
fn what_a_link_lost_for_a_while_is_used_again_within_two_seconds() {
    let steps = Nature { steps: &[(10_000, 500.0), (20_000, 5000.0)], ..HOME };
    check("5, 0.5, 5 Mbit/s", steps, 30_000, |log| {
        claim_latency(log, 30_000);
        let narrow = log.rate(12_000, 20_000);
        assert!((250.0..500.0).contains(&narrow), "{narrow} kbit/s of 500");
        let back = log.pace[20_000..].iter().position(|pace| *pace >= 3500.0);
        assert!(back.is_some_and(|ms| ms <= 2000), "back after {back:?} ms");
        assert!(log.frames(22_000, 30_000) >= 37.0);
        assert!(log.typing_at(0.95, 22_000, 30_000) <= HOME.rtt + 60.0);
    });
}

#[test]
fn after_a_black_hole_the_picture_is_live_within_a_second() {
    let hole = Nature { hole: (10_000, 13_000), ..HOME };
    check("a hole of 3 s", hole, 30_000, |log| {
        assert!(log.longest_above(500.0, 0, 10_000) <= 1000);
        // Live is a picture from after the hole, and no queue from before.
        let live = log.painted.iter().find(|(_, made)| *made >= 13_000).expect("a picture").0;
        assert!(live <= 14_000, "live at {live}");
        assert!(log.longest_above(500.0, 14_000, 30_000) == 0);
        assert!(log.pace[14_500] >= 3300.0, "a hole says nothing about the link");
        assert!(log.typing_at(0.95, 14_000, 30_000) <= HOME.rtt + 60.0);
    });
}

/// Delays its answers by as much; the link is told to be longer than it is by at most 400 ms.
#[test]
fn who_delays_its_answers_gains_no_more_than_the_trust_it_has() {
    for delay in [100, 300, 1000, 5000] {
        let mut honest = World::new(HOME, Viewer::Honest, 5);
        let mut liar = World::new(HOME, Viewer::Delaying(delay), 5);
        honest.run(20_000, true);
        liar.run(20_000, true);
        assert!(liar.told_rtt() <= HOME.rtt + 400.0, "{} ms", liar.told_rtt());
        let (gained, fair) = (liar.log().rate(SETTLED, 20_000), honest.log().rate(SETTLED, 20_000));
        println!("delaying by {delay} ms: {gained:.0} kbit/s instead of {fair:.0}");
        assert!(gained <= fair * 1.1, "{gained} kbit/s instead of {fair}");
        // What waits for it on the way is the link's, at most, for the time that it is trusted.
        let most = liar.log().most_sent(SETTLED, 20_000, 577);
        assert!(most <= 5000 * 577 / 8 * 3 / 2, "{most} bytes within 577 ms");
    }
}

#[test]
fn a_film_that_stops_leaves_the_link_silent() {
    let mut world = World::new(HOME, Viewer::Honest, 9);
    world.run(10_000, true);
    world.run(10_000, false);
    let rate = world.log().rate(11_000, 20_000);
    assert!(rate < 20.0, "{rate} kbit/s for typing");
    assert!(world.log().typing_at(0.95, 11_000, 20_000) <= HOME.rtt + 20.0);
}
