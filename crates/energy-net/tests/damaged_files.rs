//! Damaged files of `torch.save`: an error each, no panic and little memory. Alone in its program, because it measures
//! what the program allocates.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use ebm_energy_net::{NamedParameter, NetError, read_tensors};

/// Bytes in use, and the most that were.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does the work; the numbers beside it touch no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Reader {
    folder: tempfile::TempDir,
}

impl Reader {
    /// Reads a file of these bytes; it must take no more memory than 100 times its size and a little for each message.
    fn read(&self, bytes: &[u8]) -> Result<Vec<NamedParameter>, NetError> {
        self.read_within(100 * bytes.len() + 4096, bytes)
    }

    /// Reads a file of these bytes; it must take less memory than `limit`.
    fn read_within(&self, limit: usize, bytes: &[u8]) -> Result<Vec<NamedParameter>, NetError> {
        let path = self.folder.path().join("weights");
        std::fs::write(&path, bytes).unwrap();
        let before = NOW.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let result = read_tensors(&path);
        let taken = MOST.load(Ordering::Relaxed) - before;
        assert!(
            taken < limit,
            "{} bytes of file, {taken} of memory",
            bytes.len()
        );
        result
    }
}

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pytorch");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn damaged_files_are_errors() {
    let reader = Reader {
        folder: tempfile::tempdir().unwrap(),
    };
    truncated(&reader);
    flipped(&reader);
    crafted(&reader);
}

fn truncated(reader: &Reader) {
    for (name, bytes) in files() {
        let stride = 97.max(bytes.len() / 30);
        for length in (0..bytes.len()).step_by(stride).chain([bytes.len() - 1]) {
            let message = match reader.read(&bytes[..length]) {
                Ok(_) => panic!("{name}: {length} of {} bytes are read", bytes.len()),
                Err(error) => error.to_string(),
            };
            // A file that is refused for what it holds may be refused before its end.
            let is_foreign = ["command", "module", "integers", "no-weights", "two-nets"]
                .iter()
                .any(|prefix| name.starts_with(prefix));
            assert!(is_foreign || message.contains("truncated"), "{message}");
        }
    }
}

/// Some bytes with one bit flipped, for the memory; that no flipped bit is taken for a sound file is tested in
/// memory, beside the reader.
fn flipped(reader: &Reader) {
    for (_, bytes) in files() {
        for position in (0..bytes.len()).step_by(bytes.len() / 30) {
            let mut harmed = bytes.clone();
            harmed[position] ^= 1 << (position % 7);
            let _ = reader.read(&harmed);
        }
    }
}

