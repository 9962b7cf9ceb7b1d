//! Binds the addresses and the admin socket.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tokio::net::{TcpSocket, UnixListener};

use crate::config::Server;

/// Connections that the system keeps for a listener until they are taken. The default of 128 is overrun when a ward
/// gets its power back, and whoever is left out comes again a second later.
const QUEUE: u32 = 1024;

/// The three TCP listeners, bound but not yet served.
#[derive(Debug)]
pub struct Listeners {
    pub(super) est: TcpListener,
    pub(super) status: TcpListener,
    pub(super) admin: TcpListener,
}

/// The addresses that were bound.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub est: SocketAddr,
    pub status: SocketAddr,
    pub admin: SocketAddr,
}

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("cannot listen on {address} for {what}: {source}; change it in vitae.toml or end what uses it")]
    Address { what: &'static str, address: SocketAddr, source: io::Error },
    #[error("cannot make the admin socket {path}: {source}")]
    Socket { path: String, source: io::Error },
    #[error("the admin socket {path} is too long for a Unix socket (107 bytes): use a shorter --dir")]
    SocketTooLong { path: String },
}

impl Listeners {
    /// To be called inside a runtime, as everything that opens sockets here.
    pub fn bind(server: &Server) -> Result<Self, BindError> {
        Self::bind_to(server.est(), server.status(), server.admin())
    }

    /// Port 0 takes a free one; [`Listeners::addresses`] tells which.
    pub fn bind_to(est: SocketAddr, status: SocketAddr, admin: SocketAddr) -> Result<Self, BindError> {
        Ok(Self { est: bind("EST", est)?, status: bind("status", status)?, admin: bind("admin", admin)? })
    }

    /// Free ports on the loopback address.
    pub fn bind_anywhere() -> Result<Self, BindError> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::bind_to(any, any, any)
    }

    pub fn addresses(&self) -> io::Result<Addresses> {
        Ok(Addresses {
            est: self.est.local_addr()?,
            status: self.status.local_addr()?,
            admin: self.admin.local_addr()?,
        })
    }
}

/// The status listener alone.
pub fn bind_status(address: SocketAddr) -> Result<TcpListener, BindError> {
    bind("status", address)
}

fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, BindError> {
    let error = |source| BindError::Address { what, address, source };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.map_err(error)?;
    // As the standard library does: a restart must not wait for the last connections of the run before.
    socket.set_reuseaddr(true).map_err(error)?;
    socket.bind(address).map_err(error)?;
    socket.listen(QUEUE).and_then(tokio::net::TcpListener::into_std).map_err(error)
}

/// The admin socket; its file goes when it does.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A file that stays behind is replaced at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

pub(super) fn bind_socket(dir: &Path) -> Result<Socket, BindError> {
    let path = dir.join("admin.sock");
    let shown = || path.display().to_string();
    if path.as_os_str().len() > 107 {
        return Err(BindError::SocketTooLong { path: shown() });
    }
    let error = |source| BindError::Socket { path: shown(), source };
    // The store is locked by us, so whoever left this file has ended.
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(error(source)),
        _ => {}
    }
    let listener = UnixListener::bind(&path).map_err(error)?;
    // The folder is 0700 since init, so nobody else could come in before this line either.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(Socket { listener, path })
}
