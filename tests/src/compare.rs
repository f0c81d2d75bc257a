//! Whether a viewer sees what the X server shows.

use crate::viewer::Viewer;
use crate::wait::{GENEROUS, patience};
use crate::xserver::XServer;
use lattice_engine::picture::{Picture, RGB};
use std::time::{Duration, Instant};

/// How long after the last change the picture must be exact.
pub const EXACT_AFTER: Duration = Duration::from_millis(300);
/// So long after rest what was video has to be right.
pub const EXACT_AFTER_VIDEO: Duration = Duration::from_millis(1000);

/// What two pictures differ in, in words; nothing where they are equal.
pub fn difference(shown: &Picture, real: &Picture) -> Option<String> {
    if shown.size() != real.size() {
        return Some(format!("shown {:?}, real {:?}", shown.size(), real.size()));
    }
    let width = usize::from(real.size().width);
    let wrong: Vec<usize> = (0..real.pixels().len())
        .filter(|&at| (shown.pixels()[at] ^ real.pixels()[at]) & RGB != 0)
        .collect();
    let (&first, &last) = (wrong.first()?, wrong.last()?);
    let columns = wrong.iter().map(|at| at % width);
    let (left, right) = (columns.clone().min()?, columns.max()?);
    Some(format!(
        "{} pixels differ, in columns {left}..={right} of rows {}..={}; the first is {:06x} and \
         should be {:06x}",
        wrong.len(),
        first / width,
        last / width,
        shown.pixels()[first] & RGB,
        real.pixels()[first] & RGB,
    ))
}

/// Checks that 300 ms after now, when the display rests, the viewer sees it to the pixel.
///
/// # Panics
/// With what differs, and whether it would have come right later.
pub fn assert_exact(viewer: &Viewer, server: &XServer) {
    assert_exact_after(EXACT_AFTER, viewer, server);
}

/// The same a second after now: there was video until now.
///
/// # Panics
/// With what differs, and whether it would have come right later.
pub fn assert_exact_after_video(viewer: &Viewer, server: &XServer) {
    assert_exact_after(EXACT_AFTER_VIDEO, viewer, server);
}

fn assert_exact_after(bound: Duration, viewer: &Viewer, server: &XServer) {
    let rest = Instant::now();
    let real = server.image();
    let compare = || viewer.view(|view| difference(&view.screen.picture, &real));
    let bound = patience(bound);
    while compare().is_some() && rest.elapsed() < bound {
        std::thread::sleep(Duration::from_millis(2));
    }
    let Some(wrong) = compare() else { return viewer.assert_no_faults() };
    while compare().is_some() && rest.elapsed() < GENEROUS {
        std::thread::sleep(Duration::from_millis(10));
    }
    viewer.assert_no_faults();
    match compare() {
        None => panic!("exact only {:?} after rest; at {bound:?}: {wrong}", rest.elapsed()),
        Some(still) => panic!("never exact: {still}"),
    }
}
