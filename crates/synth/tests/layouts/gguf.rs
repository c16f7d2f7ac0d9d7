//! A reader of GGUF files, just enough to look at what was written: keys as text, tensors as numbers.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

const E2M1_DOUBLED: [f32; 16] = [0., 1., 2., 3., 4., 6., 8., 12., -0., -1., -2., -3., -4., -6., -8., -12.];

pub(crate) struct Gguf {
    pub(crate) keys: HashMap<String, String>,
    pub(crate) tensors: HashMap<String, Decoded>,
}

/// A tensor: ggml's type number, row-major shape, numbers.
pub(crate) struct Decoded {
    pub(crate) kind: u32,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.at += N;
        self.bytes[self.at - N..self.at].try_into().unwrap()
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn size(&mut self) -> usize {
        u64::from_le_bytes(self.take()) as usize
    }

    fn text(&mut self) -> String {
        let length = self.size();
        self.at += length;
        String::from_utf8(self.bytes[self.at - length..self.at].to_vec()).unwrap()
    }

    fn value(&mut self, kind: u32) -> String {
        match kind {
            2 => u16::from_le_bytes(self.take()).to_string(),
            4 => self.u32().to_string(),
            5 => i32::from_le_bytes(self.take()).to_string(),
            6 => f32::from_le_bytes(self.take()).to_string(),
            7 => (self.take() == [1u8]).to_string(),
            8 => self.text(),
            9 => {
                let (kind, count) = (self.u32(), self.size());
                (0..count).map(|_| self.value(kind)).collect::<Vec<_>>().join("|")
            }
            other => panic!("type {other}"),
        }
    }
}

pub(crate) fn read(path: &Path) -> Gguf {
    let bytes = fs::read(path).unwrap();
    let mut cursor = Cursor { bytes: &bytes, at: 0 };
    assert_eq!(&cursor.take::<4>(), b"GGUF");
    assert_eq!(cursor.u32(), 3);
    let (tensor_count, key_count) = (cursor.size(), cursor.size());
    let mut keys = HashMap::new();
    for _ in 0..key_count {
        let (key, kind) = (cursor.text(), cursor.u32());
        let value = cursor.value(kind);
        assert!(keys.insert(key, value).is_none(), "a key twice");
    }
    let mut entries = Vec::new();
    for _ in 0..tensor_count {
        let (name, dimensions) = (cursor.text(), cursor.u32());
        let mut shape: Vec<usize> = (0..dimensions).map(|_| cursor.size()).collect();
        shape.reverse();
        entries.push((name, shape, cursor.u32(), cursor.size()));
    }
    let start = cursor.at.next_multiple_of(32);
    let tensors = entries.into_iter().map(|(name, shape, kind, offset)| {
        assert!(offset.is_multiple_of(32), "{name}");
        let values = decode(kind, &bytes[start + offset..], shape.iter().product());
        (name, Decoded { kind, shape, values })
    });
    Gguf { keys, tensors: tensors.collect() }
}

fn decode(kind: u32, bytes: &[u8], count: usize) -> Vec<f32> {
    match kind {
        0 => bytes.as_chunks().0[..count].iter().map(|&four| f32::from_le_bytes(four)).collect(),
        1 => bytes.as_chunks().0[..count].iter().map(|&two| half(u16::from_le_bytes(two))).collect(),
        30 => crate::safetensors::bf16_values(&bytes[..2 * count]),
        8 => {
            let blocks = &bytes.as_chunks::<34>().0[..count / 32];
            let decode = |block: &[u8; 34]| {
                let scale = half(u16::from_le_bytes([block[0], block[1]]));
                block[2..].iter().map(|&byte| f32::from(byte.cast_signed()) * scale).collect::<Vec<f32>>()
            };
            blocks.iter().flat_map(decode).collect()
        }
        39 => {
            let blocks = &bytes.as_chunks::<17>().0[..count / 32];
            let decode = |block: &[u8; 17]| {
                let scale = 2f32.powi(i32::from(block[0]) - 127) * 0.5;
                let low = block[1..].iter().map(|byte| byte & 15);
                let high = block[1..].iter().map(|byte| byte >> 4);
                low.chain(high).map(|code| E2M1_DOUBLED[usize::from(code)] * scale).collect::<Vec<f32>>()
            };
            blocks.iter().flat_map(decode).collect()
        }
        other => panic!("ggml type {other}"),
    }
}

/// IEEE half precision, by its definition.
fn half(bits: u16) -> f32 {
    let fraction = f32::from(bits & 0x3FF) / 1024.0;
    let magnitude = match (bits >> 10) & 31 {
        0 => fraction * 2f32.powi(-14),
        exponent => (1.0 + fraction) * 2f32.powi(i32::from(exponent) - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}
