//! The agent as a gateway sees it, on scripted displays.

#[allow(dead_code, reason = "shared with other suites")]
mod support;

use lattice_engine::region::Region;
use lattice_wire::{
    AgentStats, Askers, Frame, FrameFlags, FrameId, FrameRef, FromAgent, Input, Key, Modifiers,
    OpKind, Rect, Refresh, RefreshId, Seq, Size, ToAgent, Video, ViewerId,
};
use std::path::PathBuf;
use support::{Agent, Gateway, TOKEN};

/// An agent that plays a script; the file goes with it.
struct Scripted {
    agent: Agent,
    script: PathBuf,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.script);
    }
}

fn play(name: &str, script: &str, arguments: &[&str]) -> Scripted {
    let path = std::env::temp_dir().join(format!("lattice-{}-{name}.script", std::process::id()));
    std::fs::write(&path, script).expect("a script can be written");
    let display = format!("headless:{}", path.display());
    let arguments = [&["--display", &display], arguments].concat();
    Scripted { agent: Agent::start(name, &arguments), script: path }
}

/// A gateway with one viewer that has the whole picture.
fn viewer(scripted: &Scripted) -> Gateway {
    viewer_of(scripted, 0)
}

/// The same, with so many video encoders for it.
fn viewer_of(scripted: &Scripted, encoders: u8) -> Gateway {
    let mut gateway = Gateway::connect(&scripted.agent.socket, TOKEN);
    gateway.until_live();
    gateway.send(&ToAgent::Watch { viewers: 1, encoders });
    gateway.send(&ToAgent::Refresh(RefreshId(255), Refresh::Whole));
    let frame = gateway.until_frame();
    assert!(frame.flags.keyframe.is_some());
    assert_eq!(frame.flags.refresh, Some(RefreshId(255)));
    gateway
}

fn key(code: &str, key: &str) -> Key {
    let (code, key) = (code.to_owned(), key.to_owned());
    Key { seq: Seq(7), down: true, modifiers: Modifiers(0), code, key }
}

#[test]
fn a_busy_screen_is_shown_exactly() {
    let script = "size 641 479\nnoise 3 5 200 100 1\ntext 210 7 400 200 2\nwait 20\n\
                  scroll 210 7 400 200 0 -18\ntext 210 189 400 18 3\nwait 20\n\
                  scroll 3 5 500 300 7 9\nfill 600 470 41 9 #123456\nwait 20\ncursor 8 8 #ff0000";
    let scripted = play("busy", script, &[]);
    let mut gateway = viewer(&scripted);
    gateway.until(|_, packet| matches!(packet, FromAgent::Cursor(_)).then_some(()));
    assert!(gateway.until_exact());
    assert_eq!(gateway.picture.row(600, 470, 1), [0x12_3456]);
    assert_eq!(gateway.picture.size(), Size::new(641, 479));
}

/// A film of so many pictures 30 times a second, and then rest.
fn film(pictures: u32) -> String {
    let picture = |seed| format!("noise 41 35 400 301 {}\nwait 33\n", seed * 2 + 1);
    (0..pictures).map(picture).chain(["wait 60000".to_owned()]).collect()
}

/// The units of video in the frames until the agent says what the picture hashes to.
fn units_until_exact(gateway: &mut Gateway) -> Vec<Video> {
    let mut units = Vec::new();
    let is_exact = gateway.until(|gateway, packet| match packet {
        FromAgent::Frame(_, packet) => {
            let frame = Frame::decode(packet).expect("a frame can be decoded");
            units.extend(frame.ops.into_iter().filter_map(|op| match op.kind {
                OpKind::Video(video) => Some(video),
                _ => None,
            }));
            None
        }
        FromAgent::Digest(..) => gateway.agrees_with(packet),
        _ => None,
    });
    assert!(is_exact, "what was sent roughly is exact in the end");
    units
}

#[test]
fn a_film_is_video_and_then_exact() {
    let scripted = play("film", &film(40), &[]);
    let mut gateway = viewer_of(&scripted, 1);
    let units = units_until_exact(&mut gateway);
    assert!(units.len() >= 10, "{} units", units.len());
    assert!(units[0].keyframe && units.iter().filter(|unit| unit.keyframe).count() <= 2);
    assert!(units.iter().all(|unit| unit.coded == Size::new(400, 302)), "made even");
}

#[test]
fn without_a_viewer_that_decodes_it_there_is_no_video() {
    let scripted = play("tiles", &film(20), &[]);
    let mut gateway = viewer_of(&scripted, 0);
    assert!(units_until_exact(&mut gateway).is_empty());
}

