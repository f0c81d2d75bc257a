//! What a picture hashes to, in bands; see [`lattice_wire::Digest`] for the algorithm.

use crate::picture::Picture;
use lattice_wire::picture::BAND_HEIGHT;
use lattice_wire::{Digest, Rect, Size};

const LANES: usize = 8;
const MULTIPLIER: u32 = 0x9E37_79B1;

/// The hashes of a picture; only bands that changed are computed again.
#[derive(Debug)]
pub struct Bands {
    hashes: Vec<u32>,
    stale: Vec<bool>,
}

impl Bands {
    /// Nothing is known yet.
    pub fn new(size: Size) -> Self {
        let count = Digest::bands_of(size);
        Self { hashes: vec![0; count], stale: vec![true; count] }
    }

    /// The pixels of `rect` changed.
    pub fn touch(&mut self, rect: Rect) {
        let first = usize::from(rect.y / BAND_HEIGHT);
        let last = usize::from((rect.bottom() - 1) / BAND_HEIGHT);
        self.stale[first..=last].fill(true);
    }

    /// The hashes of `picture`, which has the size given at the start.
    pub fn compute(&mut self, picture: &Picture) -> &[u32] {
        let band = usize::from(BAND_HEIGHT) * usize::from(picture.size().width).max(1);
        let bands = picture.pixels().chunks(band);
        for ((hash, stale), pixels) in self.hashes.iter_mut().zip(&mut self.stale).zip(bands) {
            if std::mem::take(stale) {
                *hash = band_hash(pixels);
            }
        }
        &self.hashes
    }
}

/// The hash of one band's pixels, `0x00RRGGBB` each.
pub fn band_hash(pixels: &[u32]) -> u32 {
    let mut lanes: [u32; LANES] = std::array::from_fn(|lane| lane as u32);
    let mut chunks = pixels.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &pixel) in lanes.iter_mut().zip(chunk) {
            *lane = (*lane ^ red_lowest(pixel)).wrapping_mul(MULTIPLIER);
        }
    }
    for (lane, &pixel) in lanes.iter_mut().zip(chunks.remainder()) {
        *lane = (*lane ^ red_lowest(pixel)).wrapping_mul(MULTIPLIER);
    }
    lanes.iter().fold(0, |hash: u32, lane| {
        let mixed = (hash ^ lane).wrapping_mul(MULTIPLIER);
        mixed ^ (mixed >> 15)
    })
}

/// `0x00RRGGBB` as the `0x00BBGGRR` that a browser reads from its canvas.
const fn red_lowest(pixel: u32) -> u32 {
    (pixel >> 16) & 0xff | pixel & 0xff00 | (pixel & 0xff) << 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let mut picture = Picture::new(Size::new(13, 150));
        picture
            .pixels_mut()
            .iter_mut()
            .zip(0u32..)
            .for_each(|(pixel, i)| *pixel = (i * 977) & 0xff_ffff);
        picture
    }

    #[test]
    fn every_single_wrong_pixel_changes_its_band() {
        let clean = picture();
        let expected = Bands::new(clean.size()).compute(&clean).to_vec();
        for at in (0..clean.pixels().len()).step_by(37) {
            let mut wrong = clean.clone();
            wrong.pixels_mut()[at] ^= 0x01_0000;
            let found = Bands::new(clean.size()).compute(&wrong).to_vec();
            let differing: Vec<_> = (0..3).filter(|&band| expected[band] != found[band]).collect();
            assert_eq!(differing, [at / (64 * 13)]);
        }
    }

    #[test]
    fn touched_bands_are_computed_again_and_others_are_not() {
        let mut picture = picture();
        let mut bands = Bands::new(picture.size());
        let before = bands.compute(&picture).to_vec();
        picture.fill(Rect::new(0, 0, 13, 150), 7);
        bands.touch(Rect::new(3, 63, 1, 2));
        let after = bands.compute(&picture).to_vec();
        assert_ne!(before[0], after[0]);
        assert_ne!(before[1], after[1]);
        assert_eq!(before[2], after[2]);
    }
}
