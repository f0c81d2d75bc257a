//! Still pictures for lists of desktops: one for each time that one is asked for, when the screen shows
//! something else than in the last, and not often.
//!
//! Who looks at a desktop costs nothing more: the picture is made from what viewers have. Where nobody
//! looks, the screen is fetched for it and everything let go of again.

use super::Session;
use crate::display::{DisplayError, Grab};
use crate::encode::still_png;
use crate::slots::{Kind, count};
use lattice_engine::picture::Picture;
use lattice_engine::region::Region;
use lattice_wire::link::{STILL_SIZE, encode_still};
use lattice_wire::{Micros, Rect, Size};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Between two pictures, or two looks at whether there is something new.
const INTERVAL: Micros = Micros::from_millis(4000);
/// So many looks in a row that find nothing new are enough: whoever asked may be gone, and a caret that
/// blinks, too small to be seen, would have the screen looked at for ever.
const MOST_LOOKS: u32 = 8;
/// After a screen changed its size while it was read.
const RETRY: Micros = Micros::from_millis(100);

/// What is known of still pictures.
#[derive(Debug, Default)]
pub(super) struct Stills {
    is_wanted: bool,
    /// Whether the screen may show something else than in the last one.
    is_stale: bool,
    /// What the last one showed.
    last: Option<u64>,
    /// Not before.
    next_at: Micros,
    /// How often nothing new was found since it was wanted.
    looks: u32,
}

impl Stills {
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    pub(super) fn handle_change(&mut self) {
        self.is_stale = true;
    }
}

impl Session<'_> {
    /// One is wanted, whatever the screen shows where it is `at_once`.
    pub(super) fn want_still(&mut self, at_once: bool, now: Micros) -> Result<(), DisplayError> {
        if at_once {
            (self.still.last, self.still.next_at) = (None, now);
        }
        // Nobody said what happened while none was wanted.
        (self.still.is_wanted, self.still.is_stale) = (true, true);
        self.still.looks = 0;
        self.watch()
    }

    /// When the next is to be made, as far as that is known.
    pub(super) fn still_due(&self) -> Option<Micros> {
        let is_there = self.canvas.as_ref().is_none_or(|canvas| !canvas.is_blank);
        let is_due = self.still.is_wanted && self.still.is_stale && is_there;
        is_due.then_some(self.still.next_at)
    }

    /// Makes one, and sends it where it shows something new, or nothing new came for long.
    pub(super) fn make_still(&mut self, now: Micros) -> Result<(), DisplayError> {
        (self.still.is_stale, self.still.next_at) = (false, now.plus(INTERVAL));
        let (size, pixels) = match &self.canvas {
            Some(canvas) => scaled(canvas.planner.shadow()),
            None => match self.fetch_all()? {
                Some(screen) => scaled(&screen),
                None => {
                    (self.still.is_stale, self.still.next_at) = (true, now.plus(RETRY));
                    return Ok(());
                }
            },
        };
        let mut hasher = DefaultHasher::new();
        pixels.hash(&mut hasher);
        let shown = Some(hasher.finish());
        self.still.looks += 1;
        if self.still.last != shown || self.still.looks > MOST_LOOKS {
            self.still.last = shown;
            self.still.is_wanted = false;
            let png = still_png(size, &pixels);
            self.shared.outbound.push(Kind::Still, encode_still(&png));
        }
        if self.viewers == 0 {
            // Nothing was kept but the memory that it was fetched by.
            self.stop()?;
            self.watch()?;
        }
        Ok(())
    }

    /// The whole screen; nothing where it has another size meanwhile.
    fn fetch_all(&mut self) -> Result<Option<Picture>, DisplayError> {
        let _busy = self.shared.capture_busy.enter();
        count(&self.shared.counters.grabs);
        let size = self.display.size();
        let Grab::Done(fetched) = self.display.grab(&Region::whole(size), size)? else {
            return Ok(None);
        };
        let mut screen = Picture::new(size);
        let mut read = fetched.reader();
        for (index, &rect) in fetched.region.rects().iter().enumerate() {
            for (y, row) in (0..).zip(screen.rows_mut(rect)) {
                read(index, y, row);
            }
        }
        Ok(Some(screen))
    }
}

