//! Opens the way in: the listener, TLS on it or not, and plain HTTP beside it where that was asked
//! for.

use crate::accept::{self, Drain, Entrance, Secured};
use crate::http::origin::Sites;
use crate::http::plain;
use crate::tls::Tls;
use axum::Router;
use tokio::net::TcpListener;

/// Connections to one preview at once, where each has a port.
const MOST_ON_PORT: usize = 128;

/// What is needed for it.
#[derive(Debug)]
pub struct Front {
    /// Where browsers come.
    pub listener: TcpListener,
    /// Where they may come by plain HTTP to be led to TLS.
    pub plain: Option<TcpListener>,
    /// The certificates, where TLS is spoken.
    pub tls: Option<Tls>,
    /// The server's names.
    pub sites: Sites,
    /// Where previews have ports of their own, and what answers there.
    pub ports: Vec<(TcpListener, Router)>,
    /// How many connections there may be at once.
    pub max_connections: usize,
}

impl Front {
    /// Serves `router` until `drain` is closed.
    pub fn open(self, router: Router, drain: &Drain) {
        let Self { listener, plain: plain_listener, tls, sites, ports, max_connections: most } =
            self;
        let Some(tls) = tls else {
            for (listener, router) in ports {
                tokio::spawn(accept::serve(listener, router, drain.guard(), MOST_ON_PORT));
            }
            tokio::spawn(accept::serve(listener, router, drain.guard(), most));
            return;
        };
        let plain = plain::router(sites, tls.challenges());
        if let Some(listener) = plain_listener {
            tokio::spawn(accept::serve(listener, plain.clone(), drain.guard(), most));
        }
        for (listener, router) in ports {
            // Who comes without TLS is told nothing: the server's own names are not this one's.
            let (acceptor, plain) = (tls.acceptor(MOST_ON_PORT), Router::new());
            let entrance = Entrance { router, tls: Some(Secured { acceptor, plain }) };
            tokio::spawn(accept::serve_entrance(listener, entrance, drain.guard(), MOST_ON_PORT));
        }
        let secured = Secured { acceptor: tls.acceptor(most), plain };
        let entrance = Entrance { router, tls: Some(secured) };
        tokio::spawn(accept::serve_entrance(listener, entrance, drain.guard(), most));
        tokio::spawn(tls.keep(drain.guard()));
    }
}
