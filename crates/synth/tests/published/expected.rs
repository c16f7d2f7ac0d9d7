//! Names, sizes and FNV-1a hashes of the reference generator's files (seed 20), as Python computed them.

/// File name, bytes, 64-bit FNV-1a hash.
pub(crate) type File = (&'static str, usize, u64);

pub(crate) const TINY: [File; 9] = [
    ("config.json", 1_318, 0xBB7E_F880_2101_1E23),
    ("generation_config.json", 153, 0x3704_4887_F5F8_F5D1),
    ("model-00000-of-00002.safetensors", 666_720, 0x5F09_E925_C94F_435A),
    ("model-00001-of-00002.safetensors", 666_720, 0x691F_8611_5E93_2BF7),
    ("model-00002-of-00002.safetensors", 197_088, 0x4B62_19CD_BAC2_8A63),
    ("model.safetensors.index.json", 6_206, 0x465B_8516_C7DD_1197),
    ("special_tokens_map.json", 98, 0xD592_3FC5_96C8_BBAA),
    ("tokenizer.json", 25_482, 0x5EB9_4E05_0176_372C),
    ("tokenizer_config.json", 4_137, 0xC79B_F518_2A67_A920),
];

pub(crate) const TINY_ORIGINAL: [File; 3] = [
    ("config.json", 364, 0x7F7D_6034_0A6E_1180),
    ("dtypes.json", 2_212, 0xF6AB_C1AB_AC13_BFB5),
    ("model.safetensors", 1_527_960, 0xDC8B_5C9B_E858_DD98),
];

pub(crate) const TINY_MOE128: [File; 6] = [
    ("config.json", 1_273, 0xC826_33C3_E3DB_EB55),
    ("generation_config.json", 153, 0x3704_4887_F5F8_F5D1),
    ("model-00000-of-00002.safetensors", 635_000, 0x10ED_AEE3_29E9_DE91),
    ("model-00001-of-00002.safetensors", 635_000, 0x78DB_8B23_A80D_1EC7),
    ("model-00002-of-00002.safetensors", 131_488, 0xC3CF_9820_7244_FE81),
    ("model.safetensors.index.json", 3_218, 0x2591_6D3B_13CE_A575),
];

pub(crate) const TINY_MOE128_ORIGINAL: [File; 3] = [
    ("config.json", 366, 0x3857_FFD6_9BAD_A719),
    ("dtypes.json", 1_146, 0xD410_B735_7635_5500),
    ("model.safetensors", 1_400_168, 0x00D0_15BD_C6DC_BA61),
];

pub(crate) const TINY_REALVOCAB: [File; 9] = [
    ("config.json", 1_280, 0x883B_DE9D_56C3_D41C),
    ("generation_config.json", 165, 0x251A_63DD_8FE2_6124),
    ("model-00000-of-00002.safetensors", 333_368, 0xD160_ECFE_B285_297F),
    ("model-00001-of-00002.safetensors", 333_368, 0xFD45_0FF0_C197_61B0),
    ("model-00002-of-00002.safetensors", 77_218_296, 0xF3D0_9A70_4069_FBC3),
    ("model.safetensors.index.json", 3_219, 0xAF6E_135F_6FE9_3CD8),
    ("special_tokens_map.json", 98, 0xD592_3FC5_96C8_BBAA),
    ("tokenizer.json", 27_868_174, 0xD71B_A5E2_760C_1F71),
    ("tokenizer_config.json", 4_200, 0x247A_0C31_BC3C_8EE5),
];
