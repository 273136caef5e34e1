//! Maps a merged order to the request of `order/v2/push`, without token and stamp (order-events §4, §5).
//!
//! It judges and writes; it neither folds nor sends.

use std::collections::BTreeMap;

use super::detail::poi::PoiForm;
use super::detail::{GoodsEntryType, NormalDetail, PoiDetail, TicketLists, status};
use super::fields::{Findings, Object, Path, TextPolicy};
use super::json_text::JsonText;
use super::limits;
use crate::order::{AppId, DeadLetterReason, Fault, MapInput, MapOrder, Mapped, OrderType};

/// Room for most requests; a longer one grows.
const REQUEST_BYTES: usize = 1536;

/// The platform's number of an order type (douyin-api §1.3).
pub const fn order_type_code(order_type: OrderType) -> i64 {
    match order_type {
        OrderType::Normal => 0,
        OrderType::GroupCoupon => 9101,
        OrderType::Ticket => 9001,
    }
}

/// The settings that the mapping depends on.
#[derive(Clone, Debug)]
pub struct MapSettings {
    /// Every configured app.
    pub apps: Vec<AppSettings>,
    /// `limits.text`
    pub text: TextPolicy,
    /// `douyin.ticket_lists`
    pub ticket_lists: TicketLists,
    /// `douyin.goods_entry_type`
    pub goods_entry_type: GoodsEntryType,
}

/// What the mapping needs to know of an app.
#[derive(Clone, Debug)]
pub struct AppSettings {
    /// `apps.app_id`
    pub app_id: AppId,
    /// `apps.client_key`, without which there are no group coupons and tickets.
    pub client_key: Option<String>,
    /// `apps.order_types`
    pub order_types: Vec<OrderType>,
}

/// The mapping, for every configured app.
#[derive(Clone, Debug)]
pub struct Mapper {
    apps: BTreeMap<AppId, AppSettings>,
    text: TextPolicy,
    ticket_lists: TicketLists,
    goods_entry_type: GoodsEntryType,
}

impl Mapper {
    /// Takes the settings. Where an app stands twice, the last one counts.
    pub fn new(settings: MapSettings) -> Self {
        Self {
            apps: settings.apps.into_iter().map(|app| (app.app_id.clone(), app)).collect(),
            text: settings.text,
            ticket_lists: settings.ticket_lists,
            goods_entry_type: settings.goods_entry_type,
        }
    }
}

impl MapOrder for Mapper {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        let Some(app) = self.apps.get(input.app_id) else {
            return Err(Fault::new(DeadLetterReason::UnknownApp, "app_id is not one of the configured apps"));
        };
        let document = Object::root(input.document);
        let mut found = Findings::new(self.text);
        let order = self.read(input, app, &document, &mut found)?;
        if !app.order_types.contains(&input.order_type) {
            found.malformed(ORDER_TYPE, "is not among this app's order_types in the configuration");
        }
        let (cut, long_rules) = found.judge()?;
        Ok(Mapped { draft: order.write(input.order_type), cut, long_rules })
    }
}

const ORDER_TYPE: Path<'static> = Path::Member(&Path::Root, "order_type");

/// A request without its token and stamp.
struct Request<'a> {
    open_id: &'a str,
    extra: Option<&'a str>,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Normal { order_status: i64, detail: NormalDetail<'a> },
    Poi { client_key: &'a str, ext_shop_id: &'a str, detail: Box<PoiDetail<'a>> },
}

impl Mapper {
    /// Judges `status_not_supported` itself; what else is wrong stands in `found`.
    fn read<'a>(
        &self,
        input: &MapInput<'a>,
        app: &'a AppSettings,
        document: &Object<'a, '_>,
        found: &mut Findings,
    ) -> Result<Request<'a>, Fault> {
        let kind = match input.order_type {
            OrderType::Normal => {
                let (order_status, text) = status::normal(input.status).ok_or_else(status_not_supported)?;
                Kind::Normal { order_status, detail: NormalDetail::read(input.order_id, text, document, found) }
            }
            OrderType::GroupCoupon => {
                let code = status::group_coupon(input.status).ok_or_else(status_not_supported)?;
                self.poi(input, code, app, document, found)
            }
            OrderType::Ticket => {
                let code = status::ticket(input.status).ok_or_else(status_not_supported)?;
                self.poi(input, code, app, document, found)
            }
        };
        let open_id = document.text("open_id", found);
        let extra = document.optional_within("extra", limits::EXTRA, found);
        Ok(Request { open_id, extra, kind })
    }

    fn poi<'a>(
        &self,
        input: &MapInput<'a>,
        status_code: i64,
        app: &'a AppSettings,
        document: &Object<'a, '_>,
        found: &mut Findings,
    ) -> Kind<'a> {
        let client_key = app.client_key.as_deref().unwrap_or_else(|| {
            found.malformed(ORDER_TYPE, "needs a client_key of this app in the configuration");
            ""
        });
        let form = PoiForm {
            order_id: input.order_id,
            order_type: input.order_type,
            status: input.status,
            status_code,
            ticket_lists: self.ticket_lists,
            goods_entry_type: self.goods_entry_type,
        };
        let (detail, ext_shop_id) = PoiDetail::read(&form, document, found);
        Kind::Poi { client_key, ext_shop_id, detail: Box::new(detail) }
    }
}

fn status_not_supported() -> Fault {
    let message = "status is not one that orders of this order_type have";
    Fault::new(DeadLetterReason::StatusNotSupported, message)
}

impl Request<'_> {
    fn write(&self, order_type: OrderType) -> Vec<u8> {
        let mut out = JsonText::with_capacity(REQUEST_BYTES);
        out.object(|out| {
            out.string_member("app_name", "douyin");
            out.string_member("open_id", self.open_id);
            out.integer_member("order_type", order_type_code(order_type));
            match &self.kind {
                Kind::Normal { order_status, .. } => out.integer_member("order_status", *order_status),
                Kind::Poi { client_key, ext_shop_id, .. } => {
                    out.string_member("client_key", client_key);
                    out.string_member("ext_shop_id", ext_shop_id);
                }
            }
            out.optional_member("extra", self.extra);
            out.key("order_detail");
            out.nested(|out| match &self.kind {
                Kind::Normal { detail, .. } => detail.write(out),
                Kind::Poi { detail, .. } => detail.write(out),
            });
        });
        out.into_bytes()
    }
}
