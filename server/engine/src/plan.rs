//! From fresh pixels to what a frame says: the shadow of what viewers have, and the steps that take
//! it to what the display shows.

use crate::classify::single_color;
use crate::damage::{take_in, tiles_of};
use crate::digest::Bands;
use crate::lossy::Lossy;
use crate::motion::{Mover, Shift};
use crate::picture::Picture;
use crate::region::Region;
use crate::video::{Due, Rules, Unit, VideoRegions};
use lattice_wire::{Copy, Micros, Point, Rect, Size};

/// The largest rectangle that is sent as one tile: the browser's cost is per tile, and a larger one
/// would keep it from decoding several at once.
const MAX_TILE: Size = Size::new(512, 256);

/// How much larger than its parts a merged tile may be, in pixels, before merging costs more bytes
/// than a rectangle's own headers.
const MERGE_SLACK: usize = 256;

/// Above so many rectangles only the hull of what a frame touched is remembered.
const MAX_TOUCHED: usize = 64;

/// A change of at most so many pixels is a letter or a caret.
const CARET_AREA: usize = 32 * 32;

/// How many of the newest tiles a box is tried to be merged with: those in the row above and beside.
const MERGE_REACH: usize = 40;

/// A window that was moved without being resized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveHint {
    /// Where it was, on the screen before the frame; the part on the screen.
    pub from: Rect,
    /// Pixels to the right.
    pub dx: i32,
    /// Pixels down.
    pub dy: i32,
}

/// What a frame says, before anything is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FramePlan {
    /// Pixels that merely moved. All read the picture before the frame.
    pub copies: Vec<Copy>,
    /// Rectangles of one colour.
    pub fills: Vec<(Rect, u32)>,
    /// Rectangles to be encoded from the shadow.
    pub tiles: Vec<Rect>,
    /// Pictures of video streams, of the shadow, too.
    pub videos: Vec<Unit>,
}

impl FramePlan {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
            && self.fills.is_empty()
            && self.tiles.is_empty()
            && self.videos.is_empty()
    }

    /// All pixels that it paints, or more: the hull of many rectangles.
    pub fn touched(&self) -> Region {
        let copies = self.copies.iter().map(|copy| copy.to);
        let fills = self.fills.iter().map(|(rect, _)| *rect);
        let videos = self.videos.iter().flat_map(|unit| unit.damage.iter().copied());
        let tiles = self.tiles.iter().copied();
        let rects: Vec<Rect> = copies.chain(fills).chain(tiles).chain(videos).collect();
        Region::around(&rects, MAX_TOUCHED)
    }
}

/// Knows what viewers have, and plans what they get.
///
/// INVARIANT: a viewer that painted every frame shows the shadow, but for what `lossy` says.
///
/// Of the two pictures the one takes in fresh pixels while the other is what viewers have, and then
/// they change places: nothing is copied from one to the other but what changed in the frame before
/// and not in this one.
#[derive(Debug)]
pub struct Planner {
    shadow: Picture,
    /// Becomes the shadow. The same pictures, but for `behind`, where this one is older.
    next: Picture,
    behind: Region,
    bands: Bands,
    mover: Mover,
    videos: VideoRegions,
    lossy: Lossy,
    /// Where the newest small change was: a caret, most likely.
    caret: Option<Point>,
}

impl Planner {
    /// A black screen. Viewers know nothing of it until a whole refresh.
    pub fn new(size: Size) -> Self {
        Self {
            shadow: Picture::new(size),
            next: Picture::new(size),
            behind: Region::new(),
            bands: Bands::new(size),
            mover: Mover::new(),
            videos: VideoRegions::new(size),
            lossy: Lossy::new(size),
            caret: None,
        }
    }

    /// What the display showed last: what viewers have, exactly or roughly, once they have painted
    /// every frame planned so far.
    pub fn shadow(&self) -> &Picture {
        &self.shadow
    }

    /// The regions that move.
    pub fn videos(&self) -> &VideoRegions {
        &self.videos
    }

    /// The same, to tell them of viewers and encoders.
    pub fn videos_mut(&mut self) -> &mut VideoRegions {
        &mut self.videos
    }

    /// Whether viewers have every pixel exactly.
    pub fn is_exact(&self) -> bool {
        self.lossy.is_empty()
    }

