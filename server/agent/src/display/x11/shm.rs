//! Memory that the X server writes pixels into: the one place of the agent with unsafe code.
//!
//! The memory is a memfd of ours, handed over by file descriptor, so it works across containers
//! where System V segments do not. It is sealed against shrinking, so that a hostile server cannot
//! truncate it under us, which would kill the agent by SIGBUS.
//!
//! INVARIANT: `start..start + len` is mapped, readable and backed by the file for as long as a
//! `Segment` lives. The X server may write to it at any time, so no reference into it is ever made.

#![allow(unsafe_code)]

use crate::display::DisplayError;
use lattice_engine::picture::RGB;
use lattice_wire::Size;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::ptr::NonNull;
use x11rb::connection::Connection;
use x11rb::protocol::shm::{self, Seg};
use x11rb::rust_connection::RustConnection;

/// Shared memory for one picture of a screen.
#[derive(Debug)]
pub struct Segment {
    start: NonNull<u8>,
    len: usize,
    seg: Seg,
    size: Size,
}

// SAFETY: the mapping belongs to the process, not to a thread, and nothing else points into it.
unsafe impl Send for Segment {}

impl Segment {
    /// Maps memory for a screen of this size and attaches it to the X server.
    pub(super) fn attach(connection: &RustConnection, size: Size) -> Result<Self, DisplayError> {
        let len = size.area() * 4;
        let system = |error: rustix::io::Errno| {
            DisplayError::Unusable(format!("cannot share {len} bytes of memory: {error}"))
        };
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = memfd_create("lattice-screen", flags).map_err(system)?;
        ftruncate(&file, len as u64).map_err(system)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)
            .map_err(system)?;
        // First touches cost 3 to 9 ms a screen: they are paid here and not by the first frame.
        let flags = MapFlags::SHARED | MapFlags::POPULATE;
        // SAFETY: a new mapping at an address that the kernel chooses touches no memory in use; the
        // file is `len` bytes long and sealed against shrinking. Safe code has no mapping.
        let mapped = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, flags, &file, 0) };
        let mapped = mapped.map_err(system)?.cast();
        let start = NonNull::new(mapped).ok_or_else(|| system(rustix::io::Errno::NOMEM))?;
        let mut segment = Self { start, len, seg: 0, size };
        segment.seg = connection.generate_id()?;
        shm::attach_fd(connection, segment.seg, file, false)?.check()?;
        Ok(segment)
    }

    /// Its name for the X server.
    pub(super) fn seg(&self) -> Seg {
        self.seg
    }

    /// The size of the screen it was made for.
    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Copies a row of pixels out, the first of which is number `start`.
    ///
    /// # Panics
    /// Where they do not lie within the memory.
    pub(in crate::display) fn copy_out(&self, start: usize, row: &mut [u32]) {
        let bytes = size_of_val(row);
        let fits = start.checked_mul(4).and_then(|offset| offset.checked_add(bytes));
        assert!(fits.is_some_and(|end| end <= self.len), "the row lies within the memory");
        // SAFETY: the source lies within the mapping by the assertion above and stays mapped while
        // `self` is borrowed; the target is a distinct slice of `bytes` bytes. The X server may
        // write meanwhile, so the bytes are copied as raw memory without making a reference to them:
        // any values are valid pixels. Safe code cannot read memory that another process writes.
        unsafe {
            let from = self.start.as_ptr().add(start * 4);
            std::ptr::copy_nonoverlapping(from, row.as_mut_ptr().cast(), bytes);
        }
        row.iter_mut().for_each(|pixel| *pixel &= RGB);
    }

    /// Takes the memory back from the X server.
    pub(super) fn detach(self, connection: &RustConnection) -> Result<(), DisplayError> {
        shm::detach(connection, self.seg)?;
        Ok(())
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping made in `attach`, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        if let Err(error) = unmapped {
            tracing::warn!(%error, "shared memory could not be unmapped");
        }
    }
}
