//! `[admin]`: metrics and health over HTTP.

use std::net::SocketAddr;

use super::key::{Absent, Key, Kind, Section, Shape};
use super::reader::Reader;

/// `[admin]`
#[derive(Clone, Debug)]
pub struct Admin {
    /// `listen` (127.0.0.1:9600); `off` turns it off.
    pub listen: Option<SocketAddr>,
}

pub(super) const SECTION: Section = Section {
    path: "admin",
    shape: Shape::Table,
    doc: "Metrics and health over HTTP: /metrics, /livez, /readyz.",
    keys: &[Key {
        name: "listen",
        kind: Kind::Text,
        absent: Absent::Default("\"127.0.0.1:9600\""),
        doc: "Address and port, port 0 for a free one, or \"off\". There is no authentication: an address beyond loopback \
              draws a warning.",
    }],
};

/// Reads `[admin]`.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Admin {
    let text = reader.text("listen");
    if text.is_empty() || text == "off" {
        return Admin { listen: None };
    }
    let listen = text.parse::<SocketAddr>().ok();
    match listen {
        None => {
            reader.fault("listen", format!("\"{text}\" is no address; write 127.0.0.1:9600, [::1]:9600 or \"off\""));
        }
        Some(address) if !address.ip().is_loopback() => {
            let what = "is reachable from other machines and has no authentication; see that the network protects it";
            reader.warn("listen", what);
        }
        Some(_) => {}
    }
    Admin { listen }
}
