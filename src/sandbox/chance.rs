//! Chance from a seed: the n-th push of an order always meets the same fate, whatever happens beside it.
//!
//! No state and no generator: every number is a function of the seed and of what it is for.

/// A source of repeatable chance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) const fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x6f72_6465_7273_796e))
    }

    /// The chance of one thing.
    pub(super) fn of(self, what: &[u8]) -> Self {
        let hash = what
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mix(self.0 ^ hash))
    }

    /// The chance of the n-th of them.
    pub(super) const fn nth(self, n: u64) -> Self {
        Self(mix(self.0 ^ n.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// 64 even bits.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// Evenly in 0 ..< 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    pub(super) fn share(self) -> f64 {
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The finalizer of splitmix64.
const fn mix(bits: u64) -> u64 {
    let bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even_and_repeat() {
        let chance = Chance::new(7).of(b"order-1");
        let low = (0..10_000).filter(|n| chance.nth(*n).share() < 0.2).count();
        assert!((1_900..2_100).contains(&low), "{low}");
        assert_eq!(chance.nth(3).bits(), Chance::new(7).of(b"order-1").nth(3).bits());
        assert_ne!(chance.nth(3).bits(), Chance::new(8).of(b"order-1").nth(3).bits());
    }
}