    /// Takes over the first picture, whose `region` is all of it, read as in [`Self::plan`]. Nobody has
    /// another, so there is nothing to compare and nothing to tell but a refresh.
    ///
    /// # Panics
    /// Where the region is not within the screen.
    pub fn begin(&mut self, region: &Region, mut fresh: impl FnMut(usize, u16, &mut [u32])) {
        for (index, &rect) in region.rects().iter().enumerate() {
            let rows = (0..).zip(self.shadow.rows_mut(rect));
            rows.for_each(|(y, row)| fresh(index, y, row));
            self.bands.touch(rect);
        }
        self.behind = region.clone();
    }

    /// Plans the change at `now` to what the display shows, which `fresh` reads where it may differ
    /// from before: within `region`, row by row as [`take_in`] says. The shadow becomes that.
    ///
    /// # Panics
    /// Where the region is not within the screen.
    pub fn plan(
        &mut self,
        now: Micros,
        region: &Region,
        mut fresh: impl FnMut(usize, u16, &mut [u32]),
        hints: &[MoveHint],
        rules: &Rules,
    ) -> FramePlan {
        self.catch_up(region);
        let boxes = take_in(&mut fresh, &mut self.next, &self.shadow, region);
        if boxes.is_empty() {
            return self.plan_due(now, rules);
        }
        let sorted = self.videos.hold(now, boxes);
        let shifts: Vec<Shift> = hints.iter().filter_map(|hint| self.shift_of(hint)).collect();
        let copies = self.mover.find(&self.next, &self.shadow, &sorted.rest, &shifts);
        self.lossy.carry(&copies, now);
        self.take_over(region, sorted.held.iter().chain(&sorted.rest));
        let left = without(sorted.rest, &copies);
        let watched = self.videos.watch(now, left, &copies, &self.shadow, rules);
        for &rect in sorted.held.iter().chain(&watched.held) {
            self.lossy.soil(rect, now);
        }
        let mut plan = self.paint_exactly(watched.rest);
        plan.copies = copies;
        self.add_due(now, rules, &mut plan);
        self.note_caret(&plan);
        plan
    }

    /// Plans the pictures of video that are due at `now`, of what the shadow shows already.
    pub fn plan_due(&mut self, now: Micros, rules: &Rules) -> FramePlan {
        let mut plan = FramePlan::default();
        self.add_due(now, rules, &mut plan);
        plan
    }

    /// When the next picture of a video is due, or a region of video ends.
    pub fn next_due(&self, rules: &Rules) -> Option<Micros> {
        self.videos.next_due(rules)
    }

    /// Plans to send exactly what has rested since it was sent roughly, at most about `area` pixels,
    /// nearest to `pointer` or the last small change first.
    pub fn plan_refinement(&mut self, now: Micros, pointer: Point, area: usize) -> FramePlan {
        let focuses: Vec<Point> = self.caret.into_iter().chain([pointer]).collect();
        let boxes = self.lossy.take_rested(now, &focuses, area);
        self.paint(boxes)
    }

    /// When there will be something to refine.
    pub fn next_refinement(&self) -> Option<Micros> {
        self.lossy.next_rested()
    }

    /// Plans to paint `region` as the shadow has it, for viewers that lack it.
    pub fn plan_refresh(&self, region: &Region) -> FramePlan {
        let region = region.clip(self.shadow.size());
        self.paint(region.rects().iter().flat_map(|&rect| tiles_of(rect)).collect())
    }

    /// Takes out of `region` what is shown as video, for viewers that lack it and see video: they get
    /// it with the next unit, and exactly, as all do, once it rests. A still of a film outweighs
    /// seconds of its stream, and whoever fell behind has no time for it.
    pub fn leave_to_video(&mut self, region: &mut Region, now: Micros) {
        for (_, place) in self.videos.streams() {
            for &part in region.within(place).rects() {
                self.lossy.soil(part, now);
            }
            region.subtract(place);
        }
    }

    /// The shadow's hashes, a band each.
    pub fn digest(&mut self) -> Vec<u32> {
        self.bands.compute(&self.shadow).to_vec()
    }

    /// Makes `next` what the shadow is, but for `region`, which is about to be written.
    fn catch_up(&mut self, region: &Region) {
        let mut behind = std::mem::take(&mut self.behind);
        region.rects().iter().for_each(|&rect| behind.subtract(rect));
        behind.rects().iter().for_each(|&rect| self.next.copy_from(&self.shadow, rect));
    }

