//! Memory of our own: zeroed, writable, of any length.

use kernels::{Bytes, HugeBytes};

#[test]
fn huge_bytes_are_zeroed_and_writable() {
    for length in [0, 1, 4095, 4096, (1 << 20) - 1, 1 << 20, (5 << 20) + 3] {
        let mut bytes = HugeBytes::new(length);
        assert!(bytes.len() == length && bytes.iter().all(|&byte| byte == 0), "{length} bytes");
        assert_eq!(bytes.as_mut_slice().len(), length);
        for (place, byte) in bytes.as_mut_slice().iter_mut().enumerate() {
            *byte = (place % 251) as u8 + 1;
        }
        let shared = Bytes::from_huge(bytes);
        assert!(shared.len() == length && !shared.is_mapped(), "{length} bytes");
        assert!(shared.iter().enumerate().all(|(place, &byte)| byte == (place % 251) as u8 + 1), "{length} bytes");
        // There is no file that they could be read from again.
        shared.release();
        assert!(shared.last().is_none_or(|&last| last == ((length - 1) % 251) as u8 + 1), "{length} bytes");
        assert!(shared.slice(length, 1).is_none() && shared.slice(length, 0).is_some());
    }
}
