//! A host with an allocator of its own, which ends the process when it is given a block that it did not make; with
//! plugins that use the system's, and one with a third. A program of its own, since a program has one allocator.

#![allow(clippy::unwrap_used)] // the lint's exception covers #[test] functions only, not what they share

#[path = "suite/plugin_builds.rs"]
mod plugin_builds;

use plugin_builds::{Build, OTHER_ALLOCATOR, build, plain, run};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;

/// Blocks begin with a mark, at a distance that keeps them aligned.
struct Marked;

const MARK: u64 = 0x5a4e_4150_484f_4f4b;

fn whole(layout: Layout) -> Option<(Layout, usize)> {
    let front = layout.align().max(16);
    Some((Layout::from_size_align(layout.size().checked_add(front)?, front).ok()?, front))
}

// SAFETY: every block comes from the system's allocator with the layout that it goes back with, and is aligned, since the
// distance is a multiple of the alignment.
unsafe impl GlobalAlloc for Marked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((whole, front)) = whole(layout) else { return std::ptr::null_mut() };
        // SAFETY: the block has room for the mark before what is handed out.
        unsafe {
            let block = System.alloc(whole);
            if block.is_null() {
                return block;
            }
            block.cast::<u64>().write(MARK);
            block.add(front)
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((whole, front)) = whole(layout) else { std::process::abort() };
        // SAFETY: a block of ours has the mark before it; of another one, at least some byte lies there.
        unsafe {
            let block = block.sub(front);
            if block.cast::<u64>().read() != MARK {
                // Nothing may be allocated here.
                std::process::abort();
            }
            block.cast::<u64>().write(0);
            System.dealloc(block, whole);
        }
    }
}

#[global_allocator]
static GLOBAL: Marked = Marked;

#[test]
fn each_side_frees_what_it_allocated() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/plugin-api-1.0.so");
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(golden, folder.path().join("libgolden.so")).unwrap();
        run(folder.path()).unwrap();
    }
    run(&build(&Build { more: OTHER_ALLOCATOR, ..plain() })).unwrap();
}
