use super::*;

const MS: fn(u64) -> Micros = Micros::from_millis;

/// Frames of 10 kB, 40 ms apart, that are acknowledged after so many ms, `decode` of which the
/// viewer says it needed.
fn watch(link: &mut Link, from: u64, delays: impl IntoIterator<Item = u64>, decode: u64) -> u64 {
    let mut at = from;
    for delay in delays {
        link.handle_sent(10_000, MS(at));
        let frame = Painted { bytes: 10_000, sent: MS(at), decode: MS(decode), queued: 0 };
        link.handle_painted(frame, MS(at + delay));
        at += 40;
    }
    at
}

#[test]
fn behind_a_proxy_the_rest_of_the_path_is_no_queue() {
    let mut link = Link::new();
    link.handle_kernel(Micros(200));
    watch(&mut link, 1000, [25; 50], 2);
    assert_eq!((link.base_rtt(), link.bitrate()), (MS(23), None));
    assert_eq!(link.bottleneck(MS(3000)), Bottleneck::Nothing);
}

#[test]
fn the_base_is_within_what_the_kernel_vouches_for() {
    let mut link = Link::new();
    link.handle_kernel(MS(50));
    // An answer that comes before it can was not waited for.
    link.handle_round_trip(MS(1), MS(0));
    assert_eq!(link.base_rtt(), MS(50));
    let mut link = Link::new();
    link.handle_kernel(MS(50));
    watch(&mut link, 1000, [9000; 50], 0);
    assert_eq!(link.base_rtt(), MS(450));
}

#[test]
fn a_longer_way_is_believed_after_a_while() {
    let mut link = Link::new();
    let at = watch(&mut link, 1000, [20; 100], 2);
    watch(&mut link, at, [120; 300], 2);
    assert_eq!(link.base_rtt(), MS(118));
}

#[test]
fn one_pause_makes_no_limit_and_a_narrow_link_does() {
    let mut link = Link::new();
    let at = watch(&mut link, 1000, [20; 50], 2);
    let at = watch(&mut link, at, [320], 2);
    let at = watch(&mut link, at + 400, [20; 50], 2);
    assert!(link.bitrate().is_none_or(|limit| limit.0 > 20_000_000), "{:?}", link.bitrate());
    // 10 kB every 80 ms, twice that are sent: 1 Mbit/s.
    watch(&mut link, at, (1..20).map(|n| 20 + n * 40), 2);
    let limit = link.bitrate().expect("a limit").0;
    assert!((500_000..1_100_000).contains(&limit), "{limit} bit/s");
    assert_eq!(link.bottleneck(MS(at / 1000 + 800)), Bottleneck::Network);
}

#[test]
fn a_limit_is_forgotten_once_everything_comes_through_at_once() {
    let mut link = Link::new();
    let at = watch(&mut link, 1000, [20; 50], 2);
    let at = watch(&mut link, at, (1..20).map(|n| 20 + n * 40), 2);
    assert!(link.bitrate().is_some());
    watch(&mut link, at + 1000, [20; 50], 2);
    assert_eq!(link.bitrate(), None);
}

#[test]
fn a_slow_browser_is_not_the_network() {
    let mut link = Link::new();
    let at = watch(&mut link, 1000, [20; 50], 2);
    let at = watch(&mut link, at, [145; 50], 130);
    assert_eq!(link.bitrate(), None);
    assert_eq!(link.bottleneck(MS(at)), Bottleneck::Browser);
}

#[test]
fn what_is_said_to_be_decoding_is_believed_for_a_moment_only() {
    let mut link = Link::new();
    let at = watch(&mut link, 1000, [20; 50], 2);
    // Later and later, and all of it for decoding.
    watch(&mut link, at, (1..20).map(|n| n * 80), 60_000);
    assert!(link.bitrate().is_some());
}

#[test]
fn letters_that_are_late_say_nothing_about_the_link() {
    let mut link = Link::new();
    let at = watch(&mut link, 1000, [20; 5], 2);
    for n in 0..100 {
        let sent = MS(at + n * 100);
        link.handle_sent(2000, sent);
        let frame = Painted { bytes: 2000, sent, decode: MS(2), queued: 0 };
        link.handle_painted(frame, sent.plus(MS(95)));
    }
    assert_eq!(link.bitrate(), None);
}

#[test]
fn a_limit_that_makes_frames_small_is_seen_to_be_too_low() {
    let mut link = Link::new();
    let at = watch(&mut link, 1000, [20; 50], 2);
    // 10 kB every 300 ms: 0.27 Mbit/s.
    let at = watch(&mut link, at, (1..20).map(|n| 20 + n * 260), 2) + 6000;
    assert!(link.bitrate().is_some_and(|limit| limit.0 < 400_000), "{:?}", link.bitrate());
    for n in 0..60 {
        let sent = MS(at + n * 33);
        let bytes = 900;
        link.handle_sent(bytes, sent);
        link.handle_painted(Painted { bytes, sent, decode: MS(2), queued: 0 }, sent.plus(MS(21)));
    }
    let limit = link.bitrate();
    assert!(limit.is_none_or(|limit| limit.0 > 700_000), "{limit:?} after two seconds");
}
