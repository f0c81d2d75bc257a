//! What frames ask of the allocator once things go their way: nothing, from the display's damage to the
//! packet on the link. The encoder of H.264 has an allocator of its own and is not counted.

#[allow(dead_code, reason = "shared with other suites")]
mod support;

use clap::Parser as _;
use lattice_agent::cli::Cli;
use lattice_wire::{Frame, FromAgent, Op, OpKind, Refresh, RefreshId, ToAgent};
use std::collections::HashMap;
use std::fs;
use support::{Gateway, TOKEN};

/// So many frames go by before the counting begins, and so many while it goes on.
const FRAMES: usize = 200;

/// On a busy machine a frame may be larger than any before, or its packet's memory still be on the link.
const RARELY: u64 = FRAMES as u64 / 40;

/// Counts what each thread asks for.
#[allow(unsafe_code)]
mod counting {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;
    use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

    const MOST: usize = 256;

    struct Counting;

    #[global_allocator]
    static COUNTING: Counting = Counting;

    static THREADS: [AtomicI32; MOST] = [const { AtomicI32::new(0) }; MOST];
    static COUNTS: [AtomicU64; MOST] = [const { AtomicU64::new(0) }; MOST];
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    fn count() {
        // A thread that ends has no slot any more.
        let _ = SLOT.try_with(|slot| {
            if slot.get() == usize::MAX {
                slot.set(NEXT.fetch_add(1, Ordering::Relaxed));
                if let Some(thread) = THREADS.get(slot.get()) {
                    let own = rustix::thread::gettid().as_raw_nonzero().get();
                    thread.store(own, Ordering::Relaxed);
                }
            }
            if let Some(count) = COUNTS.get(slot.get()) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    // SAFETY: everything is the system allocator's answer; counting asks for no memory.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count();
            // SAFETY: as the caller promises.
            unsafe { System.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, start: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count();
            // SAFETY: as the caller promises.
            unsafe { System.realloc(start, layout, size) }
        }

        unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
            // SAFETY: as the caller promises.
            unsafe { System.dealloc(start, layout) }
        }
    }

    /// What the thread of this number has asked for.
    pub(super) fn asked_by(thread: i32) -> u64 {
        let slot = THREADS.iter().position(|known| known.load(Ordering::Relaxed) == thread);
        slot.map_or(0, |slot| COUNTS[slot].load(Ordering::Relaxed))
    }
}

/// What threads have asked for so far, by their names.
fn asked() -> HashMap<String, u64> {
    let tasks = fs::read_dir("/proc/self/task").expect("our threads");
    let numbers = tasks.map(|task| task.expect("a thread").file_name().into_string());
    let name = |number: &str| fs::read_to_string(format!("/proc/self/task/{number}/comm")).ok();
    let named = numbers.filter_map(|number| {
        let number = number.ok()?;
        Some((name(&number)?.trim().to_owned(), counting::asked_by(number.parse().ok()?)))
    });
    let mut asked = HashMap::new();
    named.for_each(|(name, count)| *asked.entry(name).or_default() += count);
    asked
}

/// The frames of a script, of which all are to be as `is_so` says; and what capturing and sending asked
/// for meanwhile.
fn check(name: &str, script: &str, is_so: impl Fn(&Frame) -> bool) -> (u64, u64) {
    let path = std::env::temp_dir().join(format!("lattice-{}-{name}", std::process::id()));
    let (script_path, socket) = (path.with_extension("script"), path.with_extension("sock"));
    fs::write(&script_path, script).expect("a script can be written");
    let display = format!("headless:{}", script_path.display());
    let listen = socket.to_str().expect("a path").to_owned();
    let cli = Cli::parse_from(["lattice-agent", "--display", &display, "--listen", &listen]);
    std::thread::spawn(move || lattice_agent::run_as(cli, TOKEN.to_owned()));

    let mut gateway = Gateway::connect(&socket, TOKEN);
    gateway.until_live();
    gateway.send(&ToAgent::Watch { viewers: 1, encoders: 1 });
    gateway.send(&ToAgent::Refresh(RefreshId(255), Refresh::Whole));
    let _ = fs::remove_file(&script_path);
    let mut frames = |wanted: usize| {
        let (mut seen, mut those) = (0, 0);
        while seen < wanted {
            let is_those = gateway.until(|_, packet| match packet {
                FromAgent::Frame(_, packet) => {
                    Some(is_so(&Frame::decode(packet).expect("a frame can be decoded")))
                }
                _ => None,
            });
            (seen, those) = (seen + 1, those + usize::from(is_those));
        }
        those
    };
    frames(FRAMES);
    let before = asked();
    let those = frames(FRAMES);
    let after = asked();
    let _ = fs::remove_file(&socket);
    assert!(those > FRAMES * 9 / 10, "{name}: only {those} frames are what is to be measured");
    let [capture, link] = ["capture", "link-write"].map(|thread| after[thread] - before[thread]);
    println!("{name}: {capture} allocations by capturing, {link} by sending {FRAMES} frames");
    (capture, link)
}

/// One after the other, since threads are known by their names.
#[test]
fn frames_ask_for_no_memory() {
    let letter = |number: u32| {
        let x = 8 + number % 60 * 9;
        format!("text {x} 40 9 18 {number}\nwait 20\n")
    };
    // Others than were there the time before.
    let typing: String = (0..120).map(letter).chain(["loop".to_owned()]).collect();
    let is_letter =
        |frame: &Frame| frame.ops.iter().map(|op| op.rect.area()).sum::<usize>() <= 4 * 9 * 18;
    let (capture, link) = check("typing", &format!("size 640 480\n{typing}"), is_letter);
    assert!(capture <= RARELY, "{capture}");
    // Statistics, once a second.
    assert!(link < 20, "{link}");

    let picture = |seed: u32| format!("noise 41 35 400 301 {}\nwait 16\n", seed * 2 + 1);
    let film: String = (0..16).map(picture).chain(["loop".to_owned()]).collect();
    let is_video = |frame: &Frame| matches!(frame.ops[..], [Op { kind: OpKind::Video(_), .. }]);
    let (capture, link) = check("a film", &format!("size 641 480\n{film}"), is_video);
    assert!(capture <= RARELY, "{capture}");
    assert!(link < 20, "{link}");
}
