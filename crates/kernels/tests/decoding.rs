//! Decoders against values computed by llama.cpp's own Python package (see the first line of the golden file).

use kernels::{DenseFormat, Mxfp4Layout, decode};

#[test]
fn every_format_decodes_as_gguf_does() {
    let golden = include_str!("golden/quants.txt");
    let mut seen = 0;
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let [name, bytes, values] = line.split(" | ").collect::<Vec<_>>().try_into().expect("three fields");
        let bytes: Vec<u8> =
            (0..bytes.len() / 2).map(|i| u8::from_str_radix(&bytes[2 * i..2 * i + 2], 16).unwrap()).collect();
        let expected: Vec<f32> =
            values.split(' ').map(|bits| f32::from_bits(u32::from_str_radix(bits, 16).unwrap())).collect();
        let mut found = vec![0.0; expected.len()];
        if name == "MXFP4" {
            for (block, out) in bytes.chunks_exact(17).zip(found.chunks_exact_mut(32)) {
                decode::decode_mxfp4_block(Mxfp4Layout::Joined, &block[1..], block[0], out.try_into().unwrap());
            }
        } else {
            let format = DenseFormat::ALL.into_iter().find(|format| format.name() == name).expect("a known format");
            decode::decode_dense(format, &bytes, 0, &mut found);
        }
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let tolerance = 1e-6 * expected.abs().max(1e-3);
            assert!((found - expected).abs() <= tolerance, "{name}[{i}]: {found} instead of {expected}");
        }
        seen += 1;
    }
    assert_eq!(seen, 13);
}

#[test]
fn parts_of_a_row_equal_the_whole() {
    for format in DenseFormat::ALL {
        let (values, bytes) = (format.block_values(), format.block_bytes());
        let row: Vec<u8> = (0..4 * bytes).map(|i| (i * 37 % 60) as u8).collect();
        let mut whole = vec![0.0; 4 * values];
        decode::decode_dense(format, &row, 0, &mut whole);
        let mut part = vec![0.0; 2 * values];
        decode::decode_dense(format, &row, values, &mut part);
        assert_eq!(part, whole[values..3 * values], "{}", format.name());
    }
}