/// On a long link a frame is always on its way while a film plays.
#[test]
fn what_rests_beside_a_film_becomes_exact_while_it_plays() {
    let shows = |seed: u32| {
        let other = if seed <= 12 {
            format!("noise 700 35 300 301 {}\n", seed * 2 + 1)
        } else {
            String::new()
        };
        format!("{other}noise 41 35 400 301 {}\nwait 33\n", seed * 2 + 1)
    };
    let script: String = (0..400).map(shows).collect();
    let scripted = play("beside", &format!("size 1100 400\n{script}"), &[]);
    let mut gateway = viewer_of(&scripted, 2);
    gateway.send(&ToAgent::Pace { bitrate: u32::MAX, base_rtt_us: 200_000 });
    // Acknowledged six frames late, as by such a link.
    gateway.acks = false;
    let (mut on_their_way, mut films, mut beside) = (Vec::new(), 0, Region::new());
    gateway.until(|gateway, packet| {
        let FromAgent::Frame(table, packet) = packet else { return None };
        let frame = Frame::decode(packet).expect("a frame can be decoded");
        let place = Rect::new(700, 35, 300, 301);
        for op in &frame.ops {
            match &op.kind {
                OpKind::Video(video) => {
                    films += usize::from(!place.contains(op.rect));
                    video.damage.iter().for_each(|&rect| beside.subtract(rect));
                }
                _ => place.intersect(op.rect).into_iter().for_each(|rect| beside.add(rect)),
            }
        }
        on_their_way.push(table.at);
        if on_their_way.len() > 6 {
            gateway.send(&ToAgent::Painted(on_their_way.remove(0)));
        }
        assert!(films < 300, "the film is nearly over, and {beside:?} is exact");
        (films > 20 && beside.contains(place)).then_some(())
    });
}

#[test]
fn an_encoder_without_work_is_freed() {
    let scripted = play("freed", &film(20), &[]);
    let mut gateway = viewer_of(&scripted, 1);
    let encoders = |wanted: u64| {
        move |_: &mut Gateway, packet: &FromAgent| match packet {
            FromAgent::Stats(stats) if stats.encoders == wanted => Some(()),
            _ => None,
        }
    };
    gateway.until(encoders(1));
    gateway.until(encoders(0));
}

#[test]
fn a_viewer_that_comes_while_a_film_plays_gets_all_of_it_and_a_keyframe_soon() {
    let scripted = play("join", &film(90), &[]);
    let mut gateway = viewer_of(&scripted, 1);
    let mut since_refresh = None;
    let mut units = 0;
    gateway.until(|gateway, packet| {
        let FromAgent::Frame(table, packet) = packet else { return None };
        let frame = Frame::decode(packet).expect("a frame can be decoded");
        let video = frame.ops.iter().find_map(|op| match &op.kind {
            OpKind::Video(video) => Some(video),
            _ => None,
        });
        units += usize::from(video.is_some());
        if units == 5 && since_refresh.is_none() {
            gateway.send(&ToAgent::Refresh(RefreshId(0), Refresh::Whole));
        }
        if table.flags.refresh.is_some() {
            assert!(video.is_none(), "all of a refresh is exact");
            since_refresh = Some(units);
        }
        let before = since_refresh.filter(|_| video.is_some_and(|video| video.keyframe))?;
        assert!(units - before <= 40, "{} units later", units - before);
        Some(())
    });
}

#[test]
fn a_key_is_echoed_by_the_frame_that_shows_it() {
    let scripted = play("echo", "on-key fill 10 10 9 18 #000000", &[]);
    let mut gateway = viewer(&scripted);
    gateway.send(&ToAgent::Input(ViewerId(3), Input::Key(key("KeyA", "a"))));
    let frame = gateway.until(|gateway, packet| match packet {
        FromAgent::Frame(table, _) if table.echo == (ViewerId(3), Seq(7)) => Some(gateway.at),
        FromAgent::Frame(..) => {
            // The frame may be made before the input thread has settled: the next one echoes.
            gateway.send(&ToAgent::Refresh(RefreshId(0), Refresh::Whole));
            None
        }
        _ => None,
    });
    assert!(frame.id > FrameId(0));
    assert_eq!(gateway.picture.row(10, 10, 1), [0x01_0101]);
}

#[test]
fn nobody_looking_means_nothing_grabbed() {
    let script = "noise 0 0 99 99 1\nwait 5\nfill 0 0 50 50 #ff0000\nwait 5\nloop";
    let scripted = play("idle", script, &[]);
    let mut gateway = viewer(&scripted);
    gateway.send(&ToAgent::Watch { viewers: 0, encoders: 0 });
    // Statistics come once a second while they change. Each packet to the agent wakes it, which
    // counts, so there is a next report; between the two the script would have played 100 times.
    let first = next_stats(&mut gateway);
    let second = next_stats(&mut gateway);
    let last = next_stats(&mut gateway);
    assert!(first.grabs > 0);
    assert_eq!((second.grabs, second.frames), (last.grabs, last.frames));
}