    /// Makes `next` the shadow. The two differ in the boxes only, which lie within `region`.
    fn take_over<'a>(&mut self, region: &Region, boxes: impl Iterator<Item = &'a Rect> + Clone) {
        std::mem::swap(&mut self.shadow, &mut self.next);
        let changed: Vec<Rect> = boxes.clone().copied().collect();
        // Adding up many boxes takes longer than copying what lies between them.
        self.behind = match changed.len() > MAX_TOUCHED {
            true => region.clone(),
            false => changed.into_iter().collect(),
        };
        boxes.for_each(|&rect| self.bands.touch(rect));
    }

    fn add_due(&mut self, now: Micros, rules: &Rules, plan: &mut FramePlan) {
        let Due { units, stills } = self.videos.take_due(now, rules);
        if !stills.is_empty() {
            let tiles = stills.into_iter().flat_map(tiles_of).collect();
            let FramePlan { fills, tiles, .. } = self.paint_exactly(tiles);
            plan.fills.extend(fills);
            plan.tiles.extend(tiles);
        }
        // What waited for its unit may have been sent exactly meanwhile.
        for &rect in units.iter().flat_map(|unit| &unit.damage) {
            self.lossy.soil(rect, now);
        }
        plan.videos = units;
    }

    fn paint_exactly(&mut self, boxes: Vec<Rect>) -> FramePlan {
        boxes.iter().for_each(|&rect| self.lossy.clean(rect));
        self.paint(boxes)
    }

    fn note_caret(&mut self, plan: &FramePlan) {
        let small = plan.tiles.iter().chain(plan.fills.iter().map(|(rect, _)| rect)).next_back();
        if let Some(rect) = small.filter(|rect| rect.area() <= CARET_AREA) {
            self.caret = Some(Point { x: rect.x + rect.width / 2, y: rect.y + rect.height / 2 });
        }
    }

    fn shift_of(&self, hint: &MoveHint) -> Option<Shift> {
        let size = self.shadow.size();
        let to = shifted_onto(hint.from.clip(size)?, hint.dx, hint.dy, size)?;
        Some(Shift { to, dx: hint.dx, dy: hint.dy })
    }

    fn paint(&self, boxes: Vec<Rect>) -> FramePlan {
        let mut plan = FramePlan::default();
        // Boxes come in rows of tiles: joined to strips first, then strips to blocks.
        let mut strips = Vec::new();
        for rect in boxes {
            match single_color(&self.shadow, rect) {
                Some(color) => add_fill(&mut plan.fills, rect, color),
                None => add_tile(&mut strips, rect, 1),
            }
        }
        strips.into_iter().for_each(|strip| add_tile(&mut plan.tiles, strip, MERGE_REACH));
        plan
    }
}

/// The part of `rect` that is still on the screen after a move, where it is then.
fn shifted_onto(rect: Rect, dx: i32, dy: i32, size: Size) -> Option<Rect> {
    let edge = |at: u16, delta: i32, limit: u16| {
        u16::try_from((i32::from(at) + delta).clamp(0, i32::from(limit))).ok()
    };
    Rect::between(
        edge(rect.x, dx, size.width)?,
        edge(rect.y, dy, size.height)?,
        edge(rect.right(), dx, size.width)?,
        edge(rect.bottom(), dy, size.height)?,
    )
}

/// What of the boxes no copy has painted already.
fn without(boxes: Vec<Rect>, copies: &[Copy]) -> Vec<Rect> {
    let mut rest = Vec::with_capacity(boxes.len());
    for rect in boxes {
        // Most boxes lie within one copy or beside all of them.
        if copies.iter().any(|copy| copy.to.contains(rect)) {
            continue;
        }
        if copies.iter().all(|copy| copy.to.intersect(rect).is_none()) {
            rest.push(rect);
            continue;
        }
        let mut left = Region::from(rect);
        copies.iter().for_each(|copy| left.subtract(copy.to));
        rest.extend_from_slice(left.rects());
    }
    rest
}

/// Adds a fill, as part of one beside or above it where both make a rectangle.
fn add_fill(fills: &mut Vec<(Rect, u32)>, rect: Rect, color: u32) {
    let newest = fills.iter_mut().rev().take(MERGE_REACH);
    let mut same = newest.filter(|(_, painted)| *painted == color);
    match same.find(|(own, _)| own.union(rect).area() == own.area() + rect.area()) {
        Some((own, _)) => *own = own.union(rect),
        None => fills.push((rect, color)),
    }
}

