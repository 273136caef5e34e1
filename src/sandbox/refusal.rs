//! A business error as the platform words it (douyin-api §3.2).
//!
//! Texts name fields, never values, and only a token's refusal speaks of the access token: pushers judge 40014 by its text.

use std::borrow::Cow;
use std::fmt::Display;

use super::field::{Problem, Wrong};

/// An `err_code` that is not 0, with its `err_msg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: i64,
    pub(super) text: Cow<'static, str>,
}

impl Refusal {
    const fn fixed(code: i64, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text) }
    }

    fn about(code: i64, text: &str, wrong: &impl Display) -> Self {
        Self { code, text: Cow::Owned(format!("{text}: {wrong}")) }
    }

    /// A token that this platform never gave out, or none.
    pub(super) const UNKNOWN_TOKEN: Self = Self::fixed(40002, "access_token错误");
    /// A token whose time is over.
    pub(super) const DEAD_TOKEN: Self = Self::fixed(40014, "bad access token");
    /// No open id at all.
    pub(super) const OPEN_ID: Self = Self::fixed(40003, "openid错误");
    /// An open id that was not made inside Douyin.
    pub(super) const FOREIGN_OPEN_ID: Self =
        Self::fixed(40012, "open_id错误, 请确认是否是在抖音/抖音lite/火山 app内生成");
    /// `app_name` is not `douyin`.
    pub(super) const APP_NAME: Self = Self::fixed(40016, "appname错误");
    /// An order type whose detail is not documented.
    pub(super) const ORDER_TYPE: Self = Self::fixed(40022, "business_line错误: order_type must be 0, 9101 or 9001");
    /// An `update_time` of another unit than the order's last one.
    pub(super) const MIXED_UNITS: Self =
        Self::fixed(40014, "http参数错误: update_time has another unit than this order's last one");

    /// A fault of a parameter.
    pub(super) fn parameter(wrong: &impl Display) -> Self {
        Self::about(40014, "http参数错误", wrong)
    }

    /// A fault of the top level: a few fields have codes of their own.
    pub(super) fn of_top_level(wrong: &Wrong) -> Self {
        match wrong.path.as_str() {
            "access_token" => Self::UNKNOWN_TOKEN,
            _ if wrong.problem == Problem::Repeated => Self::parameter(wrong),
            "open_id" => Self::OPEN_ID,
            "app_name" => Self::APP_NAME,
            "order_detail" => Self::detail(wrong),
            _ => Self::parameter(wrong),
        }
    }

    /// A fault inside `order_detail`.
    pub(super) fn detail(wrong: &impl Display) -> Self {
        Self::about(40099, "order_detail字段格式错误", wrong)
    }

    /// The code with the platform's own text for it, as fault modes send it.
    pub(super) fn of_code(code: i64) -> Self {
        let text = match code {
            -1 => "系统错误,请重试",
            40002 => return Self::UNKNOWN_TOKEN,
            40003 => return Self::OPEN_ID,
            40012 | 40031 => "open_id错误, 请确认是否是在抖音/抖音lite/火山 app内生成",
            40014 => "http参数错误",
            40016 => return Self::APP_NAME,
            40022 => "business_line错误",
            40099 => "order_detail字段格式错误",
            28_001_003 | 2_190_002 => "access_token无效",
            28_001_008 | 2_190_008 => "access_token过期,请刷新或重新授权",
            28_003_017 | 2_190_001 => "quota已用完",
            28_003_018 | 28_001_052 => "请求过于频繁",
            _ => "sandbox fault",
        };
        Self::fixed(code, text)
    }
}
