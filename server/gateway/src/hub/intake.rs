//! What of a viewer's packets goes on, and when: nobody types or points faster than this lets pass.
//!
//! Of pointer motions and sizes the newest wins; other packets are dropped beyond a rate that no
//! person reaches. Pure: time comes in as an argument.

use lattice_wire::{ClientPacket, Input, Micros, Point, PointerAt, Size};

/// 500 motions a second: twice what any screen shows.
const MOTION_INTERVAL: Micros = Micros(2_000);
/// Where somebody points is drawn for all others.
const POINT_INTERVAL: Micros = Micros(33_000);
/// A drag of the window's edge asks for a new size with each event.
const RESIZE_INTERVAL: Micros = Micros::from_millis(100);
/// Other packets a second, and at once.
const RATE: u64 = 1000;
const BURST: u64 = 2000;
/// More packets of any kind than this within a second are an attack.
const FLOOD: u32 = 20_000;
const SECOND: Micros = Micros::from_millis(1000);

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// These go on, in this order.
    Pass([Option<ClientPacket>; 2]),
    /// It waits until [`Intake::deadline`]; whether it replaced one that waited.
    Held {
        /// The one that waited is lost.
        replaced: bool,
    },
    /// It is lost: too many came.
    Dropped,
}

/// The state of one viewer's limits.
#[derive(Debug)]
pub struct Intake {
    motion: Held<PointerAt>,
    point: Held<Point>,
    resize: Held<Size>,
    tokens: u64,
    filled: Micros,
    second: Micros,
    packets: u32,
}

/// The newest of something that may pass once an interval.
#[derive(Debug)]
struct Held<T> {
    waiting: Option<T>,
    next: Micros,
    interval: Micros,
}

impl Intake {
    /// Limits that start at `now`.
    pub fn new(now: Micros) -> Self {
        Self {
            motion: Held { waiting: None, next: now, interval: MOTION_INTERVAL },
            point: Held { waiting: None, next: now, interval: POINT_INTERVAL },
            resize: Held { waiting: None, next: now, interval: RESIZE_INTERVAL },
            tokens: BURST,
            filled: now,
            second: now,
            packets: 0,
        }
    }

    /// Counts a message of any kind; whether that makes a flood.
    pub fn is_flood(&mut self, now: Micros) -> bool {
        if now.since(self.second) >= SECOND {
            (self.second, self.packets) = (now, 0);
        }
        self.packets += 1;
        self.packets > FLOOD
    }

    /// Decides on a packet that came at `now`.
    pub fn admit(&mut self, packet: ClientPacket, now: Micros) -> Admission {
        match packet {
            ClientPacket::Input(Input::Pointer(motion)) => {
                self.motion.offer(motion, now, |motion| ClientPacket::Input(Input::Pointer(motion)))
            }
            ClientPacket::Point(at) => self.point.offer(at, now, ClientPacket::Point),
            ClientPacket::Resize(size) => self.resize.offer(size, now, ClientPacket::Resize),
            packet if !is_due(&packet) && !self.take_token(now) => Admission::Dropped,
            // Input keeps its order: the pointer was there before the key was pressed.
            ClientPacket::Input(input) => {
                let before = self.motion.waiting.take();
                let before = before.map(|motion| ClientPacket::Input(Input::Pointer(motion)));
                Admission::Pass([before, Some(ClientPacket::Input(input))])
            }
            packet => Admission::Pass([Some(packet), None]),
        }
    }

    /// What waited until `now`.
    pub fn release(&mut self, now: Micros) -> [Option<ClientPacket>; 3] {
        let motion = self.motion.release(now).map(Input::Pointer).map(ClientPacket::Input);
        let point = self.point.release(now).map(ClientPacket::Point);
        [motion, point, self.resize.release(now).map(ClientPacket::Resize)]
    }

    /// When to call [`Intake::release`].
    pub fn deadline(&self) -> Option<Micros> {
        let deadlines = [self.motion.deadline(), self.point.deadline(), self.resize.deadline()];
        deadlines.into_iter().flatten().min()
    }

    fn take_token(&mut self, now: Micros) -> bool {
        let fresh = now.since(self.filled).0 * RATE / SECOND.0;
        if fresh > 0 {
            self.tokens = (self.tokens + fresh).min(BURST);
            self.filled = self.filled.plus(Micros(fresh * SECOND.0 / RATE));
        }
        let any = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        any
    }
}

/// What must not be lost, however much comes: a frame that is not acknowledged holds up those
/// behind it. The limit of a flood bounds these, too.
fn is_due(packet: &ClientPacket) -> bool {
    match packet {
        ClientPacket::Input(input) => input.is_release(),
        ClientPacket::Ack(_) => true,
        ClientPacket::Hello(_)
        | ClientPacket::Pong(_)
        | ClientPacket::Resize(_)
        | ClientPacket::Refresh
        | ClientPacket::TakeControl
        | ClientPacket::GiveControl(_)
        | ClientPacket::ReleaseControl
        | ClientPacket::Point(_) => false,
    }
}

