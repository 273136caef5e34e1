//! The mapping of `map`: as configured, or, where no app is configured, with every app taken as it comes.

use crate::app::settings;
use crate::config::{App, Config, Secret};
use crate::douyin::Mapper;
use crate::order::{AppId, Fault, MapInput, MapOrder, Mapped, OrderType, TimeUnit};

/// Stands where a group coupon's or a ticket's `client_key` would.
pub(super) const CLIENT_KEY: &str = "(client_key)";

/// The mapping of `map`.
pub(super) enum Mapping {
    /// As configured.
    Configured(Box<Mapper>),
    /// As these settings without an app say, for whichever app.
    AnyApp(Box<Config>),
}

impl Mapping {
    /// As `config` says.
    pub(super) fn configured(config: &Config) -> Self {
        Self::Configured(Box::new(settings::mapper(config)))
    }
}

impl MapOrder for Mapping {
    fn map(&self, input: &MapInput<'_>) -> Result<Mapped, Fault> {
        match self {
            Self::Configured(mapper) => mapper.map(input),
            Self::AnyApp(config) => any_app(config, input.app_id).map(input),
        }
    }
}

fn any_app(config: &Config, app_id: &AppId) -> Mapper {
    let app = App {
        app_id: app_id.clone(),
        secret: Secret::Inline("".into()),
        client_key: Some(CLIENT_KEY.to_owned()),
        order_types: OrderType::ALL.to_vec(),
        update_time_unit: TimeUnit::Seconds,
    };
    settings::mapper(&Config { apps: vec![app], ..config.clone() })
}
