// temporary: looks at a real X server
#![allow(clippy::all, dead_code, unreachable_pub, missing_debug_implementations)]
#[path = "../tests/support/mod.rs"]
mod support;
use lattice_wire::*;
use std::path::Path;
use std::time::*;
use support::*;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::*;

fn xpicture(size: Size) -> Vec<u32> {
    let (c, s) = x11rb::rust_connection::RustConnection::connect(None).unwrap();
    let root = c.setup().roots[s].root;
    let r = c
        .get_image(ImageFormat::Z_PIXMAP, root, 0, 0, size.width, size.height, !0)
        .unwrap()
        .reply()
        .unwrap();
    r.data.chunks(4).map(|p| u32::from_le_bytes(p.try_into().unwrap()) & 0xffffff).collect()
}
fn key(seq: u32, down: bool, code: &str, key: &str, m: u16) -> Input {
    Input::Key(Key {
        seq: Seq(seq),
        down,
        modifiers: Modifiers(m),
        code: code.into(),
        key: key.into(),
    })
}
fn exact(g: &mut Gateway) {
    let ok = g.until_exact();
    let x = xpicture(g.picture.size());
    let bad = x.iter().zip(g.picture.pixels()).filter(|(a, b)| a != b).count();
    println!("EXACT digest={ok} xgetimage_diff={bad} size={:?} at={:?}", g.picture.size(), g.at.id);
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let mut g = Gateway::connect(Path::new(&a[1]), TOKEN);
    g.until_live();
    g.send(&ToAgent::Watch(1));
    g.send(&ToAgent::Refresh(Refresh::Whole));
    let f = g.until_frame();
    println!("keyframe {:?} ops {} cost {}", f.size, f.ops.len(), f.cost_us);
    let mut seq = 1;
    match a[2].as_str() {
        "exact" => exact(&mut g),
        "watch" => {
            let end = Instant::now() + Duration::from_secs(a[3].parse().unwrap());
            let (mut n, mut bytes, mut costs, mut kinds) = (0, 0, vec![], [0usize; 4]);
            while Instant::now() < end {
                if let Some(p) = g.until(|_, p| {
                    Some(match p {
                        FromAgent::Frame(t, b) => Some((t.cost_us, b.clone())),
                        FromAgent::Stats(s) => {
                            println!("{s:?}");
                            None
                        }
                        FromAgent::DisplayState(s) => {
                            println!("{s:?}");
                            None
                        }
                        _ => None,
                    })
                }) {
                    n += 1;
                    bytes += p.1.len();
                    costs.push(p.0);
                    for op in Frame::decode(&p.1).unwrap().ops {
                        kinds[match op.kind {
                            OpKind::Fill(_) => 0,
                            OpKind::Copy(_) => 1,
                            OpKind::Png(_) => 2,
                            _ => 3,
                        }] += 1;
                    }
                }
            }
            costs.sort();
            if n > 0 {
                println!(
                    "frames {n} bytes {bytes} cost p50 {} p95 {} max {} fill/copy/png/pal {kinds:?}",
                    costs[n / 2],
                    costs[n * 95 / 100],
                    costs[n - 1]
                );
            }
            exact(&mut g);
        }
        "type" => {
            for ch in a[3].chars() {
                let k = match ch {
                    '\n' => "Enter".to_string(),
                    c => c.to_string(),
                };
                let code = format!("C{}", ch as u32);
                g.send(&ToAgent::Input(ViewerId(1), key(seq, true, &code, &k, 0)));
                g.send(&ToAgent::Input(ViewerId(1), key(seq + 1, false, &code, &k, 0)));
                seq += 2;
            }
            let t = Instant::now();
            g.until(|g, _| {
                (g.at.id.0 > 0 && t.elapsed() > Duration::from_millis(1500)).then_some(())
            });
        }
        "text" => {
            g.send(&ToAgent::Input(
                ViewerId(1),
                Input::Text(Text { seq: Seq(1), text: a[3].clone() }),
            ));
            std::thread::sleep(Duration::from_secs(4));
        }
        "resize" => {
            for s in a[3].split(',') {
                let (w, h) = s.split_once('x').unwrap();
                let size = Size::new(w.parse().unwrap(), h.parse().unwrap());
                let t = Instant::now();
                g.send(&ToAgent::Resize(size));
                if g.picture.size() != size {
                    let f = g.until_frame();
                    println!("asked {size:?} got {:?} after {:?}", f.size, t.elapsed());
                }
                exact(&mut g);
            }
        }
        "click" => {
            let (x, y): (u16, u16) = (a[3].parse().unwrap(), a[4].parse().unwrap());
            let at = Point { x, y };
            g.send(&ToAgent::Input(ViewerId(1), Input::Pointer(PointerAt { seq: Seq(1), at })));
            for (i, b) in (0..5u8).enumerate() {
                for down in [true, false] {
                    g.send(&ToAgent::Input(
                        ViewerId(1),
                        Input::Button(Button {
                            seq: Seq(2 + i as u32),
                            at,
                            button: b,
                            down,
                            modifiers: Modifiers(0),
                        }),
                    ));
                }
            }
            g.send(&ToAgent::Input(
                ViewerId(1),
                Input::Wheel(Wheel { seq: Seq(9), at, dx: -120, dy: 240, modifiers: Modifiers(0) }),
            ));
            std::thread::sleep(Duration::from_secs(1));
        }
        "states" => {
            let end = Instant::now() + Duration::from_secs(a[3].parse().unwrap());
            let t = Instant::now();
            let mut n = 0;
            while Instant::now() < end {
                let s = g.until(|_, p| {
                    Some(match p {
                        FromAgent::DisplayState(s) => Some(s.clone()),
                        _ => None,
                    })
                });
                if let Some(s) = s {
                    println!("{:?} {s:?}", t.elapsed());
                    if s.state == Availability::Live {
                        g.send(&ToAgent::Refresh(Refresh::Whole));
                    }
                }
                n += 1;
                if n % 3 == 0 {
                    g.send(&ToAgent::Input(
                        ViewerId(1),
                        Input::Pointer(PointerAt { seq: Seq(n), at: Point { x: n as u16, y: 9 } }),
                    ));
                }
            }
            exact(&mut g);
        }
        _ => {}
    }
}
