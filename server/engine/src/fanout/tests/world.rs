//! A display, its agent and viewers that paint, lag, complain and wait as they please.

use super::*;
use crate::damage::History;
use lattice_wire::Point;
use proptest::prelude::*;
use std::collections::VecDeque;

const PLACES: usize = 16;

struct World {
    fanout: Fanout,
    screen: [u32; PLACES],
    /// Places that were shown as video and have not been sent exactly since.
    lossy: [bool; PLACES],
    id: u32,
    history: History,
    viewers: BTreeMap<ViewerId, Watcher>,
    /// What the agent has not answered, oldest first.
    asked: VecDeque<(RefreshId, Refresh)>,
    now: Micros,
}

struct Watcher {
    sees: Sees,
    picture: [u32; PLACES],
    /// Frames on their way.
    queue: VecDeque<(u32, Vec<Paint>)>,
    on_the_wire: usize,
    newest: u32,
}

#[derive(Clone)]
enum Paint {
    Set(usize, u32),
    Copy(usize, usize),
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            fanout: Fanout::new(Limits::default()),
            screen: [0; PLACES],
            lossy: [false; PLACES],
            id: 1,
            history: History::new(),
            viewers: BTreeMap::new(),
            asked: VecDeque::new(),
            now: Micros(0),
        };
        for id in 1..=3 {
            let sees = if id == 2 { Sees::Stills } else { Sees::Video };
            let (picture, queue) = ([0; PLACES], VecDeque::new());
            let watcher = Watcher { sees, picture, queue, on_the_wire: 0, newest: 0 };
            world.viewers.insert(ViewerId(id), watcher);
            world.fanout.join(ViewerId(id), sees, Micros(0));
        }
        world
    }

    fn spot(index: usize) -> Rect {
        Rect::new(index as u16 * 4, 0, 4, 4)
    }

    fn paints(&self, table: &FrameTable, sees: Sees) -> Vec<Paint> {
        let place = |x: u16| usize::from(x / 4);
        let mut paints = Vec::new();
        if table.flags.keyframe.is_some() {
            paints.extend((0..PLACES).map(|i| Paint::Set(i, self.screen[i])));
        }
        for step in &table.steps {
            match step.kind {
                StepKind::Video(_) if sees == Sees::Stills => {}
                StepKind::Copy(from) => paints.push(Paint::Copy(place(from.x), place(step.rect.x))),
                _ => {
                    let all = (0..PLACES).filter(|&i| step.rect.intersect(Self::spot(i)).is_some());
                    paints.extend(all.map(|i| Paint::Set(i, self.screen[i])));
                }
            }
        }
        paints
    }

    fn send(&mut self, table: &FrameTable) {
        for (viewer, sees) in self.fanout.handle_frame(table, 1000, self.now) {
            let paints = self.paints(table, sees);
            let watcher = self.viewers.get_mut(&viewer).unwrap();
            assert_eq!(watcher.sees, sees);
            let id = table.at.id.0;
            assert!(id >= watcher.newest && (id > watcher.newest || table.flags.refresh.is_some()));
            watcher.newest = id;
            watcher.queue.push_back((id, paints));
        }
    }

    /// One place changes.
    fn change(&mut self, index: usize, kind: StepKind) {
        self.id += 1;
        self.screen[index] = match kind {
            StepKind::Copy(from) => self.screen[usize::from(from.x / 4)],
            _ => self.id,
        };
        self.history.record(FrameId(self.id), |all| all.add(Self::spot(index)));
        let steps = vec![Step { rect: Self::spot(index), kind }];
        self.send(&FrameTable { steps, ..frame(self.id, &[]) });
    }

    /// So many requests are answered in one, as agents do that found them together.
    fn answer(&mut self, count: usize) {
        let (mut region, mut whole, mut newest) = (Region::new(), false, None);
        for (request, refresh) in self.asked.drain(..count.min(self.asked.len())) {
            newest = Some(request);
            match refresh {
                Refresh::Whole => whole = true,
                Refresh::Part { since, missed, .. } => {
                    region.add_all(&missed.into_iter().collect());
                    region.add_all(&self.history.since(since.id).unwrap());
                }
            }
        }
        let Some(request) = newest else { return };
        let flags = FrameFlags { keyframe: whole.then_some(SIZE), refresh: Some(request) };
        let rects = if whole { &[] } else { region.rects() };
        self.send(&FrameTable { flags, ..frame(self.id, rects) });
    }

    /// What was video rests: it is sent exactly.
    fn rest(&mut self) {
        for index in (0..PLACES).filter(|&i| std::mem::take(&mut self.lossy[i])).collect::<Vec<_>>()
        {
            self.change(index, StepKind::Fill(0));
        }
    }

    fn poll(&mut self) {
        for effect in self.fanout.poll(self.now) {
            match effect {
                Effect::Refresh(request, refresh) => self.asked.push_back((request, refresh)),
                Effect::Painted(_) | Effect::Pace(_) | Effect::Condition(..) => {}
                Effect::DropQueued(id) => {
                    if let Some(watcher) = self.viewers.get_mut(&id) {
                        watcher.queue.truncate(watcher.on_the_wire);
                    }
                }
                Effect::Close(id) => panic!("{id:?} stalled"),
            }
        }
    }

    fn write(&mut self, id: ViewerId) {
        let watcher = self.viewers.get_mut(&id).unwrap();
        if watcher.on_the_wire < watcher.queue.len() {
            watcher.on_the_wire += 1;
            self.fanout.handle_taken(id);
        }
    }

    fn paint(&mut self, id: ViewerId) {
        let watcher = self.viewers.get_mut(&id).unwrap();
        if watcher.on_the_wire == 0 {
            return;
        }
        watcher.on_the_wire -= 1;
        let (frame, paints) = watcher.queue.pop_front().unwrap();
        let before = watcher.picture;
        for paint in paints {
            match paint {
                Paint::Set(i, value) => watcher.picture[i] = value,
                Paint::Copy(from, to) => watcher.picture[to] = before[from],
            }
        }
        let everything = watcher.queue.is_empty() && watcher.newest == self.id;
        let picture = watcher.picture;
        self.fanout.paint(id, at(frame), self.now);
        // Whoever would be sent the digest has the picture.
        if everything && self.fanout.handle_digest(at(self.id)).contains(&id) {
            assert_eq!(picture, self.screen, "{id:?} is told that its picture is exact");
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Draw(index) => {
                self.lossy[index] = false;
                self.change(index, StepKind::Fill(0));
            }
            Event::Play(index) => {
                self.lossy[index] = true;
                self.change(index, StepKind::Video(500));
            }
            // A video region is never a source.
            Event::Move(from, _) if self.lossy[from] => {}
            Event::Move(from, to) => {
                self.lossy[to] = false;
                self.change(to, StepKind::Copy(Point { x: from as u16 * 4, y: 0 }));
            }
            Event::Write(id) => self.write(ViewerId(id)),
            Event::Paint(id) => self.paint(ViewerId(id)),
            Event::Answer(count) => self.answer(count),
            Event::Rest => self.rest(),
            Event::Complain(id) => self.fanout.handle_refresh_request(ViewerId(id), self.now),
            Event::Wait(ms) => self.now = self.now.plus(Micros::from_millis(ms)),
        }
    }
}