fn next_stats(gateway: &mut Gateway) -> AgentStats {
    gateway.send(&ToAgent::Painted(FrameRef::default()));
    gateway.until(|_, packet| match packet {
        FromAgent::Stats(stats) => Some(*stats),
        _ => None,
    })
}

#[test]
fn a_viewer_that_missed_a_part_gets_that_part() {
    let scripted =
        play("part", "size 300 200\nnoise 0 0 300 200 1\nwait 40\nfill 9 9 5 5 #ff0000", &[]);
    let mut gateway = viewer(&scripted);
    let since = gateway.at;
    gateway.until_frame();
    let missed = vec![Rect::new(100, 100, 10, 10)];
    let part = Refresh::Part { since, missed: missed.clone(), askers: Askers::Stills };
    gateway.send(&ToAgent::Refresh(RefreshId(7), part));
    let frame = gateway.until_frame();
    assert_eq!(frame.flags, FrameFlags { keyframe: None, refresh: Some(RefreshId(7)) });
    assert_eq!(frame.at, gateway.at);
    let area: usize = frame.ops.iter().map(|op| op.rect.area()).sum();
    assert_eq!(area, 5 * 5 + 10 * 10);
    let foreign = FrameRef { epoch: lattice_wire::Epoch(since.epoch.0 ^ 1), ..since };
    let part = Refresh::Part { since: foreign, missed, askers: Askers::Stills };
    gateway.send(&ToAgent::Refresh(RefreshId(8), part));
    assert!(gateway.until_frame().flags.keyframe.is_some());
}

#[test]
fn two_frames_in_flight_are_the_most() {
    let scripted =
        play("flight", "noise 0 0 50 50 1\nwait 5\nnoise 0 0 50 50 2\nwait 5\nloop", &[]);
    let mut gateway = viewer(&scripted);
    gateway.acks = false;
    let first = gateway.until_frame();
    let second = gateway.until_frame();
    // The third waits: what comes next, after 150 ms of rest, is the digest.
    let digest = gateway.until(|_, packet| match packet {
        FromAgent::Digest(at, _) => Some(*at),
        FromAgent::Frame(..) => panic!("a third frame was sent"),
        _ => None,
    });
    assert_eq!(digest, second.at);
    gateway.send(&ToAgent::Painted(first.at));
    assert!(gateway.until_frame().at.id > second.at.id);
}

#[test]
fn a_resized_display_is_a_keyframe_for_all() {
    let scripted = play("resize", "noise 0 0 640 480 1", &["--allow-resize"]);
    let mut gateway = viewer(&scripted);
    gateway.send(&ToAgent::Resize(Size::new(1367, 769)));
    let frame = gateway.until_frame();
    let keyframe = Some(Size::new(1367, 769));
    assert_eq!(frame.flags, FrameFlags { keyframe, refresh: None });
    assert!(gateway.until_exact());
}

#[test]
fn sizes_are_clamped_and_fixed_displays_stay() {
    let scripted = play("clamp", "", &["--allow-resize", "--max-size", "800x600"]);
    let mut gateway = viewer(&scripted);
    gateway.send(&ToAgent::Resize(Size::new(65535, 65535)));
    assert_eq!(gateway.until_frame().flags.keyframe, Some(Size::new(800, 600)));
    gateway.send(&ToAgent::Resize(Size::new(0, 0)));
    assert_eq!(gateway.until_frame().flags.keyframe, Some(Size::new(320, 200)));

    let fixed = play("fixed", "wait 300\nfill 0 0 1 1 #ffffff", &[]);
    let mut gateway = viewer(&fixed);
    gateway.send(&ToAgent::Resize(Size::new(800, 600)));
    gateway.until_frame();
    assert_eq!(gateway.picture.size(), Size::new(640, 480));
}

#[test]
fn the_newest_gateway_wins() {
    let scripted = play("newest", "", &[]);
    let mut old = viewer(&scripted);
    let mut new = viewer(&scripted);
    while old.read().is_some() {}
    assert!(new.until_exact());
}

#[test]
fn strangers_are_refused() {
    let scripted = play("stranger", "", &[]);
    assert_eq!(Gateway::connect(&scripted.agent.socket, "wrong").read(), None);
    let mut silent = Gateway::connect(&scripted.agent.socket, TOKEN);
    silent.until_live();
    silent.send_raw(&[0xff; 70_000]);
    while silent.read().is_some() {}
    viewer(&scripted);
}

#[test]
fn the_agent_ends_with_its_standard_input() {
    let mut scripted = play("eof", "", &[]);
    Gateway::connect(&scripted.agent.socket, TOKEN).until_live();
    assert!(scripted.agent.wait_after_eof());
}