impl<T> Held<T> {
    fn offer(&mut self, new: T, now: Micros, packet: impl Fn(T) -> ClientPacket) -> Admission {
        // Where one waits, it is this one's place, so that none is lost uncounted.
        if now < self.next || self.waiting.is_some() {
            return Admission::Held { replaced: self.waiting.replace(new).is_some() };
        }
        self.next = now.plus(self.interval);
        Admission::Pass([Some(packet(new)), None])
    }

    fn release(&mut self, now: Micros) -> Option<T> {
        if now < self.next {
            return None;
        }
        let released = self.waiting.take()?;
        self.next = now.plus(self.interval);
        Some(released)
    }

    fn deadline(&self) -> Option<Micros> {
        self.waiting.is_some().then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_wire::{Key, Modifiers, Point, Seq};

    fn motion(seq: u32) -> ClientPacket {
        let at = Point { x: seq as u16, y: 0 };
        ClientPacket::Input(Input::Pointer(PointerAt { seq: Seq(seq), at }))
    }

    fn key(seq: u32) -> ClientPacket {
        let (modifiers, code) = (Modifiers(0), "KeyA".to_owned());
        let key = Key { seq: Seq(seq), down: true, modifiers, code, key: "a".to_owned() };
        ClientPacket::Input(Input::Key(key))
    }

    fn release_all(seq: u32) -> ClientPacket {
        ClientPacket::Input(Input::ReleaseAll(Seq(seq)))
    }

    #[test]
    fn of_motions_the_newest_wins_and_comes_when_due() {
        let mut intake = Intake::new(Micros(0));
        assert_eq!(intake.admit(motion(1), Micros(0)), Admission::Pass([Some(motion(1)), None]));
        assert_eq!(intake.admit(motion(2), Micros(10)), Admission::Held { replaced: false });
        assert_eq!(intake.admit(motion(3), Micros(20)), Admission::Held { replaced: true });
        assert_eq!(intake.release(Micros(1999)), [None, None, None]);
        assert_eq!(intake.deadline(), Some(Micros(2000)));
        assert_eq!(intake.release(Micros(2000)), [Some(motion(3)), None, None]);
        assert_eq!(intake.deadline(), None);
    }

    #[test]
    fn one_that_was_due_and_was_not_taken_is_replaced_and_counted() {
        let mut intake = Intake::new(Micros(0));
        let _ = intake.admit(motion(1), Micros(0));
        let _ = intake.admit(motion(2), Micros(10));
        assert_eq!(intake.admit(motion(3), Micros(2500)), Admission::Held { replaced: true });
        assert_eq!(intake.release(Micros(2500)), [Some(motion(3)), None, None]);
    }

    #[test]
    fn a_key_takes_the_waiting_motion_along_in_front() {
        let mut intake = Intake::new(Micros(0));
        let _ = intake.admit(motion(1), Micros(0));
        let _ = intake.admit(motion(2), Micros(1));
        let passed = intake.admit(release_all(3), Micros(2));
        assert_eq!(passed, Admission::Pass([Some(motion(2)), Some(release_all(3))]));
        assert_eq!(intake.deadline(), None);
    }

    #[test]
    fn the_last_size_of_a_drag_arrives() {
        let mut intake = Intake::new(Micros(0));
        let size = |width| ClientPacket::Resize(Size::new(width, 0));
        assert_eq!(intake.admit(size(1), Micros(0)), Admission::Pass([Some(size(1)), None]));
        for width in 2..50 {
            let held = intake.admit(size(width), Micros(u64::from(width)));
            assert!(matches!(held, Admission::Held { .. }));
        }
        assert_eq!(intake.release(RESIZE_INTERVAL), [None, None, Some(size(49))]);
    }

    #[test]
    fn keys_beyond_a_burst_pass_at_the_rate_only() {
        let mut intake = Intake::new(Micros(0));
        let mut passed = |count: u32, at: Micros| {
            let admitted = (0..count).map(|seq| intake.admit(key(seq), at));
            admitted.filter(|admission| *admission != Admission::Dropped).count() as u64
        };
        assert_eq!(passed(5000, Micros(0)), BURST);
        assert_eq!(passed(5000, SECOND), RATE);
    }

    #[test]
    fn what_lets_go_passes_however_much_came() {
        let mut intake = Intake::new(Micros(0));
        while intake.admit(key(1), Micros(0)) != Admission::Dropped {}
        assert!(matches!(intake.admit(release_all(2), Micros(0)), Admission::Pass(_)));
    }

    #[test]
    fn tokens_also_fill_up_in_small_steps() {
        let mut intake = Intake::new(Micros(0));
        for seq in 0..BURST as u32 {
            let _ = intake.admit(key(seq), Micros(0));
        }
        let steps = (1..=2000).map(|step| intake.admit(key(step as u32), Micros(step * 500)));
        let passed = steps.filter(|admission| *admission != Admission::Dropped).count() as u64;
        assert_eq!(passed, RATE);
    }

    #[test]
    fn a_flood_is_more_than_any_device_sends() {
        let mut intake = Intake::new(Micros(0));
        assert!((0..FLOOD).all(|n| !intake.is_flood(Micros(u64::from(n) * 49))));
        assert!(intake.is_flood(Micros(999_999)));
        assert!(!intake.is_flood(Micros(1_000_000)));
    }
}