#[derive(Debug, Clone)]
enum Event {
    Draw(usize),
    Play(usize),
    Move(usize, usize),
    Write(u32),
    Paint(u32),
    Answer(usize),
    Rest,
    Complain(u32),
    Wait(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..PLACES).prop_map(Event::Draw),
        3 => (0..PLACES).prop_map(Event::Play),
        2 => (0..PLACES, 0..PLACES).prop_map(|(from, to)| Event::Move(from, to)),
        5 => (1..=3u32).prop_map(Event::Write),
        5 => (1..=3u32).prop_map(Event::Paint),
        2 => (1..=3usize).prop_map(Event::Answer),
        1 => Just(Event::Rest),
        1 => (1..=3u32).prop_map(Event::Complain),
        1 => prop_oneof![3 => 1..700u64, 1 => 2000..2500u64].prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_everybody_ends_with_the_whole_picture(
        events in prop::collection::vec(any_event(), 0..150),
        rests in any::<bool>(),
    ) {
        let mut world = World::new();
        let settle = (0..40).flat_map(|_| {
            let each = (1..=3).flat_map(|id| [Event::Write(id), Event::Paint(id)]);
            each.chain([Event::Answer(9), Event::Wait(300)])
        });
        // What was video comes exactly, to all in a frame or to who cannot see it in a refresh.
        let rest = rests.then_some(Event::Rest);
        for event in events.into_iter().chain(rest).chain(settle) {
            world.poll();
            world.apply(event);
        }
        for (id, watcher) in &world.viewers {
            prop_assert_eq!(watcher.picture, world.screen, "{:?}", id);
            prop_assert!(world.fanout.handle_digest(at(world.id)).contains(id) || world.id == 1);
        }
    }
}
