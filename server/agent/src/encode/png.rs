//! PNG files (ISO/IEC 15948): palette images by a writer of our own around libdeflate, which is
//! several times faster than a general one because it neither filters nor copies; the rest by the
//! `png` crate at its fastest.

use super::rgb as rgb_of;
use lattice_wire::Size;
use libdeflater::{CompressionLvl, Compressor};
use png::{BitDepth, ColorType, Compression};

const SIGNATURE: [u8; 8] = [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n'];
/// PNG's number for images whose pixels are indices.
const INDEXED: u8 = 3;

/// Writes palette images. Keeps its memory from one to the next.
pub(super) struct PalettePng {
    compressor: Compressor,
    rows: Vec<u8>,
    deflated: Vec<u8>,
    file: Vec<u8>,
}

impl std::fmt::Debug for PalettePng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PalettePng").finish_non_exhaustive()
    }
}

impl Default for PalettePng {
    fn default() -> Self {
        // Level 1: on text, higher ones cost three times the time for a tenth of the bytes.
        let level = CompressionLvl::new(1).expect("libdeflate has a level 1");
        let compressor = Compressor::new(level);
        Self { compressor, rows: Vec::new(), deflated: Vec::new(), file: Vec::new() }
    }
}

impl PalettePng {
    /// The file of an image with one index a pixel; 2 to 256 colours, `0x00RRGGBB` each.
    pub(super) fn encode(&mut self, size: Size, colors: &[u32], indices: &[u8]) -> &[u8] {
        let bits = bits_for(colors.len());
        self.rows.clear();
        for row in indices.chunks(usize::from(size.width)) {
            // Filter 0: neighbouring indices are unrelated, so differences do not help.
            self.rows.push(0);
            pack(row, bits, &mut self.rows);
        }
        // Never shorter, or it would be filled with zeros time and again.
        let room = self.compressor.zlib_compress_bound(self.rows.len()).max(self.deflated.len());
        self.deflated.resize(room, 0);
        let len = self
            .compressor
            .zlib_compress(&self.rows, &mut self.deflated)
            .expect("the buffer has the size that libdeflate states");
        let mut palette = [0; 256 * 3];
        let (entries, _) = palette.as_chunks_mut::<3>();
        entries.iter_mut().zip(colors).for_each(|(entry, &color)| *entry = rgb_of(color));
        let file = &mut self.file;
        file.clear();
        file.extend(SIGNATURE);
        chunk(file, b"IHDR", &header(size, bits as u8));
        chunk(file, b"PLTE", &palette[..colors.len() * 3]);
        chunk(file, b"IDAT", &self.deflated[..len]);
        chunk(file, b"IEND", &[]);
        file
    }
}

/// The bits of an index into so many colours: 1, 2, 4 or 8.
fn bits_for(colors: usize) -> usize {
    match colors {
        0..=2 => 1,
        3..=4 => 2,
        5..=16 => 4,
        _ => 8,
    }
}

/// Appends indices of `bits` bits each, from the highest bit of each byte down; the last byte is
/// filled up with zeros.
fn pack(indices: &[u8], bits: usize, out: &mut Vec<u8>) {
    match bits {
        1 => pack_by::<8>(indices, out),
        2 => pack_by::<4>(indices, out),
        4 => pack_by::<2>(indices, out),
        _ => out.extend_from_slice(indices),
    }
}

/// The same with so many indices a byte, known when compiled: a third of the time.
fn pack_by<const N: usize>(indices: &[u8], out: &mut Vec<u8>) {
    let byte = |chunk: &[u8; N]| chunk.iter().fold(0, |byte, index| byte << (8 / N) | index);
    let (chunks, rest) = indices.as_chunks::<N>();
    out.extend(chunks.iter().map(byte));
    if !rest.is_empty() {
        let mut last = [0; N];
        last[..rest.len()].copy_from_slice(rest);
        out.push(byte(&last));
    }
}

fn header(size: Size, bits: u8) -> [u8; 13] {
    let mut header = [0; 13];
    header[..4].copy_from_slice(&u32::from(size.width).to_be_bytes());
    header[4..8].copy_from_slice(&u32::from(size.height).to_be_bytes());
    header[8..10].copy_from_slice(&[bits, INDEXED]);
    header
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend(name);
    file.extend(data);
    let checksum = libdeflater::crc32(&file[start..]);
    file.extend(checksum.to_be_bytes());
}

/// Appends the file of an image with three bytes a pixel.
pub(super) fn rgb(size: Size, bytes: &[u8], out: &mut Vec<u8>) {
    write(size, ColorType::Rgb, bytes, Compression::Fastest, out);
}

/// The same, smaller and slower.
pub(super) fn small_rgb(size: Size, bytes: &[u8], out: &mut Vec<u8>) {
    write(size, ColorType::Rgb, bytes, Compression::Balanced, out);
}

/// The same with four bytes a pixel, alpha last and not premultiplied.
pub(super) fn rgba(size: Size, bytes: &[u8], out: &mut Vec<u8>) {
    write(size, ColorType::Rgba, bytes, Compression::Fastest, out);
}

fn write(size: Size, color: ColorType, bytes: &[u8], effort: Compression, out: &mut Vec<u8>) {
    let mut encoder = png::Encoder::new(out, size.width.into(), size.height.into());
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(effort);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(bytes));
    written.expect("a vector takes every byte, and the caller's bytes fit the size");
}
