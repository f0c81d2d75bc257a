//! Video that no camera made: to an encoder it looks like one's, and it is the same on every run.
//!
//! A soft background that pans by parts of a pixel, some blurred textured shapes that cross it at
//! speeds of their own, and the mild noise of a sensor: nothing in it is flat, nothing repeats from
//! frame to frame, and no part is a mere shift of another.

use crate::scene::Random;
use lattice_engine::picture::Picture;
use lattice_wire::Size;

/// Frames that differ; they are played to and fro. As pixmaps 24 frames of 1920x1080 take 199 MB of
/// the X server, of 1280x720 88 MB.
pub const FRAMES: u32 = 24;

const TEXTURE: usize = 512;
const SHAPES: usize = 7;

/// Which frame is shown by the drawing of this number: to and fro, so that nothing ever jumps.
pub fn frame_of(number: u32) -> u32 {
    let turn = 2 * (FRAMES - 1);
    let at = number % turn;
    at.min(turn - at)
}

/// Makes frames of one size.
#[derive(Debug)]
pub struct Footage {
    size: Size,
    texture: Vec<f32>,
    shapes: [Shape; SHAPES],
}

#[derive(Debug, Clone, Copy, Default)]
struct Shape {
    /// The centre in the first frame, and pixels a frame.
    at: (f32, f32),
    speed: (f32, f32),
    radius: f32,
    color: [f32; 3],
}

impl Footage {
    /// The scene, before anything is drawn of it.
    pub fn new(size: Size) -> Self {
        let mut random = Random(7);
        let mut share = || random.below(1000) as f32 / 1000.0;
        let (width, height) = (f32::from(size.width), f32::from(size.height));
        let shapes = std::array::from_fn(|_| Shape {
            at: (share() * width, share() * height),
            speed: ((share() - 0.5) * 14.0, (share() - 0.5) * 8.0),
            radius: (0.08 + share() * 0.16) * height,
            color: [share() * 190.0, share() * 190.0, share() * 190.0],
        });
        Self { size, texture: texture(), shapes }
    }

    /// The frame of this number, of [`FRAMES`].
    pub fn frame(&self, number: u32) -> Picture {
        let mut picture = Picture::new(self.size);
        for y in 0..self.size.height {
            self.row(number, y, picture.row_mut(0, y, self.size.width));
        }
        picture
    }

    /// The row `y` of a frame, alone.
    pub fn row(&self, number: u32, y: u16, row: &mut [u32]) {
        // Knuth's multiplier: neighbours begin with numbers that are not alike.
        let seed = (number << 16 | u32::from(y)).wrapping_mul(2_654_435_761);
        let mut random = Random(seed | 1);
        let (time, y) = (number as f32, f32::from(y));
        let near: Vec<(f32, f32, Shape)> = self
            .shapes
            .iter()
            .map(|shape| {
                let (x, top) = shape.at;
                let (dx, dy) = shape.speed;
                (x + dx * time, (y - (top + dy * time)) / shape.radius, *shape)
            })
            .filter(|&(_, dy, _)| dy.abs() < 1.0)
            .collect();
        for (column, pixel) in row.iter_mut().enumerate() {
            let x = column as f32;
            let soft = self.sample(x * 0.11 + time * 0.35, y * 0.11 + time * 0.13);
            let fine = self.sample(x * 0.6 + time * 1.3, y * 0.6 + time * 0.5);
            let light = 20.0 + 120.0 * soft + 60.0 * fine;
            let mut color = [light * 1.05, light * (0.75 + 0.3 * soft), light * 0.8 + 30.0];
            for &(center, dy, shape) in &near {
                let dx = (x - center) / shape.radius;
                let inside = 1.0 - (dx * dx + dy * dy);
                if inside > 0.0 {
                    // A soft edge, and a texture that moves with the shape.
                    let cover = (inside * 6.0).min(1.0);
                    let grain = 0.6 + 0.6 * self.sample(dx * 60.0 + 99.0, dy * 60.0 + 77.0);
                    for (own, its) in color.iter_mut().zip(shape.color) {
                        *own += (its * grain + 20.0 * inside - *own) * cover;
                    }
                }
            }
            // Two throws make small noise likelier than large, as a sensor does.
            let throw = random.number();
            let noise = (throw & 7) as f32 - (throw >> 8 & 7) as f32;
            let [red, green, blue] = color.map(|value| (value + noise).clamp(0.0, 255.0) as u32);
            *pixel = red << 16 | green << 8 | blue;
        }
    }

    /// The texture between its points, without end to the right and down.
    fn sample(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (x as usize, y as usize);
        let (right, lower) = (x - left as f32, y - top as f32);
        let (x0, x1) = (left % TEXTURE, (left + 1) % TEXTURE);
        let (y0, y1) = (top % TEXTURE * TEXTURE, (top + 1) % TEXTURE * TEXTURE);
        let mix = |from: f32, to: f32, share: f32| from + (to - from) * share;
        let upper = mix(self.texture[y0 + x0], self.texture[y0 + x1], right);
        mix(upper, mix(self.texture[y1 + x0], self.texture[y1 + x1], right), lower)
    }
}

/// Random points between 0 and 1, each octave half as strong and twice as fine as the one before.
fn texture() -> Vec<f32> {
    let mut sum = vec![0.0; TEXTURE * TEXTURE];
    let mut random = Random(3);
    for (step, weight) in [(32, 0.53), (8, 0.27), (2, 0.2)] {
        let points = TEXTURE / step;
        let grid: Vec<f32> =
            (0..points * points).map(|_| random.below(1000) as f32 / 1000.0).collect();
        let at = |x: usize, y: usize| grid[y % points * points + x % points];
        for (number, value) in sum.iter_mut().enumerate() {
            let (x, y) = (number % TEXTURE, number / TEXTURE);
            let share = |at: usize| {
                let linear = (at % step) as f32 / step as f32;
                linear * linear * (3.0 - 2.0 * linear)
            };
            let (right, lower) = (share(x), share(y));
            let (x, y) = (x / step, y / step);
            let upper = at(x, y) * (1.0 - right) + at(x + 1, y) * right;
            let under = at(x, y + 1) * (1.0 - right) + at(x + 1, y + 1) * right;
            *value += weight * (upper * (1.0 - lower) + under * lower);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_plays_to_and_fro() {
        let played: Vec<u32> = (0..2 * FRAMES).map(frame_of).collect();
        assert_eq!(played[..3], [0, 1, 2]);
        assert!(played.windows(2).all(|pair| pair[0].abs_diff(pair[1]) == 1), "{played:?}");
        assert_eq!(played.iter().max(), Some(&(FRAMES - 1)));
    }

    #[test]
    fn frames_are_alike_but_never_the_same() {
        let footage = Footage::new(Size::new(320, 180));
        let (first, next) = (footage.frame(0), footage.frame(1));
        assert!(footage.frame(0) == first, "it is the same on every run");
        let pairs = || first.pixels().iter().zip(next.pixels());
        let same = pairs().filter(|(before, after)| before == after).count();
        assert!(same < first.size().area() / 20, "{same} pixels rest");
        let green = |pixel: &u32| pixel >> 8 & 0xff;
        let change: u32 = pairs().map(|(before, after)| green(before).abs_diff(green(after))).sum();
        let mean = f64::from(change) / first.size().area() as f64;
        assert!((1.0..12.0).contains(&mean), "the green changes by {mean} a frame");
    }
}
