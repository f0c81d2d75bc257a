//! What administrators see of the machine, as numbers without names.

use crate::broker::protocol::{Build, Held, ImageKind, Pool, SeenImage, Stored};
use crate::host::{Limits, Load, Room};
use metrics::{Unit, describe_gauge, gauge};

const PLACES: [&str; 3] = ["data", "home", "apps"];

/// What the machine has and how busy it is, and what desktops take of its memory, in bytes.
pub fn count_load(load: &Load, desktops: u64) {
    let room = |name: &'static str, room: Room| {
        gauge!(name, "of" => "total").set(room.total_bytes as f64);
        gauge!(name, "of" => "free").set(room.free_bytes as f64);
    };
    room("lattice_machine_memory_bytes", load.memory);
    room("lattice_machine_disk_bytes", load.disk);
    gauge!("lattice_machine_cores").set(f64::from(load.cores));
    gauge!("lattice_desktops_memory_bytes").set(desktops as f64);
    if let Some([minute, ..]) = load.load {
        gauge!("lattice_machine_load").set(minute);
    }
    if let Some(percent) = load.pressure_percent {
        gauge!("lattice_machine_pressure_ratio").set(f64::from(percent) / 100.0);
    }
}

/// What this server gives at most.
pub fn count_limits(limits: &Limits) {
    gauge!("lattice_limit_reserve_bytes").set(limits.reserve_bytes as f64);
    for (of, limit) in [
        ("starts", limits.starts),
        ("viewers", limits.viewers.into()),
        ("encoders", limits.encoders.into()),
    ] {
        gauge!("lattice_limit", "of" => of).set(f64::from(limit));
    }
}

/// Desktops that are half started ahead of time; none where none ever are, or nobody knows.
pub fn count_pool(pool: Option<Pool>) {
    let Pool { ready, wanted } = pool.unwrap_or(Pool { ready: 0, wanted: 0 });
    gauge!("lattice_pool", "of" => "ready").set(ready as f64);
    gauge!("lattice_pool", "of" => "wanted").set(wanted as f64);
}

/// Images that are being built, and such as failed within the last hour. Steps are of all together.
pub fn count_builds(builds: &[Build]) {
    let running = || builds.iter().filter(|build| !build.is_failed);
    let sum = |of: fn(&Build) -> u32| running().map(|build| f64::from(of(build))).sum::<f64>();
    gauge!("lattice_image_builds", "state" => "running").set(running().count() as f64);
    let failed = builds.iter().filter(|build| build.is_failed).count();
    gauge!("lattice_image_builds", "state" => "failed").set(failed as f64);
    gauge!("lattice_image_build_steps", "of" => "now").set(sum(|build| build.step));
    gauge!("lattice_image_build_steps", "of" => "total").set(sum(|build| build.steps));
}

/// The images that there are.
pub fn count_images(images: &[SeenImage]) {
    let bytes = |images: &[&SeenImage]| images.iter().map(|image| image.size).sum::<u64>() as f64;
    for kind in ImageKind::ALL {
        let of: Vec<_> = images.iter().filter(|image| image.kind == kind).collect();
        gauge!("lattice_images", "kind" => kind.name()).set(of.len() as f64);
        gauge!("lattice_images_bytes", "kind" => kind.name()).set(bytes(&of));
    }
}

/// What everybody keeps.
pub fn count_volumes(people: &[(i64, Stored)]) {
    let all: Vec<[Held; 3]> =
        people.iter().map(|(_, stored)| [stored.data, stored.home, stored.apps]).collect();
    for (at, place) in PLACES.into_iter().enumerate() {
        let held = || all.iter().map(|person| person[at]);
        let used: u64 = held().map(|held| held.used).sum();
        let limit: u64 = held().filter_map(|held| held.limit).sum();
        let highest = held().filter_map(|held| held.share()).fold(0.0, f64::max);
        gauge!("lattice_volumes_bytes", "place" => place).set(used as f64);
        gauge!("lattice_volumes_limit_bytes", "place" => place).set(limit as f64);
        gauge!("lattice_volumes_highest_ratio", "place" => place).set(highest);
        gauge!("lattice_volumes_near_people", "place" => place)
            .set(held().filter(Held::is_near).count() as f64);
    }
    gauge!("lattice_volumes_people").set(people.len() as f64);
}

