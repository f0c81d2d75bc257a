//! How long a key takes, from the keyboard to the eye, beside a desktop that takes all it can get.

use super::{Started, click, place, serve};
use lattice_tests::containers::display;
use lattice_tests::keylog::{AT, KeyLog, SQUARE};
use lattice_tests::script::Script;
use lattice_tests::storms::STORMS;
use lattice_tests::{Viewer, ViewerOptions};
use serde_json::Value;
use std::thread;
use std::time::Duration;

const ROUNDS: usize = 5;
const TYPED: Duration = Duration::from_secs(6);
/// A storm is there by then.
const RISES: Duration = Duration::from_millis(500);

/// What one round tells of each of the two latencies: p50 and p95 in ms.
type Figures = [[f64; 2]; 2];

/// Somebody types in a browser, alone and in each storm by turns; medians of the rounds are printed.
///
/// Whoever looks at either desktop does so on a machine of their own: what the wild one shows is taken and
/// not painted here, and the typist's browser comes before all else.
pub(super) fn measure() {
    let serve = serve(0);
    serve.account("bob", "member");
    let (ada, bob) = (serve.admin(), serve.sign_in("bob"));
    let Started { session: wild, .. } = click(&serve, &ada, "desktop");
    let Started { session: calm, .. } = click(&serve, &bob, "desktop");
    let options = ViewerOptions { paints: false, ..ViewerOptions::default() };
    let _watched = Viewer::try_open(serve.upgrade(&ada, &wild), serve.address(), options)
        .expect("the wild desktop is there");
    let connect = || display(&place(&serve, &calm)).expect("its display");
    let _keylog = KeyLog::open(connect(), connect());
    let corner = |at: i16| (at.cast_unsigned() + SQUARE / 2).to_string();
    let (x, y) = (corner(AT.0), corner(AT.1));
    let args = [&serve.origin(), "bob", calm.as_str(), &x, &y];
    let mut typist = Script::start_before_all_else("typist.mjs", &args);
    let mut type_for = |time: Duration| figures(&typist.say(&time.as_secs().to_string()));
    type_for(TYPED);
    println!("| typing beside | painted p50 / p95 ms | of alone | seen at 60 Hz | of alone |");
    println!("|---|---|---|---|---|");
    for storm in STORMS {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            alone.push(type_for(TYPED));
            let mut raging = storm.rage(&wild, TYPED + Duration::from_secs(2));
            thread::sleep(RISES);
            beside.push(type_for(TYPED));
            raging.wait().expect("it is ours");
        }
        let [painted, seen] = median(&beside);
        let [painted_alone, seen_alone] = median(&alone);
        let cells = |[p50, p95]: [f64; 2], [alone, alone_p95]: [f64; 2]| {
            format!("{alone:.1} / {alone_p95:.1} → {p50:.1} / {p95:.1} | {:.2}", p95 / alone_p95)
        };
        println!(
            "| {} | {} | {} |",
            storm.name,
            cells(painted, painted_alone),
            cells(seen, seen_alone)
        );
    }
}

/// # Panics
/// Where a key was not answered, or it tells something else.
fn figures(told: &Value) -> Figures {
    assert_eq!(told["unanswered"], 0, "every key is answered: {told}");
    ["painted", "seen"].map(|latency| {
        ["p50", "p95"].map(|share| told[latency][share].as_f64().expect("milliseconds"))
    })
}

/// Of each figure by itself.
fn median(rounds: &[Figures]) -> Figures {
    [0, 1].map(|latency| {
        [0, 1].map(|share| {
            let mut all: Vec<f64> = rounds.iter().map(|round| round[latency][share]).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        })
    })
}