/// Small files that name large things.
fn crafted(reader: &Reader) {
    // Magic number, version and description of the machine, as every file has them.
    let (_, toy) = files()
        .into_iter()
        .find(|file| file.0 == "toy.pth")
        .unwrap();
    let end = |count: usize| {
        let stops = toy.windows(2).enumerate();
        let mut ends = stops
            .filter(|(_, pair)| pair == b".\x80")
            .map(|(at, _)| at + 1);
        ends.nth(count - 1).unwrap()
    };
    let head = &toy[..end(3)];
    let file = |objects: &[u8], rest: &[u8]| [head, b"\x80\x02", objects, b".", rest].concat();
    let refused = |what: &str, bytes: &[u8], part: &str| {
        let message = reader.read(bytes).unwrap_err().to_string();
        assert!(message.contains(part), "{what}: {message}");
    };

    let storage = |count: &[u8]| {
        let items: [&[u8]; 6] = [
            b"(X\x07\0\0\0storage",
            b"ctorch\nFloatStorage\n",
            b"X\x01\0\0\x000",
            b"X\x03\0\0\0cpu",
            count,
            b"Nt",
        ];
        [&items.concat()[..], b"Q"].concat()
    };
    let tensor = |count: &[u8], offset: &[u8], shape: &[u8], strides: &[u8]| {
        let call = b"ctorch._utils\n_rebuild_tensor_v2\n(";
        let rest = b"\x89}tR";
        [call, &storage(count)[..], offset, shape, strides, rest].concat()
    };
    let state_dict = |tensor: &[u8]| [b"}X\x01\0\0\0w", tensor, b"s"].concat();
    let four = b"\x80\x02]X\x01\0\0\x000a.\x04\0\0\0\0\0\0\0................";
    let sound = tensor(b"K\x04", b"K\0", b"K\x02K\x02\x86", b"K\x02K\x01\x86");
    let read = reader.read(&file(&state_dict(&sound), four)).unwrap();
    assert_eq!(read[0].shape, [2, 2]);

    let twice = [&state_dict(&sound)[..], &state_dict(&sound)[1..]].concat();
    refused("a name twice", &file(&twice, four), "`w` twice");

    let most = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let billion = b"J\0\0\0\x40";
    for (what, tensor, part) in [
        (
            "a shape beyond the numbers",
            tensor(b"K\x04", b"K\0", b"K\x02K\x03\x86", b"K\x02K\x01\x86"),
            "reaches beyond",
        ),
        (
            "an offset beyond the numbers",
            tensor(b"K\x04", b"K\x01", b"K\x02K\x02\x86", b"K\x02K\x01\x86"),
            "reaches beyond",
        ),
        (
            "a stride that overflows",
            tensor(
                b"K\x04",
                b"K\x01",
                b"K\x02K\x05\x86",
                &[&most[..], most, b"\x86"].concat(),
            ),
            "reaches beyond",
        ),
        (
            "a number that is repeated a billion times",
            tensor(
                b"K\x04",
                b"K\0",
                &[&billion[..], b"\x85"].concat(),
                b"K\0\x85",
            ),
            "repeats",
        ),
        (
            "a side below zero",
            tensor(b"K\x04", b"K\0", b"J\xff\xff\xff\xff\x85", b"K\x01\x85"),
            "a tensor of unknown form",
        ),
        (
            "more sides than strides",
            tensor(b"K\x04", b"K\0", b"K\x02K\x02\x86", b"K\x01\x85"),
            "a tensor of unknown form",
        ),
        (
            "nine sides",
            tensor(
                b"K\x04",
                b"K\0",
                &[&b"("[..], &b"K\x01".repeat(9), b"t"].concat(),
                &[&b"("[..], &b"K\x01".repeat(9), b"t"].concat(),
            ),
            "a tensor of unknown form",
        ),
        (
            "another count than the storage has",
            tensor(b"K\x05", b"K\0", b"K\x04\x85", b"K\x01\x85"),
            "does not have the 5 numbers",
        ),
        (
            "a storage larger than all memory",
            tensor(most, b"K\0", b"K\x04\x85", b"K\x01\x85"),
            "does not have",
        ),
    ] {
        refused(what, &file(&state_dict(&tensor), four), part);
    }

    // One tensor of 4,096 numbers under a thousand names.
    let mut shared = b"}".to_vec();
    for number in 0..1000 {
        let name = format!("{number:04}");
        shared.extend(b"X\x04\0\0\0");
        shared.extend(name.as_bytes());
        if number == 0 {
            shared.extend(tensor(b"M\x00\x10", b"K\0", b"M\x00\x10\x85", b"K\x01\x85"));
            shared.extend(b"q\x05");
        } else {
            shared.extend(b"h\x05");
        }
        shared.push(b's');
    }
    let mut numbers = b"\x80\x02]X\x01\0\0\x000a.".to_vec();
    numbers.extend(4096u64.to_le_bytes());
    numbers.extend([0; 4 * 4096]);
    refused("shared numbers", &file(&shared, &numbers), "too often");

    // Fifty thousand dictionaries, each made of one list of a thousand entries: 50 million entries in half a megabyte.
    let mut copies = b"](".to_vec();
    copies.extend(b"K\x01K\x01\x86".repeat(1000));
    copies.extend(b"e\x85q\0ccollections\nOrderedDict\nq\x01");
    copies.extend(b"h\x01h\0R".repeat(50_000));
    let error = reader.read_within(100 << 20, &file(&copies, four));
    let message = error.unwrap_err().to_string();
    assert!(message.contains("more than 1048576 objects"), "{message}");

    for (what, objects, part) in [
        (
            "a list that holds itself",
            &b"]q\0h\0a"[..],
            "no dictionary",
        ),
        (
            "a dictionary that holds itself",
            b"}q\0X\x01\0\0\0ah\0s",
            "(`a`)",
        ),
        ("nothing", b"", "fewer objects"),
        (
            "a text of four billion bytes",
            b"X\xff\xff\xff\xff",
            "ends too early",
        ),
        ("an open mark", b"(K\x01", "no dictionary"),
        ("a pop below a mark", b"K\x01(\x85", "fewer objects"),
        ("a close without a mark", b"t", "no start"),
        ("an object before it is made", b"h\x07", "object 7 before"),
        ("a call of a number", b"K\x01)R", "no function"),
        ("a text that is not text", b"X\x01\0\0\0\xff", "not UTF-8"),
        (
            "an integer too wide",
            &[&b"\x8a\x11"[..], &[1; 17]].concat(),
            "128 bits",
        ),
        (
            "an odd number of entries",
            b"}(K\x01u",
            "entries for something",
        ),
        (
            "an instruction for classes",
            b"c__main__\nNet\n)\x81",
            "`__main__.Net`",
        ),
        ("an unknown instruction", b"\xff", "instruction 0xff"),
        ("an empty dictionary", b"}", "an empty dictionary"),
    ] {
        refused(what, &file(objects, b"\x80\x02]."), part);
    }
}