/// Adds a tile, as part of one of the newest `reach` where that wastes little.
fn add_tile(tiles: &mut Vec<Rect>, rect: Rect, reach: usize) {
    let fits = |own: &&mut Rect| {
        let both = own.union(rect);
        let apart = own.area() + rect.area();
        both.width <= MAX_TILE.width
            && both.height <= MAX_TILE.height
            && both.area() <= apart + apart / 8 + MERGE_SLACK
    };
    match tiles.iter_mut().rev().take(reach).find(fits) {
        Some(own) => *own = own.union(rect),
        None => tiles.push(rect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::Pace;
    use crate::rate::ladder::Ladder;
    use proptest::prelude::*;

    const SIZE: Size = Size::new(300, 200);
    const NOW: Micros = Micros(1_000_000);

    /// No viewer decodes video.
    fn rules() -> Rules {
        let mode = Ladder::new(Micros(16_667)).choose(Pace::UNKNOWN, 0);
        Rules { streams: 0, mode, affordable: None }
    }

    /// What is planned where nothing has moved before.
    fn plan(planner: &mut Planner, next: &Picture, hints: &[MoveHint]) -> FramePlan {
        let region = Region::whole(next.size());
        planner.plan(NOW, &region, next.reader(&region), hints, &rules())
    }

    /// Applies a plan as a viewer would: copies read the picture before, tiles are exact.
    fn apply(viewer: &mut Picture, plan: &FramePlan, shadow: &Picture) {
        let before = viewer.clone();
        for copy in &plan.copies {
            let rows = before.rows(copy.source()).map(<[u32]>::to_vec).collect::<Vec<_>>();
            viewer.rows_mut(copy.to).zip(rows).for_each(|(to, from)| to.copy_from_slice(&from));
        }
        plan.fills.iter().for_each(|&(rect, color)| viewer.fill(rect, color));
        plan.tiles.iter().for_each(|&rect| viewer.copy_from(shadow, rect));
        for &rect in plan.videos.iter().flat_map(|unit| &unit.damage) {
            // Nobody knows what a lossy stream shows.
            viewer.fill(rect, 0xfe_01fd);
        }
    }

    /// Sends exactly what was sent roughly, in portions.
    fn refine(planner: &mut Planner, viewer: &mut Picture, mut now: Micros) {
        while !planner.is_exact() {
            now = planner.next_refinement().expect("what is stale will have rested").max(now);
            let plan = planner.plan_refinement(now, Point { x: 0, y: 0 }, 5000);
            assert!(!plan.is_empty());
            apply(viewer, &plan, planner.shadow());
        }
    }

    fn noise(picture: &mut Picture, rect: Rect, seed: u32) {
        let mut state = seed | 1;
        for row in picture.rows_mut(rect) {
            for pixel in row {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *pixel = state >> 8;
            }
        }
    }

    fn scroll(picture: &mut Picture, rect: Rect, dx: i32, dy: i32) {
        let before = picture.clone();
        for y in rect.y..rect.bottom() {
            for x in rect.x..rect.right() {
                let (from_x, from_y) = (i32::from(x) - dx, i32::from(y) - dy);
                let inside = (i32::from(rect.x)..i32::from(rect.right())).contains(&from_x)
                    && (i32::from(rect.y)..i32::from(rect.bottom())).contains(&from_y);
                if inside {
                    picture.row_mut(x, y, 1)[0] = before.row(from_x as u16, from_y as u16, 1)[0];
                }
            }
        }
    }

    #[derive(Debug, Clone)]
    enum Draw {
        Fill(Rect, u32),
        Noise(Rect, u32),
        Scroll(Rect, i32, i32),
    }

    fn any_draw() -> impl Strategy<Value = Draw> {
        let rect = (0..SIZE.width - 1, 0..SIZE.height - 1, 1..200u16, 1..180u16)
            .prop_map(|(x, y, w, h)| Rect::new(x, y, w, h).clip(SIZE).unwrap());
        prop_oneof![
            (rect.clone(), 0..4u32).prop_map(|(rect, color)| Draw::Fill(rect, color * 0x3f3f3f)),
            (rect.clone(), any::<u32>()).prop_map(|(rect, seed)| Draw::Noise(rect, seed)),
            (rect, -70..70i32, -70..70i32, 0..3u8).prop_map(|(rect, dx, dy, axis)| match axis {
                0 => Draw::Scroll(rect, 0, dy),
                1 => Draw::Scroll(rect, dx, 0),
                _ => Draw::Scroll(rect, dx, dy),
            }),
        ]
    }

    proptest! {
        #[test]
        fn a_viewer_that_follows_the_plans_has_every_pixel(
            frames in prop::collection::vec(prop::collection::vec(any_draw(), 1..4), 1..8),
            hinted in any::<bool>(),
            film in prop::option::of((0..100u16, 0..60u16, 180..200u16, 130..140u16)),
            streams in 0..3u8,
            first in prop::option::of(any::<u32>()),
        ) {
            let film = film.map(|(x, y, width, height)| Rect::new(x, y, width, height));
            let rules = Rules { streams, ..rules() };
            let mut now = NOW;
            let mut planner = Planner::new(SIZE);
            let (mut screen, mut viewer) = (Picture::new(SIZE), Picture::new(SIZE));
            if let Some(seed) = first {
                let whole = Region::whole(SIZE);
                noise(&mut screen, Rect::new(20, 10, 150, 120), seed);
                planner.begin(&whole, screen.reader(&whole));
                prop_assert_eq!(planner.shadow(), &screen);
                apply(&mut viewer, &planner.plan_refresh(&whole), &screen);
            }
            for (draws, seed) in frames.into_iter().flat_map(|draws| {
                // Between two drawings the film shows some pictures, if there is one.
                (1..6u32).map(move |seed| (if seed == 1 { draws.clone() } else { vec![] }, seed))
            }) {
                now = now.plus(Micros::from_millis(33));
                let (mut damage, mut hints) = (Region::new(), Vec::new());
                if let Some(film) = film {
                    noise(&mut screen, film, now.0 as u32 ^ seed);
                    damage.add(film);
                }
                for draw in draws {
                    match draw {
                        Draw::Fill(rect, color) => { screen.fill(rect, color); damage.add(rect); }
                        Draw::Noise(rect, seed) => { noise(&mut screen, rect, seed); damage.add(rect); }
                        Draw::Scroll(rect, dx, dy) => {
                            scroll(&mut screen, rect, dx, dy);
                            damage.add(rect);
                            hints.push(MoveHint { from: rect, dx, dy });
                        }
                    }
                }
                if !hinted { hints.clear(); }
                let plan = planner.plan(now, &damage, screen.reader(&damage), &hints, &rules);
                apply(&mut viewer, &plan, planner.shadow());
                prop_assert!(viewer == screen || !planner.is_exact(), "{plan:?}");
                prop_assert!(planner.shadow() == &screen);
            }
            prop_assert!(film.is_some() || planner.is_exact());
            refine(&mut planner, &mut viewer, now);
            prop_assert!(viewer == screen);
        }
    }

    #[test]
    fn a_film_becomes_video_and_then_exact() {
        let mut planner = Planner::new(SIZE);
        let (mut screen, mut viewer) = (Picture::new(SIZE), Picture::new(SIZE));
        let film = Rect::new(30, 20, 200, 150);
        let rules = Rules { streams: 1, ..rules() };
        let (mut now, mut tiles, mut units) = (NOW, 0, 0);
        for frame in 0..30 {
            now = now.plus(Micros::from_millis(33));
            noise(&mut screen, film, frame * 2);
            let damage = Region::from(film);
            let plan = planner.plan(now, &damage, screen.reader(&damage), &[], &rules);
            apply(&mut viewer, &plan, planner.shadow());
            tiles += usize::from(!plan.tiles.is_empty());
            units += plan.videos.len();
        }
        assert!(tiles <= 5 && units >= 25, "{tiles} frames with tiles, {units} units");
        refine(&mut planner, &mut viewer, now);
        assert!(viewer == screen);
    }

    #[test]
    fn who_missed_part_of_a_film_is_not_sent_a_still_of_it() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        let film = Rect::new(30, 20, 200, 150);
        let rules = Rules { streams: 1, ..rules() };
        let mut now = NOW;
        for frame in 0..30 {
            now = now.plus(Micros::from_millis(33));
            noise(&mut screen, film, frame * 2);
            let damage = Region::from(film);
            planner.plan(now, &damage, screen.reader(&damage), &[], &rules);
        }
        let mut missed = Region::whole(SIZE);
        planner.leave_to_video(&mut missed, now);
        let mut viewer = Picture::new(SIZE);
        viewer.fill(Rect::new(0, 0, 300, 200), 0x12_3456);
        let refresh = planner.plan_refresh(&missed);
        assert!(!refresh.touched().intersects(film), "{refresh:?}");
        apply(&mut viewer, &refresh, planner.shadow());
        refine(&mut planner, &mut viewer, now);
        assert!(viewer == screen, "it gets all of it when the film rests");
    }

    #[test]
    fn no_change_is_no_frame() {
        let screen = Picture::new(SIZE);
        assert!(plan(&mut Planner::new(SIZE), &screen, &[]).is_empty());
    }

    #[test]
    fn a_typed_letter_is_one_small_tile() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        let letter = Rect::new(60, 60, 9, 18);
        noise(&mut screen, letter, 1);
        let plan = plan(&mut planner, &screen, &[]);
        assert_eq!(plan, FramePlan { tiles: vec![letter], ..FramePlan::default() });
    }

    #[test]
    fn a_cleared_window_is_one_fill() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        let window = Rect::new(10, 20, 250, 150);
        screen.fill(window, 0xff_ffff);
        let plan = plan(&mut planner, &screen, &[]);
        assert!(plan.tiles.is_empty() && plan.copies.is_empty());
        assert!(plan.fills.len() <= 4, "{:?}", plan.fills);
        assert_eq!(plan.touched().area(), window.area());
    }

    #[test]
    fn a_scrolled_page_is_a_copy_and_a_strip() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        let page = Rect::new(20, 10, 256, 180);
        noise(&mut screen, page, 5);
        plan(&mut planner, &screen, &[]);
        scroll(&mut screen, page, 0, -17);
        noise(&mut screen, Rect::new(20, 173, 256, 17), 9);
        let plan = plan(&mut planner, &screen, &[]);
        let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
        assert_eq!(copied, 256 * 163, "{plan:?}");
        let sent: usize = plan.tiles.iter().map(|tile| tile.area()).sum();
        assert!(sent <= 256 * 17 * 5 / 4, "{plan:?}");
    }

    #[test]
    fn a_caret_beside_the_scrolled_text_does_not_hide_the_scroll() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        let page = Rect::new(0, 0, 256, 200);
        noise(&mut screen, page, 5);
        plan(&mut planner, &screen, &[]);
        scroll(&mut screen, page, 0, 30);
        screen.fill(Rect::new(100, 100, 2, 16), 0);
        let plan = plan(&mut planner, &screen, &[]);
        let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
        assert!(copied > 256 * 170 * 8 / 10, "{plan:?}");
    }

    #[test]
    fn a_sideways_scroll_is_found_too() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        let page = Rect::new(0, 0, 300, 128);
        noise(&mut screen, page, 5);
        plan(&mut planner, &screen, &[]);
        scroll(&mut screen, page, -40, 0);
        let plan = plan(&mut planner, &screen, &[]);
        let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
        assert_eq!(copied, 260 * 128, "{plan:?}");
    }

    #[test]
    fn a_hinted_window_move_is_a_copy() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        let window = Rect::new(20, 20, 128, 100);
        noise(&mut screen, window, 5);
        plan(&mut planner, &screen, &[]);
        let mut moved = Picture::new(SIZE);
        noise(&mut moved, Rect::new(33, 27, 128, 100), 5);
        let hint = MoveHint { from: window, dx: 13, dy: 7 };
        let plan = plan(&mut planner, &moved, &[hint]);
        let copied: usize = plan.copies.iter().map(|copy| copy.to.area()).sum();
        assert_eq!(copied, 128 * 100, "{plan:?}");
    }

    #[test]
    fn a_refresh_paints_all_it_was_asked_for() {
        let mut planner = Planner::new(SIZE);
        let mut screen = Picture::new(SIZE);
        noise(&mut screen, Rect::new(0, 0, 150, 200), 3);
        plan(&mut planner, &screen, &[]);
        let mut viewer = Picture::new(SIZE);
        viewer.fill(Rect::new(0, 0, 300, 200), 0x123456);
        let plan = planner.plan_refresh(&Region::whole(SIZE));
        apply(&mut viewer, &plan, planner.shadow());
        assert!(viewer == screen);
    }

    #[test]
    fn tiles_stay_within_their_largest_size() {
        let size = Size::new(1366, 768);
        let mut planner = Planner::new(size);
        let mut screen = Picture::new(size);
        noise(&mut screen, Rect::new(0, 0, 1366, 768), 3);
        let plan = plan(&mut planner, &screen, &[]);
        assert!(plan.tiles.len() <= 16, "{} tiles", plan.tiles.len());
        assert!(plan.tiles.iter().all(|tile| tile.width <= 512 && tile.height <= 256));
    }
}
