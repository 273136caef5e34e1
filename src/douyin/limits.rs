//! The platform's limits, as named constants (douyin-api §1.1, §2). All lengths are bytes of UTF-8.
//!
//! What happens to text over its limit is not decided here.

use std::fmt;

/// How long a field may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The platform's name of the field.
    pub field: &'static str,
    /// The bound.
    pub bound: Bound,
}

/// A bound in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// `<=`
    AtMost(usize),
    /// `<`
    Below(usize),
}

impl Limit {
    const fn at_most(field: &'static str, bytes: usize) -> Self {
        Self { field, bound: Bound::AtMost(bytes) }
    }

    const fn below(field: &'static str, bytes: usize) -> Self {
        Self { field, bound: Bound::Below(bytes) }
    }

    /// The greatest length that fits, in bytes.
    pub const fn greatest(self) -> usize {
        match self.bound {
            Bound::AtMost(bytes) => bytes,
            Bound::Below(bytes) => bytes - 1,
        }
    }

    /// Whether a text of this many bytes fits.
    pub const fn fits(self, bytes: usize) -> bool {
        bytes <= self.greatest()
    }

    /// The longest beginning of `text` that fits and ends at a character boundary.
    pub fn cut(self, text: &str) -> &str {
        cut(text, self.greatest())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bytes) => write!(f, "at most {bytes}"),
            Self::Below(bytes) => write!(f, "under {bytes}"),
        }
    }
}

/// The longest beginning of `text` of at most `bytes` bytes that ends at a character boundary.
pub fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Top level, strict (§1.1).
pub const EXTRA: Limit = Limit::below("extra", 2048);
/// Top level, strict (§1.1).
pub const EXT_SHOP_ID: Limit = Limit::below("ext_shop_id", 256);

/// Type 0 (§2.1).
pub const ORDER_ID: Limit = Limit::at_most("order_id", 64);
/// Type 0 (§2.1).
pub const DETAIL_URL: Limit = Limit::at_most("detail_url", 1024);
/// Type 0, per item (§2.1).
pub const ITEM_CODE: Limit = Limit::at_most("item_code", 64);
/// Type 0, per item (§2.1).
pub const IMG: Limit = Limit::at_most("img", 512);
/// Type 0, per item, read by people (§2.1).
pub const TITLE: Limit = Limit::at_most("title", 256);
/// Type 0, per item, read by people (§2.1).
pub const SUB_TITLE: Limit = Limit::at_most("sub_title", 256);

/// POI types (§2.2).
pub const EXT_ORDER_ID: Limit = Limit::at_most("ext_order_id", 64);
/// POI types, read by people (§2.2).
pub const SHOP_NAME: Limit = Limit::at_most("shop_name", 256);
/// POI types, the whole text (§2.2, §2.4).
pub const ENTRY_SCHEMA: Limit = Limit::at_most("entry_schema", 512);
/// POI types, read by people (§2.2).
pub const DESCRIPTION: Limit = Limit::at_most("description", 500);
/// Group coupons (§2.2).
pub const EXT_VALID_SHOP_ID: Limit = Limit::at_most("ext_valid_shop_id", 256);
/// POI types (§2.2).
pub const VALID_POI_ID: Limit = Limit::at_most("valid_poi_id_str", 128);
/// POI types (§2.2).
pub const EXT_GOODS_ID: Limit = Limit::at_most("ext_goods_id", 64);
/// POI types, read by people (§2.2).
pub const GOODS_NAME: Limit = Limit::at_most("goods_name", 256);
/// POI types, read by people (§2.2).
pub const GOODS_INFO: Limit = Limit::at_most("goods_info", 120);
/// POI types (§2.2).
pub const GOODS_COVER_IMAGE: Limit = Limit::at_most("goods_cover_image", 512);
/// POI types, the whole text (§2.2, §2.4).
pub const GOODS_ENTRY_SCHEMA: Limit = Limit::at_most("goods_entry_schema", 512);
/// POI types, each id (§2.2).
pub const EXT_TICKET_ID: Limit = Limit::at_most("ext_ticket_ids", 64);
/// POI types, each rule. Advisory: the platform's own example has 55 bytes (§2.2, D11).
pub const RULE: Limit = Limit::at_most("ticket_description", 50);
/// POI types: how many rules there may be (§2.2).
pub const RULES_MAX: usize = 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strict_limits_are_below() {
        let check = |limit: Limit, greatest| {
            assert_eq!(limit.greatest(), greatest);
            assert!(limit.fits(greatest) && !limit.fits(greatest + 1));
        };
        check(EXTRA, 2047);
        check(EXT_SHOP_ID, 255);
        check(ORDER_ID, 64);
        check(DETAIL_URL, 1024);
    }

    #[test]
    fn text_is_cut_at_a_character() {
        let check = |text: &str, bytes, expect: &str| assert_eq!(cut(text, bytes), expect);
        check("麻花", 6, "麻花");
        check("麻花", 5, "麻");
        check("麻花", 3, "麻");
        check("麻花", 2, "");
        check("a😀", 4, "a");
        check("abc", 0, "");
        check("abc", 9, "abc");
    }

    proptest! {
        #[test]
        fn a_cut_is_the_longest_beginning_that_fits(text in "\\PC{0,40}", bytes in 0usize..130) {
            let kept = cut(&text, bytes);
            prop_assert!(kept.len() <= bytes && text.starts_with(kept));
            let next = text[kept.len()..].chars().next();
            prop_assert!(next.is_none_or(|c| kept.len() + c.len_utf8() > bytes));
        }
    }
}
