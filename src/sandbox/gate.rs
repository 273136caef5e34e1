//! The door of the sandbox: a listener that can close for a while without losing its port.
//!
//! A second socket holds the address, so that a refused connection is truly refused and the port stays ours.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// An address that is ours, open or closed.
pub(super) struct Gate {
    address: SocketAddr,
    listener: Option<TcpListener>,
    _holder: TcpSocket,
}

impl Gate {
    /// Takes the address and opens. It must run within an event loop.
    pub(super) fn open(address: SocketAddr) -> io::Result<Self> {
        if address.port() != 0 {
            // Sockets that share a port do not notice one another, so a plain bind finds out whether it is taken.
            drop(std::net::TcpListener::bind(address)?);
        }
        let holder = shared_socket(address)?;
        holder.bind(address)?;
        let mut gate = Self { address: holder.local_addr()?, listener: None, _holder: holder };
        gate.reopen()?;
        Ok(gate)
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener, while the gate is open.
    pub(super) const fn listener(&self) -> Option<&TcpListener> {
        self.listener.as_ref()
    }

    /// Listens again; nothing happens when it is open.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if self.listener.is_none() {
            let socket = shared_socket(self.address)?;
            socket.bind(self.address)?;
            self.listener = Some(socket.listen(BACKLOG)?);
        }
        Ok(())
    }

    /// Refuses connections from now on.
    pub(super) fn close(&mut self) {
        self.listener = None;
    }
}

fn shared_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    Ok(socket)
}