/// The picture within [`STILL_SIZE`], three bytes a pixel: each the mean of those that it stands for.
fn scaled(picture: &Picture) -> (Size, Vec<u8>) {
    let from = picture.size();
    let (width, height) = (u32::from(from.width), u32::from(from.height));
    let (most_wide, most_high) = (u32::from(STILL_SIZE.width), u32::from(STILL_SIZE.height));
    let (wide, high) = match (width <= most_wide && height <= most_high, width * most_high) {
        (true, _) => (width, height),
        (false, across) if across >= height * most_wide => {
            (most_wide, (height * most_wide / width).max(1))
        }
        (false, _) => ((width * most_high / height).max(1), most_high),
    };
    // Where the source of each target begins; the last is the end.
    let starts = |from: u32, to: u32| -> Vec<u32> { (0..=to).map(|at| at * from / to).collect() };
    let (columns, rows) = (starts(width, wide), starts(height, high));
    let mut pixels = Vec::with_capacity((wide * high * 3) as usize);
    let mut sums = vec![[0u32; 3]; wide as usize];
    for span in rows.windows(2) {
        let &[top, bottom] = span else { continue };
        sums.fill([0; 3]);
        let part = Rect::new(0, top as u16, from.width, (bottom - top) as u16);
        for row in picture.rows(part) {
            for (sum, span) in sums.iter_mut().zip(columns.windows(2)) {
                for &pixel in &row[span[0] as usize..span[1] as usize] {
                    let [blue, green, red, _] = pixel.to_le_bytes();
                    sum[0] += u32::from(red);
                    sum[1] += u32::from(green);
                    sum[2] += u32::from(blue);
                }
            }
        }
        for (sum, span) in sums.iter().zip(columns.windows(2)) {
            let area = (bottom - top) * (span[1] - span[0]);
            pixels.extend(sum.map(|sum| (sum / area.max(1)) as u8));
        }
    }
    (Size::new(wide as u16, high as u16), pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(size: Size, becomes: Size) -> Vec<u8> {
        let mut picture = Picture::new(size);
        picture.fill(Rect::new(0, 0, size.width, size.height), 0x0010_2030);
        let (scaled, pixels) = scaled(&picture);
        assert_eq!(scaled, becomes, "{size:?}");
        assert_eq!(pixels.len(), becomes.area() * 3);
        pixels
    }

    #[test]
    fn a_screen_of_any_shape_fits_and_keeps_its_colour() {
        for (size, becomes) in [
            (Size::new(1366, 768), Size::new(384, 215)),
            (Size::new(1920, 1200), Size::new(384, 240)),
            (Size::new(768, 1366), Size::new(134, 240)),
            (Size::new(100, 50), Size::new(100, 50)),
            (Size::new(8192, 1), Size::new(384, 1)),
            (Size::new(1, 8192), Size::new(1, 240)),
            (Size::new(8192, 8192), Size::new(240, 240)),
        ] {
            let pixels = check(size, becomes);
            assert!(pixels.chunks(3).all(|pixel| pixel == [0x10, 0x20, 0x30]), "{size:?}");
        }
    }

    #[test]
    fn a_pixel_is_the_mean_of_those_that_it_stands_for() {
        let mut picture = Picture::new(Size::new(768, 480));
        (0..768).step_by(2).for_each(|x| picture.fill(Rect::new(x, 0, 1, 480), 0x00ff_ff00));
        let (_, pixels) = scaled(&picture);
        assert!(pixels.chunks(3).all(|pixel| pixel == [127, 127, 0]));
    }
}
