//! Where producers put a key when nobody tells them: the default partitioners of the Java client and of librdkafka.

/// The partitions of a topic of `count` in which a record with this key is looked for first, each once.
pub fn candidates(key: &[u8], count: i32) -> Vec<i32> {
    if count <= 0 {
        return Vec::new();
    }
    let (java, librdkafka) = (java(key, count), librdkafka(key, count));
    if java == librdkafka { vec![java] } else { vec![java, librdkafka] }
}

/// Where the Java client's `DefaultPartitioner` puts a key, and librdkafka's `murmur2_random`, in a topic of `count`
/// partitions.
pub fn java(key: &[u8], count: i32) -> i32 {
    place(murmur2(key) & 0x7fff_ffff, count)
}

/// Where librdkafka's `consistent_random`, its default, puts a key in a topic of `count` partitions.
pub fn librdkafka(key: &[u8], count: i32) -> i32 {
    place(crc32fast::hash(key), count)
}

fn place(hash: u32, count: i32) -> i32 {
    let count = u32::try_from(count).unwrap_or_default().max(1);
    i32::try_from(hash % count).unwrap_or_default()
}

fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mix = |k: u32| {
        let k = k.wrapping_mul(M);
        (k ^ (k >> 24)).wrapping_mul(M)
    };
    // Kafka's keys are at most 2 GiB long.
    let mut hash = 0x9747_b28c ^ u32::try_from(bytes.len()).unwrap_or_default();
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_mul(M) ^ mix(u32::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_of_the_clients() {
        // The values that the Java client's own tests expect.
        let check = |key: &str, expect: i32| assert_eq!(murmur2(key.as_bytes()).cast_signed(), expect, "{key}");
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        let bit_by_bit = |bytes: &[u8]| {
            let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
        };
        for length in 0..20_u8 {
            let key: Vec<u8> = (0..length).map(|n| 200_u8.wrapping_add(n.wrapping_mul(37))).collect();
            assert_eq!(crc32fast::hash(&key), bit_by_bit(&key), "{length} bytes");
        }
        assert_eq!(candidates(b"A1", 1), [0]);
        assert_eq!(candidates(b"A1", 0), Vec::<i32>::new());
    }
}
