//! A frame while it is made: its table, and its payloads one after the other. Encoders write straight
//! into it, and it keeps its memory, so that one draft for all frames asks for none.

use crate::geometry::{Rect, Size};
use crate::picture::{Copy, FrameHead, Step, StepKind, write_video_head};

/// The payloads of a whole screen are rare, and their memory is not held; in bytes.
const KEPT: usize = 256 << 10;

/// What a frame is to do, before it has a number.
#[derive(Debug, Default)]
pub struct Draft {
    steps: Vec<Step>,
    payloads: Vec<u8>,
}

impl Draft {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins the next frame.
    pub fn clear(&mut self) {
        self.steps.clear();
        self.payloads.clear();
        self.payloads.shrink_to(KEPT);
    }

    /// What it does so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Fills a rectangle with one colour, `0x00RRGGBB`.
    pub fn fill(&mut self, rect: Rect, color: u32) {
        self.steps.push(Step { rect, kind: StepKind::Fill(color) });
    }

    /// Moves pixels.
    pub fn copy(&mut self, copy: Copy) {
        self.steps.push(Step { rect: copy.to, kind: StepKind::Copy(copy.from) });
    }

    /// Paints a rectangle with the PNG file that `write` appends to what is there.
    pub fn png(&mut self, rect: Rect, write: impl FnOnce(&mut Vec<u8>)) {
        self.paint(rect, StepKind::Png, write);
    }

    /// The same with the payload of an [`OpKind::Palette`](crate::OpKind::Palette).
    pub fn palette(&mut self, rect: Rect, write: impl FnOnce(&mut Vec<u8>)) {
        self.paint(rect, StepKind::Palette, write);
    }

    fn paint(&mut self, rect: Rect, kind: fn(usize) -> StepKind, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.payloads.len();
        write(&mut self.payloads);
        self.steps.push(Step { rect, kind: kind(self.payloads.len() - start) });
    }

    /// Shows the next unit of a video stream in its place; see [`Video`](crate::Video) for what the rest
    /// means. `write` appends the unit to what is there, and answers whether it is a keyframe.
    ///
    /// # Errors
    /// Those of `write`, which leave the draft as it was.
    pub fn video<E>(
        &mut self,
        place: Rect,
        stream: u8,
        coded: Size,
        damage: &[Rect],
        write: impl FnOnce(&mut Vec<u8>) -> Result<bool, E>,
    ) -> Result<Drawn, E> {
        let start = self.payloads.len();
        write_video_head(&mut self.payloads, stream, coded, damage);
        let unit = self.payloads.len();
        let written = write(&mut self.payloads).inspect_err(|_| self.payloads.truncate(start));
        let keyframe = written?;
        if keyframe {
            self.payloads[start] |= crate::picture::VIDEO_KEYFRAME;
        }
        let kind = StepKind::Video(self.payloads.len() - start);
        self.steps.push(Step { rect: place, kind });
        Ok(Drawn { keyframe, bytes: self.payloads.len() - unit })
    }

    /// The packet, in `memory`, whose former content is forgotten.
    pub fn packet(&self, head: &FrameHead, memory: Vec<u8>) -> Vec<u8> {
        let table = head.write(self.steps.iter(), self.payloads.len(), memory);
        table.bytes(&self.payloads).finish()
    }
}

/// What became of a unit of video.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawn {
    /// It can be decoded without those before it.
    pub keyframe: bool,
    /// The length of its access unit.
    pub bytes: usize,
}