/// When images and volumes were last looked at, in seconds since 1970.
pub fn seen(at: i64) {
    gauge!("lattice_stock_seen_timestamp_seconds").set(at as f64);
}

pub(super) fn describe() {
    let bytes = |name: &'static str, what: &'static str| describe_gauge!(name, Unit::Bytes, what);
    bytes("lattice_machine_memory_bytes", "Memory of the machine");
    bytes("lattice_machine_disk_bytes", "The disk with the data");
    describe_gauge!("lattice_machine_cores", "Processors of the machine");
    describe_gauge!("lattice_machine_load", "Programs that run or wait to, over a minute");
    describe_gauge!("lattice_machine_pressure_ratio", "How often something waits for a processor");
    bytes("lattice_desktops_memory_bytes", "What desktops take of the memory, as far as known");
    bytes("lattice_limit_reserve_bytes", "Memory that no desktop gets that is about to start");
    describe_gauge!("lattice_limit", "What is given at most: starts at a time, viewers, encoders");
    describe_gauge!("lattice_pool", "Desktops that are half started ahead of time");
    describe_gauge!("lattice_images", "Images of desktops and apps by where they are from");
    describe_gauge!("lattice_image_builds", "Images that somebody builds, or that just failed");
    describe_gauge!("lattice_image_build_steps", "Which of how many steps builds are at");
    bytes("lattice_images_bytes", "Their sizes; layers that several have are counted for each");
    bytes("lattice_volumes_bytes", "What everybody keeps");
    bytes("lattice_volumes_limit_bytes", "What everybody may keep, where that is limited");
    describe_gauge!("lattice_volumes_highest_ratio", "The largest share of a limit that is used");
    describe_gauge!("lattice_volumes_near_people", "People with less than a fifth of a limit left");
    describe_gauge!("lattice_volumes_people", "People whose files were measured");
    describe_gauge!("lattice_stock_seen_timestamp_seconds", "When images and volumes were seen");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn what_everybody_keeps_is_summed_and_the_fullest_place_stands_out() {
        let metrics = Metrics::install();
        let held = |used, limit| Held { used, limit };
        let stored =
            |data| Stored { data, home: held(1, None), apps: held(0, Some(8)), is_enforced: true };
        count_volumes(&[(7, stored(held(3, Some(10)))), (8, stored(held(9, Some(10))))]);
        count_images(&[]);
        count_pool(Some(Pool { ready: 1, wanted: 3 }));
        let build = |run: &str, step, is_failed| Build {
            run: run.into(),
            image: "lattice/x".into(),
            number: 1,
            of: 1,
            step,
            steps: 9,
            since: 1,
            is_failed,
        };
        count_builds(&[build("a", 4, false), build("b", 9, true)]);
        count_limits(&Limits { reserve_bytes: 5, starts: 4, viewers: 100, encoders: 2 });
        let text = metrics.render(None);
        for line in [
            "lattice_volumes_bytes{place=\"data\"} 12",
            "lattice_volumes_limit_bytes{place=\"data\"} 20",
            "lattice_volumes_limit_bytes{place=\"home\"} 0",
            "lattice_volumes_highest_ratio{place=\"data\"} 0.9",
            "lattice_volumes_highest_ratio{place=\"home\"} 0",
            "lattice_volumes_near_people{place=\"data\"} 1",
            "lattice_volumes_people 2",
            "lattice_pool{of=\"ready\"} 1",
            "lattice_pool{of=\"wanted\"} 3",
            "lattice_limit{of=\"starts\"} 4",
            "lattice_limit{of=\"encoders\"} 2",
            "lattice_limit_reserve_bytes 5",
            "lattice_image_builds{state=\"running\"} 1",
            "lattice_image_builds{state=\"failed\"} 1",
            "lattice_image_build_steps{of=\"now\"} 4",
            "lattice_image_build_steps{of=\"total\"} 9",
            "lattice_images{kind=\"stale\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing in:\n{text}");
        }
    }
}
